/**
 * The books: which states exist, on which worker, idle or busy; who waits; who may start. It decides nothing itself
 * (`policy.ts`) and says nothing to anybody: the front asks, and carries out what it is told.
 *
 * Limits hold at every moment because a state counts from the moment it is assigned until its worker has reported it
 * closed (an evicted one counts for its script only: the worker closes it before it creates the one that takes its
 * place), and because each worker has its share of `states`: the shares add up to the limit, so a free worker can
 * always make room by itself and never waits for a busy one.
 */
import { ageOf, type Candidate, decide, type FreeWorker, type Score, scoreAfterUse } from './policy.js';
import { RememberedScores } from './remembered-scores.js';
import { VictimHeap } from './victim-heap.js';
import { type Waiter, WaitingLine } from './waiting-line.js';

export type { Waiter } from './waiting-line.js';

export interface PoolLimits {
  /** Most states in all. */
  readonly states: number;
  /** Most states of one script. */
  readonly clones: number;
  /** Worker threads among which the states are shared out. */
  readonly workers: number;
  /** Most requests that wait. */
  readonly queue: number;
  /** After this time a use counts half. */
  readonly halfLifeMs: number;
  /** Requests after which a state retires; 0: never. */
  readonly maxCount: number;
}

/** A Lua state as the books see it. */
export interface PoolState extends Candidate {
  readonly id: number;
  readonly script: string;
  readonly worker: number;
  readonly status: 'busy' | 'idle' | 'closing';
  /** Requests it has been given. */
  readonly uses: number;
  /** Files it was made from: path to fingerprint. */
  readonly dependencies: ReadonlyMap<string, string>;
}

class State implements PoolState {
  readonly id: number;
  readonly script: string;
  readonly home: Worker;
  status: 'busy' | 'idle' | 'closing' = 'busy';
  score: Score;
  lastUse = 0;
  uses = 0;
  /** `uses` when it last collected garbage. */
  collectedUses = 0;
  heapIndex = -1;
  isStale = false;
  readonly dependencies = new Map<string, string>();

  constructor(id: number, script: string, home: Worker, score: Score) {
    this.score = score;
    this.id = id;
    this.script = script;
    this.home = home;
  }

  get worker(): number {
    return this.home.id;
  }
}

class Worker implements FreeWorker<State> {
  readonly id: number;
  readonly share: number;
  stateCount = 0;
  running: State | undefined;
  readonly victims = new VictimHeap<State>();
  /** Idle states by script, the most recently used last. */
  readonly idle = new Map<string, State[]>();

  constructor(id: number, share: number) {
    this.id = id;
    this.share = share;
  }

  get victim(): State | undefined {
    return this.victims.first;
  }
}

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

export interface PoolCounts {
  readonly states: number;
  readonly idle: number;
  readonly workers: number;
  readonly freeWorkers: number;
  readonly waiting: number;
}

export class Pool<W extends Waiter> {
  readonly #limits: PoolLimits;
  readonly #workers = new Map<number, Worker>();
  readonly #free = new Set<Worker>();
  readonly #states = new Map<number, State>();
  /** Evicted states that their workers have not closed yet. */
  readonly #evicted = new Map<number, State>();
  /** States of each script, the evicted ones included. */
  readonly #scriptStates = new Map<string, number>();
  readonly #line: WaitingLine<W>;
  readonly #remembered: RememberedScores;
  #nextState = 0;
  #uses = 0;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
    this.#line = new WaitingLine(limits.queue);
    this.#remembered = new RememberedScores(limits.states);
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

  /** A worker is gone, and all its states with it. */
  removeWorker(id: number): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    this.#workers.delete(id);
    this.#free.delete(worker);
    for (const state of this.#states.values()) if (state.home === worker) this.#forget(state);
    for (const state of this.#evicted.values()) if (state.home === worker) this.closed(state.id);
  }

  /** A request asks for a state: see `assign`. */
  join(waiter: W): void {
    this.#line.join(waiter);
  }

  /** When nobody more can start, and more wait than may: who has to be turned away. It leaves by `leave`. */
  excess(): W | undefined {
    return this.#line.excess();
  }

  /** A request gives up waiting. */
  leave(waiter: W): void {
    this.#line.leave(waiter);
  }

  /** Requests that have waited since before `beforeMs`. */
  waitingSince(beforeMs: number): W[] {
    return this.#line.arrivedBefore(beforeMs);
  }

  /** The next request that can start now, with its state; undefined when none can. Call until then. */
  assign(nowMs: number): Assignment<W> | undefined {
    if (this.#free.size === 0) return undefined;
    for (const waiter of this.#line.heads()) {
      const decision = decide<State, Worker>({
        idle: this.#idleStateOf(waiter.script),
        scriptStates: this.#scriptStates.get(waiter.script) ?? 0,
        clones: this.#limits.clones,
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
   * The state's request is over and its worker free.
   * @param isGone the worker has closed the state already
   * @returns whether the worker has to be told to close it, since one of its files has changed
   */
  release(stateId: number, isGone: boolean): boolean {
    const state = this.#states.get(stateId);
    if (state === undefined) return false;
    const worker = state.home;
    worker.running = undefined;
    this.#free.add(worker);
    if (isGone) {
      this.#forget(state);
      return false;
    }
    if (state.isStale) {
      state.status = 'closing';
      return true;
    }
    state.status = 'idle';
    worker.victims.add(state);
    const idle = worker.idle.get(state.script);
    if (idle === undefined) worker.idle.set(state.script, [state]);
    else idle.push(state);
    return false;
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
      if (state.status === 'busy') continue;
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
    const faults: string[] = [];
    const { states, clones, queue } = this.#limits;
    if (this.#states.size > states) faults.push(`${this.#states.size} states of ${states}`);
    if (this.#line.size > queue) faults.push(`${this.#line.size} waiting of ${queue}`);
    const perScript = new Map<string, number>();
    for (const state of this.#states.values()) {
      perScript.set(state.script, (perScript.get(state.script) ?? 0) + 1);
      const listed = state.home.idle.get(state.script)?.includes(state) ?? false;
      if (listed !== (state.status === 'idle')) faults.push(`state ${state.id} is ${state.status}, listed: ${listed}`);
      if (state.heapIndex >= 0 !== listed) faults.push(`state ${state.id} has heap place ${state.heapIndex}`);
      if ((state.home.running === state) !== (state.status === 'busy')) faults.push(`state ${state.id} runs wrongly`);
    }
    for (const { script } of this.#evicted.values()) perScript.set(script, (perScript.get(script) ?? 0) + 1);
    for (const [script, count] of perScript) {
      if (count > clones) faults.push(`${count} states of ${script}, clones is ${clones}`);
      if (this.#scriptStates.get(script) !== count)
        faults.push(`${script} counted as ${this.#scriptStates.get(script)}`);
    }
    if (perScript.size !== this.#scriptStates.size) faults.push('a script without states is still counted');
    for (const worker of this.#workers.values()) {
      const held = [...this.#states.values()].filter((state) => state.home === worker).length;
      if (held !== worker.stateCount)
        faults.push(`worker ${worker.id} counted as holding ${worker.stateCount}, has ${held}`);
      if (worker.stateCount > worker.share)
        faults.push(`worker ${worker.id} holds ${worker.stateCount} of ${worker.share}`);
      if (this.#free.has(worker) !== (worker.running === undefined)) faults.push(`worker ${worker.id} is free wrongly`);
    }
    return faults;
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
    const state = new State(this.#nextState, script, worker, this.#remembered.take(script));
    this.#states.set(state.id, state);
    this.#scriptStates.set(script, (this.#scriptStates.get(script) ?? 0) + 1);
    worker.stateCount += 1;
    return state;
  }

  #occupy(waiter: W, state: State, nowMs: number, evicted: State | undefined): Assignment<W> {
    const create = state.uses === 0;
    if (!create) this.#unlist(state);
    state.status = 'busy';
    state.uses += 1;
    this.#uses += 1;
    state.lastUse = this.#uses;
    const { halfLifeMs, states } = this.#limits;
    state.score = scoreAfterUse(state.score, ageOf(nowMs, this.#uses, halfLifeMs, states));
    state.home.running = state;
    this.#free.delete(state.home);
    const { maxCount } = this.#limits;
    return { waiter, state, create, evicted, retire: maxCount > 0 && state.uses >= maxCount };
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
