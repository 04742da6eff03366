/** What calls of a dictionary give. */
import type { Value } from './items.js';

export interface Found {
  /** Undefined: it is a list. */
  readonly value: Value | undefined;
  readonly flags: number;
  /** It has expired and was not removed yet. */
  readonly isStale: boolean;
}

/** Why something was not stored. */
export type Refusal = 'exists' | 'not found' | 'no memory' | 'not a number' | 'value not a list' | 'changed';

export interface Stored {
  readonly refusal: Refusal | undefined;
  /** Other values were removed to make room. */
  readonly hasEvicted: boolean;
}

export interface Incremented extends Stored {
  readonly value: number | bigint;
}

export interface Pushed extends Stored {
  /** How many elements the list has. */
  readonly length: number;
}

export type SetCondition = 'always' | 'absent' | 'present';

export interface SetOptions {
  readonly condition?: SetCondition;
  /** 0: for ever. */
  readonly ttlMs?: number;
  readonly flags?: number;
  /** Nothing is evicted for it. */
  readonly isSafe?: boolean;
}

/** What a status page shows. */
export interface DictionaryStatus {
  readonly sizeBytes: number;
  readonly usedBytes: number;
  /** Items that have expired and were not removed yet count, too. */
  readonly items: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  /** Values that found no room. */
  readonly failures: number;
  /** Items that were removed after they had expired. */
  readonly expired: number;
}
