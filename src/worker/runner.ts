/**
 * Runs requests in the Lua states of this worker. There may be several runs at a time, of which one executes: all
 * others would wait for a result (see `Suspended`). As no engine suspends a handler yet, there is at most one run.
 */

import { LuafcgidError } from '../base/errors.js';
import { Abandoned, InterruptRequest, type Interrupts } from '../channel/interrupts.js';
import { END_STATE_GONE, requestName } from '../channel/messages.js';
import type { Config } from '../config/load.js';
import { type InterruptSource, LuaError } from '../lua/state.js';
import type { WorkerCounters } from '../metrics/counters.js';
import { describeFailure } from './error-detail.js';
import type { Outbox } from './outbox.js';
import { OutputBuffer } from './output-buffer.js';
import { Run, type RunStart } from './run.js';
import { ScriptState, type StateReports, type StateSettings } from './script-state.js';
import type { UsageMeter } from './usage-meter.js';

export interface RunnerParts {
  readonly config: Config;
  /** Begins the name of every request. */
  readonly runName: string;
  readonly interrupts: Interrupts;
  readonly outbox: Outbox;
  /** Measures what requests take; undefined: nobody wants to know. */
  readonly usage: UsageMeter | undefined;
  readonly counters: WorkerCounters;
  /** What all states have in common, but for what depends on the run that executes. */
  readonly states: Omit<StateSettings, 'reports' | 'interrupts'>;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #settings: StateSettings;
  readonly #states = new Map<number, ScriptState>();
  /** Requests that have begun and are not over, by number. */
  readonly #runs = new Map<number, Run>();
  /** The run whose script executes now. */
  #executing: Run | undefined;
  /** Buffers that no run uses. */
  readonly #buffers: OutputBuffer[] = [];

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#settings = { ...parts.states, reports: this.#reports(), interrupts: this.#interruptSource() };
  }

  hasState(id: number): boolean {
    return this.#states.has(id);
  }

  /**
   * Runs a request until it is over, or has to wait for something.
   * @throws Abandoned when nobody listens to this thread any more
   */
  execute(start: RunStart): void {
    const { config, interrupts } = this.#parts;
    const run = new Run(start, config, this.#buffers.pop() ?? new OutputBuffer(), performance.now());
    this.#runs.set(run.id, run);
    this.#executing = run;
    interrupts.begin(run.id);
    try {
      const { lua } = this.#enterState(run);
      const result = lua.serve(handlerFor(start.role, config), run.request);
      interrupts.end();
      if (result.outcome === 'suspended') {
        this.#executing = undefined;
        return;
      }
      this.#finish(run, result.exitCode);
    } catch (error) {
      interrupts.end();
      if (error instanceof Abandoned) throw error;
      this.#fail(run, error);
    }
    this.#executing = undefined;
    this.#count(run);
    this.#runs.delete(run.id);
    this.#buffers.push(run.buffer);
  }

  /** Why the run that executes has to stop. */
  stopReason(): Error {
    if ((this.#parts.interrupts.requested & InterruptRequest.TIMEOUT) === 0)
      return new LuafcgidError('LUAFCGID_SCRIPT_UNWANTED');
    const watchdogMs = this.#executing?.request.watchdogMs ?? 0;
    return new LuafcgidError('LUAFCGID_SCRIPT_TIMEOUT', { seconds: watchdogMs / 1000 });
  }

  /** Does a step of garbage collection in an idle state. An error of a script's finalizer is logged and ends nothing. */
  collect(stateId: number): void {
    const state = this.#states.get(stateId);
    try {
      state?.lua.collectStep();
    } catch (error) {
      if (!(error instanceof LuaError)) throw error;
      this.#parts.outbox.log(0, 'warn', `${state?.path}: garbage collection failed: ${error.message}`);
    }
  }

  /** Closes an idle state. */
  close(stateId: number): void {
    this.#states.get(stateId)?.lua.close();
    this.#states.delete(stateId);
  }

  closeAll(): void {
    for (const id of [...this.#states.keys()]) this.close(id);
  }

  /** The run's state, made now if it does not exist; interrupts find the run there. */
  #enterState(run: Run): ScriptState {
    const { stateId, createdFrom } = run.start;
    const state =
      createdFrom === undefined ? this.#states.get(stateId) : new ScriptState(stateId, createdFrom, this.#settings);
    if (state === undefined) throw new Error(`state ${stateId} is not here`);
    run.state = state;
    const { hookTarget } = state.lua;
    if (hookTarget !== undefined) this.#parts.interrupts.setTarget(hookTarget.state, hookTarget.hook);
    if (createdFrom === undefined) return state;
    state.load();
    this.#states.set(stateId, state);
    return state;
  }

  #finish({ start, state, request }: Run, exitCode: number): void {
    if (state !== undefined) this.#parts.usage?.noteMemory(state.lua.memoryBytes());
    if (start.retiresState) this.close(start.stateId);
    request.end(start.retiresState ? END_STATE_GONE : 0, exitCode);
  }

  /** The request failed; its state lives on unless it never came to be, or is not fit for another request. */
  #fail({ id, start, state, request }: Run, error: unknown): void {
    const { config, runName, usage } = this.#parts;
    const { status, logText, detail } = describeFailure(error, (file) => state?.isMadeFrom(file) ?? false);
    request.tell(status >= 500 ? 'error' : 'info', logText);
    const isLoaded = state !== undefined && this.#states.get(state.id) === state;
    const isFit = error instanceof LuaError && ['runtime', 'syntax', 'stopped'].includes(error.kind);
    const lives = isLoaded && isFit && !start.retiresState;
    if (state !== undefined) usage?.noteMemory(state.lua.memoryBytes());
    if (!lives && state !== undefined) {
      state.lua.close();
      this.#states.delete(state.id);
    }
    const name = requestName(runName, id);
    request.fail(lives ? 0 : END_STATE_GONE, status, name, config.showErrors ? detail : undefined);
  }

  #count({ start, request, startedMs }: Run): void {
    const { sentBytes, sentStatus: status } = request;
    this.#parts.counters.note({ status, sentBytes, tookMs: performance.now() - startedMs, isDirect: start.isDirect });
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

/** The global function that answers requests of a role. One name serves all roles. */
function handlerFor(_role: number, config: Config): string {
  return config.handler;
}
