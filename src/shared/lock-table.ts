/**
 * Locks by name, for the requests of all workers, in memory that these share. Whoever waits for one gets it in turn: the lock is
 * handed over by the thread that releases it, so nobody can take it in between. A request holds what it has got until it
 * releases it or ends; the main thread releases what the requests of a lost worker held.
 */
import { GuardedMemory } from './guarded-memory.js';
import { hashKey } from './key-hash.js';
import {
  BUCKETS,
  BUCKETS_AT,
  LockCounter,
  LockState,
  LockWord,
  lockAt,
  MOST_LOCKS,
  MOST_WAITERS,
  NEWS_AT,
  NEWS_WORDS,
  WaiterState,
  WaiterWord,
  waiterAt,
} from './lock-layout.js';

export { MOST_NAME_BYTES } from './lock-layout.js';

/** The lock, or a place in the queue for it; or why there is neither. */
export type Acquired =
  | { readonly outcome: 'held'; readonly token: number }
  | { readonly outcome: 'waits'; readonly waiter: number }
  /** This request holds it already; another one does; there are too many locks. */
  | { readonly outcome: 'own' | 'busy' | 'full' };

/** A request: the number of its worker, and its own number. */
interface Holder {
  readonly worker: number;
  readonly run: number;
}

export class LockTable {
  readonly #memory: GuardedMemory;
  readonly #words: Int32Array;

  /**
   * @param owner the number of this thread, unlike that of any other thread; at least 1
   * @param patienceMs how long it waits for the memory
   */
  constructor(shared: SharedArrayBuffer, owner: number, patienceMs?: number) {
    this.#memory = new GuardedMemory(shared, owner, patienceMs);
    this.#words = this.#memory.words;
  }

  /** Takes a lock, or a place in the queue for it. */
  acquire(name: Uint8Array, holder: Holder, mayWait: boolean): Acquired {
    const hash = this.#hash(name);
    return this.#memory.exclusive(() => {
      const lock = this.#find(name, hash);
      if (lock === 0) {
        const taken = this.#take(LockState.FREE_LOCK, LockState.FRESH_LOCK, MOST_LOCKS, lockAt);
        return taken === 0 ? { outcome: 'full' } : { outcome: 'held', token: this.#begin(taken, name, hash, holder) };
      }
      if (this.#isHeldBy(lock, holder)) return { outcome: 'own' };
      if (!mayWait) return { outcome: 'busy' };
      const waiter = this.#take(LockState.FREE_WAITER, LockState.FRESH_WAITER, MOST_WAITERS, waiterAt);
      if (waiter === 0) return { outcome: 'full' };
      this.#enqueue(waiter, lock, holder);
      return { outcome: 'waits', waiter };
    });
  }

  /** Whether a waiting request has got its lock: `cancel` gives the token. */
  isGranted(waiter: number): boolean {
    return Atomics.load(this.#words, waiterAt(waiter) + WaiterWord.STATE) === WaiterState.GRANTED;
  }

  /** A request waits no more. Gives the token of the lock when it has got that. */
  cancel(waiter: number, counter?: 'TIMEOUTS' | 'DEADLOCKS'): number | undefined {
    const at = waiterAt(waiter);
    return this.#memory.exclusive(() => {
      const token = this.#memory.floats[(at + WaiterWord.TOKEN) >> 1] as number;
      if (this.#words[at + WaiterWord.STATE] === WaiterState.GRANTED) {
        this.#freeWaiter(waiter);
        return token;
      }
      this.#leaveQueue(waiter);
      this.#freeWaiter(waiter);
      if (counter !== undefined) this.#count(LockCounter[counter]);
      return undefined;
    });
  }

  /**
   * The request of these waiters waits for nothing else. Returns whether it waits for ever: whoever could release one of the
   * locks waits, in turn, only for locks of which the same is true.
   */
  settle(waiters: readonly number[]): boolean {
    return this.#memory.exclusive(() => {
      for (const waiter of waiters) this.#memory.set(waiterAt(waiter) + WaiterWord.IS_SETTLED, 1);
      return this.#waitsForEver(waiters);
    });
  }

  /** The request of these waiters goes on. */
  unsettle(waiters: readonly number[]): void {
    this.#memory.exclusive(() => {
      for (const waiter of waiters) this.#memory.set(waiterAt(waiter) + WaiterWord.IS_SETTLED, 0);
    });
  }

  holds(name: Uint8Array, holder: Holder, token: number): boolean {
    const hash = this.#hash(name);
    return this.#memory.exclusive(() => this.#isLease(this.#find(name, hash), holder, token));
  }

  /**
   * Releases a lock. Gives the number of the worker whose request has it now, 0 when nobody waited, and undefined when it was
   * not held.
   * @param isLeft its request is over
   */
  release(name: Uint8Array, holder: Holder, token: number, isLeft = false): number | undefined {
    const hash = this.#hash(name);
    return this.#memory.exclusive(() => {
      const lock = this.#find(name, hash);
      if (!this.#isLease(lock, holder, token)) return undefined;
      if (isLeft) this.#count(LockCounter.LEFT);
      return this.#handOver(lock);
    });
  }

  /** A worker is lost: its requests wait no more and hold nothing. Gives the workers whose requests have got locks. */
  releaseWorker(worker: number): ReadonlySet<number> {
    const words = this.#words;
    const awake = new Set<number>();
    const each = (fresh: number, visit: (place: number) => void): void => {
      for (let place = 1; place < (words[fresh] as number); place += 1) {
        this.#memory.exclusive(() => visit(place));
      }
    };
    each(LockState.FRESH_WAITER, (waiter) => {
      const at = waiterAt(waiter);
      if (words[at + WaiterWord.STATE] === WaiterState.FREE || words[at + WaiterWord.WORKER] !== worker) return;
      if (words[at + WaiterWord.STATE] === WaiterState.WAITS) this.#leaveQueue(waiter);
      this.#freeWaiter(waiter);
    });
    each(LockState.FRESH_LOCK, (lock) => {
      if (words[lockAt(lock) + LockWord.WORKER] !== worker) return;
      this.#count(LockCounter.LEFT);
      this.#handOver(lock);
    });
    // The worker may have handed a lock over, and told nobody.
    each(LockState.FRESH_WAITER, (waiter) => {
      const at = waiterAt(waiter);
      if (words[at + WaiterWord.STATE] === WaiterState.GRANTED) awake.add(words[at + WaiterWord.WORKER] as number);
    });
    return awake;
  }

  /** Changes when a request of this worker (or of another one) has got a lock. */
  newsOf(worker: number): number {
    return Atomics.load(this.#words, NEWS_AT + (worker % NEWS_WORDS));
  }

  // ---- inside of `exclusive` -------------------------------------------------------------------------------------------

  #hash(name: Uint8Array): number {
    return hashKey(name, this.#words[LockState.SECRET0] as number, this.#words[LockState.SECRET1] as number);
  }

  #nameAt(lock: number, length: number): Uint8Array {
    return new Uint8Array(this.#words.buffer, (lockAt(lock) + LockWord.NAME) * 4, length);
  }

  #find(name: Uint8Array, hash: number): number {
    const words = this.#words;
    let lock = words[BUCKETS_AT + (hash & (BUCKETS - 1))] as number;
    for (; lock !== 0; lock = words[lockAt(lock) + LockWord.NEXT] as number) {
      const at = lockAt(lock);
      if (words[at + LockWord.HASH] !== hash || words[at + LockWord.NAME_BYTES] !== name.length) continue;
      if (this.#nameAt(lock, name.length).every((byte, place) => byte === name[place])) return lock;
    }
    return 0;
  }

  /** A free place; 0: there is none. */
  #take(free: number, fresh: number, most: number, placeAt: (place: number) => number): number {
    const words = this.#words;
    const place = words[free] as number;
    if (place !== 0) {
      this.#memory.set(free, words[placeAt(place)] as number);
      return place;
    }
    const next = words[fresh] as number;
    if (next > most) return 0;
    this.#memory.set(fresh, next + 1);
    return next;
  }

  #begin(lock: number, name: Uint8Array, hash: number, holder: Holder): number {
    const words = this.#words;
    const at = lockAt(lock);
    this.#nameAt(lock, name.length).set(name);
    this.#memory.set(at + LockWord.HASH, hash);
    this.#memory.set(at + LockWord.NAME_BYTES, name.length);
    this.#memory.set(at + LockWord.FIRST_WAITER, 0);
    this.#memory.set(at + LockWord.LAST_WAITER, 0);
    const bucket = BUCKETS_AT + (hash & (BUCKETS - 1));
    this.#memory.set(at + LockWord.NEXT, words[bucket] as number);
    this.#memory.set(bucket, lock);
    this.#memory.set(LockState.HELD, (words[LockState.HELD] as number) + 1);
    return this.#giveTo(lock, holder);
  }

  #giveTo(lock: number, { worker, run }: Holder): number {
    const at = lockAt(lock);
    const token = (this.#memory.floats[LockState.LAST_TOKEN >> 1] as number) + 1;
    this.#memory.setFloat(LockState.LAST_TOKEN, token);
    this.#memory.setFloat(at + LockWord.TOKEN, token);
    this.#memory.set(at + LockWord.WORKER, worker);
    this.#memory.set(at + LockWord.RUN, run);
    this.#count(LockCounter.ACQUIRED);
    return token;
  }

  #isHeldBy(lock: number, { worker, run }: Holder): boolean {
    const at = lockAt(lock);
    return this.#words[at + LockWord.WORKER] === worker && this.#words[at + LockWord.RUN] === (run | 0);
  }

  #isLease(lock: number, holder: Holder, token: number): boolean {
    if (lock === 0 || !this.#isHeldBy(lock, holder)) return false;
    return this.#memory.floats[(lockAt(lock) + LockWord.TOKEN) >> 1] === token;
  }

  #enqueue(waiter: number, lock: number, { worker, run }: Holder): void {
    const memory = this.#memory;
    const at = waiterAt(waiter);
    memory.set(at + WaiterWord.NEXT, 0);
    memory.set(at + WaiterWord.LOCK, lock);
    memory.set(at + WaiterWord.WORKER, worker);
    memory.set(at + WaiterWord.RUN, run | 0);
    memory.set(at + WaiterWord.STATE, WaiterState.WAITS);
    memory.set(at + WaiterWord.IS_SETTLED, 0);
    const last = this.#words[lockAt(lock) + LockWord.LAST_WAITER] as number;
    if (last === 0) memory.set(lockAt(lock) + LockWord.FIRST_WAITER, waiter);
    else memory.set(waiterAt(last) + WaiterWord.NEXT, waiter);
    memory.set(lockAt(lock) + LockWord.LAST_WAITER, waiter);
    memory.set(LockState.WAITING, (this.#words[LockState.WAITING] as number) + 1);
    this.#count(LockCounter.WAITED);
  }

  #leaveQueue(waiter: number): void {
    const words = this.#words;
    const memory = this.#memory;
    const lock = lockAt(words[waiterAt(waiter) + WaiterWord.LOCK] as number);
    const next = words[waiterAt(waiter) + WaiterWord.NEXT] as number;
    let before = 0;
    for (let other = words[lock + LockWord.FIRST_WAITER] as number; other !== waiter && other !== 0; ) {
      before = other;
      other = words[waiterAt(other) + WaiterWord.NEXT] as number;
    }
    if (before === 0) memory.set(lock + LockWord.FIRST_WAITER, next);
    else memory.set(waiterAt(before) + WaiterWord.NEXT, next);
    if (words[lock + LockWord.LAST_WAITER] === waiter) memory.set(lock + LockWord.LAST_WAITER, before);
    memory.set(LockState.WAITING, (words[LockState.WAITING] as number) - 1);
  }

  #freeWaiter(waiter: number): void {
    const at = waiterAt(waiter);
    this.#memory.set(at + WaiterWord.STATE, WaiterState.FREE);
    this.#memory.set(at + WaiterWord.NEXT, this.#words[LockState.FREE_WAITER] as number);
    this.#memory.set(LockState.FREE_WAITER, waiter);
  }

  /** The first one in the queue has the lock now. Gives the number of its worker; 0: nobody waits, and the lock is free. */
  #handOver(lock: number): number {
    const words = this.#words;
    const memory = this.#memory;
    const at = lockAt(lock);
    const waiter = words[at + LockWord.FIRST_WAITER] as number;
    if (waiter === 0) {
      this.#freeLock(lock);
      return 0;
    }
    this.#leaveQueue(waiter);
    const place = waiterAt(waiter);
    const worker = words[place + WaiterWord.WORKER] as number;
    const token = this.#giveTo(lock, { worker, run: words[place + WaiterWord.RUN] as number });
    memory.setFloat(place + WaiterWord.TOKEN, token);
    memory.set(place + WaiterWord.STATE, WaiterState.GRANTED);
    Atomics.add(words, NEWS_AT + (worker % NEWS_WORDS), 1);
    return worker;
  }

  #freeLock(lock: number): void {
    const words = this.#words;
    const memory = this.#memory;
    const at = lockAt(lock);
    const bucket = BUCKETS_AT + ((words[at + LockWord.HASH] as number) & (BUCKETS - 1));
    const next = words[at + LockWord.NEXT] as number;
    let before = words[bucket] as number;
    if (before === lock) memory.set(bucket, next);
    else {
      while (words[lockAt(before) + LockWord.NEXT] !== lock) before = words[lockAt(before) + LockWord.NEXT] as number;
      memory.set(lockAt(before) + LockWord.NEXT, next);
    }
    memory.set(at + LockWord.WORKER, 0);
    memory.set(at + LockWord.NEXT, words[LockState.FREE_LOCK] as number);
    memory.set(LockState.FREE_LOCK, lock);
    memory.set(LockState.HELD, (words[LockState.HELD] as number) - 1);
  }

  #waitsForEver(waiters: readonly number[]): boolean {
    const words = this.#words;
    const open = [...waiters];
    const seen = new Set<string>();
    for (let waiter = open.pop(); waiter !== undefined; waiter = open.pop()) {
      const at = waiterAt(waiter);
      if (words[at + WaiterWord.STATE] !== WaiterState.WAITS) return false;
      const lock = lockAt(words[at + WaiterWord.LOCK] as number);
      const worker = words[lock + LockWord.WORKER] as number;
      const run = words[lock + LockWord.RUN] as number;
      const name = `${worker} ${run}`;
      if (seen.has(name)) continue;
      seen.add(name);
      const own = this.#waitersOf(worker, run);
      // It waits for something else than locks, or for nothing.
      if (own.length === 0 || own.some((one) => words[waiterAt(one) + WaiterWord.IS_SETTLED] === 0)) return false;
      open.push(...own);
    }
    return true;
  }

  #waitersOf(worker: number, run: number): number[] {
    const words = this.#words;
    const found: number[] = [];
    for (let waiter = 1; waiter < (words[LockState.FRESH_WAITER] as number); waiter += 1) {
      const at = waiterAt(waiter);
      if (words[at + WaiterWord.STATE] === WaiterState.FREE || words[at + WaiterWord.WORKER] !== worker) continue;
      if (words[at + WaiterWord.RUN] === run) found.push(waiter);
    }
    return found;
  }

  #count(counter: number): void {
    this.#memory.floats[counter] = (this.#memory.floats[counter] as number) + 1;
  }
}
