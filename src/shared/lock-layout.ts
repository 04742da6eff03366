/** Where what lies in the memory of the locks. Offsets count 32-bit words. */
import { CONTROL_BYTES } from './guarded-memory.js';

/** Most names that are locked at a time, and most requests that wait for one. */
export const MOST_LOCKS = 8192;
export const MOST_WAITERS = 8192;
export const MOST_NAME_BYTES = 255;

const STATE = CONTROL_BYTES / 4;

/** Words of the whole. */
export const LockState = {
  /** The first free place of each kind, and the first that was never used. */
  FREE_LOCK: STATE,
  FRESH_LOCK: STATE + 1,
  FREE_WAITER: STATE + 2,
  FRESH_WAITER: STATE + 3,
  /** Locks that are held, and requests that wait. */
  HELD: STATE + 4,
  WAITING: STATE + 5,
  SECRET0: STATE + 6,
  SECRET1: STATE + 7,
  /** The number that was given last, 64 bits. */
  LAST_TOKEN: STATE + 8,
} as const;

/** 64-bit counters, as indices of 64-bit numbers. They only grow. */
const COUNTERS = STATE / 2 + 8;
export const LockCounter = {
  ACQUIRED: COUNTERS,
  /** Those of them that somebody had to wait for. */
  WAITED: COUNTERS + 1,
  TIMEOUTS: COUNTERS + 2,
  DEADLOCKS: COUNTERS + 3,
  /** Locks that were released because their request was over. */
  LEFT: COUNTERS + 4,
} as const;

/** One word for some workers each: it changes when one of them has got a lock. */
export const NEWS_AT = STATE + 64;
export const NEWS_WORDS = 64;

export const BUCKETS_AT = NEWS_AT + NEWS_WORDS;
export const BUCKETS = 1024;

/** A lock. */
export const LockWord = {
  NEXT: 0,
  HASH: 1,
  NAME_BYTES: 2,
  WORKER: 3,
  RUN: 4,
  FIRST_WAITER: 5,
  LAST_WAITER: 6,
  /** 64 bits. */
  TOKEN: 8,
  NAME: 10,
} as const;
const LOCK_WORDS = 10 + 64;
const LOCKS_AT = BUCKETS_AT + BUCKETS;

/** A request that waits for one. */
export const WaiterWord = {
  NEXT: 0,
  LOCK: 1,
  WORKER: 2,
  RUN: 3,
  STATE: 4,
  /** Its request waits for nothing but locks. */
  IS_SETTLED: 5,
  /** 64 bits, when it has got the lock. */
  TOKEN: 6,
} as const;
export const WaiterState = { FREE: 0, WAITS: 1, GRANTED: 2 } as const;
const WAITER_WORDS = 8;
const WAITERS_AT = LOCKS_AT + MOST_LOCKS * LOCK_WORDS;

export const LOCK_BYTES = (WAITERS_AT + MOST_WAITERS * WAITER_WORDS) * 4;

/** Places are numbered from 1. */
export const lockAt = (lock: number): number => LOCKS_AT + (lock - 1) * LOCK_WORDS;
export const waiterAt = (waiter: number): number => WAITERS_AT + (waiter - 1) * WAITER_WORDS;
