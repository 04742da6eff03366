/** What the requests of a lost worker held is released by the main thread. */
import { LuafcgidError } from '../base/errors.js';
import { LockTable } from '../shared/lock-table.js';

/** The number of the main thread among those that use shared memory; workers count from 1. */
const MAIN = 2 ** 29;
/** How long the main thread waits for the memory: a thread that ended just now may hold it, which is told to this one next. */
const PATIENCE_MS = 20;
const AGAIN_MS = 10;

/** @param wake is called for each worker of which a request has got a lock */
export function releaseLocksOf(locks: SharedArrayBuffer, worker: number, wake: (worker: number) => void): void {
  try {
    for (const awake of new LockTable(locks, MAIN, PATIENCE_MS).releaseWorker(worker)) wake(awake);
  } catch (error) {
    if (!(error instanceof LuafcgidError) || error.code !== 'LUAFCGID_SHARED_BUSY') throw error;
    setTimeout(() => releaseLocksOf(locks, worker, wake), AGAIN_MS);
  }
}
