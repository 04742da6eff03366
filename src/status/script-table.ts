/**
 * The numbers of all scripts as one list of numbers: a piece of memory crosses to another thread at once, where objects with
 * lists in them cross value by value.
 */
import { At, NO_IMAGE, NUMBERS, STATUS_CLASSES } from '../metrics/counters.js';
import { TIME_PLACES } from '../metrics/histogram.js';

/** Times of one kind, counted by places (`metrics/histogram.ts`). */
export interface Times {
  readonly counts: ArrayLike<number>;
  readonly sumMs: number;
}

/** What was counted of a script: a row of `ScriptTable`. */
export interface StatusScript {
  /** '' stands for all that are not told apart. */
  readonly script: string;
  readonly requests: number;
  readonly byStatus: ArrayLike<number>;
  readonly direct: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly sentBytes: number;
  /** States that were made for it, and the time that their first requests took together. */
  readonly loads: number;
  readonly loadMs: number;
  /** States of it that were made from its image. */
  readonly clones: number;
  /** How often it was loaded and could not be copied, by the reason (`NO_IMAGE` in `metrics/counters.ts`). */
  readonly noImage: Readonly<Record<string, number>>;
  /** Waits that blocked a worker. */
  readonly blockedWaits: number;
  readonly states: number;
  readonly memoryBytes: number;
  readonly queue: Times;
  readonly run: Times;
  readonly wait: Times;
}

export interface ScriptTable {
  /** Those asked for most first. '' stands for all that are not told apart. */
  readonly names: readonly string[];
  /** `SCRIPT_NUMBERS` numbers of each, in the order of the names. */
  readonly numbers: Float64Array;
}

/** Where the numbers of a script lie in its row: those that workers count, and those of the front. */
export const ScriptAt = {
  ...At,
  /** Requests that were answered, with whatever status. */
  REQUESTS: NUMBERS,
  STATES: NUMBERS + 1,
  MEMORY_BYTES: NUMBERS + 2,
  QUEUE_MS: NUMBERS + 3,
  /** `TIME_PLACES` numbers. */
  QUEUE_TIMES: NUMBERS + 4,
} as const;

export const SCRIPT_NUMBERS = ScriptAt.QUEUE_TIMES + TIME_PLACES;

/** The script in one row, as an object. */
export function scriptAt({ names, numbers }: ScriptTable, row: number): StatusScript {
  const start = row * SCRIPT_NUMBERS;
  const at = (place: number): number => numbers[start + place] ?? 0;
  const list = (place: number, count: number): Float64Array => numbers.subarray(start + place, start + place + count);
  const times = (place: number, sumAt: number): Times => ({ counts: list(place, TIME_PLACES), sumMs: at(sumAt) });
  const noImage: Record<string, number> = {};
  for (const [place, why] of NO_IMAGE.entries()) {
    const count = at(ScriptAt.NO_IMAGE + place);
    if (count > 0) noImage[why] = count;
  }
  return {
    script: names[row] ?? '',
    requests: at(ScriptAt.REQUESTS),
    byStatus: list(ScriptAt.STATUS, STATUS_CLASSES),
    direct: at(ScriptAt.DIRECT),
    failed: at(ScriptAt.FAILED),
    timedOut: at(ScriptAt.TIMED_OUT),
    sentBytes: at(ScriptAt.SENT_BYTES),
    loads: at(ScriptAt.LOADS),
    loadMs: at(ScriptAt.LOAD_MS),
    clones: at(ScriptAt.CLONES),
    noImage,
    blockedWaits: at(ScriptAt.BLOCKED),
    states: at(ScriptAt.STATES),
    memoryBytes: at(ScriptAt.MEMORY_BYTES),
    queue: times(ScriptAt.QUEUE_TIMES, ScriptAt.QUEUE_MS),
    run: times(ScriptAt.RUN_TIMES, ScriptAt.RUN_MS),
    wait: times(ScriptAt.WAIT_TIMES, ScriptAt.WAIT_MS),
  };
}

/** The scripts in the first rows, as objects. */
export function firstScripts(table: ScriptTable, most: number): StatusScript[] {
  return Array.from({ length: Math.min(most, table.names.length) }, (_, row) => scriptAt(table, row));
}
