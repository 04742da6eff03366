/** The workers that are there, and what changes in the books when one of them begins with a request or is to end. */
import { InterruptRequest } from '../../channel/interrupts.js';
import { ToWorker } from '../../channel/messages.js';
import type { Pool, PoolState } from '../../pool/pool.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import type { Duty } from '../model/duties.js';
import type { FrontRequest } from '../model/request.js';
import { Run } from '../model/run.js';
import type { Tally } from '../model/tally.js';
import type { WorkerLink } from '../model/worker-link.js';

/** A worker that executes another request is asked again only so often. */
const RESEND_EVERY = 16;

export class WorkerTable implements Iterable<WorkerLink> {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #meters: Meters;
  readonly #tally: Tally;
  readonly #workers = new Map<number, WorkerLink>();

  constructor(options: FrontOptions, actions: FrontActions, pool: Pool<FrontRequest>, meters: Meters, tally: Tally) {
    this.#pool = pool;
    this.#tally = tally;
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
    if (worker.counters !== undefined) this.#tally.workerReady(worker.counters);
    this.#workers.set(worker.id, worker);
  }

  delete(worker: WorkerLink): void {
    if (worker.counters !== undefined) this.#tally.workerGone(worker.counters);
    this.#workers.delete(worker.id);
  }

  /** A worker has begun with this request by itself, and executes it. */
  beginOwn(worker: WorkerLink, request: FrontRequest, state: PoolState, nowMs: number): void {
    this.#begin(worker, request, state, nowMs, undefined, true);
  }

  /** A worker runs this request from now on, in this state. @param evicted the state that it closes before */
  beginRun(worker: WorkerLink, request: FrontRequest, state: PoolState, nowMs: number, evicted?: PoolState): void {
    this.#begin(worker, request, state, nowMs, evicted, false);
  }

  #begin(
    worker: WorkerLink,
    request: FrontRequest,
    state: PoolState,
    nowMs: number,
    evicted: PoolState | undefined,
    isFirst: boolean,
  ): void {
    // One that a worker has read by itself has waited for nothing.
    if (request.times.queuedMs !== undefined) this.#tally.noteQueued(request.script, nowMs - request.times.queuedMs);
    if (evicted !== undefined) this.#tally.evicted += 1;
    request.times.startedMs = nowMs;
    request.times.executedMs = 0;
    if (request.record !== undefined) request.record.worker = worker.place;
    worker.lending.givenSinceMs = Math.min(worker.lending.givenSinceMs, nowMs);
    request.watchdogMs = this.#options.watchdogMs;
    request.stopsOnAbort = this.#options.onAbort === 'stop';
    request.stage = 'running';
    request.chargeTo(this.#meters.running);
    request.body.begin();
    request.data?.begin(true);
    request.state = state;
    request.worker = worker;
    worker.begin(new Run(request, state, nowMs, evicted), isFirst);
    if (!worker.duties.isEmpty) this.reviewOccupied(worker);
  }

  /** A run of a worker waits for a result. @param waitsFor a `WaitsFor` */
  suspend(worker: WorkerLink, { id }: FrontRequest, waitsFor: number, nowMs: number): void {
    const run = worker.runs.get(id);
    if (run === undefined) return;
    worker.suspend(run, waitsFor, nowMs);
    if (!worker.duties.isEmpty) this.reviewOccupied(worker);
  }

  /** Tells a worker to close an idle state, which the pool does not use any more. */
  close(worker: WorkerLink, { id, script }: PoolState): void {
    this.#post(worker, { kind: 'close', state: id, script }, ToWorker.CLOSE);
  }

  /** Lets a worker collect some of the garbage of an idle state. */
  collect(worker: WorkerLink, { id, script }: PoolState): void {
    this.#post(worker, { kind: 'collect', state: id, script }, ToWorker.COLLECT);
  }

  #post(worker: WorkerLink, duty: Duty, type: number, request = 0, argument = duty.state): void {
    worker.duties.add(duty);
    worker.send(type, request, argument);
    this.reviewOccupied(worker);
  }

  /** A worker has done what it was told to. */
  answered(worker: WorkerLink, kind: Duty['kind'], state: number): void {
    worker.duties.answered(kind, state);
    this.reviewOccupied(worker);
  }

  /** To be called when a worker's duties, or what it executes, have changed: the pool gives it requests only without. */
  reviewOccupied(worker: WorkerLink): void {
    this.#pool.setOccupied(worker.id, worker.isOccupied);
  }

  /** Tells a retired worker to end, once it has done what it has begun with. */
  stopIfDone(worker: WorkerLink): void {
    if (!worker.isRetired || worker.isStopped || worker.runs.size > 0 || worker.lending.mayBeServing) return;
    worker.isStopped = true;
    this.#post(worker, { kind: 'stop', state: 0, script: '' }, ToWorker.STOP);
  }

  /** The client of a request has gone, or does not want the answer any more: its script may have to be stopped. */
  clientGone(request: FrontRequest): void {
    request.isClientGone = true;
    if (request.stopsOnAbort && request.worker !== undefined) this.stop(request, InterruptRequest.UNWANTED);
  }

  /** Asks for the Lua stack of a request. @returns whether a worker has it */
  askForStack(request: FrontRequest): boolean {
    const worker = this.#workers.get(request.worker?.id ?? -1);
    const run = worker?.runs.get(request.id);
    if (worker === undefined || run === undefined) return false;
    run.stacksWanted += 1;
    // Its worker may execute another one: what it has not read yet must not grow without end.
    const isSent = run.stacksWanted > 1 && run.stacksWanted % RESEND_EVERY !== 0;
    if (run.isSuspended && isSent) return true;
    if (run.isSuspended) worker.send(ToWorker.STACK, request.id, 0);
    else this.#actions.interrupt(worker.id, request.id, InterruptRequest.TRACE);
    return true;
  }

  /** Stops the script of a request: where it executes, or where it waits. */
  stop(request: FrontRequest, reason: InterruptRequest): void {
    const worker = this.#workers.get(request.worker?.id ?? -1);
    const run = worker?.runs.get(request.id);
    if (worker === undefined || run === undefined) return;
    if (!run.isSuspended) return this.#actions.interrupt(worker.id, request.id, reason);
    if (run.isCancelled) return;
    run.isCancelled = true;
    const { id, script } = run.state;
    this.#post(worker, { kind: 'cancel', state: id, script }, ToWorker.CANCEL, request.id, reason);
  }
}
