/** A request on its worker: from the moment in which the worker was given it until its END is handled. */
import type { PoolState } from '../../pool/pool.js';
import type { FrontRequest } from './request.js';
import { RunClock } from './run-clock.js';

export class Run {
  readonly request: FrontRequest;
  readonly state: PoolState;
  readonly evicted: PoolState | undefined;
  readonly clock: RunClock;
  /** Its output waits in the worker's ring until its client has read more. */
  isOutputHeld = false;
  /** Ticks in a row that found it so. */
  heldTicks = 0;
  /** Its worker was told so, and was not told since then that it may go on. */
  mayBeHeld = false;
  /** Since when its worker executes it without a pause, or is about to. */
  executingSinceMs: number;
  /** When its worker was first seen to have come to it, since it executes. */
  begunMs: number | undefined;
  /** What its script waits for, a `WaitsFor`; 0: it executes, or is about to. Its worker may run others meanwhile. */
  waitsFor = 0;
  /** How often its Lua stack was asked for since it last came. */
  stacksWanted = 0;
  /** The line that its script was at when it was found to be slow, `file:line`; '' before. */
  slowLine = '';
  /** It was told to end where it waits. */
  isCancelled = false;

  /** @param evicted the state that its worker closes before */
  constructor(request: FrontRequest, state: PoolState, nowMs: number, evicted?: PoolState) {
    this.evicted = evicted;
    this.request = request;
    this.state = state;
    this.executingSinceMs = nowMs;
    this.clock = new RunClock(request.times, nowMs);
  }

  /** Its worker comes to it now. */
  executesFrom(nowMs: number): void {
    this.executingSinceMs = nowMs;
    this.begunMs = undefined;
    this.clock.goOn(nowMs);
  }

  get isSuspended(): boolean {
    return this.waitsFor !== 0;
  }

  /** When its worker was given it. */
  get startedMs(): number {
    return this.request.times.startedMs ?? 0;
  }
}
