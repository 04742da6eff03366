/**
 * The locks that requests of this worker hold and wait for. A request that waits is an operation like others (`waits.ts`): it
 * is over when the lock was handed to it, by whichever thread, or when its time is up.
 */

import { LuafcgidError } from '../base/errors.js';
import type { LuaValue } from '../lua/state.js';
import type { LockTable } from '../shared/lock-table.js';

/** A request, as far as locks are concerned. */
export interface LockOwner {
  readonly id: number;
  /** What it holds: tokens by name. Most requests never hold one. */
  locks: Map<string, number> | undefined;
}

/** Locks that one request holds, and those that it waits for: there are so many for all requests that none takes the rest of them away. */
const MOST_OF_REQUEST = 256;

export interface LockParts {
  readonly table: LockTable;
  /** The number of this worker. */
  readonly worker: number;
  /** A request of another worker has got a lock: that worker may sleep. */
  readonly wake: (worker: number) => void;
}

/** How a wait for a lock is over: a token, a word, or an error. */
export type LockEnd = (operation: number, result: { readonly isError: boolean; readonly value: LuaValue }) => void;

interface Pending {
  readonly owner: LockOwner;
  readonly waiter: number;
  readonly name: string;
}

/** How a wait for a lock ends at a place where Lua cannot be suspended. */
export function refusalAt(place: string): Parameters<LockEnd>[1] {
  const { code, message } = new LuafcgidError('LUAFCGID_LOCK_BLOCKED', { place });
  return { isError: true, value: { code, message } };
}

function noteLock(owner: LockOwner, name: string, token: number): void {
  owner.locks ??= new Map();
  owner.locks.set(name, token);
}

const bytes = (name: string): Uint8Array => Buffer.from(name, 'latin1');

export class LockWaits {
  readonly #parts: LockParts;
  readonly #end: LockEnd;
  /** By the tokens of their operations. */
  readonly #pending = new Map<number, Pending>();
  #seenNews = 0;

  constructor(parts: LockParts, end: LockEnd) {
    this.#parts = parts;
    this.#end = end;
  }

  /** Takes a lock: its token, why there is none, or the number of a place in its queue. */
  acquire(owner: LockOwner, name: string, mayWait: boolean): { token: number } | { waiter: number } | string {
    const { table, worker } = this.#parts;
    this.#refuseMany(owner);
    const acquired = table.acquire(bytes(name), { worker, run: owner.id }, mayWait);
    switch (acquired.outcome) {
      case 'held':
        noteLock(owner, name, acquired.token);
        return { token: acquired.token };
      case 'waits':
        return { waiter: acquired.waiter };
      case 'own':
        return 'deadlock';
      case 'busy':
        return 'timeout';
      default:
        throw new LuafcgidError('LUAFCGID_LOCK_FULL');
    }
  }

  /** @throws LuafcgidError where the request has as many locks as it may, held or waited for */
  #refuseMany(owner: LockOwner): void {
    const held = owner.locks?.size ?? 0;
    const isFar = held + this.#pending.size < MOST_OF_REQUEST;
    if (isFar || held + this.#operationsOf(owner).length < MOST_OF_REQUEST) return;
    throw new LuafcgidError('LUAFCGID_LOCK_MANY', { most: MOST_OF_REQUEST });
  }

  /** An operation waits for a lock from now on. */
  add(operation: number, pending: Pending): void {
    if (this.#pending.size === 0) this.#seenNews = this.#parts.table.newsOf(this.#parts.worker) - 1;
    this.#pending.set(operation, pending);
  }

  isPending(operation: number): boolean {
    return this.#pending.has(operation);
  }

  /** Whether `poll` may find something. */
  get mayHaveNews(): boolean {
    return this.#pending.size > 0 && this.#parts.table.newsOf(this.#parts.worker) !== this.#seenNews;
  }

  /** Notes which requests have got locks. */
  poll(): void {
    if (!this.mayHaveNews) return;
    this.#seenNews = this.#parts.table.newsOf(this.#parts.worker);
    for (const [operation, { waiter }] of this.#pending) {
      if (this.#parts.table.isGranted(waiter)) this.#giveUp(operation, { isError: false, value: undefined });
    }
  }

  /** The time of an operation is up. */
  expire(operation: number): void {
    this.#giveUp(operation, { isError: false, value: 'timeout' }, 'TIMEOUTS');
  }

  /** Lua cannot be suspended at this place, and what others have to give is not waited for there. */
  refuse(owner: LockOwner, place: string): void {
    const result = refusalAt(place);
    for (const operation of this.#operationsOf(owner)) this.#giveUp(operation, result);
  }

  /** The request waits for these locks only. Ends its waits if it would wait for ever. */
  settle(owner: LockOwner): void {
    const operations = this.#operationsOf(owner);
    const waiters = operations.map((operation) => (this.#pending.get(operation) as Pending).waiter);
    if (waiters.length === 0 || !this.#parts.table.settle(waiters)) return;
    for (const operation of operations) this.#giveUp(operation, { isError: false, value: 'deadlock' }, 'DEADLOCKS');
  }

  /** The request goes on. */
  goOn(owner: LockOwner): void {
    if (this.#pending.size === 0) return;
    const waiters = this.#operationsOf(owner).map((operation) => (this.#pending.get(operation) as Pending).waiter);
    if (waiters.length > 0) this.#parts.table.unsettle(waiters);
  }

  holds(owner: LockOwner, name: string, token: number): boolean {
    const { table, worker } = this.#parts;
    return table.holds(bytes(name), { worker, run: owner.id }, token);
  }

  /** Returns false when the request does not hold it (any more). */
  release(owner: LockOwner, name: string, token: number, isLeft = false): boolean {
    const { table, worker, wake } = this.#parts;
    if (owner.locks?.get(name) === token) owner.locks.delete(name);
    const next = table.release(bytes(name), { worker, run: owner.id }, token, isLeft);
    if (next !== undefined && next !== 0 && next !== worker) wake(next);
    return next !== undefined;
  }

  /** The request is over: it waits no more and holds nothing. */
  endOwner(owner: LockOwner): void {
    for (const operation of this.#pending.size === 0 ? [] : this.#operationsOf(owner)) {
      const { waiter, name } = this.#pending.get(operation) as Pending;
      this.#pending.delete(operation);
      const token = this.#parts.table.cancel(waiter);
      if (token !== undefined) noteLock(owner, name, token);
    }
    if (owner.locks === undefined) return;
    for (const [name, token] of owner.locks) this.release(owner, name, token, true);
  }

  /** Nobody takes the result of an operation: its request waits no more for that lock. */
  abandon(operation: number): void {
    const pending = this.#pending.get(operation);
    if (pending === undefined) return;
    this.#pending.delete(operation);
    const token = this.#parts.table.cancel(pending.waiter);
    if (token !== undefined) this.release(pending.owner, pending.name, token);
  }

  #operationsOf(owner: LockOwner): number[] {
    return [...this.#pending].filter(([, pending]) => pending.owner === owner).map(([operation]) => operation);
  }

  #grant(operation: number, token: number): void {
    const { owner, name } = this.#pending.get(operation) as Pending;
    this.#pending.delete(operation);
    noteLock(owner, name, token);
    this.#end(operation, { isError: false, value: { token } });
  }

  #giveUp(operation: number, result: Parameters<LockEnd>[1], counter?: 'TIMEOUTS' | 'DEADLOCKS'): void {
    const pending = this.#pending.get(operation);
    if (pending === undefined) return;
    // It goes on: as long as its place is taken, nobody takes it for one that waits for ever.
    this.goOn(pending.owner);
    const token = this.#parts.table.cancel(pending.waiter, counter);
    if (token !== undefined) return this.#grant(operation, token);
    this.#pending.delete(operation);
    this.#end(operation, result);
  }
}
