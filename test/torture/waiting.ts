/**
 * Very many requests that wait at the same time, for a timer, for their clients' bodies, or for their clients to read. However they
 * end, what they held is given back: places, states, memory, descriptors. For a test, and for `npm run torture -- --mode waiting`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection, scriptParams } from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';
import { type ShownStatus, statusOf } from '../support/status.js';

const FILES = {
  'timer.lua': 'local luafcgid = require("luafcgid")\nfunction main(env, con) luafcgid.sleep(100000) end',
  'body.lua': 'require("luafcgid")\nfunction main(env, con) con:puts("got ", con:gets() or "") end',
  'reader.lua': `require("luafcgid")
function main(env, con)
  local piece = ("x"):rep(65536)
  for _ = 1, 32 do con:puts(piece) end
end`,
  'try.lua':
    'local luafcgid = require("luafcgid")\nfunction main(env, con) luafcgid.sleep(0.001) con:puts("slept") end',
  'plain.lua': 'function main(env, con) con:puts("plain") end',
};

/** Requests on one connection. */
const REQUESTS_AT_ONCE = 100;
/** Of those that wait, one in so many waits for its client to read: each has a connection of its own. */
const READERS = 20;

export interface WaitingResult {
  readonly failures: readonly string[];
  readonly summary: string;
}

const MIB = 1024 * 1024;

const descriptorsOf = ({ pid }: Server): number => readdirSync(`/proc/${pid}/fd`).length;

function residentBytes({ pid }: Server): number {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** Ends a run that would hang. */
const GUARD_MS = 900_000;
const LOOK_MS = 200;

async function statusWhen(server: Server, what: string, isSo: (status: ShownStatus) => boolean): Promise<ShownStatus> {
  const endMs = performance.now() + GUARD_MS;
  for (;;) {
    // On a machine with more to do than it can, the status itself may come too late.
    const status = await statusOf(server).catch((error: Error) => error);
    if (!(status instanceof Error) && isSo(status)) return status;
    const last = status instanceof Error ? status.message : JSON.stringify(status.requests);
    if (performance.now() > endMs) throw new Error(`no sign of ${what}: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

class Crowd {
  readonly #server: Server;
  /** Connections with requests that wait for a timer, for a body, and for their clients to read. */
  readonly timers: FcgiConnection[] = [];
  readonly bodies: FcgiConnection[] = [];
  /** How many requests each of those has. */
  readonly #requests = new Map<FcgiConnection, number>();
  readonly readers: FcgiConnection[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  /** Begins so many requests; resolves when all of them wait. */
  async gather(count: number): Promise<void> {
    const readers = Math.floor(count / READERS);
    for (let at = 0; at < readers; at += 1) {
      const connection = await this.#begin(this.readers, 'reader.lua', 1);
      connection.pause();
    }
    for (let left = count - readers, isTimer = true; left > 0; left -= REQUESTS_AT_ONCE, isTimer = !isTimer) {
      const requests = Math.min(left, REQUESTS_AT_ONCE);
      if (isTimer) await this.#begin(this.timers, 'timer.lua', requests);
      else await this.#begin(this.bodies, 'body.lua', requests);
    }
    await statusWhen(this.#server, `${count} suspended`, ({ requests }) => requests.suspended === count);
  }

  async #begin(list: FcgiConnection[], script: string, requests: number): Promise<FcgiConnection> {
    const connection = await FcgiConnection.connect(this.#server.socket, { guardMs: GUARD_MS });
    list.push(connection);
    this.#requests.set(connection, requests);
    const isPost = script === 'body.lua';
    for (let id = 1; id <= requests; id += 1) {
      connection.begin(id, { keepConn: true });
      const params = isPost ? { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '3' } : {};
      connection.params(id, scriptParams(this.#server.path(script), params));
      if (!isPost) connection.stdin(id, '');
    }
    return connection;
  }

  /** Bodies come, readers read, and the others go away. Gives what went wrong. */
  async disperse(): Promise<string[]> {
    const failures: string[] = [];
    for (const connection of this.timers) connection.destroy();
    for (const [at, connection] of this.bodies.entries()) {
      const requests = this.#requests.get(connection) ?? 0;
      for (let id = 1; id <= requests; id += 1) connection.stdin(id, 'abc');
      for (let id = 1; id <= requests; id += 1) {
        const { stdout } = await connection.response(id);
        if (!stdout.toString().endsWith('got abc')) failures.push(`request ${id} of connection ${at}: ${stdout}`);
      }
    }
    for (const connection of this.readers) connection.resume();
    for (const connection of this.readers) {
      const { stdout } = await connection.response(1);
      if (stdout.length < 2 * MIB) failures.push(`a reader got ${stdout.length} bytes`);
    }
    for (const connection of [...this.bodies, ...this.readers]) connection.destroy();
    return failures;
  }
}

/** Has so many requests wait at a time, twice. */
export async function manyWaiting(
  t: Cleanup,
  count: number,
  { engine = 'embedded', io = 'auto' }: { readonly engine?: string; readonly io?: string } = {},
): Promise<WaitingResult> {
  const config = `status = "status.sock" engine = "${engine}" io = "${io}" workers = 2 onabort = "stop" bodymemory = 0 sendbuffer = 65536
    spool = 0 readtimeout = 3600 sendtimeout = 3600 waiting = ${count} states = ${count + 20} clones = ${count} queue = ${count} queuetimeout = 600 connections = ${count + 100}`;
  const server = await startServer(t, { config, files: FILES });
  const failures: string[] = [];
  const check = (isRight: boolean, what: string): void => {
    if (!isRight) failures.push(what);
  };
  await ask(server, 'plain.lua');
  const before = { descriptors: descriptorsOf(server), bytes: residentBytes(server) };
  const peaks: number[] = [];
  for (let round = 1; round <= 2; round += 1) {
    const crowd = new Crowd(server);
    await crowd.gather(count);
    peaks.push(residentBytes(server));
    const beyond = await ask(server, 'try.lua');
    check(beyond.status === 503, `round ${round}: one too many gets ${beyond.status}`);
    check(
      beyond.text.includes(`${count} requests wait already`),
      `round ${round}: one too many is told ${beyond.text}`,
    );
    check((await ask(server, 'plain.lua')).text === 'plain', `round ${round}: others are not served`);
    failures.push(...(await crowd.disperse()));
    const { connections, states, requests } = await statusWhen(
      server,
      'an end',
      (status) => status.requests.running === 0 && status.connections.open === 0,
    );
    check(requests.suspended === 0, `round ${round}: ${requests.suspended} requests still wait`);
    check(states.idle === states.total, `round ${round}: ${states.total - states.idle} states are busy`);
    check(connections.lent === 0, `round ${round}: ${connections.lent} connections are lent`);
    check((await ask(server, 'try.lua')).text === 'slept', `round ${round}: no place is free again`);
    const descriptors = descriptorsOf(server);
    check(
      descriptors <= before.descriptors + 8,
      `round ${round}: ${descriptors} descriptors, ${before.descriptors} before`,
    );
  }
  const [first = 0, second = 0] = peaks;
  check(
    second - before.bytes < 1.3 * (first - before.bytes) + 50 * MIB,
    `the second time took ${second} bytes, the first time ${first}`,
  );
  const perRequest = (first - before.bytes) / count / 1024;
  return {
    failures,
    summary:
      `${count} requests waited at a time, ${engine}: ${(first / MIB).toFixed(0)} MiB, ${perRequest.toFixed(0)} KiB each over ` +
      `${(before.bytes / MIB).toFixed(0)} MiB; the second time ${(second / MIB).toFixed(0)} MiB`,
  };
}

/** The same by itself. */
export async function tortureWaiting(count: number, engine: string, io: string): Promise<WaitingResult> {
  const undo: (() => Promise<void> | void)[] = [];
  try {
    return await manyWaiting({ after: (step) => undo.push(step) }, count, { engine, io });
  } finally {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  }
}
