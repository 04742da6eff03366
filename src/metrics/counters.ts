/**
 * What a worker has done so far, in memory that it shares with the main thread. Only the worker writes there; others read
 * at any time, without a message, also while it hangs.
 *
 * All counts are 64-bit numbers, which processors write whole: a reader finds each count as it was before or after a
 * request. Two counts may be read in the middle of one request, one of them with it and the other without.
 */

/** Requests by the hundreds of their status: 100 to 500; at 0 those that were answered without a status. */
const STATUS_CLASSES = 6;
/** Run times up to 1/16, 1/8, … 2^17 ms; the last place has all that are longer. */
const TIME_PLACES = 23;
const SHORTEST_MS = 1 / 16;

const STATUS_AT = 0;
const DIRECT_AT = STATUS_CLASSES;
const BYTES_AT = DIRECT_AT + 1;
const RUN_MS_AT = BYTES_AT + 1;
const TIMES_AT = RUN_MS_AT + 1;
const NUMBERS = TIMES_AT + TIME_PLACES;

export function createCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(NUMBERS * 8);
}

/** A request that is over, as far as its worker knows. */
export interface CountedRun {
  /** 0: none was sent. */
  readonly status: number;
  /** Bytes of its answer, header block included. */
  readonly sentBytes: number;
  readonly tookMs: number;
  /** The worker had read it from a connection by itself. */
  readonly isDirect: boolean;
}

export interface Counts {
  /** Requests by the hundreds of their status; at 0 those without one. */
  readonly byStatus: readonly number[];
  /** Those of them that workers have read from connections by themselves. */
  readonly direct: number;
  readonly sentBytes: number;
  /** How long all of them ran, together. */
  readonly runMs: number;
  /** Requests by how long they ran: `upToMs` of the last is infinite. */
  readonly times: readonly { readonly upToMs: number; readonly count: number }[];
}

/** The end of the worker. */
export class WorkerCounters {
  readonly #numbers: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.#numbers = new Float64Array(shared);
  }

  note({ status, sentBytes, tookMs, isDirect }: CountedRun): void {
    const hundreds = Math.trunc(status / 100);
    this.#add(STATUS_AT + (hundreds < STATUS_CLASSES ? hundreds : 0), 1);
    if (isDirect) this.#add(DIRECT_AT, 1);
    this.#add(BYTES_AT, sentBytes);
    this.#add(RUN_MS_AT, tookMs);
    this.#add(TIMES_AT + placeOf(tookMs), 1);
  }

  #add(at: number, count: number): void {
    this.#numbers[at] = (this.#numbers[at] as number) + count;
  }
}

/** Where a run time is counted. */
function placeOf(tookMs: number): number {
  if (tookMs <= SHORTEST_MS) return 0;
  return Math.min(TIME_PLACES - 1, Math.ceil(Math.log2(tookMs / SHORTEST_MS)));
}

/** The counts of several workers, added up. */
export function readCounters(all: Iterable<SharedArrayBuffer>): Counts {
  const sums = new Float64Array(NUMBERS);
  for (const shared of all) addCounters(sums, shared);
  return {
    byStatus: [...sums.subarray(STATUS_AT, STATUS_AT + STATUS_CLASSES)],
    direct: sums[DIRECT_AT] as number,
    sentBytes: sums[BYTES_AT] as number,
    runMs: sums[RUN_MS_AT] as number,
    times: [...sums.subarray(TIMES_AT)].map((count, place) => ({ upToMs: limitOf(place), count })),
  };
}

/** Adds the counts of a worker that ends to those of all that have ended before. */
export function keepCounters(kept: SharedArrayBuffer, ended: SharedArrayBuffer): void {
  addCounters(new Float64Array(kept), ended);
}

function addCounters(sums: Float64Array, shared: SharedArrayBuffer): void {
  for (const [at, number] of new Float64Array(shared).entries()) sums[at] = (sums[at] as number) + number;
}

function limitOf(place: number): number {
  return place === TIME_PLACES - 1 ? Number.POSITIVE_INFINITY : SHORTEST_MS * 2 ** place;
}
