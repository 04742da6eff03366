/** Bodies and answers of any size in bounded memory, output that arrives at once, and readers that are slow or do not read. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { FcgiConnection, parseCgiAnswer, record, requestBytes, scriptParams, TYPE } from '../support/fcgi-client.js';
import { HttpExchange } from '../support/http.js';
import { startNginx } from '../support/nginx.js';
import { IO, type Server, startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

const MIB = 1024 * 1024;
const MAX_GROWTH_MIB = 150;
/** Of a body and of an answer: several times what may be held. It is less with the slower driver. */
const LARGE_MIB = IO === 'node' ? 240 : 320;

const FILES = {
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'turns.lua': `
    function main(env, con)
      con:puts("first ") con:flush()
      con:puts(con:gets(4)) con:flush()
      con:puts(con:gets(4))
    end`,
  'answer.lua': `
    function main(env, con)
      local piece = ("0123456789abcdef"):rep(4096)
      for i = 1, tonumber(env.QUERY_STRING) * 16 do con:puts(piece) end
    end`,
  'body.lua': `
    function main(env, con)
      local bytes, sum = 0, 0
      for piece in function() return con:gets(65536) end do
        bytes, sum = bytes + #piece, sum + piece:byte(1) + piece:byte(-1)
      end
      con:puts(bytes)
    end`,
};

/** Memory of a process in MiB: what it has now, or the most it ever had. */
function memoryMib(server: Server, field: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'));
  assert.ok(match, 'this test needs /proc');
  return Number(match[1]) / 1024;
}

/** What a task added to the idle server's memory at its most. */
async function assertBounded(server: Server, what: string, task: () => Promise<void>): Promise<void> {
  const idle = memoryMib(server, 'VmRSS');
  await task();
  const growth = memoryMib(server, 'VmHWM') - idle;
  console.log(`${what}: ${growth.toFixed(0)} MiB over idle (${idle.toFixed(0)} MiB)`);
  assert.ok(growth < MAX_GROWTH_MIB, `${what} took ${growth.toFixed(0)} MiB over idle`);
}

describe('flush', () => {
  const server = shared((t) => startServer(t, { files: FILES, config: 'workers = 2 bodymemory = 0' }));

  it('reaches the client while the script waits for more', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    connection.begin(1);
    connection.params(1, scriptParams(server().path('turns.lua'), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '8' }));
    await connection.stdoutUntil(1, 'first ');
    connection.stdin(1, 'ping', { end: false });
    await connection.stdoutUntil(1, 'first ping');
    connection.stdin(1, 'pong');
    assert.equal(parseCgiAnswer((await connection.response(1)).stdout).body.toString(), 'first pingpong');
  });

  it('reaches a browser behind nginx while the script waits for more', async (t) => {
    const { port } = await startNginx(t, {
      fastcgi: server().socket,
      root: server().scripts,
      buffering: false,
      requestBuffering: false,
    });
    const exchange = new HttpExchange({ port, method: 'POST', path: '/turns.lua', headers: { 'content-length': 8 } });
    await exchange.write('p');
    await exchange.bodyUntil('first ');
    await exchange.write('ing');
    await exchange.bodyUntil('first ping');
    exchange.end('pong');
    assert.equal((await exchange.body()).toString(), 'first pingpong');
  });
});

describe('memory', () => {
  // Each has a server of its own: the most memory that a process ever had is not forgotten.
  const start = async (t: TestContext): Promise<Server> => {
    const server = await startServer(t, {
      files: FILES,
      config: `workers = 2 watchdog = 600 maxpost = ${LARGE_MIB * MIB}`,
    });
    await hello(server);
    return server;
  };
  const hello = async (server: Server): Promise<void> => assert.equal((await ask(server, 'hello.lua')).text, 'hello');

  it(`stays bounded while a script puts ${LARGE_MIB} MiB`, async (t) => {
    const server = await start(t);
    await assertBounded(server, `an answer of ${LARGE_MIB} MiB`, async () => {
      let bytes = 0;
      const connection = await FcgiConnection.connect(server.socket, {
        guardMs: 300_000,
        sink: (_id, type, content) => {
          assert.equal(type, TYPE.STDOUT);
          bytes += content.length;
        },
      });
      const params = scriptParams(server.path('answer.lua'), { QUERY_STRING: String(LARGE_MIB) });
      connection.send(requestBytes({ params }));
      await connection.response(1);
      const headBytes = bytes - LARGE_MIB * MIB;
      assert.ok(headBytes > 0 && headBytes < 500, `${bytes} bytes`);
    });
  });

  it(`stays bounded while a script reads ${LARGE_MIB} MiB`, async (t) => {
    const server = await start(t);
    await assertBounded(server, `a body of ${LARGE_MIB} MiB`, async () => {
      const connection = await FcgiConnection.connect(server.socket, { guardMs: 300_000 });
      connection.begin(1);
      const length = String(LARGE_MIB * MIB);
      connection.params(1, scriptParams(server.path('body.lua'), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: length }));
      const piece = record(TYPE.STDIN, 1, Buffer.alloc(32 * 1024, 'x'));
      for (let sent = 0; sent < LARGE_MIB * MIB; sent += 32 * 1024) assert.ok(await connection.send(piece));
      connection.stdin(1);
      assert.equal(parseCgiAnswer((await connection.response(1)).stdout).body.toString(), length);
    });
  });

  it('stays bounded while nobody reads what is answered', async (t) => {
    const server = await start(t);
    await assertBounded(server, 'answers that nobody reads', async () => {
      const readers = await Promise.all(Array.from({ length: 4 }, () => FcgiConnection.connect(server.socket)));
      const values = Buffer.concat(
        Array.from({ length: 5000 }, () => record(TYPE.GET_VALUES, 0, '\x0f\0FCGI_MPXS_CONNS')),
      );
      const missing = Buffer.concat(
        Array.from({ length: 500 }, () => requestBytes({ keepConn: true, params: scriptParams('/no/such.lua') })),
      );
      for (const [index, reader] of readers.entries()) {
        reader.pause();
        // What the server does not take any more stays here.
        for (let round = 0; round < 150; round += 1) reader.send(index % 2 === 0 ? values : missing);
      }
      for (let round = 0; round < 50; round += 1) await hello(server);
      for (const reader of readers) reader.destroy();
      await hello(server);
    });
  });
});

describe('a reader', () => {
  it('that is slow, or never reads, holds its own request only, even with one worker', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'workers = 1 sendbuffer = 4096' });
    const slow = await FcgiConnection.connect(server.socket);
    slow.send(requestBytes({ params: scriptParams(server.path('answer.lua'), { QUERY_STRING: '16' }) }));
    await slow.received(1);
    slow.pause();
    for (let round = 0; round < 50; round += 1) assert.equal((await ask(server, 'hello.lua')).text, 'hello');
    slow.resume();
    const { body } = parseCgiAnswer((await slow.response(1)).stdout);
    assert.equal(body.length, 16 * MIB, 'and gets all of it in the end');
  });

  it('that never reads an answer which fits the buffer holds no worker', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'workers = 1' });
    const lazy = await Promise.all(Array.from({ length: 20 }, () => FcgiConnection.connect(server.socket)));
    for (const connection of lazy) {
      connection.pause();
      connection.send(requestBytes({ params: scriptParams(server.path('answer.lua'), { QUERY_STRING: '0.5' }) }));
    }
    for (let round = 0; round < 20; round += 1) assert.equal((await ask(server, 'hello.lua')).text, 'hello');
    for (const connection of lazy) {
      connection.resume();
      assert.equal(parseCgiAnswer((await connection.response(1)).stdout).body.length, 0.5 * MIB);
    }
  });

  it('that is slow behind nginx holds nothing that nginx can keep', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'workers = 1' });
    const { port } = await startNginx(t, { fastcgi: server.socket, root: server.scripts });
    const exchange = new HttpExchange({ port, path: '/answer.lua?16' });
    exchange.end();
    await exchange.head();
    exchange.pause();
    for (let round = 0; round < 20; round += 1) assert.equal((await ask(server, 'hello.lua')).text, 'hello');
    exchange.resume();
    assert.equal((await exchange.body()).length, 16 * MIB);
  });
});

describe('a writer', () => {
  it('that dribbles its body holds no worker', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'workers = 1 queue = 0' });
    const body = 'x'.repeat(500);
    const dribbling = await Promise.all(Array.from({ length: 20 }, () => FcgiConnection.connect(server.socket)));
    for (const connection of dribbling) {
      connection.begin(1);
      const params = { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(body.length) };
      connection.params(1, scriptParams(server.path('body.lua'), params));
    }
    for (let round = 0; round < 10; round += 1) {
      for (const connection of dribbling) await connection.stdin(1, body.slice(0, 40), { end: false });
      assert.equal((await ask(server, 'hello.lua')).text, 'hello');
    }
    for (const connection of dribbling) {
      connection.stdin(1, body.slice(400));
      assert.equal(parseCgiAnswer((await connection.response(1)).stdout).body.toString(), '500');
    }
  });
});
