/** Checks that the pool's books balance: each fact that is kept in two places is the same in both. */

import type { PoolLimits, State, Worker } from './records.js';

export interface Books {
  readonly limits: PoolLimits;
  readonly states: ReadonlyMap<number, State>;
  /** Evicted states that their workers have not closed yet. */
  readonly evicted: ReadonlyMap<number, State>;
  readonly workers: ReadonlyMap<number, Worker>;
  readonly free: ReadonlySet<Worker>;
  readonly scriptStates: ReadonlyMap<string, number>;
  readonly waiting: number;
  offersOf(worker: number): number;
}

/** What is wrong, in words; nothing when they balance. */
export function auditPool(books: Books): string[] {
  const faults: string[] = [];
  const { states, clones, queue } = books.limits;
  const retired = [...books.states.values()].filter(({ home }) => home.isRetired);
  // What retired workers still hold may be more than new limits allow; nothing is added to that.
  if (books.states.size > Math.max(states, retired.length)) faults.push(`${books.states.size} states of ${states}`);
  const occupied = [...books.workers.values()].filter((worker) => worker.isServingDirect).length;
  if (books.waiting > queue + occupied) faults.push(`${books.waiting} waiting of ${queue}, ${occupied} occupied`);
  const perScript = new Map<string, number>();
  for (const state of books.states.values()) {
    perScript.set(state.script, (perScript.get(state.script) ?? 0) + 1);
    const listed = state.home.idle.get(state.script)?.includes(state) ?? false;
    if (listed !== (state.status === 'idle')) faults.push(`state ${state.id} is ${state.status}, listed: ${listed}`);
    if (state.heapIndex >= 0 !== listed) faults.push(`state ${state.id} has heap place ${state.heapIndex}`);
    const isActive = state.home.active.includes(state);
    const mayExecute = state.status === 'busy' && !state.isSuspended;
    if (isActive !== mayExecute) faults.push(`state ${state.id} is ${state.status}, executes: ${isActive}`);
    if (state.isSuspended && state.status !== 'busy') faults.push(`state ${state.id} is suspended, and not busy`);
  }
  for (const { script } of books.evicted.values()) perScript.set(script, (perScript.get(script) ?? 0) + 1);
  for (const [script, count] of perScript) {
    const held = retired.filter((state) => state.script === script).length;
    if (count > Math.max(clones, held)) faults.push(`${count} states of ${script}, clones is ${clones}`);
    if (books.scriptStates.get(script) !== count) faults.push(`${script} counted as ${books.scriptStates.get(script)}`);
  }
  if (perScript.size !== books.scriptStates.size) faults.push('a script without states is still counted');
  for (const worker of books.workers.values()) {
    const held = [...books.states.values()].filter((state) => state.home === worker).length;
    if (held !== worker.stateCount)
      faults.push(`worker ${worker.id} counted as holding ${worker.stateCount}, has ${held}`);
    if (worker.stateCount > worker.share)
      faults.push(`worker ${worker.id} holds ${worker.stateCount} of ${worker.share}`);
    const isBusy = worker.running !== undefined || worker.isBouncing || worker.isRetired || worker.isServingDirect;
    if (books.free.has(worker) === isBusy) faults.push(`worker ${worker.id} is free wrongly`);
    if (!isBusy && books.offersOf(worker.id) > 0) faults.push(`worker ${worker.id} is free and has offers`);
  }
  return faults;
}
