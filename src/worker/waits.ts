/**
 * The operations that scripts of this worker wait for: timers, and what the I/O thread does for them. An operation is
 * known by its token. Its script is suspended until it is over, or, where Lua cannot be suspended, blocks this worker.
 */

import { toShortText } from '../base/bounded-text.js';
import { type ByteString, toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { WaitsFor } from '../channel/messages.js';
import type { Completion } from '../io/client.js';
import type { Action } from '../io/protocol.js';
import { mayUse } from '../io/sources.js';
import type { DataSource, LockAnswer, LockStart, OperationResult, PostedOperation, WaitHost } from '../lua/state.js';
import type { DirectData } from './data/direct-data.js';
import { LockWaits, refusalAt } from './lock-waits.js';
import { decodeResult, encodeOperation, scriptNumber } from './operation-values.js';
import { SourceLockWaits } from './source-lock-waits.js';
import { earlier, Timers } from './timers.js';
import type { Input, WaitOwner } from './wait-owner.js';
import type { WaitsParts } from './wait-parts.js';

export { holdsOperations, type WaitOwner } from './wait-owner.js';
export type { WaitsParts } from './wait-parts.js';

const NO_TOKENS: readonly number[] = [];

/** A lock of a data source that is free is had in this time, wherever Lua is. */
const LONGEST_LOCK_WAIT_MS = 500;

interface Operation {
  readonly owner: WaitOwner;
  readonly waitsFor: WaitsFor;
  /** What it waits for more of. */
  readonly input: Input | undefined;
  result: OperationResult | undefined;
}

export class Waits implements WaitHost {
  readonly #parts: WaitsParts;
  readonly #waiting: Int32Array;
  readonly #timers = new Timers();
  readonly #operations = new Map<number, Operation>();
  /** Tokens of posted operations, by the numbers that the I/O thread knows them by. */
  readonly #posted = new Map<number, number>();
  readonly #locks: LockWaits;
  /** Operations that are done on connections lent to this worker. */
  readonly data: DirectData | undefined;
  readonly #sourceLocks: SourceLockWaits;
  #lastToken = 0;

  constructor(parts: WaitsParts) {
    this.#parts = parts;
    this.#waiting = new Int32Array(parts.waiting);
    this.#locks = new LockWaits(parts.locks, (token, result) => this.#end(token, result));
    this.data = parts.createData?.({
      over: (token, result) => this.#end(token, result),
      post: (token, run, operation) => this.#postToIoThread(token, run, operation),
    });
    this.#sourceLocks = new SourceLockWaits(parts.lockSource, {
      start: (operation, isLock) => this.#post(operation, isLock ? WaitsFor.LOCK : WaitsFor.DATA),
      tell: (operation) => void this.#send(operation, parts.owner().id, parts.owner()),
    });
  }

  startTimer(delayMs: number): number {
    const token = this.#add(WaitsFor.TIMER);
    this.#timers.add(token, this.#parts.nowMs() + delayMs);
    return token;
  }

  deriveKey(...work: Parameters<NonNullable<WaitHost['deriveKey']>>): number | undefined {
    const { keys } = this.#parts;
    if (keys === undefined) return undefined;
    const token = this.#add(WaitsFor.KEY);
    keys.start(token, ...work);
    return token;
  }

  source(name: ByteString): DataSource {
    const { owner } = this.#parts;
    const sources = this.#parts.sources.filter(({ kind }) => kind !== 'http');
    if (sources.length === 0) throw new LuafcgidError('LUAFCGID_DATA_NONE');
    const text = toShortText(name);
    const found = sources.find((source) => source.name === text);
    if (found === undefined) {
      throw new LuafcgidError('LUAFCGID_DATA_UNKNOWN', {
        name: text,
        names: sources.map(({ name }) => name).join(', '),
      });
    }
    const { script } = owner();
    if (!mayUse(found.scripts, toText(script))) {
      throw new LuafcgidError('LUAFCGID_DATA_DENIED', { name: text, script: toText(script) });
    }
    return { id: found.id, kind: found.kind };
  }

  httpClient(): number {
    const { sources, owner } = this.#parts;
    const found = sources.find(({ kind }) => kind === 'http');
    if (found === undefined) throw new LuafcgidError('LUAFCGID_HTTP_OFF');
    const script = toText(owner().script);
    if (!mayUse(found.scripts, script)) throw new LuafcgidError('LUAFCGID_HTTP_SCRIPT', { script });
    return found.id;
  }

  post(operation: PostedOperation): number {
    return this.#post(operation, WaitsFor.DATA);
  }

  #post(operation: PostedOperation, waitsFor: WaitsFor): number {
    if (this.#parts.io === undefined) throw new LuafcgidError('LUAFCGID_DATA_NONE');
    const run = this.#parts.owner();
    const read = this.#parts.ownReads?.perform(operation, run);
    const token = this.#add(waitsFor);
    if (read !== undefined) this.#end(token, { isError: false, value: read });
    else if (this.data?.start(token, operation, scriptNumber(run.script), run) !== true) {
      this.#postToIoThread(token, run.id, operation);
    }
    return token;
  }

  #postToIoThread(token: number, run: number, operation: PostedOperation): void {
    const owner = this.#operations.get(token)?.owner;
    if (owner === undefined) return;
    const id = this.#send(operation, run, owner);
    if (id !== undefined) return void this.#posted.set(id, token);
    this.#operations.delete(token);
    owner.tokens?.delete(token);
    throw new LuafcgidError('LUAFCGID_SERVER_STOPPED');
  }

  /** Gives the number that the I/O thread knows it by; undefined when this worker has to stop. */
  #send(operation: PostedOperation, run: number, owner: WaitOwner): number | undefined {
    const { source, action, handle, limitMs, shape, values } = operation;
    const { io } = this.#parts;
    if (io === undefined) throw new LuafcgidError('LUAFCGID_DATA_NONE');
    const body = encodeOperation(shape, values);
    const script = scriptNumber(owner.script);
    owner.hasPosted = true;
    return io.post({ run, source, action: action as Action, script, limitMs, handle, body });
  }

  awaitBody(isFile: boolean): number | undefined {
    const owner = this.#parts.owner();
    const input = isFile ? owner.body.file : owner.body;
    // Where no more may wait, the worker waits itself.
    if (input === undefined || input.isReady || !this.#tryTakePlace(owner)) return undefined;
    const token = this.#add(WaitsFor.BODY, input);
    input.awaitMore(() => this.#end(token, { isError: false, value: undefined }));
    return token;
  }

  awaitOutput(): number | undefined {
    const owner = this.#parts.owner();
    if (!owner.isOutputHeld || !this.#tryTakePlace(owner)) return undefined;
    return this.#add(WaitsFor.OUTPUT);
  }

  noteBlocked(place: string): void {
    this.#parts.blocks(this.#parts.owner(), place, true);
  }

  /** The client of a suspended request has read. */
  outputHasRoom(owner: WaitOwner): void {
    for (const token of owner.tokens ?? NO_TOKENS) {
      if (this.#operations.get(token)?.waitsFor === WaitsFor.OUTPUT)
        this.#end(token, { isError: false, value: undefined });
    }
  }

  lock(name: ByteString, waitMs: number, canSuspend: boolean): LockStart {
    if (this.#sourceLocks.hasName(name)) {
      // Whoever gives it may be a request of this worker: one that cannot be suspended must not wait for it.
      const isTry = waitMs > 0 && !canSuspend;
      return { wait: this.#sourceLocks.lock(name, isTry ? 0 : waitMs), isTry };
    }
    const owner = this.#parts.owner();
    const taken = this.#locks.acquire(owner, name, waitMs > 0);
    if (typeof taken === 'string' || 'token' in taken) return taken;
    const wait = this.#add(WaitsFor.LOCK);
    this.#locks.add(wait, { owner, waiter: taken.waiter, name });
    this.#timers.add(wait, this.#parts.nowMs() + waitMs);
    return { wait };
  }

  unlock(name: ByteString, token: number): LockAnswer {
    if (this.#sourceLocks.hasName(name)) return { wait: this.#sourceLocks.unlock(name, token) };
    return this.#locks.release(this.#parts.owner(), name, token);
  }

  holdsLock(name: ByteString, token: number): LockAnswer {
    if (this.#sourceLocks.hasName(name)) return { wait: this.#sourceLocks.holds(name, token) };
    return this.#locks.holds(this.#parts.owner(), name, token);
  }

  /** A request is about to be suspended: if it waits for locks only, somebody who is not suspended has to hold them. */
  settle(owner: WaitOwner): void {
    for (const token of owner.tokens ?? NO_TOKENS) {
      const operation = this.#operations.get(token);
      if (operation?.waitsFor !== WaitsFor.LOCK || operation.result !== undefined) return;
    }
    this.#locks.settle(owner);
  }

  /** A suspended request goes on. */
  goOn(owner: WaitOwner): void {
    this.leavePlace(owner);
    this.#locks.goOn(owner);
  }

  #add(waitsFor: WaitsFor, input?: Input): number {
    const owner = this.#parts.owner();
    this.#lastToken = (this.#lastToken % 0x7fffffff) + 1;
    owner.tokens ??= new Set();
    owner.tokens.add(this.#lastToken);
    this.#operations.set(this.#lastToken, { owner, waitsFor, input, result: undefined });
    return this.#lastToken;
  }

  isOver(token: number): boolean {
    this.poll();
    const operation = this.#operations.get(token);
    if (operation === undefined) throw new Error(`there is no operation ${token}`);
    if (operation.result !== undefined) return true;
    if (this.#tryTakePlace(operation.owner)) return false;
    this.#abandon(token, operation);
    throw new LuafcgidError('LUAFCGID_WAITING_FULL', { waiting: this.#parts.waitingLimit });
  }

  /** Its script does not wait for it: a lock that it would have taken is free for others, and for the script itself. */
  #abandon(token: number, { owner }: Operation): void {
    this.#operations.delete(token);
    owner.tokens?.delete(token);
    this.#locks.abandon(token);
    this.#sourceLocks.abandon(token);
  }

  take(token: number): OperationResult {
    const operation = this.#operations.get(token);
    if (operation?.result === undefined) throw new Error(`operation ${token} is not over`);
    this.#operations.delete(token);
    this.#sourceLocks.forget(token);
    operation.owner.tokens?.delete(token);
    return operation.result;
  }

  block(place: string): void {
    const owner = this.#parts.owner();
    this.#parts.blocks(owner, place, false);
    this.#locks.refuse(owner, place);
    const isDone = (): boolean => {
      this.poll();
      this.#lookAtInput(owner);
      return this.hasResult(owner);
    };
    const refusesMs = this.#parts.nowMs() + LONGEST_LOCK_WAIT_MS;
    while (!isDone()) {
      const locks = this.#locksOfSource(owner);
      if (locks.length > 0 && this.#parts.nowMs() >= refusesMs) this.#refuseLocks(locks, place);
      else this.#parts.sleep(isDone, earlier(this.nextMs, locks.length > 0 ? refusesMs : undefined));
    }
    this.leavePlace(owner);
  }

  /** Operations that take a lock which lies in a data source. */
  #locksOfSource({ tokens }: WaitOwner): number[] {
    return [...(tokens ?? NO_TOKENS)].filter((token) => this.#operations.get(token)?.waitsFor === WaitsFor.LOCK);
  }

  /** A request of this worker may hold them. */
  #refuseLocks(tokens: readonly number[], place: string): void {
    for (const token of tokens) {
      this.#sourceLocks.abandon(token);
      this.#end(token, refusalAt(place));
    }
  }

  /** While this worker blocks, nobody else looks whether more of the body or the file has come. */
  #lookAtInput({ tokens }: WaitOwner): void {
    for (const token of tokens ?? NO_TOKENS) {
      if (this.#operations.get(token)?.input?.isReady !== true) continue;
      this.#end(token, { isError: false, value: undefined });
    }
  }

  /** What a suspended run waits for. */
  waitsForOf(owner: WaitOwner): WaitsFor {
    let found: WaitsFor | undefined;
    for (const token of owner.tokens ?? NO_TOKENS) {
      const operation = this.#operations.get(token);
      if (operation === undefined || operation.result !== undefined) continue;
      if (found !== undefined) return WaitsFor.SEVERAL;
      found = operation.waitsFor;
    }
    return found ?? WaitsFor.SEVERAL;
  }

  /** Whether one of its operations is over. */
  hasResult({ tokens }: WaitOwner): boolean {
    for (const token of tokens ?? NO_TOKENS) if (this.#operations.get(token)?.result !== undefined) return true;
    return false;
  }

  /** When `poll` surely finds something to do; undefined: nobody knows. */
  get nextMs(): number | undefined {
    return this.data === undefined ? this.#timers.nextMs : earlier(this.#timers.nextMs, this.data.nextMs);
  }

  /** Whether `poll` may find something. */
  get mayHaveNews(): boolean {
    const { io, keys, nowMs } = this.#parts;
    if (keys?.mayHaveNews === true) return true;
    const dueMs = this.nextMs;
    return this.#locks.mayHaveNews || io?.hasCompletion === true || (dueMs !== undefined && dueMs <= nowMs());
  }

  /** Notes which operations are over. */
  poll(): void {
    const { io, nowMs } = this.#parts;
    if (this.#timers.nextMs !== undefined) {
      const now = nowMs();
      for (let token = this.#timers.takeDue(now); token !== undefined; token = this.#timers.takeDue(now)) {
        if (this.#locks.isPending(token)) this.#locks.expire(token);
        else this.#end(token, { isError: false, value: undefined });
      }
    }
    if (this.data?.nextMs !== undefined) this.data.look(nowMs());
    this.#locks.poll();
    this.#parts.keys?.poll((token, result) => this.#end(token, result));
    if (io === undefined || !io.hasCompletion) return;
    for (let next = io.next(); next !== undefined; next = io.next()) this.#complete(next);
  }

  #complete({ id, isError, payload }: Completion): void {
    const token = this.#posted.get(id);
    this.#posted.delete(id);
    if (token !== undefined) this.#end(token, { isError, value: decodeResult(payload) });
  }

  #end(token: number, result: OperationResult): void {
    const operation = this.#operations.get(token);
    if (operation === undefined || operation.result !== undefined) return;
    operation.result = result;
    this.#parts.isReady(operation.owner);
  }

  /** Its request is over: what it has started is cancelled, and what it holds of data sources is released. */
  endOwner(owner: WaitOwner): void {
    this.leavePlace(owner);
    for (const token of owner.tokens ?? NO_TOKENS) {
      if (this.#operations.get(token)?.result === undefined) this.data?.abandon(token);
      this.#operations.delete(token);
      this.#sourceLocks.forget(token);
    }
    owner.tokens = undefined;
    this.#locks.endOwner(owner);
    if (owner.hasPosted) this.#parts.io?.endRun(owner.id);
  }

  #tryTakePlace(owner: WaitOwner): boolean {
    if (owner.holdsPlace) return true;
    if (Atomics.add(this.#waiting, 0, 1) >= this.#parts.waitingLimit) {
      Atomics.sub(this.#waiting, 0, 1);
      return false;
    }
    owner.holdsPlace = true;
    return true;
  }

  /** It waits no longer. */
  leavePlace(owner: WaitOwner): void {
    if (!owner.holdsPlace) return;
    owner.holdsPlace = false;
    Atomics.sub(this.#waiting, 0, 1);
  }
}
