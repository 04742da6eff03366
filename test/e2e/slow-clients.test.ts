/** Clients that are slow, silent or too many: each meets its limit, and who behaves is served all the while. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  beginRequest,
  FcgiConnection,
  parseCgiAnswer,
  record,
  requestBytes,
  scriptParams,
  stream,
  type Target,
  TYPE,
} from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const FILES = {
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'large.lua': 'function main(env, con) for i = 1, 60 do con:puts(("x"):rep(50000)) end end',
  'read.lua': 'function main(env, con) local ok, text = pcall(con.gets, con) con:puts(tostring(text)) end',
  'hold.lua': HOLD,
};

/** Timeouts short enough to be waited for. A client that behaves must not come to be idle for too long on a busy machine. */
const IMPATIENT = 'loglevel = "debug" workers = 2 idletimeout = 3 readtimeout = 0.5 sendtimeout = 0.5';

const BOTH_TRANSPORTS = ({ socket }: Pick<Server, 'socket'>): string =>
  `listen = {${JSON.stringify(socket)}, "127.0.0.1:0"}`;

async function tcpPort(server: Server): Promise<number> {
  const [, port] = await server.logged(/127\.0\.0\.1:([1-9][0-9]*)/);
  return Number(port);
}

/** @param lenient it may be cut off in the middle of a record */
async function connect(t: TestContext, target: Target, lenient = false): Promise<FcgiConnection> {
  const connection = await FcgiConnection.connect(target, { lenient });
  t.after(() => connection.destroy());
  return connection;
}

/** Between two requests of who behaves. */
const PAUSE_MS = 10;

/** A web server that keeps its connection asks one thing after the other until `attack` is over. */
async function servedDuring<Result>(t: TestContext, server: Server, attack: Promise<Result>): Promise<Result> {
  const connection = await connect(t, server.socket);
  let isOver = false;
  const over = attack.finally(() => {
    isOver = true;
  });
  do {
    connection.send(requestBytes({ keepConn: true, params: scriptParams(server.path('hello.lua')) }));
    const { status, body } = parseCgiAnswer((await connection.response(1)).stdout);
    assert.deepEqual([status, body.toString()], [200, 'hello']);
    await pause(PAUSE_MS);
  } while (!isOver);
  assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  return over;
}

/** Sends a byte now and then, until the connection is closed. */
function drip(t: TestContext, connection: FcgiConnection, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (connection.isClosed || at === bytes.length) clearInterval(timer);
    else connection.send(bytes.subarray(at, ++at));
  }, 50);
  t.after(() => clearInterval(timer));
}

const post = (server: Server, script: string, length: number) =>
  scriptParams(server.path(script), { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(length) });

describe('a client that is too slow', { concurrency: true }, () => {
  const server = shared((t) => startServer(t, { files: FILES, config: IMPATIENT }));

  it('and silent is disconnected', async (t) => {
    const silent = await Promise.all(Array.from({ length: 20 }, () => connect(t, server().socket)));
    await servedDuring(t, server(), Promise.all(silent.map((connection) => connection.closed())));
    await server().logged(/LUAFCGID_CLIENT_IDLE/);
  });

  it('with half a record is disconnected, also if it goes on byte by byte', async (t) => {
    const half = await Promise.all(Array.from({ length: 20 }, () => connect(t, server().socket)));
    const bytes = record(TYPE.GET_VALUES, 0, 'x'.repeat(200));
    for (const [index, connection] of half.entries()) {
      connection.send(bytes.subarray(0, 4));
      if (index % 2 === 0) drip(t, connection, bytes.subarray(4));
    }
    // Closed in the middle of a record, which is a matter of the server's here.
    await servedDuring(t, server(), Promise.all(half.map((connection) => connection.closed())));
    await server().logged(/LUAFCGID_CLIENT_HALF_RECORD/);
  });

  it('with its parameters is answered with 408 and disconnected', async (t) => {
    const connection = await connect(t, server().socket);
    connection.send(beginRequest(1, { keepConn: true }));
    drip(t, connection, stream(TYPE.PARAMS, 1, 'x'.repeat(1000)));
    const { stdout } = await servedDuring(t, server(), connection.response(1));
    assert.equal(parseCgiAnswer(stdout).status, 408);
    await connection.closed();
    await server().logged(/LUAFCGID_REQUEST_PARAMS_LATE/);
  });

  it('with its body is answered with 408 and disconnected', async (t) => {
    const connection = await connect(t, server().socket);
    connection.send(beginRequest(1, { keepConn: true }));
    connection.params(1, post(server(), 'read.lua', 1000));
    drip(t, connection, stream(TYPE.STDIN, 1, 'x'.repeat(1000)));
    const { stdout } = await servedDuring(t, server(), connection.response(1));
    assert.equal(parseCgiAnswer(stdout).status, 408);
    await connection.closed();
    await server().logged(/LUAFCGID_REQUEST_BODY_LATE/);
  });

  it('in reading its answer is disconnected', async (t) => {
    const deaf = await Promise.all(Array.from({ length: 4 }, () => connect(t, server().socket, true)));
    for (const [index, connection] of deaf.entries()) {
      connection.pause();
      const params = scriptParams(server().path('large.lua'));
      connection.send(requestBytes({ keepConn: index % 2 === 0, params }));
    }
    const codes = (): number =>
      [
        ...server()
          .log()
          .matchAll(/LUAFCGID_CLIENT_NOT_READING/g),
      ].length;
    await servedDuring(
      t,
      server(),
      eventually('all given up', () => codes() >= deaf.length),
    );
    for (const connection of deaf) {
      connection.resume();
      await connection.closed();
    }
  });
});

describe('a script whose body does not come', () => {
  it('gets an error that says so, and its worker serves the next', async (t) => {
    const server = await startServer(t, { files: FILES, config: `${IMPATIENT} workers = 1 bodymemory = 0` });
    const connection = await connect(t, server.socket);
    connection.send(beginRequest(1, { keepConn: true }));
    connection.params(1, post(server, 'read.lua', 1000));
    connection.stdin(1, 'x', { end: false });
    const { stdout } = await connection.response(1);
    assert.match(parseCgiAnswer(stdout).body.toString(), /LUAFCGID_REQUEST_BODY_LATE|body stopped arriving/);
    await connection.closed();
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });
});

describe('connections that come and go', () => {
  const common = shared((t) => startServer(t, { files: FILES, config: BOTH_TRANSPORTS }));

  // It has more time than those above, which a busy machine needs to send so much.
  it('are refused when their parameters never end', async (t) => {
    const connection = await connect(t, common().socket, true);
    const piece = stream(TYPE.PARAMS, 1, 'x'.repeat(60_000), { end: false });
    let isAnswered = false;
    const answer = connection.response(1).finally(() => {
      isAnswered = true;
    });
    const endless = async (): Promise<void> => {
      connection.send(beginRequest(1, { keepConn: true }));
      while (!isAnswered && (await connection.send(piece)));
    };
    const [{ stdout }] = await servedDuring(t, common(), Promise.all([answer, endless()]));
    assert.equal(parseCgiAnswer(stdout).status, 431);
  });

  it('in a flood cost the others nothing', async (t) => {
    const server = common();
    // A Unix socket whose backlog is full refuses; TCP makes them wait.
    const port = await tcpPort(server);
    const flood = async (): Promise<void> => {
      for (let round = 0; round < 700; round += 1) (await FcgiConnection.connect(port)).destroy();
    };
    await servedDuring(t, server, Promise.all([flood(), flood()]));
  });
});

describe('more connections than the setting allows', () => {
  const LIMIT = 300;

  it('have those closed that were idle for the longest, and new ones are served at once', async (t) => {
    const server = await startServer(t, { files: FILES, config: `connections = ${LIMIT}` });
    const kept: FcgiConnection[] = [];
    const floodIdle = async (): Promise<void> => {
      for (let count = 0; count < 3 * LIMIT; count += 1) {
        const connection = await connect(t, server.socket);
        kept.push(connection);
        if (count % 2 === 0) await connection.getValues('FCGI_MAX_CONNS');
      }
    };
    await servedDuring(t, server, floodIdle());
    await server.logged(/LUAFCGID_CLIENT_ROOM/);
    const open = (): number => kept.filter((connection) => !connection.isClosed).length;
    await eventually('the others closed', () => open() <= LIMIT);
    // The last to come are there.
    await kept.at(-1)?.getValues('FCGI_MAX_CONNS');
  });

  it('wait while all of them have a request, and are served when one ends', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'connections = 3 workers = 3 bodymemory = 0' });
    const held = await Promise.all([1, 2, 3].map(() => Held.ask(t, server, 'hold.lua')));
    for (const each of held) await each.running;
    const late = ask(server, 'hello.lua');
    await server.logged(/LUAFCGID_LISTEN_NO_ROOM.*connections allows.*; 3 are open/);
    assert.deepEqual(await held[0]?.release(), { status: 200, text: 'running 1 done', retryAfter: undefined });
    held[0]?.connection.destroy();
    assert.equal((await late).text, 'hello');
    await server.logged(/connections are accepted again/);
    for (const each of held.slice(1)) await each.release();
  });
});

describe('a place in the queue', () => {
  /** Refused at once: answered, and its connection closed. */
  async function isRefused(held: Held): Promise<boolean> {
    return held.arrived().then(
      () => held.connection.records.some(({ type }) => type === TYPE.END_REQUEST),
      () => true,
    );
  }

  for (const transport of ['a Unix socket', 'TCP'] as const) {
    for (const way of ['an abort', 'a close'] as const) {
      it(`is freed by ${way} behind a body that nobody reads, over ${transport}`, async (t) => {
        const server = await startServer(t, {
          files: FILES,
          config: (paths) => `${BOTH_TRANSPORTS(paths)} workers = 1 queue = 1 bodymemory = 0`,
        });
        const port = await tcpPort(server);
        const running = await Held.ask(t, server, 'hold.lua');
        await running.running;
        const waiting = await connect(t, transport === 'TCP' ? port : server.socket);
        waiting.send(beginRequest(1, { keepConn: true }));
        waiting.params(1, post(server, 'hold.lua', 900_000));
        // Who comes to the line after it is the one that is too many. The second answer is made after all that came before.
        for (let left = 2; left > 0; left -= 1) await waiting.getValues('FCGI_MPXS_CONNS');
        // More than is read of it by then.
        waiting.stdin(1, 'x'.repeat(100_000), { end: false });
        await eventually('the queue full', async () => {
          const other = await Held.ask(t, server, 'hold.lua');
          if (await isRefused(other)) return true;
          other.connection.destroy();
          return false;
        });
        if (way === 'an abort') waiting.abort(1);
        else waiting.destroy();
        const next = await eventually('the place free', async () => {
          const other = await Held.ask(t, server, 'hold.lua');
          return !(await isRefused(other)) && other;
        });
        await running.release();
        assert.equal((await next.release()).status, 200);
      });
    }
  }
});
