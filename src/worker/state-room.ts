/**
 * Makes states where the system may have no room for another: idle states of this worker make room then, before a request is
 * refused. The pool cannot do that: it counts states, and does not know how many the system has address space or memory for. It
 * learns of each state that was closed as of any other (`CLOSED`); an offer for such a state is rejected.
 */

import { LuafcgidError } from '../base/errors.js';
import { LuaError } from '../lua/state.js';
import type { ScriptState } from './script-state.js';

/** Most states that are closed for one. The room of one is enough, unless its memory was large. */
const MOST_CLOSED = 4;

/** To find out that there is no room takes V8 a second. That is remembered for so long. */
const REMEMBERED_MS = 60_000;

export interface StateRoomParts {
  /** All states of this worker. */
  readonly states: ReadonlyMap<number, Pick<ScriptState, 'id' | 'isBusy' | 'lastUse'>>;
  readonly nowMs: () => number;
  /** Closes an idle state, and tells the front. */
  close(stateId: number): void;
  /** States make room from now on; told once for a while. */
  tellFull(message: string): void;
}

export class StateRoom {
  readonly #parts: StateRoomParts;
  /** So many states there was room for. */
  #most = Number.POSITIVE_INFINITY;
  #rememberedUntilMs = 0;

  constructor(parts: StateRoomParts) {
    this.#parts = parts;
  }

  /** @param make makes a state. @throws what that throws, when there is no idle state to close, or closing some has not helped */
  open<State>(make: () => State): State {
    const { states, nowMs } = this.#parts;
    if (states.size >= this.#most && nowMs() < this.#rememberedUntilMs) this.#closeIdle();
    for (let closed = 0; ; closed += 1) {
      try {
        return make();
      } catch (error) {
        if (!isWantOfRoom(error) || closed === MOST_CLOSED || !this.#closeIdle()) throw error;
        if (nowMs() >= this.#rememberedUntilMs) this.#parts.tellFull((error as Error).message);
        this.#most = states.size + 1;
        this.#rememberedUntilMs = nowMs() + REMEMBERED_MS;
      }
    }
  }

  /** Closes the idle state that was not used for the longest. Returns false when there is none. */
  #closeIdle(): boolean {
    let found: Pick<ScriptState, 'id' | 'lastUse'> | undefined;
    for (const state of this.#parts.states.values()) {
      if (!state.isBusy && (found === undefined || state.lastUse < found.lastUse)) found = state;
    }
    if (found === undefined) return false;
    this.#parts.close(found.id);
    return true;
  }
}

/** Whether a state could not be made, whatever its script: no script has run in it yet. */
function isWantOfRoom(error: unknown): boolean {
  if (error instanceof LuafcgidError) return error.code === 'LUAFCGID_LUA_ADDRESS_SPACE';
  return error instanceof LuaError && error.kind === 'memory';
}
