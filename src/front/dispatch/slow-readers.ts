/**
 * Requests whose clients read too slowly for their output. The front tells the worker of such a request that its output has to
 * wait. While the request executes, a word in shared memory tells it: the script is suspended at its next output, where Lua can
 * be. While the request is suspended, messages tell it.
 */
import { ToWorker, WaitsFor } from '../../channel/messages.js';
import type { FrontOptions } from '../model/actions.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Run } from '../model/run.js';
import type { WorkerLink } from '../model/worker-link.js';

/** Ticks for which a slow reader may hold what others need: it may just be about to read. */
export const PATIENCE_TICKS = 2;

export class SlowReaders {
  readonly #options: FrontOptions;
  readonly #hasSendRoom: () => boolean;
  /** Suspended requests whose output has to wait, and their workers, by connection. */
  readonly #suspended = new Map<FrontConnection, Map<Run, WorkerLink>>();

  /** @param hasSendRoom whether more output may be written for all clients together */
  constructor(options: FrontOptions, hasSendRoom: () => boolean) {
    this.#options = options;
    this.#hasSendRoom = hasSendRoom;
  }

  /** Whether output has to wait: the client that it is for does not read, or all clients together do not. */
  mustWait({ isAnswered, connection }: FrontRequest): boolean {
    return !isAnswered && (connection.unsentBytes > this.#options.sendBufferBytes || !this.#hasSendRoom());
  }

  /** Looks whether the output of the run that a worker executes has to wait, and tells the worker. */
  reviewExecuting(worker: WorkerLink, run: Run): boolean {
    const isHeld = this.mustWait(run.request);
    if (isHeld || run.isOutputHeld) worker.holdOutput(run, isHeld);
    run.isOutputHeld = isHeld;
    run.mayBeHeld ||= isHeld;
    return isHeld;
  }

  /** A run is suspended. It may wait for its client, which may have read by now. */
  noteSuspended(worker: WorkerLink, run: Run): void {
    if (!this.mustWait(run.request)) {
      const waitsForClient = run.waitsFor === WaitsFor.OUTPUT || (run.waitsFor === WaitsFor.SEVERAL && run.mayBeHeld);
      run.isOutputHeld = false;
      if (waitsForClient) this.#tellRoom(worker, run);
      return;
    }
    run.isOutputHeld = true;
    run.mayBeHeld = true;
    run.heldTicks = 0;
    // It may have been suspended before it could see that, and would write on after its wait.
    if (run.waitsFor !== WaitsFor.OUTPUT) worker.send(ToWorker.HOLD, run.request.id, 0);
    const { connection } = run.request;
    const runs = this.#suspended.get(connection) ?? new Map<Run, WorkerLink>();
    this.#suspended.set(connection, runs.set(run, worker));
  }

  /** It is suspended no longer, or over. */
  forget(run: Run): void {
    if (this.#suspended.size === 0) return;
    const { connection } = run.request;
    const runs = this.#suspended.get(connection);
    if (runs?.delete(run) === true && runs.size === 0) this.#suspended.delete(connection);
  }

  /** A client has read, or is gone: those of its requests go on that are suspended for it. */
  release(connection: FrontConnection): void {
    for (const [run, worker] of this.#suspended.get(connection) ?? []) this.#review(run, worker);
  }

  /**
   * Time has passed: looks at all of them. Where states are lacking, the rest of what they answer goes to files.
   * @param needsStates requests wait for the states that these runs hold
   */
  tick(needsStates: boolean): void {
    for (const runs of [...this.#suspended.values()]) {
      for (const [run, worker] of runs) {
        if (!this.#review(run, worker)) continue;
        run.heldTicks += 1;
        if (!needsStates || run.heldTicks < PATIENCE_TICKS) continue;
        const { connection } = run.request;
        if (connection.unsentBytes > this.#options.sendBufferBytes && connection.startSpooling()) {
          this.#review(run, worker);
        }
      }
    }
  }

  /** Returns whether it still waits. */
  #review(run: Run, worker: WorkerLink): boolean {
    // A worker that is lost says nothing any more of its runs.
    const isThere = run.isSuspended && worker.runs.get(run.request.id) === run;
    if (isThere && this.mustWait(run.request)) return true;
    this.forget(run);
    if (isThere) {
      run.isOutputHeld = false;
      this.#tellRoom(worker, run);
    }
    return false;
  }

  #tellRoom(worker: WorkerLink, run: Run): void {
    run.mayBeHeld = false;
    worker.holdOutput(run, false);
    worker.send(ToWorker.ROOM, run.request.id, 0);
  }
}
