/** What a service manager does with the real process: passes it sockets, hears how it is, starts it again under load. */
import assert from 'node:assert/strict';
import { closeSync, lstatSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { listenAt } from '../../src/linux/sockets.js';
import { type Cleanup, tempDir } from '../support/cleanup.js';
import { DatagramReceiver } from '../support/datagrams.js';
import { FcgiConnection, request, scriptParams } from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { runCommand, type Server, type ServerOptions, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const HELLO = { 'hello.lua': 'function main(env, con) con:puts("hello") end' };
const BACKLOG = 100;

/** A socket that listens and that nobody accepts from, as systemd has it while the service is down. */
function heldSocket(t: Cleanup): { readonly path: string; readonly fd: number } {
  const path = join(tempDir(t), 'held.sock');
  const fd = listenAt({ family: 'unix', path }, BACKLOG);
  t.after(() => closeSync(fd));
  return { path, fd };
}

/** Starts the server as systemd would, with a socket that is descriptor 3. */
function activate(t: Cleanup, fd: number, options: ServerOptions = {}, name = 'luafcgid.socket'): Promise<Server> {
  const handOver = `exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=${name} exec "$0" "$@"`;
  return startServer(t, {
    files: HELLO,
    config: 'listen = nil',
    ...options,
    inherit: fd,
    under: ['sh', '-c', handOver],
  });
}

describe('a socket that systemd passes', () => {
  it('is listened on without being named, and has its connections wait until the server is there', async (t) => {
    const { path, fd } = heldSocket(t);
    const early = await FcgiConnection.connect(path);
    t.after(() => early.destroy());
    const server = await activate(t, fd);
    await early.begin(1);
    await early.params(1, scriptParams(server.path('hello.lua')));
    await early.stdin(1);
    assert.match((await early.response(1)).stdout.toString(), /hello$/);
    await server.logged(/listening on systemd:luafcgid\.socket;/);
    await server.stop();
    assert.ok(lstatSync(path).isSocket(), 'it is not the server that removes it');
  });

  it('is one that listen names, beside others', async (t) => {
    const { path, fd } = heldSocket(t);
    const config = 'listen = { "systemd:web", "./own.sock" }';
    const server = await activate(t, fd, { config }, 'web');
    for (const socket of [path, join(server.dir, 'own.sock')]) {
      assert.equal((await ask(server, 'hello.lua', { socket })).text, 'hello');
    }
  });

  it('is the one that listen names by its path, as the documents have it (users B2)', async (t) => {
    const { path, fd } = heldSocket(t);
    const server = await activate(t, fd, { config: `listen = ${JSON.stringify(path)}` });
    assert.equal((await ask(server, 'hello.lua', { socket: path })).text, 'hello');
    await server.logged(/listening on systemd:luafcgid\.socket;/);
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening on systemd:luafcgid\.socket\n/);
    assert.equal((await ask(server, 'hello.lua', { socket: path })).text, 'hello');
    assert.doesNotMatch(server.log(), /LISTEN_UNUSED|LISTEN_IN_USE|LISTEN_REMOVED/);
    await server.stop();
    assert.ok(lstatSync(path).isSocket(), 'it is not the server that removes it');
  });

  it('refuses nobody while the server is stopped and started again under load', async (t) => {
    const { path, fd } = heldSocket(t);
    const first = await activate(t, fd);
    const params = scriptParams(first.path('hello.lua'));
    let isOver = false;
    let answers = 0;
    const failures: string[] = [];
    const client = async (): Promise<void> => {
      while (!isOver) {
        try {
          const { status, body } = await request({ socket: path, params });
          assert.deepEqual([status, body.toString()], [200, 'hello']);
          answers += 1;
          // Clients that do not pause take the processors that the start needs.
          await pause(5);
        } catch (error) {
          failures.push(String(error));
        }
      }
    };
    const clients = Array.from({ length: 8 }, client);
    let server = first;
    for (let restart = 0; restart < 3; restart += 1) {
      const before = answers;
      await eventually('answers', () => answers > before + 50 || failures.length > 0);
      await server.stop();
      server = await activate(t, fd);
    }
    const before = answers;
    await eventually('answers', () => answers > before + 50 || failures.length > 0);
    isOver = true;
    await Promise.all(clients);
    assert.deepEqual(failures, []);
  });

  it('that nobody listens on is told of', async (t) => {
    const { fd } = heldSocket(t);
    const server = await activate(t, fd, { config: '' });
    await server.logged(/LUAFCGID_LISTEN_UNUSED.*luafcgid\.socket/);
  });

  it('must be there when listen wants it', async (t) => {
    const config = join(tempDir(t), 'config.lua');
    writeFileSync(config, 'listen = "systemd"');
    const run = await runCommand([config]);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /systemd has passed no socket[\s\S]*LUAFCGID_LISTEN_NOT_PASSED/);
  });

  it('leaves no variable for programs that scripts start', async (t) => {
    const { path, fd } = heldSocket(t);
    const manager = new DatagramReceiver(t, `${path}.notify`);
    const script = 'function main(env, con) con:puts(io.popen("env"):read("*a")) end';
    const server = await activate(t, fd, {
      files: { 'env.lua': script },
      config: 'listen = nil engine = "lua5.1" daemonize = true logfile = "a.log"',
      env: { NOTIFY_SOCKET: `${path}.notify`, WATCHDOG_USEC: '60000000' },
    });
    const { text } = await ask(server, 'env.lua', { socket: path });
    assert.match(text, /^PATH=/m);
    assert.doesNotMatch(text, /^(LISTEN_|NOTIFY_|WATCHDOG_|LUAFCGID_BACKGROUND)/m);
    assert.match(server.log(), /daemonize = true has no effect/, 'it stays where the manager can see it');
    await manager.got(/^READY=1$/);
  });
});

describe('the service manager', () => {
  for (const kind of ['a path', 'an abstract name'] as const) {
    it(`is told at ${kind} when the server is ready, lives and stops`, async (t) => {
      const address = kind === 'a path' ? join(tempDir(t), 'notify.sock') : `@luafcgid-e2e-${process.pid}`;
      const manager = new DatagramReceiver(t, address);
      const server = await startServer(t, {
        files: HELLO,
        env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: '40000', WATCHDOG_PID: '' },
        under: ['sh', '-c', 'WATCHDOG_PID=$$ exec "$0" "$@"'],
      });
      await manager.got(/^READY=1$/);
      assert.ok(manager.received.includes(`STATUS=listening on ${server.socket}`), manager.received.join('\n'));
      await manager.got(/^WATCHDOG=1$/, 3);
      assert.ok(!manager.received.includes('STOPPING=1'));
      await server.stop();
      await manager.got(/^STOPPING=1$/);
    });
  }

  it('gets a line with figures of the moment', async (t) => {
    const address = join(tempDir(t), 'notify.sock');
    const manager = new DatagramReceiver(t, address);
    const server = await startServer(t, {
      files: { ...HELLO, 'hold.lua': HOLD, 'fail.lua': 'function main() error("broken") end' },
      config: 'workers = 1 bodymemory = 0',
      env: { NOTIFY_SOCKET: address },
    });
    for (const script of ['hello.lua', 'hello.lua', 'fail.lua']) await ask(server, script);
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const waiting = ask(server, 'hello.lua');
    await manager.got(/^STATUS=1 of 1 workers busy, 1 request waits, \d+\.\d requests\/s, 1 of \d+ failed$/);
    await held.release();
    assert.equal((await waiting).text, 'hello');
  });

  it('that is not there costs one line of the log', async (t) => {
    const server = await startServer(t, {
      files: HELLO,
      env: { NOTIFY_SOCKET: '/no/such.sock', WATCHDOG_USEC: '10000' },
    });
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
    await server.stop();
    assert.equal(server.log().match(/LUAFCGID_SERVICE_MANAGER/g)?.length, 1);
  });
});

describe('the journal of systemd', () => {
  /** Standard error is a socket here, as it is there: only its number has to be told. */
  const stream = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@"';
  const files = { ...HELLO, 'fail.lua': 'function main(env, con)\n  con:log("warn", "look")\n  error("broken")\nend' };

  it('gets the level of each line, so that "journalctl -p err" finds errors', async (t) => {
    const server = await startServer(t, { files, under: ['sh', '-c', stream] });
    await ask(server, 'fail.lua');
    await server.logged(/^<3>.*LUAFCGID_SCRIPT_FAILED.*\n<3> +stack traceback:\n(<3>.*\n)*<3>.*fail\.lua:3/m);
    await server.logged(/^<4>.* look$/m);
    await server.stop();
    const lines = server.log().trim().split('\n');
    assert.ok(lines.some((line) => /^<6>.*ready/.test(line)));
    assert.deepEqual(
      lines.filter((line) => !/^<[3467]>/.test(line)),
      [],
    );
  });

  it('is not what another stream is taken for', async (t) => {
    const server = await startServer(t, { files, env: { JOURNAL_STREAM: '1:2' } });
    await ask(server, 'fail.lua');
    await server.logged(/LUAFCGID_SCRIPT_FAILED/);
    assert.doesNotMatch(server.log(), /^<\d>/m);
  });
});
