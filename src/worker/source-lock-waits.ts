/**
 * The locks of this worker's requests that lie in a data source: what the I/O thread is asked for, and which of it nobody waits
 * for any more. Runs in a worker.
 */
import { Action } from '../io/protocol.js';
import type { ByteString, PostedOperation } from '../lua/state.js';

/** What the names of locks begin with that scripts take by name (lock.lua), and of those of sessions (con-session.lua). */
const KINDS_IN_SOURCE = ['lock:', 'session:'] as const;

/** A lock that was asked for. The number tells it from others of the same request and name. */
interface Asked {
  readonly name: ByteString;
  readonly number: number;
}

/** Posts an operation of the request that executes. */
export interface LockPosts {
  /** Gives its token. */
  start(operation: PostedOperation, isLock: boolean): number;
  /** Nobody waits for its result. */
  tell(operation: PostedOperation): void;
}

export class SourceLockWaits {
  readonly #source: number | undefined;
  readonly #posts: LockPosts;
  /** By the tokens of their operations. */
  readonly #asked = new Map<number, Asked>();
  #lastNumber = 0;

  /** @param source its number; undefined: locks lie in memory */
  constructor(source: number | undefined, posts: LockPosts) {
    this.#source = source;
    this.#posts = posts;
  }

  /** Locks by which values are computed once concern dictionaries of this server, and stay in its memory. */
  hasName(name: ByteString): boolean {
    return this.#source !== undefined && KINDS_IN_SOURCE.some((kind) => name.startsWith(kind));
  }

  lock(name: ByteString, waitMs: number): number {
    this.#lastNumber += 1;
    const asked = { name, number: this.#lastNumber };
    const token = this.#posts.start(this.#operation(Action.LOCK, name, waitMs, asked.number), true);
    this.#asked.set(token, asked);
    return token;
  }

  unlock(name: ByteString, number: number): number {
    return this.#posts.start(this.#operation(Action.UNLOCK, name, number), false);
  }

  holds(name: ByteString, number: number): number {
    return this.#posts.start(this.#operation(Action.HOLDS_LOCK, name, number), false);
  }

  /** Nobody takes the result of an operation: its lock is not wanted any more, and given back if it was had. */
  abandon(token: number): void {
    const asked = this.#asked.get(token);
    if (asked === undefined) return;
    this.#asked.delete(token);
    this.#posts.tell(this.#operation(Action.FORGET_LOCK, asked.name, asked.number));
  }

  /** The result of an operation was taken, or its request is over. */
  forget(token: number): void {
    this.#asked.delete(token);
  }

  #operation(action: Action, name: ByteString, ...numbers: number[]): PostedOperation {
    const values = [Buffer.from(name, 'latin1'), ...numbers];
    return {
      source: this.#source ?? 0,
      action,
      handle: 0,
      limitMs: 0,
      shape: `s${'n'.repeat(numbers.length)}`,
      values,
    };
  }
}
