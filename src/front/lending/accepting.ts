/**
 * Who accepts new connections: workers where they can serve what comes by themselves, and the front as long as none of
 * them does. A part of the front's core.
 */
import { LONG_MS } from '../../pool/pool.js';
import type { LendingDriver } from '../model/actions.js';
import type { WorkerLink } from '../model/worker-link.js';

/** After so many accepted connections in a row that workers could do nothing with, the front accepts for a while. */
const ACCEPT_MISSES = 64;
const FRONT_ACCEPTS_MS = 20;
/** The while doubles each time, up to this. */
const FRONT_ACCEPTS_AT_MOST_MS = 1280;

export class Accepting {
  readonly #driver: LendingDriver | undefined;
  #frontAccepts = true;
  /**
   * EPOLLEXCLUSIVE reports a new connection to one worker. If that worker became busy with something long, or ended,
   * before accepting it, nobody else will: the front has to accept.
   */
  #mayBeLeft = false;
  #misses = 0;
  #frontAcceptsMs = FRONT_ACCEPTS_MS;
  /** Until then workers do not accept. */
  #workersAcceptFromMs = 0;

  constructor(driver: LendingDriver | undefined) {
    this.#driver = driver;
  }

  /**
   * Decides who accepts from now on.
   * @param hasRoom whether so many connections may be open as workers can accept before the front knows of them
   */
  review(workers: Iterable<WorkerLink>, hasRoom: boolean, nowMs: number): void {
    const may = hasRoom && nowMs >= this.#workersAcceptFromMs;
    let doWorkers = false;
    for (const worker of workers) {
      const { lending, busySinceMs } = worker;
      this.set(worker, may && !worker.isRetired && lending.ringElsewhere !== undefined);
      const isBusy = busySinceMs !== undefined && nowMs - busySinceMs >= LONG_MS;
      if (lending.accepts && isBusy && !lending.isLongBusy) this.#mayBeLeft = true;
      lending.isLongBusy = isBusy;
      if (lending.accepts && !isBusy) doWorkers = true;
    }
    if (this.#mayBeLeft) {
      this.#mayBeLeft = false;
      this.#driver?.acceptWaiting();
    }
    if (this.#frontAccepts !== doWorkers) return;
    this.#frontAccepts = !doWorkers;
    this.#driver?.setFrontAccepting(this.#frontAccepts);
  }

  /** Lets a worker accept, or keeps it from that. */
  set(worker: WorkerLink, accepts: boolean): void {
    const { lending } = worker;
    if (lending.accepts === accepts) return;
    lending.accepts = accepts;
    if (accepts) lending.mayBeServing = true;
    else this.#mayBeLeft = true;
    this.#driver?.setAccepting(lending.lender, accepts);
    if (accepts) worker.wake();
  }

  /**
   * Time has passed: accepts the connections that workers have left, for whatever reason. One that nobody accepts would
   * wait for ever.
   */
  tick(): void {
    if (!this.#frontAccepts) this.#driver?.acceptWaiting();
  }

  /** A worker's accept has failed: the next review has the front accept, which finds out why. */
  noteFailure(): void {
    this.#mayBeLeft = true;
  }

  /** A worker could do nothing with a connection that it has accepted. */
  noteMiss(nowMs: number): void {
    this.#misses += 1;
    if (this.#misses < ACCEPT_MISSES) return;
    this.#misses = ACCEPT_MISSES / 2;
    this.#workersAcceptFromMs = nowMs + this.#frontAcceptsMs;
    this.#frontAcceptsMs = Math.min(FRONT_ACCEPTS_AT_MOST_MS, 2 * this.#frontAcceptsMs);
  }

  /** Workers have served so many requests by themselves. */
  noteServed(count: number): void {
    this.#misses = Math.max(0, this.#misses - count);
    if (this.#misses === 0) this.#frontAcceptsMs = FRONT_ACCEPTS_MS;
  }

  /**
   * Whether `review` has to be called within a millisecond: a worker that accepted has ended, or workers that accept are
   * busy, perhaps for long.
   */
  isReviewDue(workers: Iterable<WorkerLink>): boolean {
    if (this.#mayBeLeft) return true;
    let areAllBusy = !this.#frontAccepts;
    for (const { lending, isBusy } of workers) {
      if (!lending.accepts) continue;
      if (!isBusy) areAllBusy = false;
      else if (!lending.isLongBusy) return true;
    }
    return areAllBusy;
  }
}
