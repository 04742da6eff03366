/** Clients that behave. Each request has to be answered with 200 and its own bytes; every other outcome is a failure. */
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams, type Target } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import type { Run } from './run.js';
import { IDLE_S } from './subject.js';

/** Longest wait for an answer. Generous: it only ends a run that would hang. */
const GUARD_MS = 90_000;
const MOST_BODY_BYTES = 300_000;
const MOST_ROWS = 30_000;
const MOST_PAUSE_MS = 15;
/** A web server does not ask on a connection that may just be closed for having been idle. */
const MOST_IDLE_MS = (IDLE_S * 1000) / 2;

interface Question {
  readonly script: string;
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  /** Why the body of the answer is wrong; undefined: it is right. */
  readonly fault: (body: Buffer) => string | undefined;
}

interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

/** A kept connection was closed before the first byte of an answer: a web server asks again then, on another one. */
class ClosedBefore extends Error {}

/** A way to the server; each client has one. */
interface Way {
  /** Whether an answer may begin before the body is read. */
  readonly mayAnswerEarly: boolean;
  ask(questions: readonly Question[]): Promise<readonly Reply[]>;
  close(): void;
}

/** Counts that were given, by the name of their state: each once, and in the end without gaps. */
export class Counts {
  readonly #given = new Map<string, Set<number>>();

  fault(body: Buffer, token: string): string | undefined {
    const [, name = '', digits, echo] = /^(\S+) (\d+) (\S+)$/.exec(body.toString('latin1')) ?? [];
    const count = Number(digits);
    if (echo !== token) return "another request's token";
    if ((count === 1) !== (name === token)) return 'a state that was named by another request than its first';
    const given = this.#given.get(name) ?? new Set<number>();
    this.#given.set(name, given);
    if (given.has(count)) return 'a count that was given before';
    given.add(count);
    return undefined;
  }

  /** States whose counts have gaps: a request ran there whose answer never came, or more than once. */
  gaps(): string[] {
    return [...this.#given].flatMap(([name, given]) => {
      const most = Math.max(...given);
      return most === given.size ? [] : [`state ${name} has counted to ${most} for ${given.size} answers`];
    });
  }
}

const same = (expected: Buffer) => (body: Buffer) =>
  body.equals(expected) ? undefined : `${body.length} bytes that are not the ${expected.length} expected ones`;

/** @param mayAnswerEarly an answer may begin before all of the body is read: nginx sends no more of a body from then on */
function question(run: Run, random: Random, token: string, mayAnswerEarly: boolean): Question {
  const kind = random.below(10);
  const plain = { script: 'token.lua', token, headers: {}, body: undefined };
  if (kind < 4) return { ...plain, fault: same(Buffer.from(token)) };
  if (kind < 6) return { ...plain, script: 'count.lua', fault: (body) => run.counts.fault(body, token) };
  if (kind < 8) {
    const most = random.pick([0, 100, 20_000, MOST_BODY_BYTES]);
    const from = random.below(run.noise.length - most);
    const body = Buffer.concat([Buffer.from(token), run.noise.subarray(from, from + random.below(most + 1))]);
    return {
      ...plain,
      script: 'body.lua',
      headers: { 'X-Piece': String(mayAnswerEarly ? random.pick([0, 777, 50_000]) : 0) },
      body,
      fault: same(body),
    };
  }
  const rows = random.below(random.pick([10, 1_000, MOST_ROWS]));
  const expected = Buffer.from(Array.from({ length: rows }, (_, row) => `${row + 1} ${token}\n`).join(''));
  return { ...plain, script: 'stream.lua', headers: { 'X-Rows': String(rows) }, fault: same(expected) };
}

/** Directly, on a connection that is kept or on one for each request. */
class FcgiWay implements Way {
  readonly mayAnswerEarly = true;
  readonly #target: Target;
  readonly #scripts: string;
  readonly #isKept: boolean;
  #connection: FcgiConnection | undefined;
  #usedMs = 0;

  constructor(run: Run, target: Target, isKept: boolean) {
    this.#target = target;
    this.#scripts = run.places.scripts;
    this.#isKept = isKept;
  }

  async ask(questions: readonly Question[]): Promise<readonly Reply[]> {
    if (performance.now() - this.#usedMs > MOST_IDLE_MS) this.close();
    this.#connection ??= await FcgiConnection.connect(this.#target, { guardMs: GUARD_MS });
    const connection = this.#connection;
    const receivedBytes = connection.receivedBytes;
    const isUsed = receivedBytes > 0;
    for (const [index, { script, token, headers, body }] of questions.entries()) {
      const extra = Object.entries({ ...headers, 'X-Token': token }).map(
        ([name, value]) => [`HTTP_${name.toUpperCase().replaceAll('-', '_')}`, value] as const,
      );
      const params = scriptParams(join(this.#scripts, script), {
        ...Object.fromEntries(extra),
        ...(body === undefined ? {} : { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(body.length) }),
      });
      connection.send(requestBytes({ id: index + 1, keepConn: this.#isKept, params, ...(body && { body }) }));
    }
    const replies = await Promise.all(
      questions.map(async (_, index) => parseCgiAnswer((await connection.response(index + 1)).stdout)),
    ).catch((error: unknown) => {
      const isBefore = isUsed && connection.isClosed && connection.receivedBytes === receivedBytes;
      throw isBefore ? new ClosedBefore('a kept connection was closed', { cause: error }) : error;
    });
    if (!this.#isKept) {
      await connection.closed();
      this.#connection = undefined;
    }
    this.#usedMs = performance.now();
    return replies;
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}

/** Through a web server. */
class HttpWay implements Way {
  readonly mayAnswerEarly = false;
  readonly #port: number;
  readonly #agent: http.Agent | undefined;

  constructor(port: number, isKept: boolean) {
    this.#port = port;
    this.#agent = isKept ? new http.Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
  }

  async ask(questions: readonly Question[]): Promise<readonly Reply[]> {
    const replies: Reply[] = [];
    for (const { script, token, headers, body } of questions)
      replies.push(
        await fetchHttp({
          port: this.#port,
          path: `/${script}`,
          method: body === undefined ? 'GET' : 'POST',
          headers: { ...headers, 'X-Token': token },
          guardMs: GUARD_MS,
          ...(body && { body }),
          ...(this.#agent && { agent: this.#agent }),
        }),
      );
    return replies;
  }

  close(): void {
    this.#agent?.destroy();
  }
}

async function behave(run: Run, name: string, way: Way, seed: number, mostAtOnce: number): Promise<void> {
  const random = new Random(seed);
  for (let at = 0; !run.isOver; at += 1) {
    const questions = Array.from({ length: 1 + random.below(mostAtOnce) }, (_, index) =>
      question(run, random, `${seed}-${at}-${index}-${random.below(1e9)}`, way.mayAnswerEarly),
    );
    const asked = questions.map(({ script, token }) => `${script} (${token})`).join(', ');
    try {
      const replies = await way.ask(questions).catch((error: unknown) => {
        // Only a server that starts itself anew closes kept connections: to end threads that hang in native code.
        if (!(error instanceof ClosedBefore) || run.engine === 'embedded') throw error;
        run.tally.add(`good: ${name}`, 'asked again');
        way.close();
        return way.ask(questions);
      });
      for (const [index, { script, token, fault }] of questions.entries()) {
        const { status, body } = replies[index] as Reply;
        const wrong = status === 200 ? fault(body) : `status ${status}`;
        run.tally.add(`good: ${name}`, wrong === undefined ? 'answered' : 'FAILED');
        if (wrong !== undefined)
          run.fail(`${name}, ${script} (${token}): ${wrong}`, `body: ${excerpt(body)}; asked at once: ${asked}`);
      }
    } catch (error) {
      run.tally.add(`good: ${name}`, 'FAILED');
      run.fail(`${name}, ${asked}: ${error instanceof Error ? error.message : String(error)}`);
      way.close();
    }
    await pause(random.below(MOST_PAUSE_MS));
  }
  way.close();
}

function excerpt(body: Buffer): string {
  return `${body.length} bytes ${JSON.stringify(body.toString('latin1', 0, 400))}`;
}

/** Runs all of them until the run is over. */
export async function runGoodClients(run: Run): Promise<void> {
  const { socket, port } = run.places;
  const ways: readonly (readonly [name: string, way: Way, mostAtOnce: number])[] = [
    ['Unix, kept', new FcgiWay(run, socket, true), 1],
    ['Unix, kept', new FcgiWay(run, socket, true), 1],
    ['Unix, several at once', new FcgiWay(run, socket, true), 4],
    ['Unix, new', new FcgiWay(run, socket, false), 1],
    ['Unix, new', new FcgiWay(run, socket, false), 1],
    ['TCP, kept', new FcgiWay(run, port, true), 1],
    ['TCP, several at once', new FcgiWay(run, port, true), 4],
    ['TCP, new', new FcgiWay(run, port, false), 1],
    ...(run.webServerPort === undefined
      ? []
      : ([
          ['nginx, kept', new HttpWay(run.webServerPort, true), 1],
          ['nginx, kept', new HttpWay(run.webServerPort, true), 1],
          ['nginx, new', new HttpWay(run.webServerPort, false), 1],
        ] as const)),
  ];
  await Promise.all(
    ways.map(([name, way, mostAtOnce], index) => behave(run, name, way, run.seed + index * 7919, mostAtOnce)),
  );
}
