/** The Lua states of a worker: made for their first request, kept between requests, closed when they are told to be. */

import type { LogLevel } from '../channel/messages.js';
import type { Config } from '../config/load.js';
import { type ByteString, LuaError } from '../lua/state.js';
import type { WorkerCounters } from '../metrics/counters.js';
import type { ImageExchange } from './image-exchange.js';
import { Images } from './images.js';
import type { RunStart } from './run.js';
import type { Handler, ScriptState, StateSettings } from './script-state.js';
import { StateRoom } from './state-room.js';

export interface WorkerStatesParts {
  readonly config: Config;
  readonly counters: WorkerCounters;
  readonly settings: StateSettings;
  readonly imageExchange: ImageExchange | undefined;
  /** A state was closed of which the front has not said so. */
  closed(stateId: number): void;
  log(level: LogLevel, text: string): void;
  /** Logs what concerns the run that executes. */
  logOfRun(level: LogLevel, text: string): void;
}

export class WorkerStates {
  readonly #parts: WorkerStatesParts;
  readonly images: Images;
  readonly #states = new Map<number, ScriptState>();
  readonly #room: StateRoom;
  /** Requests that have begun in all states. */
  #uses = 0;

  constructor(parts: WorkerStatesParts) {
    const { config } = parts;
    this.#parts = parts;
    this.#room = new StateRoom({
      states: this.#states,
      nowMs: () => performance.now(),
      close: (id) => {
        this.close(id);
        parts.closed(id);
      },
      tellFull: (message) => parts.log('warn', `${message}; idle states are closed for others`),
    });
    this.images = new Images({
      counters: parts.counters,
      exchange: parts.imageExchange,
      limitBytes: Math.floor(config.imagesBytes / config.workers),
      isolation: config.isolation,
      sweepMs: config.sweepMs,
      settings: parts.settings,
      log: parts.logOfRun,
    });
  }

  /** Whether this state is one of them, and no other has its number. */
  has(state: ScriptState): boolean {
    return this.#states.get(state.id) === state;
  }

  /** Whether a request can run in this state now: the state is here, and no request executes or waits in it. */
  isIdle(id: number): boolean {
    return this.#states.get(id)?.isBusy === false;
  }

  /** Whether there is a state of this number. */
  hasState(id: number): boolean {
    return this.#states.has(id);
  }

  /** The script of a state; '' when there is none. */
  scriptOf(id: number): ByteString {
    return this.#states.get(id)?.path ?? '';
  }

  /**
   * The state of a request that begins, made now if it does not exist.
   * @param holdsOperations whether loading the script has started operations that are not over
   * @param entered told of the state before any of its code runs
   */
  enter(
    { stateId, createdFrom }: RunStart,
    handler: Handler,
    holdsOperations: () => boolean,
    entered: (state: ScriptState) => void,
  ): ScriptState {
    const state =
      createdFrom === undefined
        ? this.#states.get(stateId)
        : this.#room.open(() => this.images.open(stateId, createdFrom));
    if (state === undefined) throw new Error(`state ${stateId} is not here`);
    state.isBusy = true;
    state.uses += 1;
    this.#uses += 1;
    state.lastUse = this.#uses;
    entered(state);
    if (createdFrom !== undefined && !state.isLoaded) {
      state.load(handler);
      this.images.loaded(state, handler, holdsOperations());
    }
    if (createdFrom !== undefined) this.#states.set(stateId, state);
    state.requireHandler(handler);
    return state;
  }

  /** The request of a state is over. @param hasBlockedForClient it has kept this worker waiting for its client */
  leave(state: ScriptState, hasBlockedForClient: boolean): void {
    state.isBusy = false;
    if (hasBlockedForClient) this.#letWait(state);
    this.#rewind(state);
  }

  /** The clients of a script read slowly: its state can be suspended from the next request on, even if it needs no module that waits. */
  #letWait(state: ScriptState): void {
    if (!this.has(state) || this.images.isRewound(state)) return;
    try {
      state.lua.enableWaiting();
    } catch (error) {
      this.#giveUp(state, error);
    }
  }

  /** A state has served its last request. The front does not know how many this worker has served in it by itself. */
  isSpent(state: ScriptState): boolean {
    const { maxCount } = this.#parts.config;
    return (maxCount > 0 && state.uses >= maxCount) || this.images.isSpent(state);
  }

  /** The answer was sent: a state that keeps nothing of its requests becomes what it was before. */
  #rewind(state: ScriptState): void {
    if (!this.has(state)) return;
    try {
      this.images.rewind(state);
    } catch (error) {
      this.#giveUp(state, error);
    }
  }

  /** Its next request gets another state. */
  #giveUp(state: ScriptState, error: unknown): void {
    this.#parts.log('error', `${state.path}: its state is closed: ${(error as Error).message}`);
    this.close(state.id);
    this.#parts.closed(state.id);
  }

  /** Does a step of garbage collection in an idle state. An error of a script's finalizer is logged and ends nothing. */
  collect(stateId: number): void {
    const state = this.#states.get(stateId);
    // All garbage of a state that goes back to what it was is gone with that.
    if (state?.isBusy === true || (state !== undefined && this.images.isRewound(state))) return;
    try {
      state?.lua.collectStep();
    } catch (error) {
      if (!(error instanceof LuaError)) throw error;
      this.#parts.log('warn', `${state?.path}: garbage collection failed: ${error.message}`);
    }
  }

  /** Closes an idle state. */
  close(stateId: number): void {
    const state = this.#states.get(stateId);
    if (state !== undefined) this.closeState(state);
  }

  closeState(state: ScriptState): void {
    state.lua.close();
    this.#states.delete(state.id);
    this.images.closed(state);
  }

  dropStaleImages(): void {
    this.images.dropStale();
  }

  closeAll(): void {
    for (const id of [...this.#states.keys()]) this.close(id);
  }
}
