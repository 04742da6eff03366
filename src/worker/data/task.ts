/** An operation that is done on a lent connection, from its begin to its end. */
import type { LuaValue, PostedOperation } from '../../lua/state.js';

export interface Task {
  /** What its script knows it by; 0: its request is over, and nobody waits for it. */
  token: number;
  readonly operation: PostedOperation;
  /** The number of its request. */
  readonly run: number;
  /** What tells scripts apart. */
  readonly script: number;
  /** The longest time from its begin to its end. */
  readonly limitMs: number;
  /** When that has passed, or, as long as it waits for a connection, when it has waited for too long. */
  dueMs: number;
}

/** What becomes of tasks. */
export interface TaskEvents {
  done(task: Task, value: LuaValue): void;
  failed(task: Task, error: unknown): void;
}
