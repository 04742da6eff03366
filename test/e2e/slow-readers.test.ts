/** Clients that read slowly while their scripts put more: each holds its Lua state and nobody's worker, however it ends. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { IO, type Server, startServer } from '../support/server.js';
import { ask, eventually, itOnce } from '../support/shared.js';
import { type ShownStatus, statusOf } from '../support/status.js';

/** How output is suspended on each engine: test/lua/slow-reader.test.ts. */
const ENGINES = IO === 'node' ? (['embedded'] as const) : (['embedded', 'lua5.1'] as const);

const MIB = 1024 * 1024;

/** Puts so many MiB as its query says. */
const BIG = `function main(env, con)
  local piece = ("0123456789abcdef"):rep(4096)
  for i = 1, tonumber(env.QUERY_STRING) * 16 do con:puts(piece) end
end`;

const FILES = {
  'big.lua': `require("luafcgid")\n${BIG}`,
  'needs-none.lua': BIG,
  'in-sort.lua': `require("luafcgid")
function main(env, con)
  table.sort({ 2, 1 }, function(a, b)
    con:puts(("x"):rep(tonumber(env.QUERY_STRING) * 1048576))
    return a < b
  end)
end`,
  'plain.lua': 'function main(env, con) con:puts("plain") end',
  'hang.lua': 'function main() string.find(string.rep("a", 40), string.rep("a?", 40) .. string.rep("a", 40)) end',
};

/** Without files for what slow readers have not read, and with small buffers. */
function start(t: TestContext, settings = ''): Promise<Server> {
  const config = `status = "status.sock" workers = 1 clones = 8 spool = 0 sendbuffer = 65536 outputbuffer = 65536 ${settings}`;
  return startServer(t, { config, files: FILES });
}

/** Asks for so many MiB, and reads nothing. */
async function slowReader(t: TestContext, server: Server, script = 'big.lua', mib = 6): Promise<FcgiConnection> {
  const connection = await FcgiConnection.connect(server.socket);
  t.after(() => connection.destroy());
  connection.pause();
  connection.send(requestBytes({ params: scriptParams(server.path(script), { QUERY_STRING: String(mib) }) }));
  return connection;
}

/** Reads the rest. */
async function bodyOf(connection: FcgiConnection): Promise<Buffer> {
  connection.resume();
  return parseCgiAnswer((await connection.response(1)).stdout).body;
}

function statusWhen(server: Server, what: string, isSo: (status: ShownStatus) => boolean): Promise<ShownStatus> {
  return eventually(what, async () => {
    const status = await statusOf(server);
    return isSo(status) && status;
  });
}

const suspended = (server: Server, count: number): Promise<ShownStatus> =>
  statusWhen(server, `${count} suspended`, ({ requests }) => requests.suspended === count);

const blockedWaits = ({ scripts }: ShownStatus, name: string): number =>
  scripts.find(({ script }) => script.endsWith(name))?.blocked_waits ?? 0;

async function assertServes(server: Server): Promise<void> {
  assert.equal((await ask(server, 'plain.lua')).text, 'plain', 'the only worker serves others');
}

const WHOLE = Buffer.from('0123456789abcdef'.repeat(4096).repeat(16 * 6));

describe('a request whose client reads slowly', () => {
  for (const engine of ENGINES) {
    it(`leaves its worker to others, in any number, and loses nothing of its answer, with ${engine}`, async (t) => {
      const server = await start(t, `engine = "${engine}"`);
      const readers = [];
      for (let count = 0; count < 3; count += 1) readers.push(await slowReader(t, server));
      const status = await suspended(server, 3);
      for (const { waits_for } of status.running) assert.equal(waits_for, 'its client to read');
      await assertServes(server);
      for (const reader of readers) assert.ok((await bodyOf(reader)).equals(WHOLE));
      const after = await statusWhen(server, 'an end', ({ requests }) => requests.running === 0);
      assert.equal(after.states.idle, after.states.total);
      assert.equal(blockedWaits(after, 'big.lua'), 0);
    });
  }

  itOnce(
    'blocks the worker where Lua cannot be suspended, which is counted by script and told with its line',
    async (t) => {
      const server = await start(t, 'loglevel = "debug"');
      const reader = await slowReader(t, server, 'in-sort.lua');
      const { requests } = await statusWhen(
        server,
        'a blocked worker',
        (status) => blockedWaits(status, 'in-sort.lua') > 0,
      );
      assert.equal(requests.suspended, 0);
      assert.ok((await bodyOf(reader)).length >= 6 * MIB);
      await server.logged(/in-sort\.lua:4: output blocks the worker here until the client reads/);
    },
  );

  itOnce(
    'blocks the worker once in a script that needs no module that waits; from then on it is suspended',
    async (t) => {
      const server = await start(t);
      const first = await slowReader(t, server, 'needs-none.lua');
      await statusWhen(server, 'a held run', ({ running }) => running[0]?.waits_for === 'its client to read');
      assert.ok((await bodyOf(first)).equals(WHOLE));
      const second = await slowReader(t, server, 'needs-none.lua');
      await suspended(server, 1);
      await assertServes(server);
      assert.ok((await bodyOf(second)).equals(WHOLE));
    },
  );

  itOnce('leaves its worker to others when it came on a connection that the worker serves by itself', async (t) => {
    const server = await start(t);
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    for (const mib of [0, 0, 0, 0, 6]) {
      const params = scriptParams(server.path('big.lua'), { QUERY_STRING: String(mib) });
      connection.send(requestBytes({ keepConn: true, params }));
      if (mib === 0) await connection.response(1);
      else connection.pause();
    }
    await suspended(server, 1);
    await assertServes(server);
    assert.ok((await bodyOf(connection)).equals(WHOLE));
    assert.deepEqual(connection.violations, []);
  });

  itOnce('uses nothing of its time to run while it is suspended', async (t) => {
    const server = await start(t, 'watchdog = 1');
    const reader = await slowReader(t, server);
    await statusWhen(server, 'two seconds', ({ running }) => (running[0]?.stage_ms ?? 0) > 2_000);
    assert.ok((await bodyOf(reader)).equals(WHOLE));
  });

  it('is ended by sendtimeout and by the end of its client, with onabort or without; its state lives on', async (t) => {
    for (const settings of ['sendtimeout = 1', 'sendtimeout = 1 onabort = "stop"']) {
      const server = await start(t, settings);
      const idle = await slowReader(t, server);
      await suspended(server, 1);
      idle.resume();
      await idle.closed();
      // Otherwise the next one may get a state of its own.
      await statusWhen(server, 'an end', ({ requests }) => requests.running === 0);
      const gone = await slowReader(t, server);
      await suspended(server, 1);
      gone.destroy();
      const status = await statusWhen(server, 'an end', ({ requests }) => requests.running === 0);
      assert.deepEqual([status.states.total, status.states.idle], [1, 1]);
      assert.ok((await bodyOf(await slowReader(t, server))).equals(WHOLE));
    }
  });

  itOnce('is stopped by requesttime where it waits', async (t) => {
    const server = await start(t, 'requesttime = 1');
    const reader = await slowReader(t, server);
    await server.logged(/LUAFCGID_REQUEST_OVERDUE[\s\S]*stopped where it waits/);
    reader.resume();
    const { appStatus, stdout } = await reader.response(1);
    assert.equal(appStatus, 1);
    assert.ok(stdout.length < 6 * MIB);
    await statusWhen(server, 'an end', ({ requests }) => requests.running === 0);
  });

  itOnce('is finished by a reload and by a stop', async (t) => {
    const server = await start(t);
    const first = await slowReader(t, server);
    await suspended(server, 1);
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening/);
    const second = await slowReader(t, server);
    await suspended(server, 2);
    const stopped = server.stop();
    for (const reader of [first, second]) assert.ok((await bodyOf(reader)).equals(WHOLE));
    await stopped;
  });

  itOnce('has its answer cut when its worker is lost', async (t) => {
    const server = await start(t, 'watchdog = 1 engine = "luajit"');
    const reader = await slowReader(t, server);
    await suspended(server, 1);
    assert.equal((await ask(server, 'hang.lua')).status, 504);
    reader.resume();
    const { appStatus, stdout } = await reader.response(1);
    assert.equal(appStatus, 1);
    assert.ok(stdout.length < 6 * MIB);
    await assertServes(server);
    // A signal that comes while the program is replaced ends it.
    await server.logged(/LUAFCGID_SERVER_RESTARTS[\s\S]*ready: listening/);
  });

  it('has the rest of its answer stored when requests wait for its state', async (t) => {
    const server = await start(t, 'states = 1 spool = 1e9');
    const reader = await slowReader(t, server);
    await suspended(server, 1);
    await assertServes(server);
    assert.ok((await bodyOf(reader)).equals(WHOLE));
  });
});
