/**
 * How long requests have run, and what follows from that. Time in which a script waits for its client does not count: it
 * is the client's, who has limits of his own. It is measured by looking, tick by tick.
 */
import { InterruptRequest } from '../../channel/interrupts.js';
import type { FrontActions } from './actions.js';
import type { FrontRequest } from './request.js';
import type { WorkerLink } from './worker-link.js';

/** How long a script that is told to stop may take: who does not stop by then never will. */
export const GRACE_MS = 250;

/**
 * The time that a worker may take to begin with a request, and to be done with one whose script is over: what it does
 * then is short, or it hangs.
 */
const BEGIN_MS = 2_000;

/** The time that a worker may take to close states when nothing else keeps it. */
const CLOSE_MS = 5_000;

/** Looks at a worker without a request. @returns whether it is lost: it does not do what it was told */
export function isStuck(worker: WorkerLink, passedMs: number): boolean {
  worker.owedMs = worker.owed === 0 ? 0 : worker.owedMs + passedMs;
  return worker.owedMs >= CLOSE_MS;
}

/** The running time of one worker's request. */
export class RunClock {
  #ranMs = 0;
  #seenMs = 0;
  /** Since the script was over. */
  #overMs = 0;
  /** When it was told to stop, if it was. */
  #toldMs: number | undefined;
  #trace: 'not wanted' | 'wanted' | 'told' = 'not wanted';

  /** A request begins. */
  begin(nowMs: number): void {
    this.#ranMs = 0;
    this.#overMs = 0;
    this.#seenMs = nowMs;
    this.#toldMs = undefined;
    this.#trace = 'not wanted';
  }

  /** The script has set its limit anew, counted from now. */
  restart(): void {
    this.#ranMs = 0;
  }

  /** Whether its Lua stack is wanted and was not told. */
  get isTraceWanted(): boolean {
    return this.#trace === 'wanted';
  }

  traced(): void {
    this.#trace = 'told';
  }

  get ranMs(): number {
    return this.#ranMs;
  }

  /**
   * Looks at a running request and tells it to stop when its time is over.
   * @returns whether its worker is lost: it does not stop, or has not even begun
   */
  look(worker: WorkerLink, request: FrontRequest, actions: FrontActions, nowMs: number, slowMs: number): boolean {
    const passedMs = worker.isWaitingForClient ? 0 : nowMs - this.#seenMs;
    this.#seenMs = nowMs;
    if (worker.isOver(request)) {
      // Its last words may have to wait for a slow reader; what the script took does not count here.
      this.#overMs += passedMs;
      return this.#overMs >= BEGIN_MS;
    }
    this.#ranMs += passedMs;
    if (worker.hasBegun(request)) {
      if (request.isClientGone && request.stopsOnAbort)
        actions.interrupt(worker.id, request.id, InterruptRequest.UNWANTED);
      if (slowMs > 0 && this.#trace === 'not wanted' && this.#ranMs >= slowMs) {
        this.#trace = 'wanted';
        actions.interrupt(worker.id, request.id, InterruptRequest.TRACE);
      }
      if (request.watchdogMs === 0 || this.#ranMs < request.watchdogMs) return false;
      // Again each time: a thread that was just about to sleep has not noticed.
      actions.interrupt(worker.id, request.id, InterruptRequest.TIMEOUT);
      this.#toldMs ??= nowMs;
      return nowMs - this.#toldMs >= GRACE_MS;
    }
    return this.#ranMs >= BEGIN_MS;
  }
}
