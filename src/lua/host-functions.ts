/**
 * The functions that the Lua files beside this one call on their host, each a `lua_CFunction`. They return `true` and their
 * results, or nil and a message. Scripts can get at them through Lua's debug library, so they trust nothing they are given.
 */

import type { EmbeddedState } from './embedded-state.js';
import { EngineAbort, longJump } from './libc.js';
import { luaStatus } from './machine.js';
import { bytecodeRefusal, isBytecode, withoutFirstLine } from './source-text.js';
import type { LogLevel, RequestHost } from './state.js';
import { pushValue, readValue } from './values.js';

/** Works on the stack of `L`, gives the number of its results there. */
export type HostFunction = (state: EmbeddedState, L: number) => number;

/** Errors that mean that the machine itself broke; everything else becomes a Lua error. */
export function isFatal(error: unknown): boolean {
  return (
    error instanceof WebAssembly.RuntimeError ||
    error instanceof EngineAbort ||
    (error instanceof RangeError && error.message.startsWith('Maximum call stack'))
  );
}

function done({ machine }: EmbeddedState, L: number): number {
  machine.x.lua_pushboolean(L, 1);
  return 1;
}

/** `nil, message`; and remembers the error, in case that it ends the request. */
function failed(state: EmbeddedState, L: number, error: Error): number {
  const { machine } = state;
  state.noteHostError(error);
  machine.x.lua_pushnil(L);
  machine.pushBytes(L, Buffer.from(error.message));
  return 2;
}

function running(state: EmbeddedState): RequestHost {
  if (state.request === undefined) throw new Error('no request is running');
  return state.request;
}

/** Wraps a host function so that what it throws becomes `nil, message`, and only Lua's own errors and fatal ones pass. */
export function guarded(run: HostFunction): HostFunction {
  return (state, L) => {
    try {
      return run(state, L);
    } catch (error) {
      if (error === longJump || isFatal(error)) throw error;
      return failed(state, L, error instanceof Error ? error : new Error(String(error)));
    }
  };
}

function isLogLevel(text: string): text is LogLevel {
  return text === 'debug' || text === 'info' || text === 'warn' || text === 'error';
}

/** The length at `at` of a FastCGI name-value block: one byte, or four with the top bit set. */
function pairLength(block: Uint8Array, at: number): number {
  const first = block[at] ?? 0;
  if (first < 0x80) return first;
  return ((first & 0x7f) << 24) | ((block[at + 1] ?? 0) << 16) | ((block[at + 2] ?? 0) << 8) | (block[at + 3] ?? 0);
}

export const hostFunctions = {
  /** A table of the request's parameters; the last of several with one name counts. */
  params(state, L) {
    const { machine } = state;
    const { x } = machine;
    const block = running(state).params;
    done(state, L);
    x.lua_createtable(L, 0, 32);
    machine.withCopy(L, block, (copy) => {
      for (let at = 0; at < block.length; ) {
        const nameBytes = pairLength(block, at);
        at += block[at]! < 0x80 ? 1 : 4;
        const valueBytes = pairLength(block, at);
        at += (block[at] ?? 0) < 0x80 ? 1 : 4;
        const end = at + nameBytes + valueBytes;
        if (end > block.length) break; // checked by the session; never read beyond the block all the same
        x.lua_pushlstring(L, copy + at, nameBytes);
        x.lua_pushlstring(L, copy + at + nameBytes, valueBytes);
        x.lua_rawset(L, -3);
        at = end;
      }
    });
    return 2;
  },

  write(state, L) {
    running(state).write(state.machine.bytes(L, 1));
    return done(state, L);
  },

  headerline(state, L) {
    running(state).headerLine(state.machine.text(L, 1));
    return done(state, L);
  },

  header(state, L) {
    running(state).header(state.machine.text(L, 1), state.machine.text(L, 2));
    return done(state, L);
  },

  status(state, L) {
    running(state).status(state.machine.text(L, 1));
    return done(state, L);
  },

  flush(state, L) {
    running(state).flush();
    return done(state, L);
  },

  reset(state, L) {
    running(state).reset();
    return done(state, L);
  },

  finish(state, L) {
    running(state).finish();
    return done(state, L);
  },

  /** `true, bytes`, or `true, nil` at the end of the body. */
  readbody(state, L) {
    const { machine } = state;
    const wanted = machine.x.lua_tonumber(L, 1);
    const body = running(state).readBody(wanted >= 1 ? Math.min(Math.floor(wanted), 1 << 18) : 1);
    done(state, L);
    if (body === null) machine.x.lua_pushnil(L);
    else machine.pushBytes(L, body);
    return 2;
  },

  log(state, L) {
    const level = state.machine.text(L, 1);
    running(state).log(isLogLevel(level) ? level : 'info', state.machine.text(L, 2));
    return done(state, L);
  },

  configure(state, L) {
    const { machine } = state;
    const name = machine.text(L, 1);
    if (name === 'buffering') running(state).configure(name, machine.x.lua_toboolean(L, 2) !== 0);
    else if (name === 'httpstatus' || name === 'contenttype') running(state).configure(name, machine.text(L, 2));
    else throw new Error(`the setting ${name} cannot be changed`);
    return done(state, L);
  },

  /** `true, value` of a configuration setting. */
  config(state, L) {
    const { config } = state.options;
    const name = state.machine.text(L, 1);
    done(state, L);
    pushValue(state.machine, L, Object.hasOwn(config, name) ? config[name] : undefined);
    return 2;
  },

  /** Adds to standard output (1) or error (2). */
  print(state, L) {
    state.log.write(state.machine.x.lua_tonumber(L, 1), state.machine.text(L, 2));
    return done(state, L);
  },

  getenv(state, L) {
    const { environment = {} } = state.options;
    const name = Buffer.from(state.machine.bytes(L, 1)).toString();
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    done(state, L);
    if (value === undefined) state.machine.x.lua_pushnil(L);
    else state.machine.pushBytes(L, Buffer.from(value));
    return 2;
  },

  /** Seconds since an arbitrary moment: the thread works for one script at a time, so this stands for its processor time. */
  clock(state, L) {
    done(state, L);
    state.machine.x.lua_pushnumber(L, (performance.now() - state.startMs) / 1000);
    return 2;
  },

  /** Ends the request, with a code when there is an argument. */
  exit(state, L) {
    const { x } = state.machine;
    state.beginExit(L, x.lua_gettop(L) === 0 ? undefined : Math.trunc(x.lua_tonumber(L, 1)) | 0);
    return done(state, L);
  },

  /** Compiles a source text: a function, or nil and a message. */
  load(state, L) {
    const { machine } = state;
    return load(state, L, machine.bytes(L, 1), machine.bytes(L, 2));
  },

  /** The same with a file; false when there is no such file. */
  loadfile(state, L) {
    const { machine } = state;
    const path = Buffer.from(machine.bytes(L, 1));
    const source = state.options.host.readSource(path.toString('latin1'));
    if (source === undefined) {
      machine.x.lua_pushboolean(L, 0);
      return 1;
    }
    return load(state, L, withoutFirstLine(source), Buffer.concat([Buffer.from('@'), path]));
  },

  /** What the engine hands to the Lua function it calls. */
  argument(state, L) {
    const value = state.callArguments[state.machine.x.lua_tonumber(L, 1) - 1];
    done(state, L);
    if (value === undefined) state.machine.x.lua_pushnil(L);
    else state.machine.pushText(L, value);
    return 2;
  },

  /** What an error says, and the Lua stack where it was raised. */
  report(state, L) {
    state.noteError(state.machine.text(L, 1), state.machine.text(L, 2));
    return done(state, L);
  },

  /** The script's own globals: a table of values and a list of the functions' names. */
  globals(state, L) {
    const values = readValue(state.machine, L, 1);
    const functions = readValue(state.machine, L, 2);
    state.noteGlobals(values, functions);
    return done(state, L);
  },
} satisfies Record<string, HostFunction>;

/** Compiles: pushes a function, or nil and a message. */
function load({ machine }: EmbeddedState, L: number, source: Uint8Array, name: Uint8Array): number {
  const { x } = machine;
  if (isBytecode(source)) {
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
