/**
 * What a worker has done so far, script by script, in memory that it shares with the front. Only the worker writes there;
 * others read at any time, without a message, also while it hangs.
 *
 * All counts are 64-bit numbers, which processors write whole: a reader finds each count as it was before or after a
 * request. Two counts may be read in the middle of one request, one of them with it and the other without.
 *
 * The memory is bounded, whatever names scripts have: the last slot counts all scripts that found no slot of their own.
 */
import { placeOf, TIME_PLACES } from './histogram.js';

/** Slots for scripts in the memory of one worker. */
export const MOST_SCRIPTS = 1_024;
/** Bytes for the names of all of them. */
const NAME_BYTES = 128 * 1024;
/** Places for the memory of states; two states may share one, and the later counts. */
const STATE_PLACES = 1_024;
/** The name of those scripts that found no slot. No file has it. */
export const OTHER_SCRIPTS = '';

/** Requests by the hundreds of their status: 100 to 500; at 0 those that were answered without a status. */
export const STATUS_CLASSES = 6;

/**
 * Why a script that was loaded has no image: it has files open, holds a lock or has operations that are not over, holds something
 * of a data source, is larger than `images` allows, or a finalizer failed.
 */
export const NO_IMAGE = ['files', 'operations', 'source', 'limit', 'finalizer'] as const;
export type NoImage = (typeof NO_IMAGE)[number];

/** Where the numbers of a script lie in its slot. */
export const At = {
  /** `STATUS_CLASSES` numbers. */
  STATUS: 0,
  /** Requests that the worker has read from a connection by itself. */
  DIRECT: STATUS_CLASSES,
  SENT_BYTES: STATUS_CLASSES + 1,
  /** Requests whose script raised an error that nothing caught, and those that a time limit ended. */
  FAILED: STATUS_CLASSES + 2,
  TIMED_OUT: STATUS_CLASSES + 3,
  /** States that were made for requests, and how long their first requests ran. */
  LOADS: STATUS_CLASSES + 4,
  LOAD_MS: STATUS_CLASSES + 5,
  /** Waits for results that blocked the worker. */
  BLOCKED: STATUS_CLASSES + 6,
  /** Time in which scripts ran, without that in which they waited for results. */
  RUN_MS: STATUS_CLASSES + 7,
  WAIT_MS: STATUS_CLASSES + 8,
  /** `TIME_PLACES` numbers each. */
  RUN_TIMES: STATUS_CLASSES + 9,
  /** Only of requests that have waited. */
  WAIT_TIMES: STATUS_CLASSES + 9 + TIME_PLACES,
  /** States that were made from an image. */
  CLONES: STATUS_CLASSES + 9 + 2 * TIME_PLACES,
  /** A number for each of `NO_IMAGE`: how often the script was loaded and could not be copied. */
  NO_IMAGE: STATUS_CLASSES + 10 + 2 * TIME_PLACES,
} as const;

/** Numbers of a script. */
export const NUMBERS = At.NO_IMAGE + NO_IMAGE.length;

/** The parts of the shared memory: 32-bit words first, so that the numbers behind them are aligned. */
const USED_SLOTS = 0;
const USED_NAME_BYTES = 1;
const HEAD_WORDS = 2;
/** Of each slot: where its name begins and how long it is. */
const NAME_PLACES_AT = HEAD_WORDS * 4;
const NAMES_AT = NAME_PLACES_AT + MOST_SCRIPTS * 8;
/** Two numbers: requests of all scripts, and connections that the worker has accepted and closed. */
const TOTAL_AT = NAMES_AT + NAME_BYTES;
const TOTALS = 2;
const STATES_AT = TOTAL_AT + TOTALS * 8;
const SLOTS_AT = STATES_AT + STATE_PLACES * 16;
const TOTAL_BYTES = SLOTS_AT + MOST_SCRIPTS * NUMBERS * 8;

/** The memory of one worker. The system gives its pages only when they are written. */
export function createCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(TOTAL_BYTES);
}

/** A request that is over, as far as its worker knows. */
export interface CountedRun {
  /** Its file, one character per byte. */
  readonly script: string;
  /** 0: none was sent. */
  readonly status: number;
  /** Bytes of its answer, header block included. */
  readonly sentBytes: number;
  /** From its begin to its end, waits included. */
  readonly tookMs: number;
  /** How long it waited for results; 0 when it never did. */
  readonly waitedMs: number;
  /** The worker had read it from a connection by itself. */
  readonly isDirect: boolean;
  /** Its state was made for it. */
  readonly isLoad: boolean;
  readonly isFailed: boolean;
  readonly isTimedOut: boolean;
}

/** The end of the worker. */
export class WorkerCounters {
  readonly #words: Int32Array;
  readonly #namePlaces: Int32Array;
  readonly #names: Buffer;
  readonly #total: Float64Array;
  readonly #states: Float64Array;
  readonly #numbers: Float64Array;
  /** Where the numbers of a script begin. */
  readonly #slots = new Map<string, number>();

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, HEAD_WORDS);
    this.#namePlaces = new Int32Array(shared, NAME_PLACES_AT, MOST_SCRIPTS * 2);
    this.#names = Buffer.from(shared, NAMES_AT, NAME_BYTES);
    this.#total = new Float64Array(shared, TOTAL_AT, TOTALS);
    this.#states = new Float64Array(shared, STATES_AT, STATE_PLACES * 2);
    this.#numbers = new Float64Array(shared, SLOTS_AT, MOST_SCRIPTS * NUMBERS);
  }

  note(run: CountedRun): void {
    const { script, status, tookMs, waitedMs } = run;
    const slot = this.#slots.get(script) ?? this.#newSlot(script);
    const hundreds = Math.trunc(status / 100);
    this.#add(slot + At.STATUS + (hundreds < STATUS_CLASSES ? hundreds : 0), 1);
    if (run.isDirect) this.#add(slot + At.DIRECT, 1);
    this.#add(slot + At.SENT_BYTES, run.sentBytes);
    const ranMs = Math.max(0, tookMs - waitedMs);
    this.#add(slot + At.RUN_MS, ranMs);
    this.#add(slot + At.RUN_TIMES + placeOf(ranMs), 1);
    if (waitedMs > 0) {
      this.#add(slot + At.WAIT_MS, waitedMs);
      this.#add(slot + At.WAIT_TIMES + placeOf(waitedMs), 1);
    }
    if (run.isLoad) {
      this.#add(slot + At.LOADS, 1);
      this.#add(slot + At.LOAD_MS, ranMs);
    }
    if (run.isFailed) this.#add(slot + At.FAILED, 1);
    if (run.isTimedOut) this.#add(slot + At.TIMED_OUT, 1);
    this.#total[0] = (this.#total[0] as number) + 1;
  }

  /** The worker has accepted a connection for one request and closed it: the front never knew it. */
  noteOwnConnection(): void {
    this.#total[1] = (this.#total[1] as number) + 1;
  }

  /** A wait for a result has blocked the worker. */
  noteBlocked(script: string): void {
    this.#add((this.#slots.get(script) ?? this.#newSlot(script)) + At.BLOCKED, 1);
  }

  /** A state was made from its script's image. */
  noteClone(script: string): void {
    this.#add((this.#slots.get(script) ?? this.#newSlot(script)) + At.CLONES, 1);
  }

  /** A script was loaded and could not be copied. */
  noteNoImage(script: string, why: NoImage): void {
    this.#add((this.#slots.get(script) ?? this.#newSlot(script)) + At.NO_IMAGE + NO_IMAGE.indexOf(why), 1);
  }

  /** So much memory a state has now. */
  noteMemory(state: number, bytes: number): void {
    const place = (state % STATE_PLACES) * 2;
    this.#states[place] = state;
    this.#states[place + 1] = bytes;
  }

  #newSlot(script: string): number {
    const used = this.#words[USED_SLOTS] as number;
    const nameStart = this.#words[USED_NAME_BYTES] as number;
    // The last slot is that of all others.
    const hasRoom = used < MOST_SCRIPTS - 1 && nameStart + script.length <= NAME_BYTES;
    if (!hasRoom || script === OTHER_SCRIPTS) return (MOST_SCRIPTS - 1) * NUMBERS;
    this.#names.write(script, nameStart, 'latin1');
    this.#namePlaces[used * 2] = nameStart;
    this.#namePlaces[used * 2 + 1] = script.length;
    this.#words[USED_NAME_BYTES] = nameStart + script.length;
    // Readers look at no slot before this says that it is there.
    Atomics.store(this.#words, USED_SLOTS, used + 1);
    const slot = used * NUMBERS;
    this.#slots.set(script, slot);
    return slot;
  }

  #add(at: number, count: number): void {
    this.#numbers[at] = (this.#numbers[at] as number) + count;
  }
}

/** The end of those who read. */
export class CountersView {
  readonly #words: Int32Array;
  readonly #namePlaces: Int32Array;
  readonly #names: Buffer;
  readonly #total: Float64Array;
  readonly #states: Float64Array;
  readonly #numbers: Float64Array;
  /** Names of slots that were read before: a name stays as it is. */
  readonly #knownNames: string[] = [];

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, HEAD_WORDS);
    this.#namePlaces = new Int32Array(shared, NAME_PLACES_AT, MOST_SCRIPTS * 2);
    this.#names = Buffer.from(shared, NAMES_AT, NAME_BYTES);
    this.#total = new Float64Array(shared, TOTAL_AT, TOTALS);
    this.#states = new Float64Array(shared, STATES_AT, STATE_PLACES * 2);
    this.#numbers = new Float64Array(shared, SLOTS_AT, MOST_SCRIPTS * NUMBERS);
  }

  /** Requests of all scripts. */
  get total(): number {
    return this.#total[0] as number;
  }

  /** Connections that the worker has accepted and closed without the front. */
  get ownConnections(): number {
    return this.#total[1] as number;
  }

  /** The memory of a state; undefined where it is not known. */
  memoryOf(state: number): number | undefined {
    const place = (state % STATE_PLACES) * 2;
    return this.#states[place] === state ? this.#states[place + 1] : undefined;
  }

  /**
   * Visits each script, and at last all scripts without a slot. The numbers of a script begin at `start` of `numbers`, which is
   * shared memory.
   */
  visitScripts(visit: (script: string, numbers: Float64Array, start: number) => void): void {
    const used = Atomics.load(this.#words, USED_SLOTS);
    for (let slot = 0; slot < used; slot += 1) visit(this.#nameOf(slot), this.#numbers, slot * NUMBERS);
    visit(OTHER_SCRIPTS, this.#numbers, (MOST_SCRIPTS - 1) * NUMBERS);
  }

  #nameOf(slot: number): string {
    const known = this.#knownNames[slot];
    if (known !== undefined) return known;
    const start = this.#namePlaces[slot * 2] as number;
    const name = this.#names.toString('latin1', start, start + (this.#namePlaces[slot * 2 + 1] as number));
    this.#knownNames[slot] = name;
    return name;
  }
}
