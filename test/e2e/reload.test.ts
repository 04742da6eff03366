/** SIGHUP: another configuration is taken into service while requests go on, and none of them fails. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection } from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { fetchHttp } from '../support/http.js';
import { startNginx } from '../support/nginx.js';
import { IO, type Server, startServer } from '../support/server.js';
import { ask, eventually, itOnce, shared } from '../support/shared.js';

const SHOW = `function main(env, con)
  con:type("text/plain")
  con:puts(con:config("maxpost"), " ", con:config("workers"), " ", env.QUERY_STRING)
end`;

/** Gives the server another configuration. */
function configure(server: Server, settings: string, listen = JSON.stringify(server.socket)): void {
  writeFileSync(server.config, `listen = ${listen}\nio = ${JSON.stringify(IO)}\n${settings}\n`);
}

const timesIn = (text: string, part: string): number => text.split(part).length - 1;

/** Reloads, and waits until that is done or refused. */
async function reload(server: Server): Promise<void> {
  const done = (): number => timesIn(server.log(), 'reloaded: ') + timesIn(server.log(), 'LUAFCGID_RELOAD_REFUSED');
  const before = done();
  server.signal('SIGHUP');
  await eventually('the reload', () => done() > before);
}

function start(t: Cleanup, settings = 'maxpost = 1000', files = {}): Promise<Server> {
  return startServer(t, { config: settings, files: { 'show.lua': SHOW, 'hold.lua': HOLD, ...files } });
}

/** What it shows of its configuration. */
async function shown(server: Server): Promise<string> {
  const { status, text } = await ask(server, 'show.lua');
  assert.equal(status, 200, text);
  return text.split(' ')[0] as string;
}

// Tests share a server: each goes on with what the ones before have left, and the last one stops it.
describe('SIGHUP', () => {
  const common = shared((t) =>
    start(t, 'maxpost = 1000', {
      'jit.lua': 'function main(env, con) con:puts(jit and "jit" or _VERSION) end',
    }),
  );

  itOnce('takes a changed configuration into service', async () => {
    const server = common();
    assert.equal(await shown(server), '1000');
    configure(server, 'maxpost = 2000 workers = 3');
    await reload(server);
    assert.equal((await ask(server, 'show.lua')).text.slice(0, 6), '2000 3');
    assert.equal((await ask(server, 'show.lua', { body: 'x'.repeat(2_001) })).status, 413);
  });

  itOnce('goes on unchanged when the configuration has faults, and tells all of them', async () => {
    const server = common();
    const before = await shown(server);
    configure(server, 'maxpost = "many" workers = 0 wrkers = 1');
    await reload(server);
    await server.logged(/LUAFCGID_RELOAD_REFUSED: [^\n]*3 faults\n/);
    for (const fault of ['maxpost = "many"', 'workers = 0', 'wrkers = 1'])
      assert.ok(server.log().includes(fault), fault);
    assert.equal(await shown(server), before);
    configure(server, 'maxpost = 7');
    await reload(server);
    assert.equal(await shown(server), '7');
  });

  itOnce('goes on unchanged when an address cannot be had, and when the startup hook fails', async () => {
    const server = common();
    const before = await shown(server);
    const socket = JSON.stringify(server.socket);
    configure(server, 'maxpost = 1', `{ ${socket}, "/no/such/folder/x.sock" }`);
    await reload(server);
    configure(
      server,
      'maxpost = 2\nfunction startup() error("not today") end',
      `{ ${socket}, "${server.dir}/second.sock" }`,
    );
    await reload(server);
    await server.logged(/LUAFCGID_RELOAD_REFUSED[\s\S]*LUAFCGID_RELOAD_REFUSED[\s\S]*not today/);
    assert.equal(await shown(server), before);
    assert.ok(!existsSync(join(server.dir, 'second.sock')));
  });

  it('makes a socket anew whose file was removed (reports Q3)', async () => {
    const server = common();
    rmSync(server.socket);
    configure(server, 'maxpost = 8');
    await reload(server);
    assert.match(server.log(), /LUAFCGID_LISTEN_REMOVED: the socket file \S+ was removed/);
    assert.equal(await shown(server), '8');
  });

  it('listens where it is wanted then, and nowhere else', async (t) => {
    const server = common();
    const third = join(server.dir, 'third.sock');
    configure(server, 'workers = 1', `{ ${JSON.stringify(server.socket)}, "${third}" }`);
    await reload(server);
    assert.equal((await ask(server, 'show.lua', { socket: third })).status, 200);
    assert.equal((await ask(server, 'show.lua')).status, 200);
    const open = await FcgiConnection.connect(server.socket);
    t.after(() => open.destroy());
    configure(server, 'workers = 1', JSON.stringify(third));
    await reload(server);
    assert.ok(!existsSync(server.socket));
    await assert.rejects(ask(server, 'show.lua'), /ENOENT/);
    assert.equal((await ask(server, 'show.lua', { socket: third })).status, 200);
    // Who is connected stays so.
    assert.deepEqual(await open.getValues('FCGI_MPXS_CONNS'), [['FCGI_MPXS_CONNS', '1']]);
  });

  itOnce(
    'finishes what runs with the old one, and calls the hooks of both: startup before, shutdown after its last request',
    async (t) => {
      const server = common();
      const hooks = (name: string): string => `bodymemory = 0 workers = 1
      function startup() print("${name} starts") end
      function shutdown() print("${name} ends") end`;
      configure(server, hooks('first'));
      await reload(server);
      const held = await Held.ask(t, server, 'hold.lua');
      await held.running;
      configure(server, `${hooks('second')} maxpost = 5`);
      await reload(server);
      assert.match(server.log(), /second starts/);
      assert.doesNotMatch(server.log(), /first ends/);
      assert.equal(await shown(server), '5');
      assert.deepEqual(await held.release(), { status: 200, text: 'running 1 done', retryAfter: undefined });
      await server.logged(/first ends/);
    },
  );

  itOnce('says which settings take a restart', async () => {
    const server = common();
    configure(server, 'workers = 1 maxpost = 3 loglevel = "debug" user = "" socketmode = "0600"');
    await reload(server);
    await server.logged(/LUAFCGID_RELOAD_KEPT: .*: socketmode, loglevel/);
    assert.equal(await shown(server), '3');
  });

  itOnce('changes the engine, and takes data sources that are new, changed or gone', async () => {
    const server = common();
    assert.equal((await ask(server, 'jit.lua')).text, 'Lua 5.1');
    configure(server, 'engine = "luajit" workers = 1 data = { one = "sqlite:one.db" }');
    await reload(server);
    assert.equal((await ask(server, 'jit.lua')).text, 'jit');
    configure(server, 'workers = 1 data = { one = { "sqlite:one.db", connections = 2 }, two = "redis://127.0.0.1:1" }');
    await reload(server);
    assert.equal((await ask(server, 'show.lua')).status, 200);
    configure(server, 'workers = 1');
    await reload(server);
    assert.equal((await ask(server, 'show.lua')).status, 200);
    assert.doesNotMatch(server.log(), /I\/O thread is replaced/);
  });

  itOnce('applies other rules for scripts at once', async () => {
    const server = common();
    const before = timesIn(server.log(), 'LUAFCGID_RELOAD_REFUSED');
    configure(server, `workers = 1 root = "${server.dir}/elsewhere"`);
    await reload(server);
    assert.equal(timesIn(server.log(), 'LUAFCGID_RELOAD_REFUSED'), before + 1);
    assert.equal((await ask(server, 'show.lua')).status, 200);
    configure(server, 'workers = 1 extensions = ".txt"');
    await reload(server);
    assert.equal((await ask(server, 'show.lua')).status, 403);
  });

  itOnce('does not stop a server that is told to stop meanwhile from doing so', async () => {
    const server = common();
    server.signal('SIGHUP');
    await server.stop();
    assert.match(server.log(), /second ends/);
  });
});

describe('a reload', () => {
  itOnce('keeps the one state of a script with one clone', async (t) => {
    const server = await start(t, 'bodymemory = 0 workers = 2 clones = 1');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    configure(server, 'bodymemory = 0 workers = 2 clones = 1 maxpost = 4');
    await reload(server);
    const next = await Held.ask(t, server, 'hold.lua');
    await next.arrived();
    assert.ok(!next.isRunning);
    await held.release();
    assert.equal((await next.release()).text, 'running 1 done');
  });

  itOnce('refuses a second native library: C modules would find the functions of the first', async (t) => {
    const server = await start(t, 'engine = "lua5.1"');
    configure(server, 'engine = "lua5.4" maxpost = 9');
    await reload(server);
    await server.logged(/LUAFCGID_RELOAD_REFUSED: .*LUAFCGID_LUA_SECOND_LIBRARY: lua5\.4 cannot be loaded/);
    assert.notEqual((await ask(server, 'show.lua')).text.split(' ')[0], '9');
  });
});

/** Between two requests of a client: clients that do not pause take the processors that a reload needs. */
const PAUSE_MS = 5;

const RELOADS = 10;
const ANSWERS_EACH = 50;

describe('many reloads under load', () => {
  it('lose no request', async (t) => {
    const server = await start(t, 'workers = 2');
    const nginx = await startNginx(t, { fastcgi: server.socket, root: server.scripts, keepConn: true });
    let isOver = false;
    let answered = 0;
    const load = async (name: string): Promise<void> => {
      for (let at = 0; !isOver; at += 1) {
        const path = `/show.lua?${name}-${at}`;
        const { status, text } = await fetchHttp({ port: nginx.port, path });
        assert.equal(status, 200, `${path}: ${text}`);
        assert.match(text, new RegExp(`^\\d+ \\d+ ${name}-${at}$`));
        answered += 1;
        await pause(PAUSE_MS);
      }
    };
    const direct = async (name: string): Promise<void> => {
      for (let at = 0; !isOver; at += 1) {
        const { status, text } = await ask(server, 'show.lua', { params: { QUERY_STRING: `${name}-${at}` } });
        assert.equal(status, 200, text);
        assert.match(text, new RegExp(`^\\d+ \\d+ ${name}-${at}$`));
        answered += 1;
        await pause(PAUSE_MS);
      }
    };
    const clients = [load('a'), load('b'), load('c'), direct('d'), direct('e')];
    const failed = Promise.all(clients);
    for (let times = 1; times <= RELOADS; times += 1) {
      configure(server, `workers = ${1 + (times % 3)} maxpost = ${times}`);
      const before = answered;
      await Promise.race([reload(server), failed]);
      await Promise.race([eventually('more answers', () => answered >= before + ANSWERS_EACH), failed]);
    }
    isOver = true;
    await failed;
    assert.ok(answered >= RELOADS * ANSWERS_EACH, `only ${answered} answers`);
    assert.doesNotMatch(readFileSync(join(server.dir, 'config.lua'), 'utf8'), /faults/);
    await server.stop();
    assert.doesNotMatch(server.log(), /REFUSED|BUG|LUAFCGID_WORKER_GONE/);
  });
});
