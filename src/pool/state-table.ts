/**
 * The states that exist, by number and by script. A state counts from the moment it is entered until its worker has
 * closed it. An evicted one counts for its script only: the worker closes it before it creates the one that takes its place.
 */
import { GhostScores } from './ghost-scores.js';
import { ageOf, expectedAfter, scoreAfterUse, UNKNOWN_MS, usualAfter } from './policy.js';
import { type PoolLimits, State, type Worker } from './records.js';

/** State numbers are positive 32-bit integers: they travel in a ring frame's argument. */
const MAX_STATE = 0x7fffffff;

export class StateTable {
  readonly #states = new Map<number, State>();
  /** Evicted states that their workers have not closed yet. */
  readonly #evicted = new Map<number, State>();
  /** States of each script, the evicted ones included. */
  readonly #ofScript = new Map<string, number>();
  readonly #ghosts: GhostScores;
  #limits: PoolLimits;
  #lastNumber = 0;
  #uses = 0;
  /** Added to ages, so that they go on from where they were when limits changed. */
  #ageShift = 0;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
    this.#ghosts = new GhostScores(limits.states);
  }

  /** Other limits from now on. Scores that are kept stay comparable, however fast age passes from now on. */
  setLimits(limits: PoolLimits, nowMs: number): void {
    const before = this.#age(nowMs);
    this.#limits = limits;
    this.#ageShift += before - this.#age(nowMs);
  }

  get size(): number {
    return this.#states.size;
  }

  get(id: number): State | undefined {
    return this.#states.get(id);
  }

  values(): IterableIterator<State> {
    return this.#states.values();
  }

  get byId(): ReadonlyMap<number, State> {
    return this.#states;
  }

  get evicted(): ReadonlyMap<number, State> {
    return this.#evicted;
  }

  get countsByScript(): ReadonlyMap<string, number> {
    return this.#ofScript;
  }

  /** States of a script, the evicted ones included. */
  countOf(script: string): number {
    return this.#ofScript.get(script) ?? 0;
  }

  /** A new state with a number of its own. */
  create(script: string, worker: Worker): State {
    do {
      this.#lastNumber = (this.#lastNumber % MAX_STATE) + 1;
    } while (this.#states.has(this.#lastNumber) || this.#evicted.has(this.#lastNumber));
    return this.enter(this.#lastNumber, script, worker);
  }

  /** A state that its worker knows by this number. */
  enter(id: number, script: string, worker: Worker): State {
    const state = new State(id, script, worker, this.#ghosts.take(script));
    this.#states.set(id, state);
    this.#ofScript.set(script, this.countOf(script) + 1);
    worker.stateCount += 1;
    return state;
  }

  /** A state in which its worker has begun with a request by itself: that waits, as far as is known. */
  beginOwn(id: number, script: string, worker: Worker): State {
    const state = this.#states.get(id) ?? this.enter(id, script, worker);
    if (state.status === 'idle') this.unlist(state);
    else if (state.status === 'closing') {
      // Its worker was told to close it, which it will find behind this request.
      state.isStale = true;
      state.isToldToClose = true;
    }
    state.status = 'busy';
    state.isSuspended = true;
    return state;
  }

  /** Idle states of these workers that were used since they were last taken here, at most `perWorker` of each. */
  takeUncollected(workers: Iterable<Worker>, perWorker: number): State[] {
    const taken: State[] = [];
    const left = new Map<Worker, number>();
    for (const worker of workers) left.set(worker, perWorker);
    for (const state of this.#states.values()) {
      const places = left.get(state.home) ?? 0;
      if (places === 0 || state.status !== 'idle' || state.collectedUses === state.uses) continue;
      left.set(state.home, places - 1);
      state.collectedUses = state.uses;
      taken.push(state);
    }
    return taken;
  }

  /** A state was used `count` times more. */
  noteUses(state: State, count: number, nowMs: number): void {
    if (state.uses === 0) state.createdMs = nowMs;
    state.uses += count;
    this.#uses += count;
    state.lastUse = this.#uses;
    state.score = scoreAfterUse(state.score, this.#ageShift + this.#age(nowMs), count);
  }

  /** A request has executed in a state for so long. */
  noteTook(state: State, tookMs: number): void {
    // The state's first request had to load the script, so the second one sets the estimate anew.
    const expectedMs = state.uses === 2 ? tookMs : expectedAfter(state.expectedMs, tookMs);
    // One that waits again leaves its state to nobody: what is offered behind it would come back.
    state.expectedMs = state.hasWaited ? UNKNOWN_MS : expectedMs;
    if (state.uses > 1) state.usualMs = usualAfter(state.usualMs, tookMs);
  }

  /** Puts a state on the lists from which states are chosen. */
  list(state: State): void {
    const worker = state.home;
    state.status = 'idle';
    worker.victims.add(state);
    const idle = worker.idle.get(state.script);
    if (idle === undefined) worker.idle.set(state.script, [state]);
    else idle.push(state);
  }

  /** Takes an idle state off the lists from which states are chosen. */
  unlist(state: State): void {
    const worker = state.home;
    worker.victims.remove(state);
    const idle = worker.idle.get(state.script) as State[];
    if (idle.length === 1) worker.idle.delete(state.script);
    else if (idle.at(-1) === state) idle.pop();
    else idle.splice(idle.indexOf(state), 1);
  }

  /** An idle state has to make room: it no longer counts for `states`, but for its script until it is closed. */
  evict(state: State): void {
    this.#ghosts.keep(state.script, state.score);
    this.unlist(state);
    state.status = 'closing';
    this.#states.delete(state.id);
    state.home.stateCount -= 1;
    this.#evicted.set(state.id, state);
  }

  /** A state is gone. */
  forget(state: State): void {
    this.#ghosts.keep(state.script, state.score);
    if (state.status === 'idle') this.unlist(state);
    this.#states.delete(state.id);
    state.home.stateCount -= 1;
    const { active } = state.home;
    if (active.includes(state)) active.splice(active.indexOf(state), 1);
    this.#countDown(state.script);
  }

  /** A worker has closed a state, as asked or because it was evicted. */
  closed(id: number): void {
    const state = this.#states.get(id);
    if (state !== undefined) return this.forget(state);
    const evicted = this.#evicted.get(id);
    if (evicted === undefined) return;
    this.#evicted.delete(id);
    this.#countDown(evicted.script);
  }

  #countDown(script: string): void {
    const left = this.countOf(script) - 1;
    if (left === 0) this.#ofScript.delete(script);
    else this.#ofScript.set(script, left);
  }

  #age(nowMs: number): number {
    return ageOf(nowMs, this.#uses, this.#limits.halfLifeMs, this.#limits.states);
  }
}
