/**
 * Reads what workers post in their rings, and keeps the books true to it. A worker's output waits in its ring while the
 * client that it is for does not read; everything behind it waits, too.
 */
import { toText } from '../../base/byte-string.js';
import { roleName } from '../../base/roles.js';
import {
  decodeDependency,
  decodePromoted,
  decodeServed,
  decodeUsage,
  END_STATE_GONE,
  FromWorker,
  isCounted,
  LOG_LEVELS,
  LOG_OF_SCRIPT,
  tookMsOf,
  typeOf,
} from '../../channel/messages.js';
import type { Frame } from '../../channel/ring.js';
import type { Pool } from '../../pool/pool.js';
import type { Answers } from '../answers/answers.js';
import type { Lending } from '../lending/lending.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import { askedOf } from '../model/asked.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Run } from '../model/run.js';
import type { Tally } from '../model/tally.js';
import type { WorkerLink } from '../model/worker-link.js';
import type { LentRequests } from './lent-requests.js';
import { PATIENCE_TICKS, SlowReaders } from './slow-readers.js';
import type { WorkerTable } from './worker-table.js';

/**
 * What is read of one worker before the others and the sockets are looked at: a script that writes without an end must
 * not hold the front. A frame counts as some bytes, whatever it carries.
 */
const READ_AT_ONCE_BYTES = 256 * 1024;
const FRAME_COST_BYTES = 1024;

/** Characters of a traceback in which its innermost line is looked for. */
const TRACEBACK_CHARS = 4_096;

/** What ends with a message, or begins. */
export interface MailboxOwner {
  /** A worker may be free: starts what can start. */
  startWaiting(nowMs: number): void;
  /** A worker has ended a request: it runs the next one that it was offered, if any. */
  beginOffered(worker: WorkerLink, nowMs: number): void;
  /** Whether more output may be written. */
  hasSendRoom(): boolean;
}

export class Mailbox {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #pool: Pool<FrontRequest>;
  readonly #answers: Answers;
  readonly #workers: WorkerTable;
  readonly #lending: Lending;
  readonly #lentRequests: LentRequests;
  /** All requests that are not over, by number. */
  readonly #requests: ReadonlyMap<number, FrontRequest>;
  readonly #tally: Tally;
  readonly #owner: MailboxOwner;
  readonly #slowReaders: SlowReaders;

  constructor(
    parts: {
      readonly options: FrontOptions;
      readonly actions: FrontActions;
      readonly pool: Pool<FrontRequest>;
      readonly answers: Answers;
      readonly workers: WorkerTable;
      readonly lending: Lending;
      readonly lentRequests: LentRequests;
      readonly requests: ReadonlyMap<number, FrontRequest>;
      readonly tally: Tally;
    },
    owner: MailboxOwner,
  ) {
    this.#options = parts.options;
    this.#actions = parts.actions;
    this.#pool = parts.pool;
    this.#answers = parts.answers;
    this.#workers = parts.workers;
    this.#lending = parts.lending;
    this.#lentRequests = parts.lentRequests;
    this.#requests = parts.requests;
    this.#tally = parts.tally;
    this.#owner = owner;
    this.#slowReaders = new SlowReaders(parts.options, () => owner.hasSendRoom());
  }

  /**
   * Reads what a worker has posted, until its output has to wait for a slow reader or it is the others' turn.
   * @returns whether there was any
   */
  read(worker: WorkerLink, nowMs: number): boolean {
    let hasRead = false;
    for (let left = READ_AT_ONCE_BYTES; left > 0; left -= FRAME_COST_BYTES) {
      if (this.#hasToHold(worker)) return hasRead;
      const frame = worker.peek();
      if (frame === undefined) return hasRead;
      hasRead = true;
      left -= frame.payload.length;
      this.#handleNext(worker, frame, nowMs);
    }
    return hasRead;
  }

  /** Reads everything, whoever has to wait for it: the worker has ended. */
  readAll(worker: WorkerLink, nowMs: number): void {
    for (let frame = worker.peek(); frame !== undefined; frame = worker.peek()) this.#handleNext(worker, frame, nowMs);
  }

  /** Reads up to the last message about connections. */
  readCounted(worker: WorkerLink, nowMs: number): void {
    while (!worker.lending.lender.isUpToDate) {
      const frame = worker.peek();
      // It ended, or hangs, while it posted that message.
      if (frame === undefined) return;
      this.#handleNext(worker, frame, nowMs);
    }
  }

  /** Output that had to wait for this connection may go on. */
  readHeldFor(connection: FrontConnection, nowMs: number): void {
    this.#slowReaders.release(connection);
    for (const worker of this.#workers) {
      const run = worker.executing;
      if (run?.isOutputHeld === true && run.request.connection === connection) this.read(worker, nowMs);
    }
  }

  /**
   * Frees workers whose output a slow reader holds while others need them: the rest of the answer goes to a file, at the
   * speed of the disk.
   * @param isNeeded requests wait, or were turned away
   */
  freeHeld(isNeeded: boolean, nowMs: number): void {
    // Where a worker is free and requests wait all the same, states are lacking.
    this.#slowReaders.tick(isNeeded && [...this.#workers].some(({ executing }) => executing === undefined));
    for (const worker of this.#workers) {
      const run = worker.executing;
      if (run === undefined) continue;
      run.heldTicks = run.isOutputHeld ? run.heldTicks + 1 : 0;
      if (run.heldTicks < PATIENCE_TICKS) continue;
      // Connections that it has given back, or handed over, wait behind its output as well.
      if (!isNeeded && worker.lending.lender.isUpToDate) continue;
      const { connection } = run.request;
      if (connection.unsentBytes <= this.#options.sendBufferBytes) continue;
      if (connection.startSpooling()) this.read(worker, nowMs);
    }
  }

  /**
   * Whether a worker's output has to wait in its ring for a client that does not read. What lies there of a run that is
   * suspended by now is read all the same: others of this worker come behind it. That is no more than the ring holds.
   */
  #hasToHold(worker: WorkerLink): boolean {
    const run = worker.executing;
    if (run === undefined || !this.#slowReaders.reviewExecuting(worker, run)) return false;
    return !worker.hasLeft(run.request);
  }

  /** Releases the frame even if its handler throws, or it would be handled again for ever. */
  #handleNext(worker: WorkerLink, frame: Frame, nowMs: number): void {
    try {
      if (isCounted(frame.type)) worker.lending.lender.acknowledge();
      this.#handle(worker, frame, nowMs);
    } finally {
      worker.release();
    }
  }

  #handle(worker: WorkerLink, frame: Frame, nowMs: number): void {
    const { id, argument, payload } = frame;
    switch (typeOf(frame.type)) {
      case FromWorker.PROMOTED: {
        const lent = { ...decodePromoted(payload), request: id, state: argument };
        return this.#lentRequests.promoted(worker, lent, nowMs);
      }
      case FromWorker.RETURNED:
        return this.#lentRequests.returned(worker, id, payload, argument !== 0);
      case FromWorker.ACCEPTED:
        return this.#lentRequests.accepted(worker, id, argument !== 0, payload, nowMs);
      case FromWorker.ANSWER_REST:
        return this.#lentRequests.connectionOf(id).write(payload);
      case FromWorker.CLOSE_WHEN_SENT:
        return this.#lentRequests.connectionOf(id).close(false);
      case FromWorker.SERVED: {
        this.#lending.accepting.noteServed(id);
        const state = this.#pool.served(argument, id, decodeServed(payload), nowMs);
        return state === undefined ? undefined : this.#lending.noteTime(state, worker);
      }
      case FromWorker.LOG:
        return this.#log(worker, frame);
      case FromWorker.DEPENDS: {
        const { path, fingerprint } = decodeDependency(payload);
        return this.#pool.addDependency(argument, path, fingerprint);
      }
      case FromWorker.FREED: {
        const toClose = this.#lending.freed(argument, worker, tookMsOf(frame.type));
        if (toClose !== undefined) this.#workers.close(worker, toClose);
        return this.#owner.startWaiting(nowMs);
      }
      case FromWorker.CLOSED:
        if (id === 0) this.#pool.closed(argument);
        return this.#answered(worker, 'close', argument, nowMs);
      case FromWorker.COLLECTED:
        return this.#answered(worker, 'collect', argument, nowMs);
      case FromWorker.OFFER_REJECTED:
        this.#pool.bounced(worker.id);
        worker.forgetOffer(argument);
        this.#owner.beginOffered(worker, nowMs);
        return this.#owner.startWaiting(nowMs);
      case FromWorker.OUTPUT:
      case FromWorker.FINISH:
      case FromWorker.END:
      case FromWorker.USAGE:
      case FromWorker.SUSPENDED:
      case FromWorker.RESUMED:
      case FromWorker.TRACE:
      case FromWorker.WATCHDOG:
      case FromWorker.ON_ABORT: {
        const run = worker.runs.get(id);
        return run === undefined ? undefined : this.#handleOfRun(worker, run, frame, nowMs);
      }
      default:
        throw new Error(`message of type ${frame.type} from worker ${worker.id}`);
    }
  }

  /** A worker has done what it was told to between requests: it may be free now. */
  #answered(worker: WorkerLink, kind: 'close' | 'collect', state: number, nowMs: number): void {
    this.#workers.answered(worker, kind, state);
    if (worker.duties.isEmpty) this.#owner.startWaiting(nowMs);
  }

  /** What a worker posts about one of its runs. */
  #handleOfRun(worker: WorkerLink, run: Run, frame: Frame, nowMs: number): void {
    const { request } = run;
    switch (typeOf(frame.type)) {
      case FromWorker.OUTPUT:
        return this.#answers.pass(request, frame.payload);
      case FromWorker.FINISH:
        return this.#answers.finish(request, frame.payload, frame.argument);
      case FromWorker.END:
        return this.#end(worker, run, frame, nowMs);
      case FromWorker.USAGE:
        request.record?.used(decodeUsage(frame.payload));
        return;
      case FromWorker.SUSPENDED:
        return this.#suspended(worker, run, frame.argument, nowMs);
      case FromWorker.RESUMED:
        this.#slowReaders.forget(run);
        worker.resume(run, nowMs);
        this.#pool.resumed(run.state.id, nowMs);
        // A CANCEL that has not reached it yet does nothing while it executes.
        if (!worker.duties.isEmpty) this.#workers.answered(worker, 'cancel', run.state.id);
        return;
      case FromWorker.TRACE:
        return this.#traced(worker, run, Buffer.from(frame.payload).toString());
      case FromWorker.WATCHDOG:
        request.watchdogMs = run.clock.restart(frame.argument, this.#options.watchdogMaxMs);
        return;
      case FromWorker.ON_ABORT:
        request.stopsOnAbort = frame.argument === 1;
        if (request.isClientGone || (!request.isAnswered && request.connection.isReadEnded))
          this.#workers.clientGone(request);
        return;
    }
  }

  /** The Lua stack of a request has come, for the slow log or for an operator. */
  #traced(worker: WorkerLink, run: Run, traceback: string): void {
    if (run.stacksWanted > 0) {
      const seen = { isWaiting: run.isSuspended, times: run.stacksWanted };
      run.stacksWanted = 0;
      this.#actions.stack?.(this.#answers.nameOf(run.request), traceback, seen);
    }
    this.reportSlow(worker, run, traceback);
  }

  /** A request waits for a result: its worker is free for others. */
  #suspended(worker: WorkerLink, run: Run, waitsFor: number, nowMs: number): void {
    worker.suspend(run, waitsFor, nowMs);
    this.#slowReaders.noteSuspended(worker, run);
    this.#pool.suspend(run.state.id);
    if (!worker.duties.isEmpty) this.#workers.reviewOccupied(worker);
    this.#owner.beginOffered(worker, nowMs);
    this.#owner.startWaiting(nowMs);
    this.#noteIdle(worker);
    // Its client may have gone while it executed.
    if (run.request.isClientGone) this.#workers.clientGone(run.request);
  }

  /** Between two requests nothing starves behind one. */
  #noteIdle(worker: WorkerLink): void {
    if (worker.executing !== undefined) return;
    worker.lending.noteFree();
  }

  #end(worker: WorkerLink, run: Run, frame: Frame, nowMs: number): void {
    const { request, state } = run;
    // Its Lua stack was asked for while it was in C, or just over.
    this.reportSlow(worker, run, undefined);
    worker.end(run, nowMs);
    this.#slowReaders.forget(run);
    request.worker = undefined;
    const hasToClose = this.#pool.release(state.id, (frame.type & END_STATE_GONE) !== 0, tookMsOf(frame.type));
    if (hasToClose) this.#workers.close(worker, state);
    if (!worker.duties.isEmpty) this.#workers.answered(worker, 'cancel', state.id);
    this.#lending.noteTime(state, worker);
    this.#owner.beginOffered(worker, nowMs);
    // The worker gets its next request before this one's answer is written: it need not sleep meanwhile.
    this.#owner.startWaiting(nowMs);
    this.#noteIdle(worker);
    this.#answers.finish(request, frame.payload, frame.argument);
    this.#answers.over(request);
    this.#lending.considerLending(request, worker, nowMs);
  }

  /** Reports a request that was found to run slowly, once. @param traceback undefined where Lua did not come to tell it */
  reportSlow(worker: WorkerLink, run: Run, traceback: string | undefined): void {
    if (!run.clock.isTraceWanted) return;
    run.clock.noteTraceReported();
    run.slowLine = traceback === undefined ? '' : firstPlaceIn(traceback);
    this.#tally.slow += 1;
    this.#actions.slow({
      request: this.#answers.nameOf(run.request),
      script: toText(run.request.script),
      state: run.state.id,
      worker: worker.place,
      role: roleName(run.request.role),
      runningMs: run.request.times.executedMs,
      queuedMs: Math.max(0, run.startedMs - (run.request.times.queuedMs ?? run.startedMs)),
      asked: askedOf(run.request),
      traceback,
    });
  }

  #log(worker: WorkerLink, frame: Frame): void {
    const level = LOG_LEVELS[frame.argument] ?? 'info';
    const text = Buffer.from(frame.payload).toString();
    const request = this.#requests.get(frame.id);
    const isOfScript = (frame.type & LOG_OF_SCRIPT) !== 0;
    if (request === undefined) this.#actions.log(level, text, { worker: worker.place, isOfScript });
    else this.#answers.log(request, level, text, isOfScript);
  }
}

/** The innermost line of a Lua file that a traceback names, `file:line`. */
function firstPlaceIn(traceback: string): string {
  return /\s(\/[^\s:]{1,400}:\d{1,9}):/.exec(traceback.slice(0, TRACEBACK_CHARS))?.[1] ?? '';
}
