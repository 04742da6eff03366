/**
 * The books: which states exist, on which worker, idle or busy; which requests wait, and which may start. The pool
 * decides nothing itself (`policy.ts`) and calls nobody: the front asks, and carries out the answer.
 *
 * Limits hold at every moment because a state counts from the moment it is assigned until its worker has reported it
 * closed (an evicted one counts for its script only: the worker closes it before it creates the one that takes its
 * place), and because each worker has its share of `states`: the shares add up to the limit, so a free worker can
 * always make room by itself and never waits for a busy one.
 *
 * A waiting request may be offered to a busy worker ahead of time, which then need not sleep between two short ones. It
 * still waits, and counts as waiting: the offer is taken back when it could be served elsewhere, and holds no state.
 */
import { auditPool } from './audit.js';
import { Offering, type OfferOrder } from './offering.js';
import type { OfferDesk } from './offers.js';
import { decide, UNKNOWN_MS } from './policy.js';
import type { Assignment, PoolCounts, PoolLimits, PoolState, State, Worker } from './records.js';
import { StateTable } from './state-table.js';
import { type Waiter, WaitQueue } from './wait-queue.js';
import { WorkerTable } from './worker-table.js';

export type { OfferOrder } from './offering.js';
export type { OfferDesk } from './offers.js';
export { LONG_MS } from './policy.js';
export type { Assignment, PoolCounts, PoolLimits, PoolState } from './records.js';
export type { Place, Waiter } from './wait-queue.js';

export class Pool<W extends Waiter> {
  #limits: PoolLimits;
  readonly #workers = new WorkerTable();
  readonly #states: StateTable;
  readonly #line: WaitQueue<W>;
  readonly #offers: Offering<W>;

  constructor(limits: PoolLimits, desk: OfferDesk<W>) {
    this.#limits = limits;
    this.#line = new WaitQueue(limits.queue);
    this.#states = new StateTable(limits);
    this.#offers = new Offering(limits, this.#workers.byId, this.#states, this.#line, desk);
  }

  /** Other limits from now on: workers that are there keep their shares, so they have to be retired for others. */
  setLimits(limits: PoolLimits, nowMs: number): void {
    this.#states.setLimits(limits, nowMs);
    this.#offers.limits = limits;
    this.#limits = limits;
    this.#limitLine();
  }

  /** A worker is ready. `index` (0 to `workers` - 1) is its place, which a replacement takes over. */
  addWorker(id: number, index: number): void {
    const { states, workers } = this.#limits;
    const share = Math.floor(states / workers) + (index < states % workers ? 1 : 0);
    if (share > 0) this.#workers.add(id, share);
  }

  /**
   * A worker gets no more requests: it is to end after what it has begun with, or it has ended already and its last
   * messages are still to be read. Offers that it has not begun with go back into the queue.
   */
  retireWorker(id: number): void {
    this.#offers.takeBack(id);
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.isRetired = true;
    this.#workers.free.delete(worker);
    const hasRun = [...this.#states.values()].some((state) => state.home === worker && state.status === 'busy');
    if (!hasRun) return;
    // It can close its idle states only when its request ends, which may take long. They are given up now, so that others
    // need not wait for their places. A state that the worker has just begun with is kept: its message is on the way.
    for (const state of this.#states.values()) {
      if (state.home === worker && state.status === 'idle' && !this.#offers.isTaken(state)) this.#states.forget(state);
    }
  }

  /** A worker is gone, and all its states with it. @returns offered waiters that it had begun with, as is found now */
  removeWorker(id: number): W[] {
    const lost = this.#offers.workerGone(id);
    const worker = this.#workers.get(id);
    if (worker === undefined) return lost;
    this.#workers.remove(worker);
    this.#limitLine();
    for (const state of this.#states.values()) if (state.home === worker) this.#states.forget(state);
    for (const state of this.#states.evicted.values()) if (state.home === worker) this.closed(state.id);
    return lost;
  }

  /** A request asks for a state: see `assign`. */
  join(waiter: W): void {
    this.#line.join(waiter);
  }

  get isAnyoneWaiting(): boolean {
    return this.#line.size > 0;
  }

  /** Requests that wait for a state. */
  get waitingCount(): number {
    return this.#line.size;
  }

  /** A worker without a request serves a lent connection, or does so no longer. */
  setOccupied(id: number, isServingDirect: boolean): void {
    this.#workers.setOccupied(id, isServingDirect);
    this.#limitLine();
  }

  /** A worker that is occupied will be so for long: requests do not wait for its states any more. */
  setAway(id: number): void {
    this.#workers.setAway(id);
  }

  /** Whether that was said of a worker. */
  isAway(id: number): boolean {
    return this.#workers.isAway(id);
  }

  /**
   * A worker that serves a lent connection is free again in moments, or turns out to run a request. Until that is known, the
   * queue limit is one higher for it, so that no request is turned away because of it.
   */
  #limitLine(): void {
    this.#line.limit = this.#limits.queue + this.#workers.servingDirect;
  }

  /**
   * A worker has begun with a request by itself, in a state of its own: that is busy from now on, until `release`.
   * @param script of the state, should the books have given it up already
   */
  begun(workerId: number, stateId: number, script: string, nowMs: number): PoolState {
    const state = this.begunWaiting(workerId, stateId, script, nowMs);
    // What the books have it execute was given to it meanwhile: it comes to that later.
    this.resumed(stateId, nowMs);
    return state;
  }

  /** The same, and the request waits for a result: its worker may run others meanwhile. */
  begunWaiting(workerId: number, stateId: number, script: string, nowMs: number): PoolState {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) throw new Error(`worker ${workerId} is not here`);
    const state = this.#states.beginOwn(stateId, script, worker);
    this.#states.noteUses(state, 1, nowMs);
    return state;
  }

  /** A request that its worker serves by itself waits in this state. False: the books have another in it, which must be over. */
  noteWaiting(stateId: number): boolean {
    const state = this.#states.get(stateId);
    if (state?.status === 'busy') return false;
    if (state !== undefined) this.#states.beginOwn(stateId, state.script, state.home).hasWaited = true;
    return true;
  }

  /** A state has served some requests that the books did not know of, which usually take so long. */
  served(stateId: number, count: number, usualMs: number, nowMs: number): PoolState | undefined {
    const state = this.#states.get(stateId);
    if (state === undefined) return undefined;
    state.usualMs = usualMs;
    state.expectedMs = state.hasWaited ? UNKNOWN_MS : usualMs;
    const isListed = state.status === 'idle';
    if (isListed) this.#states.unlist(state);
    this.#states.noteUses(state, count, nowMs);
    if (isListed) this.#states.list(state);
    return state;
  }

  /** When no more can start and more wait than may: the request to turn away, which the caller then takes out by `leave`. */
  excess(): W | undefined {
    return this.#line.excess();
  }

  /** A request gives up waiting. Returns false if a worker has begun with it, as `beginOffered` will tell. */
  leave(waiter: W): boolean {
    if (!this.#offers.withdraw(waiter)) return false;
    this.#line.leave(waiter);
    return true;
  }

  /** Requests that have waited since before `beforeMs`. */
  waitingSince(beforeMs: number): W[] {
    return this.#line.arrivedBefore(beforeMs);
  }

  /** The next request that can start now, with its state; undefined when none can. Call until then. */
  assign(nowMs: number): Assignment<W> | undefined {
    if (this.#workers.free.size === 0) return undefined;
    for (let waiter = this.#line.head; waiter !== undefined; waiter = this.#line.headAfter(waiter)) {
      const idle = this.#workers.idleStateOf(waiter.script);
      // That worker will be free in a moment, or be found to run a request: do not make one more state for this one.
      if (idle === undefined && this.#workers.isServingDirectWith(waiter.script)) continue;
      const decision = decide<State, Worker>({
        idle,
        scriptStates: this.#states.countOf(waiter.script),
        clones: this.#limits.clones,
        isFull: this.#states.size >= this.#limits.states,
        freeWorkers: this.#workers.free,
      });
      if (decision.action === 'wait') continue;
      this.#line.leave(waiter);
      this.#line.endTurn(waiter.script);
      if (decision.action === 'use') return this.#occupy(waiter, decision.state, nowMs, undefined);
      if (decision.evict !== undefined) this.#states.evict(decision.evict);
      const state = this.#states.create(waiter.script, decision.worker);
      return this.#occupy(waiter, state, nowMs, decision.evict);
    }
    return undefined;
  }

  /**
   * The next request that is worth offering to a busy worker: one that has the script's state and will be at it within
   * `withinMs`, by estimate. Call until there is none.
   */
  offer(withinMs: number, nowMs: number): OfferOrder<W> | undefined {
    return this.#offers.next(withinMs, nowMs);
  }

  /** Whether anything is offered: then `reviewOffers` has to be called every so often. */
  get hasOffers(): boolean {
    return this.#offers.count > 0;
  }

  /** Takes the offers back of workers whose request takes longer than one should wait behind. */
  reviewOffers(nowMs: number): void {
    this.#offers.review(nowMs);
  }

  /** A worker has ended a request: what it was offered next is what it runs now. Undefined when there is nothing. */
  beginOffered(workerId: number, nowMs: number): OfferOrder<W> | undefined {
    const worker = this.#workers.get(workerId);
    const next = this.#offers.first(workerId);
    if (worker === undefined || next === undefined || worker.running !== undefined) return undefined;
    if (this.#states.get(next.state.id) === next.state && !next.state.isSuspended) {
      const { waiter, state, number } = next;
      worker.isBouncing = false;
      this.#offers.begun(next);
      this.#occupy(waiter, state, nowMs, undefined);
      return { waiter, state, offer: number };
    }
    // The worker took it just when its state was closed, or when the request in its state began to wait. It is not free
    // before it has reported that.
    worker.isBouncing = true;
    this.#workers.free.delete(worker);
    return undefined;
  }

  /** A worker could not begin with what it was offered: its state is gone. */
  bounced(workerId: number): void {
    const worker = this.#workers.get(workerId);
    const first = this.#offers.first(workerId);
    if (worker === undefined || first === undefined) return;
    worker.isBouncing = false;
    this.#workers.listIfFree(worker);
    this.#offers.bounced(first);
  }

  /**
   * The state's request is over and its worker free, but for what it was offered.
   * @param isGone the worker has closed the state already
   * @param tookMs how long the request ran
   * @returns whether the worker has to be told to close it, since one of its files has changed
   */
  release(stateId: number, isGone: boolean, tookMs: number): boolean {
    const state = this.#states.get(stateId);
    if (state === undefined) return false;
    const worker = state.home;
    state.isSuspended = false;
    this.#leave(state);
    this.#states.noteTook(state, tookMs);
    if (isGone) {
      this.#states.forget(state);
      this.#offers.takeBack(worker.id, state);
      return false;
    }
    if (state.isStale && !this.#offers.isTaken(state)) {
      state.status = 'closing';
      return !state.isToldToClose;
    }
    this.#states.list(state);
    return false;
  }

  /** The state's request waits for a result: the state stays busy, its worker may run other requests. */
  suspend(stateId: number): void {
    const state = this.#states.get(stateId);
    if (state === undefined || state.isSuspended) return;
    state.isSuspended = true;
    state.hasWaited = true;
    // None may run in it meanwhile.
    this.#offers.takeBack(state.home.id, state);
    this.#leave(state);
  }

  /** The worker goes on with the request of a suspended state, before what it was given meanwhile. */
  resumed(stateId: number, nowMs: number): void {
    const state = this.#states.get(stateId);
    if (state === undefined || !state.isSuspended) return;
    state.isSuspended = false;
    state.home.active.unshift(state);
    state.home.sinceMs = nowMs;
    this.#workers.free.delete(state.home);
  }

  /** A worker executes the state's request no longer. */
  #leave(state: State): void {
    const { active } = state.home;
    if (active.includes(state)) active.splice(active.indexOf(state), 1);
    this.#workers.listIfFree(state.home);
  }

  /** Whether a state was evicted, and its worker has not closed it yet. */
  isEvicted(stateId: number): boolean {
    return this.#states.evicted.has(stateId);
  }

  /** A worker has closed the state as asked, or because it was evicted. */
  closed(stateId: number): void {
    this.#states.closed(stateId);
  }

  /** Notes a file that a state was made from. The first fingerprint counts: it is what the state has loaded. */
  addDependency(stateId: number, path: string, fingerprint: string): void {
    const known = this.#states.get(stateId)?.dependencies;
    if (known !== undefined && !known.has(path)) known.set(path, fingerprint);
  }

  /**
   * Takes out of service all states for which `isStale` holds: idle ones at once, busy ones when they finish.
   * @returns idle states that their workers have to be told to close
   */
  retireStale(isStale: (state: PoolState) => boolean): PoolState[] {
    const toClose: PoolState[] = [];
    for (const state of this.#states.values()) {
      if (state.status === 'closing' || state.isStale || !isStale(state)) continue;
      state.isStale = true;
      this.#offers.takeBack(state.worker, state);
      if (state.status === 'busy' || this.#offers.isTaken(state)) continue;
      this.#states.unlist(state);
      state.status = 'closing';
      toClose.push(state);
    }
    return toClose;
  }

  /** The state with this number. */
  state(id: number): PoolState | undefined {
    return this.#states.get(id);
  }

  /** All states, in no particular order. */
  states(): IterableIterator<PoolState> {
    return this.#states.values();
  }

  /** Idle states on free workers that were used since they were last taken here, at most `perWorker` of each. */
  takeUncollected(perWorker: number): PoolState[] {
    return this.#states.takeUncollected(this.#workers.free, perWorker);
  }

  counts(): PoolCounts {
    return {
      states: this.#states.size,
      idle: this.#workers.idleStates,
      workers: this.#workers.byId.size,
      freeWorkers: this.#workers.free.size,
      waiting: this.#line.size,
    };
  }

  /** What is wrong with the books, in words; nothing when they balance. For tests, after each event. */
  audit(): string[] {
    return auditPool({
      limits: this.#limits,
      states: this.#states.byId,
      evicted: this.#states.evicted,
      workers: this.#workers.byId,
      free: this.#workers.free,
      scriptStates: this.#states.countsByScript,
      waiting: this.#line.size,
      offersOf: (worker) => this.#offers.countOf(worker),
    });
  }

  #occupy(waiter: W, state: State, nowMs: number, evicted: State | undefined): Assignment<W> {
    const create = state.uses === 0;
    if (!create) this.#states.unlist(state);
    this.#states.noteUses(state, 1, nowMs);
    this.#run(state, nowMs);
    const { maxCount } = this.#limits;
    return { waiter, state, create, evicted, retire: maxCount > 0 && state.uses >= maxCount };
  }

  /** A request begins to run in the state. */
  #run(state: State, nowMs: number): void {
    state.status = 'busy';
    state.home.active.push(state);
    state.home.sinceMs = nowMs;
    this.#workers.free.delete(state.home);
  }
}
