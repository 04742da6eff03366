/**
 * The requests that a worker serves by itself and that wait for a result: a table in the memory that it shares with the
 * front (`lending.ts`). Their connections stay lent, and their states are busy, which the front's books do not say by
 * themselves.
 *
 *   DESCRIPTOR, STATE, COUNT   worker, in READING or ANSWERING; read by the front in HELD or after `shut`
 *   KNOWN                      0 by the worker when it enters a request; 1 by the front, in HELD, when the books say that the
 *                              state is busy. Then the worker has to say when it is not (`FromWorker.FREED`)
 *
 * COUNT is also read by the front in other states of the gate, where it is only a hint.
 */

/** Most requests of one worker that wait so. */
export const MAX_WAITING_RUNS = 256;

/** 32-bit words: the count, then three for each request. */
const COUNT = 0;
const FIRST = 1;
const DESCRIPTOR = 0;
const STATE = 1;
const KNOWN = 2;
const RUN_WORDS = 3;
export const WAITING_RUNS_WORDS = FIRST + MAX_WAITING_RUNS * RUN_WORDS;

/** A request that waits. */
export interface WaitingRun {
  /** Its place in the table. */
  readonly place: number;
  readonly descriptor: number;
  readonly state: number;
  /** The books say that the state is busy. */
  readonly isKnown: boolean;
}

/** The worker's end. */
export class WaitingRuns {
  readonly #words: Int32Array;
  readonly #free = Array.from({ length: MAX_WAITING_RUNS }, (_, at) => MAX_WAITING_RUNS - 1 - at);

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get hasRoom(): boolean {
    return this.#free.length > 0;
  }

  /** A request waits. @returns its place */
  enter(descriptor: number, state: number, isKnown: boolean): number {
    const place = this.#free.pop();
    if (place === undefined) throw new Error('no place for a request that waits');
    const at = FIRST + place * RUN_WORDS;
    Atomics.store(this.#words, at + DESCRIPTOR, descriptor);
    Atomics.store(this.#words, at + KNOWN, isKnown ? 1 : 0);
    Atomics.store(this.#words, at + STATE, state);
    Atomics.add(this.#words, COUNT, 1);
    return place;
  }

  /** It waits no longer, or is the front's. @returns whether the books say that its state is busy */
  leave(place: number): boolean {
    const at = FIRST + place * RUN_WORDS;
    const isKnown = Atomics.load(this.#words, at + KNOWN) !== 0;
    Atomics.store(this.#words, at + STATE, 0);
    Atomics.sub(this.#words, COUNT, 1);
    this.#free.push(place);
    return isKnown;
  }
}

/** The front's end. */
export class WaitingRunsView {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get count(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** All of them, while the gate is held or shut. */
  list(): WaitingRun[] {
    const runs: WaitingRun[] = [];
    for (let place = 0, left = this.count; place < MAX_WAITING_RUNS && left > 0; place += 1) {
      const at = FIRST + place * RUN_WORDS;
      const state = Atomics.load(this.#words, at + STATE);
      if (state === 0) continue;
      left -= 1;
      const descriptor = Atomics.load(this.#words, at + DESCRIPTOR);
      runs.push({ place, descriptor, state, isKnown: Atomics.load(this.#words, at + KNOWN) !== 0 });
    }
    return runs;
  }

  /** The books say that its state is busy. The gate is held. */
  noteKnown(place: number): void {
    Atomics.store(this.#words, FIRST + place * RUN_WORDS + KNOWN, 1);
  }
}
