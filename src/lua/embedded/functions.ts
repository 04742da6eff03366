/** Makes host functions callable from the embedded Lua, and adds those that work on its stack. */

import { NOTHING } from '../../base/bytes.js';
import { forEachPair } from '../../fcgi/session.js';
import { type LuaString, PATH_LIMIT_BYTES, wholeText } from '../crossing.js';
import { hostFunctions, LARGEST_READ_BYTES, requireGlobals } from '../host-functions.js';
import { type HostArguments, type HostedState, type HostResult, running } from '../hosted-state.js';
import { luaStatus } from '../lua-status.js';
import { bytecodeRefusal, isBytecode, withoutFirstLine } from '../source-text.js';
import type { LuaValue } from '../state.js';
import { ownChunkName } from '../traceback.js';
import { isFatal, longJump } from './faults.js';
import type { LuaCFunction } from './host-trampoline.js';
import { escapeHtmlBytes, LONGEST_TEXT_BYTES } from './html-escape.js';
import { libraryFunctions } from './library-functions.js';
import { luaType, type Machine } from './machine.js';
import { pushValue, ValueReader } from './values.js';

/** What host functions need of the state that calls them. */
export interface CallingState extends HostedState {
  readonly machine: Machine;
  /** The Lua thread that calls now. */
  callingThread: number;
  noteHostError(error: Error): void;
  noteGlobals(values: LuaValue, functions: LuaValue): void;
  rearm(thread: number): void;
  lookAtInterrupts(thread: number): void;
}

const ownName = Buffer.from(`=${ownChunkName}`);

/** Works on the stack of `L`, gives the number of its results there. */
type StackFunction = (state: CallingState, L: number) => number;

/** The arguments of the call that is made now; calls nest only where these were read already. */
class StackArguments implements HostArguments {
  machine!: Machine;
  L = 0;

  get count(): number {
    return this.machine.x.lua_gettop(this.L);
  }

  number(at: number): number {
    return this.machine.x.lua_tonumber(this.L, at);
  }

  isTrue(at: number): boolean {
    return this.machine.x.lua_toboolean(this.L, at) !== 0;
  }

  string(at: number): LuaString {
    return this.machine.string(this.L, at);
  }
}

/** Pushes true and the result. */
function succeed({ machine }: CallingState, L: number, result: HostResult): number {
  machine.x.lua_pushboolean(L, 1);
  if (result === undefined) return 1;
  if (result instanceof Uint8Array) machine.pushBytes(L, result);
  else pushValue(machine, L, result);
  return 2;
}

/** Pushes nil and the message; and remembers the error, in case that it ends the request. */
function fail(state: CallingState, L: number, error: Error): number {
  const { machine } = state;
  state.noteHostError(error);
  machine.x.lua_pushnil(L);
  machine.pushBytes(L, Buffer.from(error.message));
  return 2;
}

/** All host functions by name, each a `lua_CFunction` that lets only Lua's own errors and fatal ones pass. */
export function embeddedFunctions(running: { readonly state: CallingState | undefined }): Record<string, LuaCFunction> {
  const args = new StackArguments();
  const guarded =
    (run: StackFunction): LuaCFunction =>
    (L) => {
      const { state } = running;
      if (state === undefined) return 0;
      state.callingThread = L;
      try {
        return run(state, L);
      } catch (error) {
        if (error === longJump || isFatal(error)) throw error;
        return fail(state, L, error instanceof Error ? error : new Error(String(error)));
      }
    };
  const functions: Record<string, LuaCFunction> = {};
  for (const [name, run] of Object.entries(hostFunctions)) {
    functions[name] = guarded((state, L) => {
      args.machine = state.machine;
      args.L = L;
      return succeed(state, L, run(state, args));
    });
  }
  for (const [name, run] of Object.entries({ ...stackFunctions, ...libraryFunctions })) functions[name] = guarded(run);
  return functions;
}

/** Where `lua_State` has `nCcalls` and `baseCcalls`, in bytes. */
const NESTED_CALLS_AT = 52;
const BASE_CALLS_AT = 54;

/** Most bytes that room is made for before they come. */
const MOST_ANNOUNCED_BYTES = 1 << 30;

const stackFunctions = {
  /** Puts the request's parameters into a new table, or into that given; the last of several with one name counts. */
  params(state, L) {
    const { machine } = state;
    const { x } = machine;
    const block = state.request?.params ?? NOTHING;
    if (x.lua_type(L, 1) !== luaType.table) {
      x.lua_settop(L, 0);
      x.lua_createtable(L, 0, 32);
    }
    x.lua_settop(L, 1);
    machine.withCopy(L, block, (copy) => {
      forEachPair(block, (nameStart, valueStart, valueEnd) => {
        x.lua_pushlstring(L, copy + nameStart, valueStart - nameStart);
        x.lua_pushlstring(L, copy + valueStart, valueEnd - valueStart);
        x.lua_rawset(L, 1);
      });
    });
    x.lua_pushboolean(L, 1);
    x.lua_pushvalue(L, 1);
    return 2;
  },

  /** The rest of the request's body, in one buffer from the first byte on; its length is what was announced, or 0. */
  readall(state, L) {
    const { machine } = state;
    const { x } = machine;
    const request = running(state);
    let room = Math.max(1, Math.min(MOST_ANNOUNCED_BYTES, Math.trunc(x.lua_tonumber(L, 1)) || 0));
    let at = x.malloc(room);
    let length = 0;
    try {
      for (;;) {
        const piece = at === 0 ? null : request.readBody(LARGEST_READ_BYTES);
        if (piece === null) break;
        if (length + piece.length > room) {
          room = Math.max(length + piece.length, room + (room >>> 1));
          const grown = x.malloc(room);
          if (grown !== 0) machine.memory.copyWithin(grown, at, at + length);
          x.free(at);
          at = grown;
          if (at === 0) break;
        }
        machine.memory.set(piece, at + length);
        length += piece.length;
      }
      if (at === 0) machine.raiseMemoryError(L);
      x.lua_pushboolean(L, 1);
      if (length === 0) return 1;
      x.lua_pushlstring(L, at, length);
      return 2;
    } finally {
      if (at !== 0) x.free(at);
    }
  },

  /** The string escaped for HTML; nothing when it is too long for this. */
  escape({ machine }, L) {
    const text = machine.bytes(L, 1);
    if (text.length > LONGEST_TEXT_BYTES) return 0;
    const escaped = escapeHtmlBytes(text);
    if (escaped === undefined) machine.x.lua_settop(L, 1);
    else machine.pushBytes(L, escaped);
    return 1;
  },

  /** Whether the Lua thread that calls may yield: `lua_yield` of Lua 5.1 compares these two words of it (ldo.c). */
  yieldable({ machine }, L) {
    const words = new DataView(machine.x.memory.buffer);
    const mayYield = words.getUint16(L + NESTED_CALLS_AT, true) <= words.getUint16(L + BASE_CALLS_AT, true);
    machine.x.lua_pushboolean(L, 1);
    machine.x.lua_pushboolean(L, mayYield ? 1 : 0);
    return 2;
  },

  /** The script has no hook of its own any more. */
  rearm(state, L) {
    state.rearm(L);
    // A script that sets hooks all the time would never come to the one for interrupts.
    state.lookAtInterrupts(L);
    return 0;
  },

  /** Compiles a Lua file: a function; nil and a message; or false when there is no such file. */
  loadfile(state, L) {
    const { machine } = state;
    const path = wholeText(machine.string(L, 1), PATH_LIMIT_BYTES);
    const source = path === undefined ? undefined : state.options.host.readSource(path);
    if (source === undefined) {
      machine.x.lua_pushboolean(L, 0);
      return 1;
    }
    return load(state, L, withoutFirstLine(source), Buffer.from(`@${path}`, 'latin1'));
  },

  /** The chunk of a part that is loaded when it is needed: a function, or nil where there is no such part. */
  part(state, L) {
    const { machine } = state;
    const chunk = state.deferredPart(wholeText(machine.string(L, 1), PATH_LIMIT_BYTES) ?? '');
    if (chunk === undefined) return 0;
    const status = machine.compile(L, chunk, ownName);
    if (status === luaStatus.memory) machine.raiseMemoryError(L);
    return 1;
  },

  /** The script's own globals: a table of values and a list of the functions' names. */
  globals(state, L) {
    requireGlobals(state);
    const reader = new ValueReader(state.machine, L);
    const values = reader.read(1);
    state.noteGlobals(values, reader.read(2));
    return succeed(state, L, undefined);
  },
} satisfies Record<string, StackFunction>;

/** Compiles: pushes a function, or nil and a message. */
function load({ machine, options }: CallingState, L: number, source: Uint8Array, name: Uint8Array): number {
  const { x } = machine;
  if (isBytecode(source) && !options.allowsBytecode) {
    x.lua_pushnil(L);
    machine.pushText(L, bytecodeRefusal);
    return 2;
  }
  const status = machine.compile(L, source, name);
  if (status === luaStatus.ok) return 1;
  if (status === luaStatus.memory) machine.raiseMemoryError(L);
  x.lua_pushnil(L);
  x.lua_pushvalue(L, -2);
  return 2;
}
