/**
 * What the pool does next, decided from plain facts: no clock, no message, no state of its own. `pool.ts` keeps the
 * books and acts.
 *
 * Popularity and aging: each use adds one to a state's score, and scores halve every half-life. All scores shrink
 * alike, so which of two is lower never changes by waiting: the score is kept as a logarithm on a fixed axis of age
 * ("what would it be worth at age zero"), compared as it is, and touched only when the state is used.
 *
 * The age is counted in half-lives: they pass with the clock, and with use. On a busy pool a half-life of the clock is
 * many thousand uses, in which new favourites would wait for old ones to be forgotten.
 */

export { expectedAfter, LONG_MS, UNKNOWN_MS, usualAfter } from '../base/usual-time.js';

/** Logarithm (base 2) of a state's decayed use count, moved to age zero. Higher is more popular. */
export type Score = number;

/** The score of a state that was never used: below every other. */
export const UNUSED: Score = Number.NEGATIVE_INFINITY;

/** Uses per state of the pool that age scores by as much as one half-life of the clock. */
const USES_PER_HALF_LIFE = 10;

/**
 * How many half-lives have passed since age zero.
 * @param nowMs on any clock, the same for all states
 * @param uses of all states so far
 * @param states the most that the pool may hold
 */
export function ageOf(nowMs: number, uses: number, halfLifeMs: number, states: number): number {
  return nowMs / halfLifeMs + uses / (USES_PER_HALF_LIFE * states);
}

/** The score after one more use, at this age, or after more of them. */
export function scoreAfterUse(score: Score, age: number, uses = 1): Score {
  const added = uses === 1 ? age : age + Math.log2(uses);
  if (score === UNUSED) return added;
  const high = Math.max(score, added);
  const low = Math.min(score, added);
  return high + Math.log2(1 + 2 ** (low - high));
}

/** What the eviction order needs to know of an idle state. */
export interface Candidate {
  readonly score: Score;
  /** Rises with every use of any state: the order of last uses. */
  readonly lastUse: number;
}

/** Whether `a` is to be evicted before `b`: the lower score; on a tie the one not used for longer. */
export function goesBefore(a: Candidate, b: Candidate): boolean {
  return a.score !== b.score ? a.score < b.score : a.lastUse < b.lastUse;
}

/** A free worker, as far as the decision needs it. */
export interface FreeWorker<State extends Candidate> {
  /** States it holds, of those it may hold. */
  readonly stateCount: number;
  readonly share: number;
  /** Its idle state that goes first, if it has any. */
  readonly victim: State | undefined;
}

/** The facts about one waiting request. */
export interface Situation<State extends Candidate, Worker extends FreeWorker<State>> {
  /** The script's most recently used idle state on a free worker. */
  readonly idle: State | undefined;
  /** States of the script, of those it may have. */
  readonly scriptStates: number;
  readonly clones: number;
  /** All states together are as many as may be, though workers have room: those that retire still hold some. */
  readonly isFull: boolean;
  readonly freeWorkers: Iterable<Worker>;
}

export type Decision<State extends Candidate, Worker extends FreeWorker<State>> =
  | { readonly action: 'use'; readonly state: State }
  | { readonly action: 'create'; readonly worker: Worker; readonly evict: State | undefined }
  | { readonly action: 'wait' };

const WAIT = { action: 'wait' } as const;

/** Which state a request gets: an idle one, a new one in free room, a new one in the place of another, or none yet. */
export function decide<State extends Candidate, Worker extends FreeWorker<State>>(
  situation: Situation<State, Worker>,
): Decision<State, Worker> {
  if (situation.idle !== undefined) return { action: 'use', state: situation.idle };
  if (situation.scriptStates >= situation.clones) return WAIT;
  let roomiest: Worker | undefined;
  let evictFrom: Worker | undefined;
  let evict: State | undefined;
  for (const worker of situation.freeWorkers) {
    if (worker.stateCount < worker.share && !situation.isFull) {
      if (roomiest === undefined || worker.stateCount < roomiest.stateCount) roomiest = worker;
    } else if (worker.victim !== undefined && (evict === undefined || goesBefore(worker.victim, evict))) {
      evict = worker.victim;
      evictFrom = worker;
    }
  }
  if (roomiest !== undefined) return { action: 'create', worker: roomiest, evict: undefined };
  if (evictFrom !== undefined) return { action: 'create', worker: evictFrom, evict };
  return WAIT;
}

/** Most requests offered to one worker. ORDER OFFER: a ring's control block has this many places for them. */
export const OFFERS_AT_MOST = 8;
