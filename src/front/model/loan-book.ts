/** The connections that are lent to one worker, and the state of that worker's direct service, as the front knows it. */
import type { Lender } from '../../channel/lending.js';
import type { Loans } from './connection.js';
import type { FrontConnection } from './request.js';

/** A worker whose lent connections have starved is lent none for so long. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 6400;

export class LoanBook implements Loans<FrontConnection> {
  /** The words and the gate that are shared with the worker. */
  readonly lender: Lender;
  readonly connections = new Set<FrontConnection>();
  /** Rings the bell that wakes the worker where it waits for lent connections; undefined: it can be lent none. */
  ringElsewhere: (() => void) | undefined;
  /** It may accept connections. */
  accepts = false;
  /** It has been busy for long. The front has accepted the connections that epoll had reported to it. */
  isLongBusy = false;
  /** It may serve a connection that is lent to it or that it accepts. */
  mayBeServing = false;
  /** The front holds the gate. */
  isGateHeld = false;
  /** Counts as busy: it was, or may have been, serving a lent connection when the front needed it. */
  isServingDirect = false;
  /** Since when it has been given one request after the other. */
  givenSinceMs = Number.POSITIVE_INFINITY;
  /** Since when it has had lent connections without a pause. */
  lentSinceMs = 0;
  /** Its connections were never served between those requests: it is lent none until then, or until it is free again. */
  pausedUntilMs = 0;
  #pauseMs = 0;
  /** States that are busy with requests which it serves by itself, and which waited when the gate was held. */
  readonly waitingStates = new Set<number>();
  /** Requests wait for a state of its, so it begins with nothing more on its own. */
  isWantedForStates = false;
  /** Script paths whose requests it may run by itself, and the states to run them in. */
  readonly routes = new Map<string, Set<number>>();
  readonly routedStates = new Set<number>();
  /** Counts how often the routes were invalidated. */
  routesEpoch = 0;
  /** How many requests it had begun by itself when that number was last seen to change, and when that was. */
  seenBegun = 0;
  seenMs = 0;
  /** Since when it has been at what looked long first, and the processor time of its thread then. */
  longLook: { readonly sinceMs: number; readonly cpuMs: number } | undefined;

  constructor(lender: Lender) {
    this.lender = lender;
  }

  /** It is lent nothing for a while, each time for twice as long until it is free. */
  pause(nowMs: number): void {
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, 2 * this.#pauseMs));
    this.pausedUntilMs = nowMs + this.#pauseMs;
  }

  /** It is free. */
  noteFree(): void {
    this.givenSinceMs = Number.POSITIVE_INFINITY;
    this.pausedUntilMs = 0;
    this.#pauseMs = 0;
  }

  /** The states that its routes have for the same script as for this one. */
  statesRoutedWith(state: number): number[] {
    for (const states of this.routes.values()) if (states.has(state)) return [...states];
    return [];
  }

  /** Its routes hold no longer. */
  invalidateRoutes(): void {
    this.routes.clear();
    this.routedStates.clear();
    this.routesEpoch += 1;
    this.lender.invalidateRoutes();
  }
}
