/** Where what lies in the memory of a dictionary. Offsets count 32-bit words. */
import { CONTROL_BYTES } from './guarded-memory.js';

export const LEAST_BYTES = 32 * 1024;
export const MOST_BYTES = 2 ** 30;

/** Bytes of a block. A key and its value take one block, and as many more as their bytes need. */
export const BLOCK_BYTES = 64;
export const BLOCK_WORDS = BLOCK_BYTES / 4;

const STATE = CONTROL_BYTES / 4;

/** Words of the dictionary itself. */
export const StateWord = {
  /** The first block of the list of free ones; 0: none. */
  FREE_HEAD: STATE,
  /** Blocks from here on have never been used. */
  FRESH: STATE + 1,
  /** Blocks in use. */
  USED: STATE + 2,
  ITEMS: STATE + 3,
  NEWEST: STATE + 4,
  OLDEST: STATE + 5,
  /** Items that expire. */
  EXPIRING: STATE + 6,
  /** Items of another generation are gone: `flushAll`. */
  GENERATION: STATE + 7,
  /** Of the hash of keys. */
  SECRET0: STATE + 8,
  SECRET1: STATE + 9,
} as const;

/** 64-bit counters behind them, as indices of 64-bit numbers. They only grow. */
const COUNTERS = STATE / 2 + 8;
export const Counter = {
  HITS: COUNTERS,
  MISSES: COUNTERS + 1,
  EVICTIONS: COUNTERS + 2,
  /** Values that found no room. */
  FAILURES: COUNTERS + 3,
  /** Items that were removed after they had expired. */
  EXPIRED: COUNTERS + 4,
} as const;

const FIXED_WORDS = STATE + 32;

export interface Layout {
  /** A power of two. */
  readonly buckets: number;
  readonly bucketsAt: number;
  /** Blocks are numbered from 1. */
  readonly blocks: number;
  /** The word of block `n` is at `nextAt + n`, and has the number of the block that follows it; 0: none. */
  readonly nextAt: number;
  /** Items that expire, the next one first; from `heapAt + 1`. */
  readonly heapAt: number;
  /** Block `n` begins at `blocksAt + n * BLOCK_WORDS`. */
  readonly blocksAt: number;
}

export function layoutOf(sizeBytes: number): Layout {
  const words = Math.floor(sizeBytes / 4);
  const buckets = 2 ** Math.floor(Math.log2(words / 64));
  const bucketsAt = FIXED_WORDS;
  const nextAt = bucketsAt + buckets;
  // Of each block: itself, its word in `next`, and half a word of the heap, as each item has two blocks.
  const blocks = Math.floor((words - nextAt - BLOCK_WORDS - 4) / (BLOCK_WORDS + 1.5));
  const heapAt = nextAt + blocks + 1;
  const heapEnd = heapAt + 1 + Math.ceil(blocks / 2);
  // Blocks begin where 64-bit numbers may lie.
  const firstBlock = Math.ceil(heapEnd / 2) * 2;
  return { buckets, bucketsAt, blocks, nextAt, heapAt, blocksAt: firstBlock - BLOCK_WORDS };
}
