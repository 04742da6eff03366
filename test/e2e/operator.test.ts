/** The commands for a running server, and what an operator reads of it: users.md section 2. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { IO, runCommand, type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';
import { statusOf } from '../support/status.js';

const FILES = {
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'fail.lua': 'function main(env, con)\n  error("broken")\nend',
  'sleep.lua': 'local luafcgid = require "luafcgid"\nfunction main(env, con)\n  luafcgid.sleep(60)\nend',
  'busy.lua': 'function main(env, con)\n  while true do\n    local x = 1\n  end\nend',
};

/** A request of a script that does not end by itself, and its name. */
async function underWay(server: Server, script: string, stage: string): Promise<string> {
  void ask(server, script).catch(() => {});
  return eventually(`a request that is ${stage}`, async () => {
    const { running } = await statusOf(server);
    return running.find((request) => request.stage === stage)?.request;
  });
}

describe('a running server', () => {
  // Tests share it: the last one stops it.
  const common = shared((t) =>
    startServer(t, {
      config: ({ scripts }) => `status = "status.sock" pidfile = "server.pid" draintimeout = 0 workers = 2
        root = ${JSON.stringify(scripts)} showerrors = true keys = { session = "${'s'.repeat(40)}" }`,
      files: FILES,
    }),
  );

  it('has in the first line of its log: version, process, engine, sockets and workers', async () => {
    const server = common();
    await server.logged(
      new RegExp(
        `luafcgid \\d\\S+, process ${server.pid}, engine embedded, io \\w+, 2 workers, status at \\S+status.sock`,
      ),
    );
  });

  it('has names for its process, and for its threads where epoll drives the sockets', async () => {
    const server = common();
    if (process.platform === 'linux')
      assert.match(readFileSync(`/proc/${server.pid}/cmdline`, 'latin1'), /^luafcgid \//);
    if (process.platform !== 'linux' || IO === 'node') return;
    const names = readdirSync(`/proc/${server.pid}/task`).map((thread) => {
      try {
        return readFileSync(`/proc/${server.pid}/task/${thread}/comm`, 'latin1').trimEnd();
      } catch {
        return ''; // it has ended meanwhile
      }
    });
    for (const name of ['luafcgid front', 'luafcgid lua 0', 'luafcgid lua 1'])
      assert.ok(names.includes(name), `${names}`);
  });

  it('is found by its configuration, its pid file, its process and the address of its status socket', async () => {
    const server = common();
    const socket = join(server.dir, 'status.sock');
    for (const where of [server.config, join(server.dir, 'server.pid'), String(server.pid), socket]) {
      assert.deepEqual(
        await runCommand(['ping', where]).then(({ code, stdout }) => [code, stdout]),
        [0, 'pong\n'],
        where,
      );
    }
    const here = await runCommand(['status'], { cwd: server.dir });
    assert.match(here.stdout, /^luafcgid .*\nrequests /);
  });

  it('takes a configuration into service at once, or says why not', async () => {
    const server = common();
    const settings = readFileSync(server.config, 'utf8');
    writeFileSync(server.config, `${settings}\nmaxpost = 1000\n`);
    const taken = await runCommand(['reload', server.config]);
    assert.deepEqual([taken.code, taken.stdout.startsWith('reloaded: listening on ')], [0, true]);
    writeFileSync(server.config, `${settings}\nmaxpost = "many"\n`);
    const refused = await runCommand(['reload', join(server.dir, 'status.sock')]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^not reloaded, all goes on as before:\n.*1 fault\n {2}maxpost = "many"/);
    writeFileSync(server.config, settings);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });

  it('tells with stack where a request runs, and where another one waits, and of a third that there is none', async () => {
    const server = common();
    const none = await runCommand(['stack', 'abcdef-1', server.config]);
    assert.deepEqual([none.code, none.stderr], [1, 'no request abcdef-1 is under way\n']);
    const waits = await underWay(server, 'sleep.lua', 'suspended');
    const suspended = await runCommand(['stack', waits, server.config]);
    assert.equal(suspended.code, 0, suspended.stderr);
    assert.match(suspended.stdout, /sleep\.lua:3: in /);
    const runs = await underWay(server, 'busy.lua', 'running');
    const executing = await runCommand(['stack', runs, server.config]);
    assert.equal(executing.code, 0, executing.stderr);
    assert.match(executing.stdout, /busy\.lua:[23]: in /);
  });

  it('lists with log errors with counts, and with top scripts with what they do', async () => {
    const server = common();
    for (let at = 0; at < 3; at += 1) await ask(server, 'fail.lua');
    const log = await runCommand(['log', server.config]);
    assert.match(log.stdout, /^ +3 .*fail\.lua:2 +LUAFCGID_SCRIPT_FAILED: .*broken$/m);
    // On a slow machine the script that runs on may be over its time by now, which is another group.
    const groups: { count: number; code: string }[] = JSON.parse(
      (await runCommand(['log', server.config, '--json'])).stdout,
    );
    assert.equal(groups.find(({ code }) => code === 'LUAFCGID_SCRIPT_FAILED')?.count, 3);
    const top = await runCommand(['top', server.config, '--count', '1', '--sort', 'f']);
    assert.equal(top.code, 0, top.stderr);
    assert.match(top.stdout, /^luafcgid .*\n.* requests\/s .*\n\n.*REQ\/S .*SCRIPT\n.* 3 .*fail\.lua$/m);
    assert.equal((await runCommand(['top', server.config, '--sort', 'x'])).code, 2);
  });

  it('has every setting with its value and where that comes from, and no secret, in check --dump', async () => {
    const server = common();
    const { code, stdout } = await runCommand(['check', server.config, '--dump']);
    assert.equal(code, 0);
    assert.ok(stdout.includes(`\nio = "${IO}"  -- ${server.config}\n`));
    assert.match(stdout, /^maxpost = \d+ {2}-- default$/m);
    assert.match(stdout, /^keys = \{ \["session"\] = "\(not shown\)" \}/m);
    assert.doesNotMatch(stdout, /ssss/);
  });

  it('has in lines of errors: method, path and client, and never a query', async () => {
    const server = common();
    const params = { REQUEST_URI: '/fail.lua?token=secret', QUERY_STRING: 'token=secret', REMOTE_ADDR: '192.0.2.7' };
    await ask(server, 'fail.lua', { params });
    await server.logged(
      /error \[\S+ state \d+ worker \d+ GET \/fail\.lua 192\.0\.2\.7 \S+fail\.lua\] LUAFCGID_SCRIPT_FAILED/,
    );
    assert.doesNotMatch(server.log(), /secret/);
  });

  it('stops in order, and the command waits for that; then it is said not to be there, which costs a health check its exit status', async () => {
    const server = common();
    // It has a root, and nobody elsewhere sees its error pages.
    assert.doesNotMatch(server.log(), /SHOWS_ERRORS|NO_ROOT/);
    const stopped = await runCommand(['stop', server.config]);
    assert.deepEqual([stopped.code, stopped.stdout], [0, 'the server stops\n']);
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    assert.equal(existsSync(join(server.dir, 'status.sock')), false);
    const ping = await runCommand(['ping', server.config]);
    assert.equal(ping.code, 1);
    assert.match(ping.stderr, /no server answers at \S+status\.sock: .*\n.* \[LUAFCGID_CONTROL_UNREACHABLE\]/);
    assert.deepEqual(await runCommand(['ping', '-q', server.config]).then(({ code, stderr }) => [code, stderr]), [
      1,
      '',
    ]);
    assert.match((await runCommand(['status', '/nowhere.sock'])).stderr, /LUAFCGID_CONTROL_NOT_FOUND/);
  });
});

describe('a server that other machines may reach', () => {
  it('opens its log files anew, and warns of error pages with source, and of a root that is not set', async (t) => {
    const server = await startServer(t, {
      config: 'listen = ":0" status = "status.sock" logfile = "server.log" showerrors = true',
      files: FILES,
      ready: /ready: listening/,
    });
    const log = join(server.dir, 'server.log');
    for (const line of [/warn .*LUAFCGID_SERVER_SHOWS_ERRORS: .* at (\[::\])?:\d+/, /warn .*LUAFCGID_SERVER_NO_ROOT/])
      await eventually(`${line}`, () => line.test(readFileSync(log, 'utf8')));
    renameSync(log, `${log}.1`);
    assert.equal((await runCommand(['reopen', server.config])).code, 0);
    assert.ok(existsSync(log));
  });
});

describe('a server without a status socket', () => {
  it('gets signals', async (t) => {
    const server = await startServer(t, { config: 'pidfile = "server.pid"', files: FILES });
    const pidFile = join(server.dir, 'server.pid');
    const reloaded = await runCommand(['reload', pidFile]);
    assert.deepEqual([reloaded.code, reloaded.stdout.includes(`process ${server.pid} got SIGHUP`)], [0, true]);
    await server.logged(/reloaded: listening/);
    assert.match((await runCommand(['status', pidFile])).stderr, /LUAFCGID_CONTROL_NO_STATUS/);
    assert.equal((await runCommand(['stop', pidFile])).code, 0);
    assert.equal((await server.ended()).code, 0);
  });
});
