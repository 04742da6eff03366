/**
 * Which waiting request is worth offering to which busy worker: one that has the script's state and will be at it soon.
 * An offered request still waits and counts as waiting. The offer holds no state, and is taken back when another worker
 * could serve the request.
 */
import { type Offer, type OfferDesk, Offers } from './offers.js';
import { LONG_MS, OFFERS_AT_MOST, UNKNOWN_MS } from './policy.js';
import type { PoolLimits, PoolState, State, Worker } from './records.js';
import type { StateTable } from './state-table.js';
import type { Waiter, WaitQueue } from './wait-queue.js';

/** A waiter that is offered to a busy worker, to run in this state of it. */
export interface OfferOrder<W extends Waiter> {
  readonly waiter: W;
  readonly state: PoolState;
  readonly offer: number;
}

/** Lines looked at for one more offer: a request further behind would not be served sooner by one. */
const LINES_LOOKED_AT = 16;

export class Offering<W extends Waiter> {
  readonly #workers: ReadonlyMap<number, Worker>;
  readonly #states: StateTable;
  readonly #line: WaitQueue<W>;
  readonly #offers: Offers<W, State>;
  limits: PoolLimits;

  constructor(
    limits: PoolLimits,
    workers: ReadonlyMap<number, Worker>,
    states: StateTable,
    line: WaitQueue<W>,
    desk: OfferDesk<W>,
  ) {
    this.limits = limits;
    this.#workers = workers;
    this.#states = states;
    this.#line = line;
    this.#offers = new Offers(desk, line);
  }

  get count(): number {
    return this.#offers.count;
  }

  countOf(worker: number): number {
    return this.#offers.of(worker).length;
  }

  /** See `Offers`. */
  withdraw(waiter: W): boolean {
    return this.#offers.withdraw(waiter);
  }

  takeBack(worker: number, state?: State): void {
    this.#offers.takeBack(worker, state);
  }

  workerGone(worker: number): W[] {
    return this.#offers.workerGone(worker);
  }

  /** The next request that is worth offering, with its state; undefined when none is. */
  next(withinMs: number, nowMs: number): OfferOrder<W> | undefined {
    // Make no offers past the queue limit: those requests must start now or be turned away. The same holds for requests
    // that fit only because a worker is serving directly: they must still be in the queue when it becomes free.
    if (this.#line.size > this.limits.queue) return undefined;
    let waiter = this.#line.head;
    if (waiter === undefined || !this.#isAnyReady(withinMs, nowMs)) return undefined;
    for (let left = LINES_LOOKED_AT; waiter !== undefined && left > 0; left -= 1) {
      const state = this.#soonestState(waiter, withinMs, nowMs);
      if (state !== undefined) {
        const { number } = this.#offers.make(state.home.id, state, waiter);
        this.#line.endTurn(waiter.script);
        return { waiter, state, offer: number };
      }
      // A request whose turn it is must not be passed over by requests that happen to have a state at hand: a busy worker
      // has to become free for it. But when all states of its script are on workers that take no offers, no other worker
      // can serve it, and the next script's turn comes.
      if (!this.#waitsElsewhere(waiter.script, withinMs, nowMs)) return undefined;
      waiter = this.#line.headAfter(waiter);
    }
    return undefined;
  }

  /** Takes the offers back of workers whose request takes longer than another should wait behind it. */
  review(nowMs: number): void {
    if (this.#offers.count === 0) return;
    for (const worker of this.#workers.values()) {
      if (nowMs - worker.sinceMs >= LONG_MS) this.#offers.takeBack(worker.id);
    }
  }

  /** The offer that a worker finds next. */
  first(worker: number): Offer<W, State> | undefined {
    return this.#offers.of(worker)[0];
  }

  begun(offer: Offer<W, State>): void {
    this.#offers.begun(offer);
  }

  bounced(offer: Offer<W, State>): void {
    this.#offers.bounced(offer);
  }

  /** Whether the state's worker has begun with a request in it that counts as offered still. */
  isTaken(state: State): boolean {
    return this.#offers.of(state.worker).some((offer) => offer.state === state && offer.isTaken);
  }

  /** When a busy worker will be at a new offer, in milliseconds from now; UNKNOWN_MS when it takes none. */
  #readyMs(worker: Worker, nowMs: number): number {
    const { running } = worker;
    const offers = this.#offers.of(worker.id);
    const isOpen = running !== undefined && !worker.isRetired && offers.length < OFFERS_AT_MOST;
    if (!isOpen || nowMs - worker.sinceMs >= LONG_MS) return UNKNOWN_MS;
    let readyMs = running.expectedMs;
    for (const { state } of offers) readyMs += state.expectedMs;
    return readyMs;
  }

  #isAnyReady(withinMs: number, nowMs: number): boolean {
    for (const worker of this.#workers.values()) if (this.#readyMs(worker, nowMs) <= withinMs) return true;
    return false;
  }

  /** The state in which a busy worker can run this request soonest. */
  #soonestState(waiter: W, withinMs: number, nowMs: number): State | undefined {
    let found: State | undefined;
    let soonestMs = withinMs;
    for (const worker of this.#workers.values()) {
      const readyMs = this.#readyMs(worker, nowMs);
      if (readyMs > soonestMs || (found !== undefined && readyMs === soonestMs)) continue;
      const state = this.#stateOn(worker, waiter.script);
      if (state === undefined || !this.#offers.isPossible(worker.id, waiter)) continue;
      found = state;
      soonestMs = readyMs;
    }
    return found;
  }

  /** Whether a script has all the states it may have, and none of them on a worker that takes offers. */
  #waitsElsewhere(script: string, withinMs: number, nowMs: number): boolean {
    if (this.#states.countOf(script) < this.limits.clones) return false;
    for (const worker of this.#workers.values()) {
      if (this.#readyMs(worker, nowMs) <= withinMs && this.#stateOn(worker, script) !== undefined) return false;
    }
    return true;
  }

  /** The state in which a busy worker could run a request of this script next. */
  #stateOn(worker: Worker, script: string): State | undefined {
    const state = worker.running?.script === script ? worker.running : worker.idle.get(script)?.at(-1);
    if (state === undefined || state.isStale) return undefined;
    const { maxCount } = this.limits;
    if (maxCount === 0) return state;
    // A state's last request is never offered: that one has to tell the worker to close the state.
    const offered = this.#offers.of(worker.id).filter((offer) => offer.state === state).length;
    return state.uses + offered + 1 < maxCount ? state : undefined;
  }
}
