/** A run, as far as it waits for something (`waits.ts`). */

import type { ByteString } from '../lua/state.js';
import type { LockOwner } from './lock-waits.js';
import type { RequestInlet } from './request-channels.js';

/** A stream of the request. */
export type Input = Pick<RequestInlet, 'isReady' | 'awaitMore'>;

/** The run that started an operation. */
export interface WaitOwner extends LockOwner {
  /** The number of the request. */
  readonly id: number;
  /** Operations that it has started and not taken the results of. Most requests start none. */
  tokens: Set<number> | undefined;
  /** The script's file. */
  readonly script: ByteString;
  /** Whether its output has to wait for its client to read. */
  readonly isOutputHeld: boolean;
  /** What was not read of its body, and of the file that a Filter is given. */
  readonly body: Input & { readonly file?: Input | undefined };
  /** It counts among the requests that wait. */
  holdsPlace: boolean;
  /** The I/O thread knows of it. */
  hasPosted: boolean;
  /** See `DataOwner`. */
  boundSources?: Set<number> | undefined;
}

/** Whether it has what no copy of its script's memory may have: operations that are not over, or locks. */
export function holdsOperations({ tokens, locks }: Pick<WaitOwner, 'tokens' | 'locks'>): boolean {
  return (tokens?.size ?? 0) > 0 || (locks?.size ?? 0) > 0;
}
