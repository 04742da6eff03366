/**
 * Measures how long one request has run, tick by tick, and decides when it is interrupted and when its worker is lost. Time
 * in which a script waits for its client does not count: the client has limits of its own.
 */
import { InterruptRequest } from '../../channel/interrupts.js';
import type { RequestTimes } from './times.js';

/** The time that a script may take to stop when it is told to: one that still runs then never stops. */
export const GRACE_MS = 250;

/** The time that a worker may take to begin with a request, and to be done with one whose script is over. */
const BEGIN_MS = 2_000;

/**
 * The most that one look counts towards giving a worker up, when it comes later than looks should. This thread got no processor
 * then, or the process was stopped: the worker may have had none, either. Less than `GRACE_MS`, so one late look never decides.
 */
const LATE_LOOK_MS = 200;
/** A look that comes later than this after the one before is late. */
const PUNCTUAL_MS = 400;

/** How things stand with a request that a worker has. */
export interface RunFacts {
  /** The worker's thread has begun with it. */
  readonly hasBegun: boolean;
  /** Its script is over; the worker still has to post its END, and perhaps to close its state. */
  readonly isOver: boolean;
  /** Its script waits for more of its body, or until its output is read. */
  readonly isWaitingForClient: boolean;
  /** Its client has gone, and it is to be stopped for that. */
  readonly isUnwanted: boolean;
  /** Its time in all is over (`requesttime`). */
  readonly isOverdue: boolean;
  /** The running time after which it is stopped; 0: never. */
  readonly watchdogMs: number;
}

/** The result of a look at a run. */
export interface RunVerdict {
  /** The script is to be interrupted for these. */
  readonly interrupts: readonly InterruptRequest[];
  /** The worker is lost: it does not stop, or has not even begun. */
  readonly isWorkerLost: boolean;
}

const GOES_ON: RunVerdict = { interrupts: [], isWorkerLost: false };
const IS_LOST: RunVerdict = { interrupts: [], isWorkerLost: true };

export class RunClock {
  readonly #times: RequestTimes;
  #seenMs: number;
  /** The executed time at which the script last set its own limit: the limit counts from there. */
  #limitFromMs = 0;
  /** Time without the request having been begun with, and since its script was over; see `LATE_LOOK_MS`. */
  #idleMs = 0;
  /** Time since it was told to stop, if it was; see `LATE_LOOK_MS`. */
  #toldMs: number | undefined;
  #trace: 'not wanted' | 'wanted' | 'reported' = 'not wanted';

  /** The request begins. @param times where the time that it executes is kept */
  constructor(times: RequestTimes, nowMs: number) {
    this.#times = times;
    this.#seenMs = nowMs;
  }

  /** The request executes from now on: the time since the last look was not its own. */
  goOn(nowMs: number): void {
    this.#seenMs = nowMs;
  }

  /**
   * The script has set its limit anew, counted from now.
   * @param maxMs what it may give itself in all; 0: as much as it wants
   * @returns the limit that it gets
   */
  restart(limitMs: number, maxMs: number): number {
    this.#limitFromMs = this.#times.executedMs;
    if (maxMs === 0) return limitMs;
    const leftMs = Math.max(1, maxMs - this.#limitFromMs);
    return limitMs === 0 ? leftMs : Math.min(limitMs, leftMs);
  }

  /** Whether its Lua stack was asked for and has not been reported. */
  get isTraceWanted(): boolean {
    return this.#trace === 'wanted';
  }

  noteTraceReported(): void {
    this.#trace = 'reported';
  }

  /** The running time that counts against the limit. */
  get ranMs(): number {
    return this.#times.executedMs - this.#limitFromMs;
  }

  /** Looks at the request. @param slowMs the running time after which its Lua stack is wanted; 0: never */
  look(facts: RunFacts, nowMs: number, slowMs: number): RunVerdict {
    const sinceLookMs = nowMs - this.#seenMs;
    const passedMs = facts.isWaitingForClient ? 0 : sinceLookMs;
    const countedMs = passedMs > PUNCTUAL_MS ? LATE_LOOK_MS : passedMs;
    this.#seenMs = nowMs;
    if (facts.isOver) {
      // Its END may have to wait behind output for a slow reader; what the script took does not count here.
      this.#idleMs += countedMs;
      return this.#idleMs >= BEGIN_MS ? IS_LOST : GOES_ON;
    }
    this.#times.executedMs += passedMs;
    if (!facts.hasBegun) {
      this.#idleMs += countedMs;
      return this.#idleMs >= BEGIN_MS ? IS_LOST : GOES_ON;
    }
    this.#idleMs = 0;
    const interrupts: InterruptRequest[] = [];
    if (facts.isUnwanted) interrupts.push(InterruptRequest.UNWANTED);
    if (facts.isOverdue) interrupts.push(InterruptRequest.OVERDUE);
    if (slowMs > 0 && this.#trace === 'not wanted' && this.#times.executedMs >= slowMs) {
      this.#trace = 'wanted';
      interrupts.push(InterruptRequest.TRACE);
    }
    if (facts.watchdogMs === 0 || this.ranMs < facts.watchdogMs) return { interrupts, isWorkerLost: false };
    // Again at each look: a thread that was just about to sleep has not noticed the last one.
    interrupts.push(InterruptRequest.TIMEOUT);
    // Also while it waits for its client: it was told to stop.
    const lookMs = sinceLookMs > PUNCTUAL_MS ? LATE_LOOK_MS : sinceLookMs;
    this.#toldMs = this.#toldMs === undefined ? 0 : this.#toldMs + lookMs;
    return { interrupts, isWorkerLost: this.#toldMs >= GRACE_MS };
  }
}
