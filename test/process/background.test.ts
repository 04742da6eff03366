/** `daemonize` and `pidfile` with the real process. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { request, scriptParams } from '../support/fcgi-client.js';
import { type CommandResult, IO, ROOT, runCommand, startServer } from '../support/server.js';
import { eventually } from '../support/shared.js';

interface Place {
  readonly dir: string;
  readonly log: () => string;
  /** Runs the command in the folder `dir`. */
  start(config: string, ...args: readonly string[]): Promise<CommandResult>;
  /** The number in the pid file. */
  pid(): number;
  ask(script: string): Promise<string>;
}

/** Whether a process runs. One that has ended stays a zombie until the first process of the machine looks after it. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Tells its number, and waits for the test; only the process in the background runs the hook. */
const WAIT = 'function startup() print("starting") while not pcall(dofile, "go.lua") do end end';

/** The number of the process in the background, which waits in its hook. */
async function serverStarting(dir: string): Promise<number> {
  const log = join(dir, 'a.log');
  await eventually('the hook', () => existsSync(log) && readFileSync(log, 'utf8').includes('starting'));
  const command = join(dir, 'etc/config.lua');
  const found = readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(command);
      } catch {
        return false;
      }
    });
  return Number(found ?? assert.fail('no process in the background'));
}

/** A folder with a configuration; whatever serves from it is stopped after the test. */
function place(t: TestContext): Place {
  // What is cleaned up first is what is registered first: the server before its folder.
  let folder = '';
  t.after(async () => {
    const left = join(folder, 'a.pid');
    if (!existsSync(left)) return;
    const server = Number(readFileSync(left, 'latin1'));
    process.kill(server, 'SIGTERM');
    await eventually('the end', () => !isAlive(server));
  });
  const dir = tempDir(t);
  folder = dir;
  const pidFile = join(dir, 'a.pid');
  const pid = (): number => Number(readFileSync(pidFile, 'latin1'));
  mkdirSync(join(dir, 'etc'));
  writeFileSync(join(dir, 'hello.lua'), 'function main(env, con) con:puts("hello") end');
  return {
    dir,
    pid,
    log: () => readFileSync(join(dir, 'a.log'), 'utf8'),
    start(config, ...args) {
      const common = `listen = "../a.sock" io = ${JSON.stringify(IO)} logfile = "../a.log" pidfile = "../a.pid" workers = 1\n`;
      writeFileSync(join(dir, 'etc/config.lua'), common + config);
      return runCommand(['etc/config.lua', ...args], { cwd: dir });
    },
    ask: async (script) => {
      const answer = await request({ socket: join(dir, 'a.sock'), params: scriptParams(join(dir, script)) });
      return answer.body.toString();
    },
  };
}

describe('daemonize', () => {
  it('ends the command when the server is ready, and leaves it in the background', async (t) => {
    const { start, pid, log, ask, dir } = place(t);
    const run = await start('daemonize = true');
    assert.deepEqual([run.code, run.stdout], [0, '']);
    assert.match(run.stderr, /ready: listening on \S+a\.sock; log: \S+a\.log\n$/);
    assert.match(log(), /ready/);
    assert.equal(await ask('hello.lua'), 'hello');
    const server = pid();
    assert.ok(isAlive(server));
    process.kill(server, 'SIGTERM');
    await eventually('the end', () => !isAlive(server));
    assert.match(log(), /stopped\n$/);
    assert.deepEqual(readdirSync(dir).sort(), ['a.log', 'etc', 'hello.lua'], 'socket and pid file are gone');
  });

  if (process.platform === 'linux') {
    it('has a session of its own, no terminal, and keeps no folder in use', async (t) => {
      const { start, pid } = place(t);
      assert.equal((await start('daemonize = true')).code, 0);
      const stat = (field: number) => readFileSync(`/proc/${pid()}/stat`, 'latin1').split(') ')[1]?.split(' ')[field];
      const [sessionOf, terminalOf] = [3, 4];
      assert.deepEqual([stat(sessionOf), stat(terminalOf)], [String(pid()), '0']);
      assert.equal(readlinkSync(`/proc/${pid()}/cwd`), '/');
      for (const fd of [0, 1, 2]) assert.equal(readlinkSync(`/proc/${pid()}/fd/${fd}`), '/dev/null');
    });
  }

  it('may be asked for on the command line, with the pid file', async (t) => {
    const { start, dir, ask } = place(t);
    const run = await start('pidfile = nil', '--daemonize', '--pidfile', 'a.pid');
    assert.equal(run.code, 0, run.stderr);
    assert.equal(await ask('hello.lua'), 'hello');
    assert.ok(existsSync(join(dir, 'a.pid')));
  });

  it('tells why the server did not start, with its status', async (t) => {
    const { start, dir } = place(t);
    const run = await start('daemonize = true function startup() error("not today") end');
    assert.equal(run.code, 1);
    assert.match(run.stderr, /not today[\s\S]*LUAFCGID_CONFIG_HOOK/);
    assert.deepEqual(readdirSync(dir).sort(), ['a.log', 'etc', 'hello.lua']);
  });

  if (process.platform === 'linux') {
    it('tells what happened to a server that ends without a word', async (t) => {
      const { start, dir } = place(t);
      const run = start(`daemonize = true ${WAIT}`);
      process.kill(await serverStarting(dir), 'SIGKILL');
      const { code, stderr } = await run;
      assert.equal(code, 1);
      assert.match(stderr, /SIGKILL ended it[\s\S]*LUAFCGID_SERVICE_BACKGROUND/);
    });

    it('leaves no server that nobody was told of', async (t) => {
      const { start, dir } = place(t);
      const run = start(`daemonize = true ${WAIT}`);
      const server = await serverStarting(dir);
      process.kill(Number(readFileSync(`/proc/${server}/stat`, 'latin1').split(') ')[1]?.split(' ')[1]), 'SIGINT');
      assert.equal((await run).code, 130);
      writeFileSync(join(dir, 'etc/go.lua'), '');
      await eventually('the end', () => !isAlive(server));
      assert.deepEqual(readdirSync(dir).sort(), ['a.log', 'etc', 'hello.lua']);
    });
  }

  it('needs a log file', async (t) => {
    const { start } = place(t);
    const run = await start('daemonize = true logfile = nil');
    assert.equal(run.code, 1);
    assert.match(run.stderr, /daemonize = true: .*no standard error[\s\S]*Set logfile/);
  });
});

describe('pidfile', () => {
  it('names the server in the foreground, and keeps a second one from starting', async (t) => {
    const server = await startServer(t, { config: 'pidfile = "a.pid"' });
    const path = join(server.dir, 'a.pid');
    assert.equal(readFileSync(path, 'latin1'), `${server.pid}\n`);
    const second = join(server.dir, 'second.lua');
    writeFileSync(second, 'listen = "second.sock" pidfile = "a.pid" function startup() print("must not run") end');
    const run = await runCommand([second], { cwd: ROOT });
    assert.equal(run.code, 1);
    assert.match(run.stderr, new RegExp(`process ${server.pid}, says \\S+a\\.pid[\\s\\S]*LUAFCGID_SERVICE_RUNNING`));
    assert.doesNotMatch(run.stderr, /must not run/);
    assert.equal(readFileSync(path, 'latin1'), `${server.pid}\n`);
    await server.stop();
    assert.equal(existsSync(path), false);
  });

  it('that a killed server has left behind is replaced', async (t) => {
    const { start, pid } = place(t);
    assert.equal((await start('daemonize = true')).code, 0);
    const first = pid();
    process.kill(first, 'SIGKILL');
    await eventually('the end', () => !isAlive(first));
    assert.equal(pid(), first);
    assert.equal((await start('daemonize = true')).code, 0);
    assert.notEqual(pid(), first);
  });
});
