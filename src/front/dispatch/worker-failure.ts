/**
 * What happens when a worker ends or hangs: its requests are answered, its states are gone, and what it was lent is the
 * front's again. A request past its limit is stopped; if it does not stop, its worker is replaced.
 */
import { toText } from '../../base/byte-string.js';
import { describeError, LuafcgidError } from '../../base/errors.js';
import { InterruptRequest } from '../../channel/interrupts.js';
import type { Pool } from '../../pool/pool.js';
import type { Answers } from '../answers/answers.js';
import type { Lending } from '../lending/lending.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import { type Duty, describeDuty } from '../model/duties.js';
import type { FrontRequest } from '../model/request.js';
import type { Run } from '../model/run.js';
import type { WorkerLink } from '../model/worker-link.js';
import { CRASH_MINUTES, CrashCount } from './crash-count.js';
import type { LentRequests } from './lent-requests.js';
import type { Mailbox } from './mailbox.js';
import type { WorkerTable } from './worker-table.js';

/** The time that a worker may take for a duty between requests: while nobody waits for a worker, and while somebody does. */
const DUTY_MS = 5_000;
const NEEDED_DUTY_MS = 2_000;

/** A request waits so long behind the duties of its worker; after that it is given to another one, as far as it can be. */
const TAKE_BACK_MS = 500;

/** Scripts that are named of a worker which hangs while it closes all its states. */
const SCRIPTS_NAMED = 5;

/**
 * The longest step of time that counts, little more than the driver takes between two looks. A longer one says that this
 * thread got no processor, or that the process was stopped: then its workers may have had none, either.
 */
const LONGEST_STEP_MS = 300;

export interface WorkerFailureParts {
  readonly options: FrontOptions;
  readonly actions: FrontActions;
  readonly pool: Pool<FrontRequest>;
  readonly answers: Answers;
  readonly meters: Meters;
  readonly workers: WorkerTable;
  readonly lending: Lending;
  readonly lentRequests: LentRequests;
  readonly mailbox: Mailbox;
}

export class WorkerFailure {
  readonly #parts: WorkerFailureParts;
  /** A worker was struck off, or a request was taken back from it. */
  readonly #lost: (worker: WorkerLink, nowMs: number) => void;
  /** Workers that were given up while their threads run on: what those threads wait with has to stay. */
  readonly #abandoned = new Map<number, WorkerLink>();
  readonly #crashes = new CrashCount();
  /** When `watch` was last called. */
  #watchedMs: number | undefined;

  /** @param lost told of each worker that was struck off, or that a request was taken back from: requests may start on others */
  constructor(parts: WorkerFailureParts, lost: (worker: WorkerLink, nowMs: number) => void) {
    this.#parts = parts;
    this.#lost = lost;
  }

  /** A worker's thread has ended. Its request is answered, its states are gone. */
  gone(id: number, reason: string, nowMs: number): void {
    const { workers, pool, mailbox, answers } = this.#parts;
    const worker = workers.get(id);
    if (worker === undefined) return;
    pool.retireWorker(id);
    // The news of its end may have overtaken the END of its request.
    mailbox.readAll(worker, nowMs);
    const error = answers.drain.isUnderWay
      ? new LuafcgidError('LUAFCGID_SERVER_STOPPED')
      : new LuafcgidError('LUAFCGID_WORKER_GONE', { reason });
    this.#endLending(worker, nowMs);
    // Scripts that only waited in it are not the cause.
    this.#noteCrash(worker.executing?.request.script ?? worker.duties.first?.script ?? '', nowMs);
    this.#strikeOff(worker, error, nowMs);
    this.threadEnded(id);
  }

  /** The thread of a worker has ended that is not in the books any more. */
  threadEnded(id: number): void {
    const worker = this.#abandoned.get(id);
    if (worker === undefined) return;
    this.#abandoned.delete(id);
    this.#parts.lending.threadEnded(worker);
  }

  /** Looks at the time that requests have run, and workers have owed an answer. To be called every so often. */
  watch(nowMs: number): void {
    const stepMs = Math.min(nowMs - (this.#watchedMs ?? nowMs), LONGEST_STEP_MS);
    for (const worker of [...this.#parts.workers]) {
      const run = worker.executing;
      if (run === undefined) this.#watchDuties(worker, stepMs, nowMs);
      else this.#watchRun(worker, run, stepMs, nowMs);
      for (const { request, isSuspended } of worker.runs.values()) {
        if (isSuspended && this.#isOverdue(request, nowMs)) {
          this.#parts.workers.stop(request, InterruptRequest.OVERDUE);
        }
      }
    }
    this.#watchedMs = nowMs;
  }

  #watchRun(worker: WorkerLink, run: Run, stepMs: number, nowMs: number): void {
    const { request } = run;
    const { options, actions } = this.#parts;
    const facts = {
      hasBegun: worker.hasBegun(request),
      isOver: worker.isOver(request),
      isWaitingForClient: worker.isWaitingForClient(run),
      isUnwanted: request.isClientGone && request.stopsOnAbort,
      isOverdue: this.#isOverdue(request, nowMs),
      watchdogMs: request.watchdogMs,
    };
    const isBehindDuties = !facts.hasBegun && !facts.isOver && !worker.duties.isEmpty;
    worker.duties.unansweredMs = isBehindDuties ? worker.duties.unansweredMs + stepMs : 0;
    if (isBehindDuties && this.#takeBack(worker, run, nowMs)) return;
    const { interrupts, isWorkerLost } = run.clock.look(facts, nowMs, options.slowTimeMs);
    for (const reason of interrupts) actions.interrupt(worker.id, request.id, reason);
    if (isWorkerLost) this.#abandon(worker, run, nowMs);
  }

  /** Whether a request has taken longer in all than it may. */
  #isOverdue({ times }: FrontRequest, nowMs: number): boolean {
    const { requestTimeMs } = this.#parts.options;
    return requestTimeMs > 0 && nowMs - times.arrivedMs >= requestTimeMs;
  }

  /** Takes a request back that a worker has not come to for some time, since it is still at its duties. */
  #takeBack(worker: WorkerLink, run: Run, nowMs: number): boolean {
    const { request, state } = run;
    const { pool, workers, answers } = this.#parts;
    if (nowMs - run.startedMs < TAKE_BACK_MS) return false;
    if (request.hasHandedOnInput || !worker.revokeStart(request)) return false;
    worker.end(run, nowMs);
    workers.reviewOccupied(worker);
    pool.release(state.id, true, 0);
    pool.setAway(worker.id);
    if (request.isAnswered) answers.over(request);
    else {
      this.#waitAgain(request);
      pool.join(request);
    }
    workers.stopIfDone(worker);
    this.#lost(worker, nowMs);
    return true;
  }

  /** A request that no worker has begun with begins anew. */
  #waitAgain(request: FrontRequest): void {
    request.worker = undefined;
    request.state = undefined;
    request.stage = 'waiting';
    request.chargeTo(this.#parts.meters.requests);
  }

  /** Looks at a worker without a request: it is lost when it does not do what it was told to. */
  #watchDuties(worker: WorkerLink, stepMs: number, nowMs: number): void {
    const { duties } = worker;
    duties.unansweredMs = duties.isEmpty ? 0 : duties.unansweredMs + stepMs;
    const { pool, mailbox } = this.#parts;
    const isLost = (): boolean => duties.unansweredMs >= (pool.isAnyoneWaiting ? NEEDED_DUTY_MS : DUTY_MS);
    if (!isLost()) return;
    mailbox.read(worker, nowMs);
    const duty = duties.first;
    if (worker.executing !== undefined || duty === undefined || !isLost()) return;
    const reason = describeDuty(duty) + (duty.kind === 'stop' ? this.#scriptsOf(worker) : '');
    this.#giveUp(worker, reason, duty.script, nowMs);
    this.#strikeOff(worker, new LuafcgidError('LUAFCGID_WORKER_GONE', { reason }), nowMs);
  }

  /** The scripts of a worker's states, for a sentence about them; not all where they are many. */
  #scriptsOf(worker: WorkerLink): string {
    const scripts = new Set<string>();
    for (const state of this.#parts.pool.states()) if (state.worker === worker.id) scripts.add(toText(state.script));
    const named = [...scripts].slice(0, SCRIPTS_NAMED);
    if (named.length === 0) return '';
    const more = scripts.size > named.length ? ` and ${scripts.size - named.length} more` : '';
    return `, of ${named.join(', ')}${more}`;
  }

  /** Has a worker that hangs ended and replaced. @param script that it hangs for; '' where that is not known */
  #giveUp(worker: WorkerLink, reason: string, script: string, nowMs: number): void {
    this.#parts.pool.retireWorker(worker.id);
    this.#endLending(worker, nowMs);
    this.#parts.actions.abandon(worker.id, reason);
    if (script !== '') this.#noteCrash(script, nowMs);
  }

  /** A worker hangs with a request, which is answered, or begins anew if the worker had not begun with it. */
  #abandon(worker: WorkerLink, run: Run, nowMs: number): void {
    const { mailbox } = this.#parts;
    const { request } = run;
    // It may have ended in this very moment.
    mailbox.read(worker, nowMs);
    if (worker.executing !== run) return;
    // Its END is in the ring behind output that waits for a slow client: the worker does not hang.
    if (!worker.hasBegun(request) && worker.peek() !== undefined) return;
    if (worker.hasBegun(request)) {
      mailbox.reportSlow(worker, run, undefined);
      const script = toText(request.script);
      const ran = (run.clock.ranMs / 1000).toFixed(1);
      this.#giveUp(worker, `${script} does not stop after ${ran} s`, request.script, nowMs);
      this.#parts.answers.refuse(request, new LuafcgidError('LUAFCGID_SCRIPT_HANGS', { script, ran }));
      // The requests that are suspended there end with it, and are not to blame.
      const reason = `${script} does not stop`;
      return this.#strikeOff(worker, new LuafcgidError('LUAFCGID_WORKER_GONE', { reason }), nowMs);
    }
    const duty = this.#dutyBefore(worker, run);
    const reason = describeDuty(duty);
    this.#giveUp(worker, reason, duty.script, nowMs);
    // A script that has done its work must not do it twice.
    const isWhole = !request.hasHandedOnInput && !request.isAnswered && !worker.isOver(request);
    if (isWhole) {
      worker.end(run, nowMs);
      this.#waitAgain(request);
    }
    const error = new LuafcgidError('LUAFCGID_WORKER_GONE', { reason });
    this.#strikeOff(worker, error, nowMs, isWhole ? request : undefined);
  }

  /** What keeps a worker from a run that it has not begun with, or whose script is over. */
  #dutyBefore(worker: WorkerLink, { request, state, evicted }: Run): Duty {
    if (worker.isOver(request)) return { kind: 'close', state: state.id, script: state.script };
    const closesFirst = evicted !== undefined && this.#parts.pool.isEvicted(evicted.id) ? evicted : undefined;
    if (closesFirst !== undefined) return { kind: 'close', state: closesFirst.id, script: closesFirst.script };
    return worker.duties.first ?? { kind: 'begin', state: state.id, script: request.script };
  }

  /** A worker is given up: what it was lent is the front's again, and so is what it runs from there. */
  #endLending(worker: WorkerLink, nowMs: number): void {
    const { mailbox, lending, lentRequests } = this.#parts;
    const { lender } = worker.lending;
    mailbox.readCounted(worker, nowMs);
    const lent = worker.executing === undefined ? lender.takeOver() : undefined;
    const descriptor = lender.shut();
    if (lent !== undefined) lentRequests.promoted(worker, lent, nowMs);
    // What it has read and given back is in its ring, and nowhere else.
    mailbox.readCounted(worker, nowMs);
    // One that it has accepted is not known here; one that it has given back by now is not its any more.
    const broken = descriptor === undefined ? undefined : lentRequests.ownedBy(worker, descriptor);
    lending.accepting.set(worker, false);
    // Nothing was sent yet to those that wait: they end with the worker's other requests.
    for (const waiting of lender.waiting.list()) {
      const isHere =
        waiting.descriptor !== descriptor && lentRequests.ownedBy(worker, waiting.descriptor) !== undefined;
      if (isHere) lentRequests.promoted(worker, waiting, nowMs);
    }
    lending.takeFromGone(worker);
    // Nobody knows what was read from it, or sent.
    broken?.destroy();
  }

  /** Strikes a worker off. What it had begun with ends with this error. @param again a request to be begun anew */
  #strikeOff(worker: WorkerLink, error: LuafcgidError, nowMs: number, again?: FrontRequest): void {
    const { pool, workers, answers, meters } = this.#parts;
    this.#endLending(worker, nowMs);
    const lost = pool.removeWorker(worker.id);
    workers.delete(worker);
    this.#abandoned.set(worker.id, worker);
    for (const run of [...worker.runs.values()]) {
      worker.end(run, nowMs);
      lost.push(run.request);
    }
    for (const request of lost) {
      // No worker has it any more, and it is not in the queue.
      if (request.stage !== 'running') request.chargeTo(meters.running);
      request.stage = 'running';
      request.worker = undefined;
      answers.refuse(request, error);
      answers.over(request);
    }
    if (again !== undefined) pool.join(again);
    this.#lost(worker, nowMs);
  }

  /** @param script '' where none is known */
  #noteCrash(script: string, nowMs: number): void {
    const times = script === '' ? undefined : this.#crashes.note(script, nowMs);
    if (times === undefined) return;
    const error = new LuafcgidError('LUAFCGID_SCRIPT_CRASHES', {
      script: toText(script),
      times,
      minutes: CRASH_MINUTES,
    });
    this.#parts.actions.log('error', describeError(error));
  }
}
