/** The workers of the pool: which there are, which are free, and which serve lent connections that the books do not know. */
import { type State, Worker } from './records.js';

export class WorkerTable {
  readonly byId = new Map<number, Worker>();
  /** Those that may be given a request now. */
  readonly free = new Set<Worker>();
  #servingDirect = 0;

  add(id: number, share: number): void {
    const worker = new Worker(id, share);
    this.byId.set(id, worker);
    this.free.add(worker);
  }

  get(id: number): Worker | undefined {
    return this.byId.get(id);
  }

  remove(worker: Worker): void {
    this.setOccupied(worker.id, false);
    this.byId.delete(worker.id);
    this.free.delete(worker);
  }

  /** Puts a worker among the free ones, or takes it out of them. */
  listIfFree(worker: Worker): void {
    const { running, isBouncing, isRetired, isServingDirect } = worker;
    if (running === undefined && !isBouncing && !isRetired && !isServingDirect) this.free.add(worker);
    else this.free.delete(worker);
  }

  /** How many serve lent connections. */
  get servingDirect(): number {
    return this.#servingDirect;
  }

  /** A worker without a request serves a lent connection, or does so no longer. */
  setOccupied(id: number, isServingDirect: boolean): void {
    const worker = this.byId.get(id);
    if (worker === undefined || worker.isServingDirect === isServingDirect) return;
    worker.isServingDirect = isServingDirect;
    worker.isAway = false;
    this.#servingDirect += isServingDirect ? 1 : -1;
    this.listIfFree(worker);
  }

  /** A worker that is occupied will be so for long. */
  setAway(id: number): void {
    const worker = this.byId.get(id);
    if (worker?.isServingDirect === true) worker.isAway = true;
  }

  /** Whether that was said of a worker. */
  isAway(id: number): boolean {
    return this.byId.get(id)?.isAway ?? true;
  }

  /** Whether a worker that serves a lent connection, not for long, has an idle state of the script. */
  isServingDirectWith(script: string): boolean {
    if (this.#servingDirect === 0) return false;
    for (const { isServingDirect, isAway, idle } of this.byId.values()) {
      if (isServingDirect && !isAway && idle.has(script)) return true;
    }
    return false;
  }

  /** The idle state of a script on a free worker that was used last. */
  idleStateOf(script: string): State | undefined {
    let found: State | undefined;
    for (const worker of this.free) {
      const state = worker.idle.get(script)?.at(-1);
      if (state !== undefined && (found === undefined || state.lastUse > found.lastUse)) found = state;
    }
    return found;
  }

  /** Idle states of all workers. */
  get idleStates(): number {
    let count = 0;
    for (const { victims } of this.byId.values()) count += victims.size;
    return count;
  }
}
