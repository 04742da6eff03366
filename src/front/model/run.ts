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

  /** @param evicted the state that its worker closes before */
  constructor(request: FrontRequest, state: PoolState, nowMs: number, evicted?: PoolState) {
    this.evicted = evicted;
    this.request = request;
    this.state = state;
    this.clock = new RunClock(request.times, nowMs);
  }

  /** When its worker was given it. */
  get startedMs(): number {
    return this.request.times.startedMs ?? 0;
  }
}
