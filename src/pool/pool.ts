/**
 * The books: which states exist, on which worker, idle or busy; who waits; who may start. It decides nothing itself
 * (`policy.ts`) and says nothing to anybody: the front asks, and carries out what it is told.
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
import { GhostScores } from './ghost-scores.js';
import { type OfferDesk, Offers } from './offers.js';
import {
  ageOf,
  decide,
  expectedAfter,
  LONG_MS,
  OFFERS_AT_MOST,
  scoreAfterUse,
  UNKNOWN_MS,
  usualAfter,
} from './policy.js';
import { type PoolLimits, type PoolState, State, Worker } from './records.js';
import { type Waiter, WaitQueue } from './wait-queue.js';

export type { OfferDesk } from './offers.js';
export { LONG_MS } from './policy.js';
export type { PoolLimits, PoolState } from './records.js';
export type { Place, Waiter } from './wait-queue.js';

/** A waiter's turn has come: run its request in this state. */
export interface Assignment<W extends Waiter> {
  readonly waiter: W;
  readonly state: PoolState;
  /** The state has to be created first. */
  readonly create: boolean;
  /** The state to close before, in the same worker. */
  readonly evicted: PoolState | undefined;
  /** It is the state's last request: the worker closes it afterwards. */
  readonly retire: boolean;
}

/** A waiter that is offered to a busy worker, to run in this state of it. */
export interface OfferOrder<W extends Waiter> {
  readonly waiter: W;
  readonly state: PoolState;
  readonly offer: number;
}

/** Lines looked at for one more offer: who is further behind has time. */
const LINES_LOOKED_AT = 16;

export interface PoolCounts {
  readonly states: number;
  readonly idle: number;
  readonly workers: number;
  readonly freeWorkers: number;
  readonly waiting: number;
}

export class Pool<W extends Waiter> {
  #limits: PoolLimits;
  readonly #workers = new Map<number, Worker>();
  readonly #free = new Set<Worker>();
  readonly #states = new Map<number, State>();
  /** Evicted states that their workers have not closed yet. */
  readonly #evicted = new Map<number, State>();
  /** States of each script, the evicted ones included. */
  readonly #scriptStates = new Map<string, number>();
  readonly #line: WaitQueue<W>;
  readonly #offers: Offers<W, State>;
  readonly #remembered: GhostScores;
  /** Workers at something of their own. */
  #occupied = 0;
  #nextState = 0;
  #uses = 0;
  /** Added to ages: what they were ahead of, or behind, when limits changed. */
  #ageShift = 0;

  constructor(limits: PoolLimits, desk: OfferDesk<W>) {
    this.#limits = limits;
    this.#line = new WaitQueue(limits.queue);
    this.#offers = new Offers(desk, this.#line);
    this.#remembered = new GhostScores(limits.states);
  }

  /** Other limits from now on: workers that are there keep their shares, so they have to be retired for others. */
  setLimits(limits: PoolLimits, nowMs: number): void {
    // Age goes on from where it is, however fast it passes from now on: scores that are kept stay comparable.
    const { halfLifeMs, states } = this.#limits;
    const before = ageOf(nowMs, this.#uses, halfLifeMs, states);
    this.#ageShift += before - ageOf(nowMs, this.#uses, limits.halfLifeMs, limits.states);
    this.#limits = limits;
    this.#line.limit = limits.queue + this.#occupied;
  }

  /** A worker is ready. `index` (0 to `workers` - 1) is its place, which a replacement takes over. */
  addWorker(id: number, index: number): void {
    const { states, workers } = this.#limits;
    const share = Math.floor(states / workers) + (index < states % workers ? 1 : 0);
    if (share === 0) return;
    const worker = new Worker(id, share);
    this.#workers.set(id, worker);
    this.#free.add(worker);
  }

  /**
   * A worker gets no more requests: it is to end when it has done what it has begun with, or it has ended already and its
   * last words are still to come. What it has not begun with goes back into line.
   */
  retireWorker(id: number): void {
    this.#offers.takeBack(id);
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    worker.isRetired = true;
    this.#free.delete(worker);
    if (worker.running === undefined) return;
    // It can close its idle states only when its request ends, which may take long; nobody uses them any more, and nobody
    // should have to wait for them. (Who begins with one of them just now is about to say so.)
    for (const state of this.#states.values()) {
      if (state.home === worker && state.status === 'idle' && !this.#isTaken(state)) this.#forget(state);
    }
  }

  /** A worker is gone, and all its states with it. @returns waiters that it had begun with, and nobody knew yet */
  removeWorker(id: number): W[] {
    const lost = this.#offers.workerGone(id);
    const worker = this.#workers.get(id);
    if (worker === undefined) return lost;
    this.setOccupied(id, false);
    this.#workers.delete(id);
    this.#free.delete(worker);
    for (const state of this.#states.values()) if (state.home === worker) this.#forget(state);
    for (const state of this.#evicted.values()) if (state.home === worker) this.closed(state.id);
    return lost;
  }

  /** A request asks for a state: see `assign`. */
  join(waiter: W): void {
    this.#line.join(waiter);
  }

  get isAnyoneWaiting(): boolean {
    return this.#line.size > 0;
  }

  /** A worker without a request is at something of its own, or not any more. */
  setOccupied(id: number, isServingDirect: boolean): void {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.isServingDirect === isServingDirect) return;
    worker.isServingDirect = isServingDirect;
    this.#occupied += isServingDirect ? 1 : -1;
    // What it is at takes no time to speak of, or is found to be a request: until then nobody is one too many for its sake.
    this.#line.limit = this.#limits.queue + this.#occupied;
    this.#listIfFree(worker);
  }

  #listIfFree(worker: Worker): void {
    const { running, isBouncing, isRetired, isServingDirect } = worker;
    if (running === undefined && !isBouncing && !isRetired && !isServingDirect) this.#free.add(worker);
    else this.#free.delete(worker);
  }

  /**
   * A worker has begun with a request by itself, in a state of its own: that is busy from now on, until `release`.
   * @param script of the state, should the books have given it up already
   */
  begun(workerId: number, stateId: number, script: string, nowMs: number): PoolState {
    const worker = this.#workers.get(workerId);
    if (worker === undefined || worker.running !== undefined) throw new Error(`worker ${workerId} cannot have begun`);
    let state = this.#states.get(stateId);
    if (state === undefined) state = this.#enter(stateId, script, worker);
    else if (state.status === 'idle') this.#unlist(state);
    else {
      // It was told to close it, which it will find behind this request.
      state.isStale = true;
      state.isToldToClose = true;
    }
    this.#noteUses(state, 1, nowMs);
    this.#run(state, nowMs);
    return state;
  }

  /** A state has served some requests that the books did not know of, which usually take so long. */
  served(stateId: number, count: number, usualMs: number, nowMs: number): PoolState | undefined {
    const state = this.#states.get(stateId);
    if (state === undefined) return undefined;
    state.expectedMs = usualMs;
    state.usualMs = usualMs;
    const isListed = state.status === 'idle';
    if (isListed) this.#unlist(state);
    this.#noteUses(state, count, nowMs);
    if (isListed) this.#list(state);
    return state;
  }

  /** When nobody more can start, and more wait than may: who has to be turned away. It leaves by `leave`. */
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
    if (this.#free.size === 0) return undefined;
    for (let waiter = this.#line.head; waiter !== undefined; waiter = this.#line.headAfter(waiter)) {
      const idle = this.#idleStateOf(waiter.script);
      // It will be free in no time, or be found to run something: one more state would be made for nothing.
      if (idle === undefined && waiter.avoidsDirectWorkers !== true && this.#isOccupiedWith(waiter.script)) continue;
      const decision = decide<State, Worker>({
        idle,
        scriptStates: this.#scriptStates.get(waiter.script) ?? 0,
        clones: this.#limits.clones,
        isFull: this.#states.size >= this.#limits.states,
        freeWorkers: this.#free,
      });
      if (decision.action === 'wait') continue;
      this.#line.leave(waiter);
      this.#line.endTurn(waiter.script);
      if (decision.action === 'use') return this.#occupy(waiter, decision.state, nowMs, undefined);
      if (decision.evict !== undefined) this.#evict(decision.evict);
      const state = this.#create(waiter.script, decision.worker);
      return this.#occupy(waiter, state, nowMs, decision.evict);
    }
    return undefined;
  }

  /**
   * The next request that is worth to be offered to a busy worker, if any: one that has the script's state and will be at
   * it within `withinMs`, as far as one can tell. Call until there is none.
   */
  offer(withinMs: number, nowMs: number): OfferOrder<W> | undefined {
    // Who is one too many is turned away or served at once: it cannot wait beside the line either. Nor can who is none only
    // as long as some worker is occupied: it has to be found in line when that ends.
    if (this.#line.size > this.#limits.queue) return undefined;
    let waiter = this.#line.head;
    if (waiter === undefined || !this.#canOffer(withinMs, nowMs)) return undefined;
    for (let left = LINES_LOOKED_AT; waiter !== undefined && left > 0; left -= 1) {
      const state = this.#stateToOffer(waiter, withinMs, nowMs);
      if (state !== undefined) {
        const { number } = this.#offers.make(state.home.id, state, waiter);
        this.#line.endTurn(waiter.script);
        return { waiter, state, offer: number };
      }
      // Whose turn it is must not be passed over by those who happen to have a state at hand: a busy worker has to become
      // free for it. But where it waits for its own states on other workers, none of these can do anything for it.
      if (!this.#waitsElsewhere(waiter.script, withinMs, nowMs)) return undefined;
      waiter = this.#line.headAfter(waiter);
    }
    return undefined;
  }

  /** Whether anything is offered: then `reviewOffers` has to be called every so often. */
  get hasOffers(): boolean {
    return this.#offers.count > 0;
  }

  /** Takes the offers back of workers whose request takes longer than one should wait behind. */
  reviewOffers(nowMs: number): void {
    if (this.#offers.count === 0) return;
    for (const worker of this.#workers.values()) {
      if (nowMs - worker.sinceMs >= LONG_MS) this.#offers.takeBack(worker.id);
    }
  }

  /** A worker has ended a request: what it was offered next is what it runs now. Undefined when there is nothing. */
  beginOffered(workerId: number, nowMs: number): OfferOrder<W> | undefined {
    const worker = this.#workers.get(workerId);
    const next = this.#offers.of(workerId)[0];
    if (worker === undefined || next === undefined || worker.running !== undefined) return undefined;
    if (this.#states.get(next.state.id) === next.state) {
      const { waiter, state, number } = next;
      this.#offers.begun(next);
      this.#occupy(waiter, state, nowMs, undefined);
      return { waiter, state, offer: number };
    }
    // Taken just when its state was closed. The worker is not free before it has said so.
    worker.isBouncing = true;
    this.#free.delete(worker);
    return undefined;
  }

  /** A worker could not begin with what it was offered: its state is gone. */
  bounced(workerId: number): void {
    const worker = this.#workers.get(workerId);
    const first = this.#offers.of(workerId)[0];
    if (worker === undefined || first === undefined) return;
    worker.isBouncing = false;
    this.#listIfFree(worker);
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
    worker.running = undefined;
    this.#listIfFree(worker);
    // The first had to load the script, which no other has to.
    state.expectedMs = state.uses === 2 ? tookMs : expectedAfter(state.expectedMs, tookMs);
    if (state.uses > 1) state.usualMs = usualAfter(state.usualMs, tookMs);
    if (isGone) {
      this.#forget(state);
      this.#offers.takeBack(worker.id, state);
      return false;
    }
    if (state.isStale && !this.#isTaken(state)) {
      state.status = 'closing';
      return !state.isToldToClose;
    }
    this.#list(state);
    return false;
  }

  /** Whether a state was evicted, and its worker has not closed it yet. */
  isEvicted(stateId: number): boolean {
    return this.#evicted.has(stateId);
  }

  /** A worker has closed the state as asked, or because it was evicted. */
  closed(stateId: number): void {
    const state = this.#states.get(stateId);
    if (state !== undefined) return this.#forget(state);
    const evicted = this.#evicted.get(stateId);
    if (evicted === undefined) return;
    this.#evicted.delete(stateId);
    this.#countDown(evicted.script);
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
      if (state.status === 'busy' || this.#isTaken(state)) continue;
      this.#unlist(state);
      state.status = 'closing';
      toClose.push(state);
    }
    return toClose;
  }

  /** All states, in no particular order. */
  states(): IterableIterator<PoolState> {
    return this.#states.values();
  }

  /** Idle states on free workers that were used since they were last taken here, at most `perWorker` of each. */
  takeUncollected(perWorker: number): PoolState[] {
    const taken: PoolState[] = [];
    const left = new Map<Worker, number>();
    for (const worker of this.#free) left.set(worker, perWorker);
    for (const state of this.#states.values()) {
      const places = left.get(state.home) ?? 0;
      if (places === 0 || state.status !== 'idle' || state.collectedUses === state.uses) continue;
      left.set(state.home, places - 1);
      state.collectedUses = state.uses;
      taken.push(state);
    }
    return taken;
  }

  counts(): PoolCounts {
    let idle = 0;
    for (const worker of this.#workers.values()) idle += worker.victims.size;
    return {
      states: this.#states.size,
      idle,
      workers: this.#workers.size,
      freeWorkers: this.#free.size,
      waiting: this.#line.size,
    };
  }

  /** What is wrong with the books, in words; nothing when they balance. For tests, after each event. */
  audit(): string[] {
    return auditPool({
      limits: this.#limits,
      states: this.#states,
      evicted: this.#evicted,
      workers: this.#workers,
      free: this.#free,
      scriptStates: this.#scriptStates,
      waiting: this.#line.size,
      offersOf: (worker) => this.#offers.of(worker).length,
    });
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

  #canOffer(withinMs: number, nowMs: number): boolean {
    for (const worker of this.#workers.values()) if (this.#readyMs(worker, nowMs) <= withinMs) return true;
    return false;
  }

  /** The state in which a busy worker can run this request soonest. */
  #stateToOffer(waiter: W, withinMs: number, nowMs: number): State | undefined {
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
    if ((this.#scriptStates.get(script) ?? 0) < this.#limits.clones) return false;
    for (const worker of this.#workers.values()) {
      if (this.#readyMs(worker, nowMs) <= withinMs && this.#stateOn(worker, script) !== undefined) return false;
    }
    return true;
  }

  /** The state in which a busy worker could run a request of this script next. */
  #stateOn(worker: Worker, script: string): State | undefined {
    const state = worker.running?.script === script ? worker.running : worker.idle.get(script)?.at(-1);
    if (state === undefined || state.isStale) return undefined;
    const { maxCount } = this.#limits;
    if (maxCount === 0) return state;
    // Its last request is never offered: who gets that one is told to close the state.
    const offered = this.#offers.of(worker.id).filter((offer) => offer.state === state).length;
    return state.uses + offered + 1 < maxCount ? state : undefined;
  }

  /** Whether the state's worker has begun with a request in it that the books take for offered still. */
  #isTaken(state: State): boolean {
    return this.#offers.of(state.worker).some((offer) => offer.state === state && offer.isTaken);
  }

  /** Whether a worker that is at something of its own has an idle state of the script. */
  #isOccupiedWith(script: string): boolean {
    if (this.#occupied === 0) return false;
    for (const worker of this.#workers.values()) if (worker.isServingDirect && worker.idle.has(script)) return true;
    return false;
  }

  #idleStateOf(script: string): State | undefined {
    let found: State | undefined;
    for (const worker of this.#free) {
      const state = worker.idle.get(script)?.at(-1);
      if (state !== undefined && (found === undefined || state.lastUse > found.lastUse)) found = state;
    }
    return found;
  }

  #create(script: string, worker: Worker): State {
    do {
      this.#nextState = (this.#nextState % 0x7fffffff) + 1;
    } while (this.#states.has(this.#nextState) || this.#evicted.has(this.#nextState));
    return this.#enter(this.#nextState, script, worker);
  }

  #enter(id: number, script: string, worker: Worker): State {
    const state = new State(id, script, worker, this.#remembered.take(script));
    this.#states.set(id, state);
    this.#scriptStates.set(script, (this.#scriptStates.get(script) ?? 0) + 1);
    worker.stateCount += 1;
    return state;
  }

  #occupy(waiter: W, state: State, nowMs: number, evicted: State | undefined): Assignment<W> {
    const create = state.uses === 0;
    if (!create) this.#unlist(state);
    this.#noteUses(state, 1, nowMs);
    this.#run(state, nowMs);
    const { maxCount } = this.#limits;
    return { waiter, state, create, evicted, retire: maxCount > 0 && state.uses >= maxCount };
  }

  #noteUses(state: State, count: number, nowMs: number): void {
    state.uses += count;
    this.#uses += count;
    state.lastUse = this.#uses;
    const { halfLifeMs, states } = this.#limits;
    state.score = scoreAfterUse(state.score, this.#ageShift + ageOf(nowMs, this.#uses, halfLifeMs, states), count);
  }

  /** A request begins to run in the state. */
  #run(state: State, nowMs: number): void {
    state.status = 'busy';
    state.home.running = state;
    state.home.sinceMs = nowMs;
    this.#free.delete(state.home);
  }

  /** Puts a state on the lists from which states are chosen. */
  #list(state: State): void {
    const worker = state.home;
    state.status = 'idle';
    worker.victims.add(state);
    const idle = worker.idle.get(state.script);
    if (idle === undefined) worker.idle.set(state.script, [state]);
    else idle.push(state);
  }

  /** Takes an idle state off the lists from which states are chosen. */
  #unlist(state: State): void {
    const worker = state.home;
    worker.victims.remove(state);
    const idle = worker.idle.get(state.script) as State[];
    if (idle.length === 1) worker.idle.delete(state.script);
    else if (idle.at(-1) === state) idle.pop();
    else idle.splice(idle.indexOf(state), 1);
  }

  #evict(state: State): void {
    this.#remembered.keep(state.script, state.score);
    this.#unlist(state);
    state.status = 'closing';
    this.#states.delete(state.id);
    state.home.stateCount -= 1;
    this.#evicted.set(state.id, state);
  }

  #forget(state: State): void {
    this.#remembered.keep(state.script, state.score);
    if (state.status === 'idle') this.#unlist(state);
    this.#states.delete(state.id);
    state.home.stateCount -= 1;
    if (state.home.running === state) state.home.running = undefined;
    this.#countDown(state.script);
  }

  #countDown(script: string): void {
    const left = (this.#scriptStates.get(script) as number) - 1;
    if (left === 0) this.#scriptStates.delete(script);
    else this.#scriptStates.set(script, left);
  }
}
