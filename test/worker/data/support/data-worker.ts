/**
 * A worker of a test, as far as data sources are concerned, with the real I/O thread: it does operations on connections that were
 * lent to it, or has the I/O thread do them.
 */

import { createLoans, Lender } from '../../../../src/channel/lending.js';
import { createRing } from '../../../../src/channel/ring.js';
import { IoClient } from '../../../../src/io/client.js';
import type { IoHandle, SourceGrant } from '../../../../src/io/handle.js';
import { LoanState, LoanWords, SLOTS } from '../../../../src/io/loan-words.js';
import type { Action } from '../../../../src/io/protocol.js';
import { Epoll } from '../../../../src/linux/epoll.js';
import { clearEventfd, closeEventfd, createEventfd } from '../../../../src/linux/eventfd.js';
import { kernelSockets } from '../../../../src/linux/sockets.js';
import type { LuaValue, OperationResult, PostedOperation } from '../../../../src/lua/state.js';
import type { DataOwner, DirectData } from '../../../../src/worker/data/direct-data.js';
import { LentConnections } from '../../../../src/worker/data/lent-connections.js';
import { decodeResult, encodeOperation } from '../../../../src/worker/operation-values.js';
import type { Cleanup } from '../../../support/cleanup.js';

const LIMIT_MS = 60_000;
let workers = 0;

/** Words of a Redis command, or text and values of a statement, as Lua posts them. */
export type Given = undefined | boolean | number | string | Uint8Array | readonly Given[];

export class DataWorker {
  readonly id: number;
  readonly words: LoanWords;
  readonly #io: IoHandle;
  readonly #client: IoClient;
  readonly #connections: LentConnections;
  readonly #data: DirectData;
  readonly #results = new Map<number, OperationResult>();
  /** Tokens by the numbers of posted operations. */
  readonly #posted = new Map<number, number>();
  #lastToken = 0;

  constructor(t: Cleanup, io: IoHandle, sources: readonly SourceGrant[]) {
    workers += 1;
    this.id = 1000 + workers;
    this.#io = io;
    const list = new Epoll(8);
    const bell = createEventfd();
    const loans = createLoans();
    const lender = new Lender(loans);
    lender.open(list.fd, bell);
    const channel = io.openChannel(this.id, { ring: createRing(1024), loans, usesFutex: true });
    this.words = new LoanWords(channel.loans);
    this.#client = new IoClient(channel);
    this.#connections = new LentConnections({
      io: this.#client,
      sources,
      loans: channel.loans,
      waiting: channel.waiting,
      sockets: kernelSockets,
      nowMs: () => performance.now(),
      borrower: lender,
      openList: (fd) => new Epoll(8, fd),
      clearBell: clearEventfd,
    });
    this.#data = this.#connections.open({
      over: (token, result) => this.#results.set(token, result),
      post: (token, run, operation) => this.#post(token, run, operation),
    });
    t.after(() => {
      this.end();
      this.#connections.close();
      list.close();
      closeEventfd(bell);
    });
  }

  /** How many connections it has that the I/O thread has not taken back. */
  get lent(): number {
    const states = Array.from({ length: SLOTS }, (_, slot) => this.words.stateOf(slot));
    return states.filter((state) => state !== LoanState.FREE && state !== LoanState.TAKEN).length;
  }

  /** The worker is gone. */
  end(hasEnded = true): void {
    this.#io.closeChannel(this.id, hasEnded);
  }

  /** Begins an operation on a lent connection. Gives its token; undefined: it is for the I/O thread. */
  begin(source: number, action: Action, given: readonly Given[], run = 1, limitMs = 0): number | undefined {
    return this.beginFor({ id: run }, source, action, given, limitMs);
  }

  beginFor(owner: DataOwner, source: number, action: Action, given: readonly Given[], limitMs = 0): number | undefined {
    this.#lastToken += 1;
    const operation: PostedOperation = { source, action, handle: 0, limitMs, ...encode(given) };
    return this.#data.start(this.#lastToken, operation, 1, owner) ? this.#lastToken : undefined;
  }

  /** Does an operation on a lent connection; waits until one is lent. */
  async direct(source: number, action: Action, given: readonly Given[], limitMs = 0): Promise<OperationResult> {
    let token: number | undefined;
    await this.until(() => {
      token ??= this.begin(source, action, given, 1, limitMs);
      return token !== undefined;
    }, 'a connection is lent');
    return this.result(token as number);
  }

  /** Has the I/O thread do it. */
  async posted(source: number, action: Action, given: readonly Given[], run = 2): Promise<OperationResult> {
    this.#lastToken += 1;
    const token = this.#lastToken;
    this.#post(token, run, { source, action, handle: 0, limitMs: 0, ...encode(given) });
    return this.result(token);
  }

  async result(token: number): Promise<OperationResult> {
    await this.until(() => this.#results.has(token), 'the operation is over');
    return this.#results.get(token) as OperationResult;
  }

  /** Its request is over. */
  abandon(token: number): void {
    this.#data.abandon(token);
  }

  hasResult(token: number): boolean {
    return this.#results.has(token);
  }

  async until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const endMs = performance.now() + LIMIT_MS;
    for (;;) {
      this.turn();
      if (await isSo()) return;
      if (performance.now() > endMs) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** What a worker does between two requests. */
  turn(): void {
    this.#connections.flush();
    this.#connections.wait(0);
    this.#data.look(performance.now());
    for (let next = this.#client.next(); next !== undefined; next = this.#client.next()) {
      const token = this.#posted.get(next.id);
      if (token !== undefined) this.#results.set(token, { isError: next.isError, value: decodeResult(next.payload) });
    }
  }

  #post(token: number, run: number, { source, action, shape, values }: PostedOperation): void {
    const body = encodeOperation(shape, values);
    const id = this.#client.post({ run, source, action: action as Action, script: 1, limitMs: 0, handle: 0, body });
    if (id !== undefined) this.#posted.set(id, token);
  }
}

/** The shape of values as Lua has it, and they themselves. */
export function encode(given: readonly Given[]): Pick<PostedOperation, 'shape' | 'values'> {
  let shape = '';
  const values: (number | Uint8Array)[] = [];
  const add = (value: Given): void => {
    if (value === undefined) shape += '0';
    else if (typeof value === 'boolean') shape += value ? 't' : 'f';
    else if (typeof value === 'number') {
      shape += 'n';
      values.push(value);
    } else if (typeof value === 'string') {
      shape += 's';
      values.push(Buffer.from(value));
    } else if (value instanceof Uint8Array) {
      shape += 's';
      values.push(value);
    } else {
      shape += 'A';
      values.push(value.length);
      for (const member of value) add(member);
    }
  };
  for (const value of given) add(value);
  return { shape, values };
}

export function field(value: LuaValue, name: string): LuaValue {
  return (value as Record<string, LuaValue> | undefined)?.[name];
}
