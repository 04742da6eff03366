/** What several end-to-end tests share: one server for all tests of a suite, and waits for what is bound to come. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Cleanup } from './cleanup.js';
import { type Answer, type Bytes, request, scriptParams, type Target } from './fcgi-client.js';
import type { Server } from './server.js';

/** The test command runs the end-to-end tests for each driver of the front: this run is not for the first of them. */
const isRepetition = process.env.LUAFCGID_TEST_REPETITION === '1';

/** A suite of which no driver of the front takes part: it runs for the first driver only. */
export function describeOnce(name: string, suite: () => void): void {
  if (!isRepetition) describe(name, suite);
}

/** A test of which no driver of the front takes part: it runs for the first driver only. */
export function itOnce(name: string, test: (t: TestContext) => Promise<void>): void {
  if (!isRepetition) it(name, test);
}

/**
 * To be called in the body of a suite, never outside of all: starts something before its tests, gives it back after them. What a
 * suite around it shares is there by then.
 */
export function shared<T>(start: (t: Cleanup) => Promise<T>): () => T {
  const undo: (() => Promise<void> | void)[] = [];
  let started: { readonly value: T } | undefined;
  before(async () => {
    started = { value: await start({ after: (step) => undo.push(step) }) };
  });
  after(async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  });
  return () => {
    assert.ok(started, 'it is there only while the tests of its suite run');
    return started.value;
  };
}

export interface AskOptions {
  readonly method?: string;
  /** Added to the parameters. */
  readonly params?: Readonly<Record<string, Bytes>>;
  /** Sent with its CONTENT_LENGTH, by default as a POST. */
  readonly body?: Bytes;
  /** Where to connect, when not to the server's own socket. */
  readonly socket?: Target;
}

export interface TextAnswer extends Answer {
  /** The body as UTF-8. */
  readonly text: string;
}

/** Asks the server for a script over a connection of its own. `script` is a name below its folder, or a whole path. */
export async function ask(server: Server, script: string, options: AskOptions = {}): Promise<TextAnswer> {
  const { body } = options;
  const answer = await request({
    socket: options.socket ?? server.socket,
    params: scriptParams(script.startsWith('/') ? script : server.path(script), {
      REQUEST_METHOD: options.method ?? (body === undefined ? 'GET' : 'POST'),
      ...(body === undefined ? {} : { CONTENT_LENGTH: String(body.length) }),
      ...options.params,
    }),
    ...(body === undefined ? {} : { body }),
  });
  return { ...answer, text: answer.body.toString('utf8') };
}

/** Longest wait for what is bound to come. Generous: it only ends a test that would hang. */
const GUARD_MS = 90_000;
const LOOK_MS = 5;

/** Looks again and again until there is something to see (`undefined` and `false` are nothing), and returns it. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline = performance.now() + GUARD_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() < deadline, `no sign of ${what} within ${GUARD_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** A script that says how many requests its state has served. */
export const COUNT = `
served = 0
function main(env, con)
  served = served + 1
  con:puts(served)
end`;

/** Asks `COUNT`: how many requests the state has served that answers. */
export async function served(server: Server, script: string): Promise<number> {
  const answer = await ask(server, script);
  assert.equal(answer.status, 200, answer.text);
  return Number(answer.text);
}
