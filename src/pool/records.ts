/** What the books know of one state and of one worker, and the limits that they keep. */

import { EvictionHeap } from './eviction-heap.js';
import { type Candidate, type FreeWorker, type Score, UNKNOWN_MS } from './policy.js';
import type { Waiter } from './wait-queue.js';

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
  /** When it was assigned to its first request. */
  readonly createdMs: number;
  /** How long its next request will take, as far as the former ones tell. */
  readonly expectedMs: number;
  /** How long its requests usually take. */
  readonly usualMs: number;
  /** Files it was made from: path to fingerprint. */
  readonly dependencies: ReadonlyMap<string, string>;
}

export class State implements PoolState {
  readonly id: number;
  readonly script: string;
  readonly home: Worker;
  status: 'busy' | 'idle' | 'closing' = 'busy';
  /** Its request waits for a result: the state is busy, and its worker may run others meanwhile. */
  isSuspended = false;
  score: Score;
  lastUse = 0;
  uses = 0;
  createdMs = 0;
  /** `uses` when it last collected garbage. */
  collectedUses = 0;
  heapIndex = -1;
  isStale = false;
  /** Its worker was told to close it, and had begun with a request in it: it will find that behind the request. */
  isToldToClose = false;
  /** Requests in it have waited for results: none is offered to its worker to be run behind one of them. */
  hasWaited = false;
  /** How long its next request will take, as far as the former ones tell. */
  expectedMs = UNKNOWN_MS;
  usualMs = UNKNOWN_MS;
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

export class Worker implements FreeWorker<State> {
  readonly id: number;
  readonly share: number;
  stateCount = 0;
  readonly active: State[] = [];
  /** When its running request began. */
  sinceMs = 0;
  /** It has taken an offer that it cannot serve, and is about to say so. */
  isBouncing = false;
  /** It serves a lent connection, which the books do not know: it counts as busy. */
  isServingDirect = false;
  /** That takes it long. */
  isAway = false;
  /** It gets no more requests. */
  isRetired = false;
  readonly victims = new EvictionHeap<State>();
  /** Idle states by script, the most recently used last. */
  readonly idle = new Map<string, State[]>();

  constructor(id: number, share: number) {
    this.id = id;
    this.share = share;
  }

  /** The state whose request it executes; undefined between two requests. */
  get running(): State | undefined {
    return this.active[0];
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
