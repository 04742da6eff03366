/** What a pool is given, and what it says. Pure. */

/** What opens and closes connections. */
export interface PoolDriver<Connection> {
  /** Calls one of the two, once, later. */
  connect(opened: (connection: Connection) => void, failed: (error: Error) => void): void;
  /** Calls `closed` once, now or later. */
  close(connection: Connection, closed: () => void): void;
  /** The pool calls it when an operation has begun to wait for a connection, or waits no longer. */
  waitingChanged?(): void;
}

export interface Clock {
  nowMs(): number;
  /** @returns takes it back */
  after(delayMs: number, call: () => void): () => void;
  /** A random number from 0 to 1. */
  random(): number;
}

export interface PoolSettings {
  readonly connections: number;
  /** Most who wait. */
  readonly queue: number;
  /** Of these so many wait elsewhere. Left out: none. */
  readonly waitingElsewhere?: (() => number) | undefined;
  /** Longest wait for a connection. */
  readonly waitMs: number;
  /** A connection that is not used for so long is closed, unless it is the last one. */
  readonly idleMs: number;
  /** A connection is not used again when it is older. */
  readonly maxAgeMs: number;
}

/** Why somebody gets no connection. */
export type PoolRefusal =
  | { readonly why: 'full' }
  /** `busy` and `opening`: how many connections were in use, and being opened, when the time was up. */
  | { readonly why: 'timeout'; readonly waitedMs: number; readonly busy: number; readonly opening: number }
  /** `error`: that of the last attempt. `isFresh`: it was made just now. */
  | { readonly why: 'down'; readonly error: Error; readonly isFresh: boolean; readonly retryMs: number }
  | { readonly why: 'closed' };

export interface Taker<Connection> {
  readonly script: number;
  /** Waits no longer than this, or than `waitMs`; 0: as long as that. */
  readonly limitMs: number;
  got(connection: Connection): void;
  refused(refusal: PoolRefusal): void;
}
