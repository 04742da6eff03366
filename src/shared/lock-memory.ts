/** The memory of the locks: how it is made, and what can be read in it at any time. */
import { LOCK_BYTES, LockCounter, LockState } from './lock-layout.js';

/** What a status page shows. */
export interface LockStatus {
  readonly held: number;
  readonly waiting: number;
  readonly acquired: number;
  readonly waited: number;
  readonly timeouts: number;
  readonly deadlocks: number;
  readonly left: number;
}

export function createLocks(secrets: readonly [number, number]): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(LOCK_BYTES);
  const words = new Int32Array(shared);
  words[LockState.FRESH_LOCK] = 1;
  words[LockState.FRESH_WAITER] = 1;
  words[LockState.SECRET0] = secrets[0];
  words[LockState.SECRET1] = secrets[1];
  return shared;
}

/** Read without the lock: numbers of one moment may differ by a change that is under way. */
export function readLockStatus(shared: SharedArrayBuffer): LockStatus {
  const words = new Int32Array(shared);
  const floats = new Float64Array(shared);
  const counter = (at: number): number => floats[at] as number;
  return {
    held: words[LockState.HELD] as number,
    waiting: words[LockState.WAITING] as number,
    acquired: counter(LockCounter.ACQUIRED),
    waited: counter(LockCounter.WAITED),
    timeouts: counter(LockCounter.TIMEOUTS),
    deadlocks: counter(LockCounter.DEADLOCKS),
    left: counter(LockCounter.LEFT),
  };
}
