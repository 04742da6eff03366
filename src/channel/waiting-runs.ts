/**
 * The requests that a worker serves by itself and that wait for a result: a table in the memory that it shares with the
 * front (`lending.ts`). Their connections stay lent, and their states are busy, which the front's books do not say by
 * themselves.
 *
 *   DESCRIPTOR, REQUEST, WAITS_FOR, BYTES, the bytes, STATE, COUNT
 *                              worker, in READING or ANSWERING; read by the front in HELD or after `shut`
 *   KNOWN                      0 by the worker when it enters a request; 1 by the front, in HELD, when the books say that the
 *                              state is busy. Then the worker has to say when it is not (`FromWorker.FREED`)
 *
 * COUNT is also read by the front in other states of the gate, where it is only a hint. The bytes are all records of the request:
 * the front answers it with an error if the worker is lost.
 */

/** Most requests of one worker that wait so. */
export const MAX_WAITING_RUNS = 256;
/** The longest request, in all its records, that waits so. */
export const MAX_WAITING_BYTES = 4 * 1024;

/** 32-bit words: the count, then some for each request. */
const COUNT = 0;
const FIRST = 1;
const DESCRIPTOR = 0;
const STATE = 1;
const KNOWN = 2;
const REQUEST = 3;
const WAITS_FOR = 4;
const BYTES = 5;
const RUN_WORDS = 6;
export const WAITING_RUNS_WORDS = FIRST + MAX_WAITING_RUNS * RUN_WORDS;
/** Behind the words: the bytes of each request. */
export const WAITING_RUNS_BYTES = MAX_WAITING_RUNS * MAX_WAITING_BYTES;

/** A request that waits. */
export interface WaitingRun {
  readonly descriptor: number;
  readonly state: number;
  /** The books say that the state is busy. */
  readonly isKnown: boolean;
  /** Its number. */
  readonly request: number;
  /** A `WaitsFor`. */
  readonly waitsFor: number;
  /** All its records. */
  readonly bytes: Uint8Array;
}

/** The worker's end. */
export class WaitingRuns {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #free = Array.from({ length: MAX_WAITING_RUNS }, (_, at) => MAX_WAITING_RUNS - 1 - at);

  constructor(words: Int32Array, bytes: Uint8Array) {
    this.#words = words;
    this.#bytes = bytes;
  }

  /** Whether a request of so many bytes can wait here. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#free.length > 0 && sizeBytes <= MAX_WAITING_BYTES;
  }

  /** A request waits. @returns its place */
  enter({ descriptor, state, isKnown, request, waitsFor, bytes }: WaitingRun): number {
    const place = this.#free.pop();
    if (place === undefined) throw new Error('no place for a request that waits');
    const at = FIRST + place * RUN_WORDS;
    this.#bytes.set(bytes, place * MAX_WAITING_BYTES);
    Atomics.store(this.#words, at + DESCRIPTOR, descriptor);
    Atomics.store(this.#words, at + REQUEST, request);
    Atomics.store(this.#words, at + WAITS_FOR, waitsFor);
    Atomics.store(this.#words, at + BYTES, bytes.length);
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
  readonly #bytes: Uint8Array;

  constructor(words: Int32Array, bytes: Uint8Array) {
    this.#words = words;
    this.#bytes = bytes;
  }

  get count(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** All of them, while the gate is held or shut. The bytes are looked at where they lie. */
  list(): (WaitingRun & { readonly place: number })[] {
    const runs: (WaitingRun & { readonly place: number })[] = [];
    for (let place = 0, left = this.count; place < MAX_WAITING_RUNS && left > 0; place += 1) {
      const word = (at: number): number => Atomics.load(this.#words, FIRST + place * RUN_WORDS + at);
      const state = word(STATE);
      if (state === 0) continue;
      left -= 1;
      const from = place * MAX_WAITING_BYTES;
      runs.push({
        place,
        descriptor: word(DESCRIPTOR),
        state,
        isKnown: word(KNOWN) !== 0,
        request: word(REQUEST),
        waitsFor: word(WAITS_FOR),
        bytes: this.#bytes.subarray(from, from + word(BYTES)),
      });
    }
    return runs;
  }

  /** The books say that its state is busy. The gate is held. */
  noteKnown(place: number): void {
    Atomics.store(this.#words, FIRST + place * RUN_WORDS + KNOWN, 1);
  }
}
