/**
 * Runs requests in the Lua states of this worker. There may be many runs at a time, of which one executes. The others are
 * suspended until an operation is over that they wait for (`waits.ts`), or block further down on this thread's stack.
 */

import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { Role, roleName } from '../base/roles.js';
import { Abandoned, InterruptRequest, type Interrupts } from '../channel/interrupts.js';
import { END_STATE_GONE } from '../channel/messages.js';
import type { Config } from '../config/load.js';
import { type ByteString, type InterruptSource, LuaError, type ServeResult } from '../lua/state.js';
import type { WorkerCounters } from '../metrics/counters.js';
import { BlockedPlaces } from './blocked-places.js';
import { describeFailure } from './error-detail.js';
import type { ImageExchange } from './image-exchange.js';
import type { Outbox } from './outbox.js';
import { OutputBuffer } from './output-buffer.js';
import type { RequestOrigin } from './request-channels.js';
import { Run, type RunStart } from './run.js';
import type { Handler, ScriptState, StateReports, StateSettings } from './script-state.js';
import { UnscheduledTime } from './unscheduled-time.js';
import type { CpuClock, UsageMeter } from './usage-meter.js';
import { holdsOperations, Waits, type WaitsParts } from './waits.js';
import { type WarmedScript, WarmStart } from './warm-start.js';
import { WorkerStates } from './worker-states.js';

/** A state's memory is looked at so often, when a request has run in it. */
const MEMORY_EVERY_MS = 1_000;
/** The status of a request that a time limit has ended. */
const TIMED_OUT = 504;

export interface RunnerParts {
  readonly config: Config;
  readonly origin: RequestOrigin;
  readonly interrupts: Interrupts;
  readonly outbox: Outbox;
  /** Measures what requests take; undefined: nobody wants to know. */
  readonly usage: UsageMeter | undefined;
  /** The processor time of this thread; undefined: nobody needs to know how much of a request's time that is. */
  readonly cpuClock: CpuClock | undefined;
  readonly counters: WorkerCounters;
  /** Images that workers share; undefined: there are no other workers. */
  readonly imageExchange: ImageExchange | undefined;
  /** What scripts wait for, and how this thread sleeps meanwhile. */
  readonly waits: Omit<WaitsParts, 'owner' | 'isReady' | 'blocks'>;
  /** A request is over: what still comes of its body is dropped. */
  readonly forgetBody: (id: number) => void;
  /** What all states have in common, but for what depends on the run that executes. */
  readonly states: Omit<StateSettings, 'reports' | 'interrupts' | 'waits'>;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #states: WorkerStates;
  /** Requests that have been suspended and are not over, by number. */
  readonly #lasting = new Map<number, Run>();
  /** The run whose script executes now. */
  #executing: Run | undefined;
  /** Suspended runs that can go on, in the order in which their operations were over. */
  readonly #ready: Run[] = [];
  readonly #waits: Waits;
  readonly #warmStart = new WarmStart();
  readonly #blocked = new BlockedPlaces();
  readonly #unscheduled: UnscheduledTime;
  /** Buffers that no run uses. */
  readonly #buffers: OutputBuffer[] = [];

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#unscheduled = new UnscheduledTime(parts.cpuClock, () => performance.now());
    this.#waits = new Waits({
      ...parts.waits,
      blocks: (owner, place, isForClient) => {
        if (owner !== this.#warmStart.loading) this.#noteBlocked(owner as Run, place, isForClient);
      },
      owner: () => {
        const owner = this.#executing ?? this.#warmStart.loading;
        if (owner === undefined) throw new Error('no request is running');
        return owner;
      },
      sleep: (isDone, untilMs) => this.#warmStart.sleep(parts.waits.sleep, isDone, untilMs),
      isReady: (owner) => {
        const run = owner as Run;
        if (run.isSuspended) this.#listReady(run);
      },
    });
    this.#states = new WorkerStates({
      config: parts.config,
      counters: parts.counters,
      imageExchange: parts.imageExchange,
      settings: {
        ...parts.states,
        reports: this.#reports(),
        interrupts: this.#interruptSource(),
        waits: this.#waits,
      } satisfies StateSettings,
      closed: (id) => parts.outbox.closed(id),
      log: (level, text) => parts.outbox.log(0, level, text),
      logOfRun: (level, text) => parts.outbox.log(this.#executing?.id ?? 0, level, text),
    });
  }

  /** The Lua states of this worker. */
  get states(): WorkerStates {
    return this.#states;
  }

  /** Loads scripts before the first request, one after the other. */
  warm(scripts: readonly ByteString[]): WarmedScript[] {
    return this.#warmStart.load(scripts, this.#states.images, this.#parts.config, this.#waits);
  }

  /** The operations that scripts of this worker wait for. */
  get waits(): Waits {
    return this.#waits;
  }

  /**
   * Runs a request until it is over, or has to wait for something.
   * @throws Abandoned when nobody listens to this thread any more
   */
  execute(start: RunStart): void {
    const { config, origin } = this.#parts;
    const run = new Run(start, config, origin, this.#buffers.pop() ?? new OutputBuffer(), performance.now());
    const handler = handlerFor(start.role, config);
    this.#execute(run, () => {
      const { lua } = this.#enterState(run, handler);
      return this.#recovering(run, () => lua.serve(handler.name, run.request, handler.role));
    });
  }

  /** Whether a suspended run can go on. */
  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Goes on with the suspended run whose operation was over first. Returns false when there is none. */
  resumeNext(): boolean {
    const run = this.#ready.shift();
    if (run === undefined) return false;
    run.isListed = false;
    // It was cancelled meanwhile.
    if (!run.isSuspended) return true;
    const { state } = run;
    if (state === undefined) throw new Error(`run ${run.id} has no state`);
    run.noteWaited(performance.now());
    this.#waits.goOn(run);
    run.start.outlet.resumed(run.id);
    this.#execute(run, () => {
      this.#setTarget(state);
      return this.#recovering(run, () => state.lua.resume());
    });
    return true;
  }

  /** Tells the front where a suspended run waits. */
  reportStack(id: number): void {
    const run = this.#lasting.get(id);
    if (run?.state === undefined || !run.isSuspended) return;
    this.#parts.outbox.trace(id, run.state.lua.suspendedTraceback());
  }

  /** The front says that output of a run has to wait for its client when it goes on, or has not to wait any more. */
  setOutputHeld(id: number, isHeld: boolean): void {
    const run = this.#lasting.get(id);
    if (run === undefined) return;
    this.#parts.outbox.setHeld(id, isHeld);
    if (!isHeld) this.#waits.outputHasRoom(run);
  }

  /** Ends a suspended run where it waits. @param reason an `InterruptRequest` */
  cancel(id: number, reason: number): void {
    const run = this.#lasting.get(id);
    if (run?.state === undefined || !run.isSuspended) return;
    run.noteWaited(performance.now());
    const error = this.#reasonOf(run, reason, 'waits');
    const traceback = run.state.lua.cancel();
    this.#fail(run, new LuaError('stopped', toByteString(error.message), traceback, error));
    this.#over(run);
  }

  /**
   * A state is to be closed. If a request waits in it, it is closed with that one.
   * @returns false when none does
   */
  closeLater(stateId: number): boolean {
    for (const run of this.#lasting.values()) {
      if (run.state?.id !== stateId || !run.isSuspended) continue;
      run.closesState = true;
      return true;
    }
    return false;
  }

  #execute(run: Run, call: () => ServeResult): void {
    const { interrupts } = this.#parts;
    const outer = this.#executing;
    this.#executing = run;
    interrupts.begin(run.id);
    this.#unscheduled.begin();
    try {
      const result = call();
      run.request.noteWaited(this.#unscheduled.end());
      if (result.outcome === 'suspended') {
        interrupts.suspend();
        this.#suspend(run);
        return this.#goBackTo(outer);
      }
      interrupts.end();
      this.#finish(run, result.exitCode);
    } catch (error) {
      interrupts.end();
      if (error instanceof Abandoned) throw error;
      this.#fail(run, error);
    }
    this.#over(run);
    this.#goBackTo(outer);
  }

  /** When the script fails, its application's own function answers, if there is one and nothing was sent yet. */
  #recovering(run: Run, call: () => ServeResult): ServeResult {
    try {
      return call();
    } catch (error) {
      const { state, request } = run;
      const { errorHandler } = this.#parts.config;
      const isOfScript = error instanceof LuaError && error.kind === 'runtime';
      if (!isOfScript || state === undefined || request.problem !== undefined) throw error;
      if (!request.canBeginAnew || !state.lua.hasFunction(errorHandler)) throw error;
      const { status, code, logText } = describeFailure(error, () => false);
      request.tell(status >= 500 ? 'error' : 'info', logText);
      request.beginProblem({ status, code, message: error.message, traceback: error.traceback });
      return state.lua.serve(errorHandler, request, roleName(run.start.role));
    }
  }

  #suspend(run: Run): void {
    run.outlive();
    this.#lasting.set(run.id, run);
    this.#waits.settle(run);
    run.isSuspended = true;
    run.suspendedMs = performance.now();
    run.start.outlet.suspended(run.id, this.#waits.waitsForOf(run));
    // Its operation may be over by now.
    if (this.#waits.hasResult(run)) this.#listReady(run);
  }

  #listReady(run: Run): void {
    if (run.isListed) return;
    run.isListed = true;
    this.#ready.push(run);
  }

  #over(run: Run): void {
    run.request.release();
    this.#waits.endOwner(run);
    this.#parts.forgetBody(run.id);
    this.#count(run);
    if (run.isLasting) {
      this.#lasting.delete(run.id);
      this.#parts.outbox.setHeld(run.id, false);
    }
    this.#buffers.push(run.buffer);
    if (run.state !== undefined) this.#states.leave(run.state, run.hasBlockedForClient);
  }

  /** The run that executed before goes on: it blocks until another one has ended or waits. */
  #goBackTo(outer: Run | undefined): void {
    this.#executing = outer;
    if (outer?.state === undefined) return;
    this.#parts.interrupts.begin(outer.id);
    this.#setTarget(outer.state);
  }

  /** Why the run that executes has to stop. */
  stopReason(): Error {
    return this.#reasonOf(this.#executing, this.#parts.interrupts.requested, 'ran');
  }

  /** @param requested bits of `InterruptRequest` */
  #reasonOf(run: Run | undefined, requested: number, place: string): LuafcgidError {
    if ((requested & InterruptRequest.OVERDUE) !== 0) {
      const seconds = this.#parts.config.requestTimeMs / 1000;
      return new LuafcgidError('LUAFCGID_REQUEST_OVERDUE', { seconds, place });
    }
    if ((requested & InterruptRequest.TIMEOUT) === 0) return new LuafcgidError('LUAFCGID_SCRIPT_UNWANTED');
    return new LuafcgidError('LUAFCGID_SCRIPT_TIMEOUT', { seconds: (run?.request.watchdogMs ?? 0) / 1000 });
  }

  /** The run's state, made now if it does not exist; interrupts find the run there. */
  #enterState(run: Run, handler: Handler): ScriptState {
    return this.#states.enter(
      run.start,
      handler,
      () => holdsOperations(run),
      (state) => {
        run.state = state;
        this.#setTarget(state);
      },
    );
  }

  /** A wait blocks this worker, which others have to wait for. */
  #noteBlocked(run: Run, where: string, isForClient: boolean): void {
    const { id, script } = run;
    if (isForClient) run.hasBlockedForClient = true;
    this.#parts.counters.noteBlocked(script);
    // At the end of a request its handler is left already.
    const text = this.#blocked.note(where === '' ? `the end of ${script}` : where, isForClient);
    if (text !== undefined) this.#parts.outbox.log(id, 'debug', text);
  }

  /** Interrupts find the run that executes in this state. */
  #setTarget({ lua: { hookTarget } }: ScriptState): void {
    if (hookTarget !== undefined) this.#parts.interrupts.setTarget(hookTarget.state, hookTarget.hook);
  }

  #finish({ start, state, request, closesState }: Run, exitCode: number): void {
    if (state !== undefined) this.#parts.usage?.noteMemory(state.lua.memoryBytes());
    const isSpent = start.retiresState || closesState || (state !== undefined && this.#states.isSpent(state));
    if (isSpent) this.#states.close(start.stateId);
    request.end(isSpent ? END_STATE_GONE : 0, exitCode);
  }

  /** The request failed; its state lives on unless it never came to be, or is not fit for another request. */
  #fail(run: Run, error: unknown): void {
    const { start, state, request } = run;
    const { config, usage } = this.#parts;
    const { status, logText, detail } = describeFailure(error, (file) => state?.isMadeFrom(file) ?? false);
    run.failedStatus = status;
    request.tell(status >= 500 ? 'error' : 'info', logText);
    const isLoaded = state !== undefined && this.#states.has(state);
    const isFit = error instanceof LuaError && ['runtime', 'syntax', 'stopped'].includes(error.kind);
    const lives = isLoaded && isFit && !start.retiresState && !run.closesState && !this.#states.isSpent(state);
    if (state !== undefined) usage?.noteMemory(state.lua.memoryBytes());
    if (!lives && state !== undefined) this.#states.closeState(state);
    const { editor, showErrors } = config;
    request.fail(
      lives ? 0 : END_STATE_GONE,
      status,
      showErrors ? { ...detail, ...(editor !== 'none' && { editor }) } : undefined,
    );
  }

  #count({ start, script, state, request, startedMs, waitedMs, failedStatus }: Run): void {
    const { counters } = this.#parts;
    const nowMs = performance.now();
    counters.note({
      script,
      status: request.sentStatus,
      sentBytes: request.sentBytes,
      tookMs: nowMs - startedMs,
      waitedMs,
      isDirect: start.isDirect,
      isLoad: start.createdFrom !== undefined,
      isFailed: failedStatus >= 500,
      isTimedOut: failedStatus === TIMED_OUT,
    });
    if (state === undefined || !this.#states.has(state) || nowMs < state.memoryDueMs) return;
    state.memoryDueMs = nowMs + MEMORY_EVERY_MS;
    counters.noteMemory(state.id, state.lua.memoryBytes());
  }

  /** What states report belongs to the run that executes; between two runs, to none. */
  #reports(): StateReports {
    const { outbox } = this.#parts;
    return {
      depends: (stateId, path, fingerprint) => outbox.depends(stateId, path, fingerprint),
      log: (level, text) => {
        const run = this.#executing;
        if (run === undefined) outbox.log(0, level, text, true);
        else run.start.outlet.log(run.id, level, text, true);
      },
    };
  }

  #interruptSource(): InterruptSource {
    const { interrupts, outbox } = this.#parts;
    return {
      get isStopWanted() {
        return interrupts.isStopWanted;
      },
      stopReason: () => this.stopReason(),
      takeTrace: () => interrupts.takeTrace(),
      traced: (traceback) => outbox.trace(this.#executing?.id ?? 0, traceback),
    };
  }
}

/** The global function that answers requests of a role. */
function handlerFor(role: number, config: Config): Handler {
  const name = role === Role.AUTHORIZER ? config.authorizer : role === Role.FILTER ? config.filter : config.handler;
  return { name, role: roleName(role) };
}
