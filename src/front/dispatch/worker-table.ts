/** The workers that are there, and what changes in the books when one of them begins with a request or is to end. */
import { InterruptRequest } from '../../channel/interrupts.js';
import { ToWorker } from '../../channel/messages.js';
import type { PoolState } from '../../pool/pool.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import type { FrontRequest } from '../model/request.js';
import { Run } from '../model/run.js';
import type { WorkerLink } from '../model/worker-link.js';

export class WorkerTable implements Iterable<WorkerLink> {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #meters: Meters;
  readonly #workers = new Map<number, WorkerLink>();

  constructor(options: FrontOptions, actions: FrontActions, meters: Meters) {
    this.#options = options;
    this.#actions = actions;
    this.#meters = meters;
  }

  get size(): number {
    return this.#workers.size;
  }

  [Symbol.iterator](): Iterator<WorkerLink> {
    return this.#workers.values();
  }

  get(id: number): WorkerLink | undefined {
    return this.#workers.get(id);
  }

  add(worker: WorkerLink): void {
    this.#workers.set(worker.id, worker);
  }

  delete(worker: WorkerLink): void {
    this.#workers.delete(worker.id);
  }

  /** A worker runs this request from now on, in this state. */
  beginRun(worker: WorkerLink, request: FrontRequest, state: PoolState, nowMs: number): void {
    request.times.startedMs = nowMs;
    request.times.executedMs = 0;
    if (request.record !== undefined) request.record.worker = worker.place;
    worker.lending.givenSinceMs = Math.min(worker.lending.givenSinceMs, nowMs);
    request.watchdogMs = this.#options.watchdogMs;
    request.stopsOnAbort = this.#options.onAbort === 'stop';
    request.stage = 'running';
    request.chargeTo(this.#meters.running);
    request.body.begin();
    request.state = state;
    request.worker = worker;
    worker.begin(new Run(request, state, nowMs));
  }

  /** Tells a worker to close an idle state, which the pool does not use any more. */
  close(worker: WorkerLink, state: number): void {
    worker.owed += 1;
    worker.send(ToWorker.CLOSE, 0, state);
  }

  /** Tells a retired worker to end, once it has done what it has begun with. */
  stopIfDone(worker: WorkerLink): void {
    if (!worker.isRetired || worker.isStopped || worker.runs.size > 0 || worker.lending.mayBeServing) return;
    worker.isStopped = true;
    worker.owed += 1;
    worker.send(ToWorker.STOP, 0, 0);
  }

  /** The client of a request has gone, or does not want the answer any more: its script may have to be stopped. */
  clientGone(request: FrontRequest): void {
    request.isClientGone = true;
    if (request.stopsOnAbort && request.worker !== undefined) this.stop(request, InterruptRequest.UNWANTED);
  }

  /** Stops the script of a request: where it executes, or where it waits. */
  stop(request: FrontRequest, reason: InterruptRequest): void {
    const worker = this.#workers.get(request.worker?.id ?? -1);
    const run = worker?.runs.get(request.id);
    if (worker === undefined || run === undefined) return;
    if (!run.isSuspended) return this.#actions.interrupt(worker.id, request.id, reason);
    if (run.isCancelled) return;
    run.isCancelled = true;
    worker.send(ToWorker.CANCEL, request.id, reason);
  }
}
