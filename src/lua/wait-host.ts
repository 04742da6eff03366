/** What the running request starts and waits for: timers, data sources, locks, its client. */

import type { ByteString } from '../base/byte-string.js';
import type { Derivation } from '../base/key-derivation.js';
import type { LuaValue } from './lua-value.js';

/** How an operation that a script waited for has ended. */
export interface OperationResult {
  readonly isError: boolean;
  /** The result, or what is known of the error: a record with `code` and `message`. */
  readonly value: LuaValue;
}

/** An operation for the I/O thread; see `io/protocol.ts`. */
export interface PostedOperation {
  /** The number of the data source. */
  readonly source: number;
  /** An `Action`. */
  readonly action: number;
  /** The transaction or cursor that it is about; 0: none. */
  readonly handle: number;
  /** The longest time that it may take, in milliseconds; 0: that of the source. */
  readonly limitMs: number;
  /** What the values are, see `worker/operation-values.ts`. */
  readonly shape: string;
  /** Bytes are valid during the call. */
  readonly values: readonly (number | Uint8Array)[];
}

/** A data source that a script may use. */
export interface DataSource {
  readonly id: number;
  readonly kind: string;
}

/** A lock, the token of the operation that waits for it (`isTry`: it is only tried), or the word for why there is neither. */
export type LockStart = { readonly token: number } | { readonly wait: number; readonly isTry?: boolean } | string;

/** An answer, or the token of the operation that gets it where locks lie in a data source. */
export type LockAnswer = boolean | { readonly wait: number };

/** The operations that the running request starts and waits for, each known by a token. */
export interface WaitHost {
  startTimer(delayMs: number): number;
  /** @throws when the name is not configured, or the script may not use it */
  source(name: ByteString): DataSource;
  /** The number of the HTTP client. @throws when the configuration has none, or the script may not use it */
  httpClient(): number;
  /**
   * Starts to wait for more of the request's body; undefined when reading need not wait, or has to be done at once.
   * @param isFile for more of the file that a Filter is given instead
   */
  awaitBody(isFile: boolean): number | undefined;
  /** Starts to wait for the client to read; undefined when it has, or when output has to block the thread. */
  awaitOutput(): number | undefined;
  /** Output is about to block the thread until the client reads. @param place in Lua, as `file:line` */
  noteBlocked(place: ByteString): void;
  post(operation: PostedOperation): number;
  /** Starts to make a key from a password on another thread; undefined where nobody does. @param finish makes the result of it */
  deriveKey?(password: Uint8Array, derivation: Derivation, finish: (key: Uint8Array) => LuaValue): number | undefined;
  /** Takes a lock, or begins to wait for it. @param name at most 255 bytes @param waitMs 0: does not wait */
  lock(name: ByteString, waitMs: number, canSuspend: boolean): LockStart;
  /** Gives false when the request does not hold it (any more). */
  unlock(name: ByteString, token: number): LockAnswer;
  holdsLock(name: ByteString, token: number): LockAnswer;
  /** Whether an operation is over. If not, the request is about to wait. @throws when too many requests wait */
  isOver(token: number): boolean;
  /** The result of an operation that is over; asked once. */
  take(token: number): OperationResult;
  /**
   * Blocks the thread until one of the request's operations is over.
   * @param place in Lua, as `file:line`
   * @throws why the script has to stop
   */
  block(place: ByteString): void;
}
