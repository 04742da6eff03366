/**
 * A native Lua library and the functions of its C API that the engine calls. Addresses are numbers: those of a process
 * fit into 53 bits.
 *
 * An error that Lua raises leaves by longjmp, which must not cross a JavaScript frame. So of this list only `pcall` and
 * `cpcall` run Lua code, and all others never raise: they allocate nothing, or protect themselves (`loadBuffer`). Of
 * those that may only be called for some values it is said which.
 */

import { LuafcgidError } from '../../base/errors.js';
import { type Ffi, loadFfi } from '../../base/ffi.js';
import type { NativeEngineName } from '../engine-names.js';

/** What an engine's library is and what it is not. */
interface Kind {
  /** Names to try, the first being Debian's. */
  readonly files: readonly string[];
  readonly packageName: string;
  /** `_VERSION`. */
  readonly version: string;
  /** Lua 5.1's way to run a C function protected is a call of its own; later versions push one without allocating. */
  readonly hasCpcall: boolean;
  readonly isJit: boolean;
  readonly registryIndex: number;
  /** The parts of the standard library, in the order in which they are opened. */
  readonly openers: readonly string[];
}

const openers51 = ['base', 'package', 'table', 'io', 'os', 'string', 'math', 'debug'];

export const nativeKinds: Readonly<Record<NativeEngineName, Kind>> = {
  'lua5.1': {
    files: ['liblua5.1.so.0', 'liblua5.1.so', 'liblua.so.5.1', 'liblua-5.1.so', 'liblua5.1.dylib'],
    packageName: 'liblua5.1-0',
    version: 'Lua 5.1',
    hasCpcall: true,
    isJit: false,
    registryIndex: -10_000,
    openers: openers51,
  },
  'lua5.4': {
    files: ['liblua5.4.so.0', 'liblua5.4.so', 'liblua.so.5.4', 'liblua-5.4.so', 'liblua5.4.dylib'],
    packageName: 'liblua5.4-0',
    version: 'Lua 5.4',
    hasCpcall: false,
    isJit: false,
    registryIndex: -1_001_000,
    openers: ['base', 'package', 'coroutine', 'table', 'io', 'os', 'string', 'math', 'utf8', 'debug'],
  },
  luajit: {
    files: ['libluajit-5.1.so.2', 'libluajit-5.1.so', 'libluajit.so', 'libluajit-5.1.dylib'],
    packageName: 'libluajit-5.1-2',
    version: 'Lua 5.1',
    hasCpcall: true,
    isJit: true,
    registryIndex: -10_000,
    openers: [...openers51, 'bit', 'jit', 'ffi'],
  },
};

/** The C function `_exit`: nothing is tidied up and no thread is waited for. */
export function exitAtOnce(exitCode: number): never {
  loadFfi().load(null).func('_exit', 'void', ['int'])(exitCode);
  throw new Error('the process goes on after _exit');
}

/** The C API, bound. `L` is always a `lua_State*`. */
export interface NativeLibrary {
  readonly file: string;
  readonly kind: Kind;
  newState(): number;
  close(L: number): void;
  /** Compiles: pushes a function or a message, gives a status. */
  loadBuffer(L: number, source: number, bytes: number, name: number): number;
  pcall(L: number, args: number, results: number, handlerIndex: number): number;
  /** Runs a C function without arguments, protected; its results are dropped. Only where `kind.hasCpcall`. */
  cpcall(L: number, cFunction: number): number;
  /** Pushes a C function. Only where not `kind.hasCpcall`: there it allocates. */
  pushCFunction(L: number, cFunction: number): void;
  pushValue(L: number, index: number): void;
  pushBoolean(L: number, value: number): void;
  pushNil(L: number): void;
  pushNumber(L: number, value: number): void;
  setTop(L: number, index: number): void;
  getTop(L: number): number;
  type(L: number, index: number): number;
  toBoolean(L: number, index: number): number;
  toNumber(L: number, index: number): number;
  /** Only for strings: a number would be made one, which allocates. `length` is the address of a `size_t`. */
  toString(L: number, index: number, length: number): number;
  rawGetI(L: number, index: number, key: number): void;
  /** Only for keys that exist. */
  rawSetI(L: number, index: number, key: number): void;
  /** KiB in use. */
  usedKib(L: number): number;
  stopCollector(L: number): void;
  restartCollector(L: number): void;
  /** The Lua thread at a stack index; 0 for other values. */
  toThread(L: number, index: number): number;
  getHook(L: number): number;
  getHookMask(L: number): number;
  getHookCount(L: number): number;
  /** May be called from another thread while `L` runs. */
  setHook(L: number, hook: number, mask: number, count: number): void;
  getStack(L: number, level: number, activation: number): number;
  /** Only for "f". */
  getInfo(L: number, what: number, activation: number): number;
  /** `memcpy` between addresses. */
  copy(to: number, from: number, bytes: number): void;
  /** The address of a function of the library. */
  symbol(name: string): number;
}

/** Opens the library of an engine, or `file` in its place. Throws `LUAFCGID_LUA_LIBRARY`. */
export function openNativeLibrary(name: NativeEngineName, file: string | undefined): NativeLibrary {
  const kind = nativeKinds[name];
  const ffi = loadFfi();
  const faults: string[] = [];
  for (const candidate of file === undefined ? kind.files : [file]) {
    try {
      // Global: C modules take Lua's functions from the process.
      return bind(ffi, ffi.load(candidate, { global: true }), candidate, kind);
    } catch (error) {
      faults.push(`${candidate}: ${(error as Error).message}`);
    }
  }
  throw libraryError(name, (file === undefined ? faults.slice(0, 1) : faults).join('; '));
}

/** The one error of a library that is missing or is not the right one. */
export function libraryError(name: NativeEngineName, detail: string): LuafcgidError {
  return new LuafcgidError('LUAFCGID_LUA_LIBRARY', { engine: name, detail, package: nativeKinds[name].packageName });
}

function bind(ffi: Ffi, library: ReturnType<Ffi['load']>, file: string, kind: Kind): NativeLibrary {
  const p = 'uintptr_t';
  const call = (name: string, result: string, ...args: string[]) => library.func(name, result, args);
  const is54 = kind.version === 'Lua 5.4';
  const unavailable = (): never => {
    throw new Error('not in this version of Lua');
  };
  const loadBuffer = is54
    ? call('luaL_loadbufferx', 'int', p, p, 'size_t', p, p)
    : call('luaL_loadbuffer', 'int', p, p, 'size_t', p);
  const pcall = is54
    ? call('lua_pcallk', 'int', p, 'int', 'int', 'int', 'intptr_t', p)
    : call('lua_pcall', 'int', p, 'int', 'int', 'int');
  const cpcall = kind.hasCpcall ? call('lua_cpcall', 'int', p, p, p) : unavailable;
  const pushCClosure = kind.hasCpcall ? unavailable : call('lua_pushcclosure', 'void', p, p, 'int');
  const toNumber = is54 ? call('lua_tonumberx', 'double', p, 'int', p) : call('lua_tonumber', 'double', p, 'int');
  const pushFloat = call('lua_pushnumber', 'void', p, 'double');
  const pushInteger = is54 ? call('lua_pushinteger', 'void', p, 'int64_t') : unavailable;
  const gc = call('lua_gc', 'int', p, 'int', 'int');
  const collector = { stop: 0, restart: 1, countKib: 3 } as const;
  const integer = is54 ? 'int64_t' : 'int';
  return {
    file,
    kind,
    newState: call('luaL_newstate', p),
    close: call('lua_close', 'void', p),
    loadBuffer: is54 ? (L, source, bytes, name) => loadBuffer(L, source, bytes, name, 0) : loadBuffer,
    pcall: is54 ? (L, args, results, handler) => pcall(L, args, results, handler, 0, 0) : pcall,
    cpcall: (L, cFunction) => cpcall(L, cFunction, 0),
    pushCFunction: (L, cFunction) => pushCClosure(L, cFunction, 0),
    pushValue: call('lua_pushvalue', 'void', p, 'int'),
    pushBoolean: call('lua_pushboolean', 'void', p, 'int'),
    pushNil: call('lua_pushnil', 'void', p),
    // A float would be written as 1.0.
    pushNumber: is54
      ? (L, value) => (Number.isSafeInteger(value) ? pushInteger(L, value) : pushFloat(L, value))
      : pushFloat,
    setTop: call('lua_settop', 'void', p, 'int'),
    getTop: call('lua_gettop', 'int', p),
    type: call('lua_type', 'int', p, 'int'),
    toBoolean: call('lua_toboolean', 'int', p, 'int'),
    toNumber: is54 ? (L, index) => toNumber(L, index, 0) : toNumber,
    toString: call('lua_tolstring', p, p, 'int', p),
    rawGetI: call('lua_rawgeti', is54 ? 'int' : 'void', p, 'int', integer),
    rawSetI: call('lua_rawseti', 'void', p, 'int', integer),
    usedKib: (L) => gc(L, collector.countKib, 0),
    stopCollector: (L) => void gc(L, collector.stop, 0),
    // LuaJIT takes -1 for "at the next cycle, not now"; the others do not look at it.
    restartCollector: (L) => void gc(L, collector.restart, -1),
    toThread: call('lua_tothread', p, p, 'int'),
    getHook: call('lua_gethook', p, p),
    getHookMask: call('lua_gethookmask', 'int', p),
    getHookCount: call('lua_gethookcount', 'int', p),
    setHook: call('lua_sethook', is54 ? 'void' : 'int', p, p, 'int', 'int'),
    getStack: call('lua_getstack', 'int', p, 'int', p),
    getInfo: call('lua_getinfo', 'int', p, p, p),
    copy: ffi.load(null).func('memcpy', 'void', [p, p, 'size_t']),
    symbol: (name) => Number(ffi.address(library.symbol(name))),
  };
}
