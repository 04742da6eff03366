/**
 * Words that the I/O thread shares with a worker about the connections to data sources that it has lent to it. Pure; used
 * on both threads. Decision 0029 says what for.
 *
 * Each loan has a slot with the word of its state. Both sides move it by compare-and-exchange:
 *
 *   FREE → IDLE     I/O thread: the connection is lent
 *   IDLE → USED     worker: something is under way on it, and the I/O thread does not take it
 *   USED → IDLE     worker: nothing is under way any more
 *   IDLE → TAKEN    I/O thread: has taken it back. The worker still has a descriptor of it, but neither reads nor writes
 *   USED → WANTED   I/O thread: wants it back when nothing is under way on it
 *   any → FREE      worker: just before it closes its descriptor
 *
 * So a connection on which nothing is under way can be taken back at any time, also from a worker that hangs.
 */

/** Most connections that are lent to one worker. */
export const SLOTS = 64;
/** Most data sources that lend connections. */
export const PLACES = 64;

/** The place of a data source. Numbers of sources rise, and those in use at a time are few. */
export const placeOfSource = (source: number): number => source % PLACES;

export const LoanState = { FREE: 0, IDLE: 1, USED: 2, WANTED: 3, TAKEN: 4 } as const;
export type LoanState = (typeof LoanState)[keyof typeof LoanState];

const USES = SLOTS;
const WAITING = 2 * SLOTS;
const OWN = WAITING + PLACES;
const WORDS = OWN + PLACES;

export function createLoanWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS);
}

/**
 * Of all workers: for each data source, how many operations wait in workers, how many in the I/O thread, and how many connections
 * workers have opened by themselves.
 */
export function createWaitingWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * 3 * PLACES);
}

export class LoanWords {
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared);
  }

  stateOf(slot: number): LoanState {
    return Atomics.load(this.#words, slot) as LoanState;
  }

  /** @returns whether the state was `from`, and is `to` now */
  move(slot: number, from: LoanState, to: LoanState): boolean {
    return Atomics.compareExchange(this.#words, slot, from, to) === from;
  }

  set(slot: number, state: LoanState): void {
    Atomics.store(this.#words, slot, state);
  }

  /** Something was done on it. */
  noteUse(slot: number): void {
    this.#words[USES + slot] = ((this.#words[USES + slot] as number) + 1) | 0;
  }

  /** Changes with each use. */
  usesOf(slot: number): number {
    return Atomics.load(this.#words, USES + slot);
  }

  /** Operations of this worker that wait for a connection of a data source. */
  waitingAt(place: number): number {
    return Atomics.load(this.#words, WAITING + place);
  }

  setWaiting(place: number, count: number): void {
    Atomics.store(this.#words, WAITING + place, count);
  }
}

/** How many operations wait for connections of a data source, wherever they wait. */
export class WaitingCounts {
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared);
  }

  /** In workers and in the I/O thread. */
  total(place: number): number {
    return Atomics.load(this.#words, place) + Atomics.load(this.#words, PLACES + place);
  }

  inWorkers(place: number): number {
    return Atomics.load(this.#words, place);
  }

  /** Connections that workers have opened by themselves. */
  ownConnections(place: number): number {
    return Atomics.load(this.#words, 2 * PLACES + place);
  }

  addInWorkers(place: number, count: number): void {
    Atomics.add(this.#words, place, count);
  }

  setInIoThread(place: number, count: number): void {
    Atomics.store(this.#words, PLACES + place, count);
  }
}

/** The connections that one worker has opened by itself: at most one to a data source, and to each so many of all workers. */
export class OwnConnections {
  readonly #words: Int32Array;
  readonly #common: Int32Array;

  /** @param loans of the worker @param waiting of all workers */
  constructor(loans: SharedArrayBuffer, waiting: SharedArrayBuffer) {
    this.#words = new Int32Array(loans);
    this.#common = new Int32Array(waiting);
  }

  /** @returns whether the worker may open one: fewer than `most` are open */
  tryAdd(place: number, most: number): boolean {
    const at = 2 * PLACES + place;
    for (let open = Atomics.load(this.#common, at); open < most; ) {
      const found = Atomics.compareExchange(this.#common, at, open, open + 1);
      if (found === open) {
        Atomics.store(this.#words, OWN + place, 1);
        return true;
      }
      open = found;
    }
    return false;
  }

  /** It is closed. */
  remove(place: number): void {
    if (Atomics.exchange(this.#words, OWN + place, 0) === 1) Atomics.sub(this.#common, 2 * PLACES + place, 1);
  }

  /** The worker's thread is no more, and its connections are closed with it. */
  removeAll(): void {
    for (let place = 0; place < PLACES; place += 1) this.remove(place);
  }
}
