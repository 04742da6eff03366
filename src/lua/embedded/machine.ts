/**
 * One instance of the embedded Lua's WebAssembly module: its memory, its C API, and bytes going in and out of it. Knows
 * nothing of requests.
 */

import type { LuaString } from '../crossing.js';
import type { ByteString } from '../state.js';
import { ownChunkName } from '../traceback.js';
import { type HostedFunction, replacedFunction } from './wasm/wide-numbers.js';

/** The machine whose code runs now on this thread. All instances share one set of imports, so entering one sets this. */
export interface RunningMachine {
  machine: Machine;
}

/** The exports that the engine calls. All arguments and results are 32-bit integers unless named `number`. */
export interface LuaExports {
  readonly memory: WebAssembly.Memory;
  readonly __indirect_function_table: WebAssembly.Table;
  __wasm_call_ctors(): void;
  emscripten_stack_init(): void;
  emscripten_stack_get_base(): number;
  emscripten_stack_get_end(): number;
  stackSave(): number;
  stackRestore(stackPointer: number): void;
  setThrew(threw: number, value: number): void;
  setTempRet0(high: number): void;
  malloc(bytes: number): number;
  /** 0: of all files. Gives 0, or -1 for an error. */
  fflush(file: number): number;
  free(pointer: number): void;
  luaL_newstate(): number;
  luaL_openlibs(L: number): void;
  luaL_loadbuffer(L: number, source: number, bytes: number, name: number): number;
  luaL_ref(L: number, table: number): number;
  lua_checkstack(L: number, slots: number): number;
  lua_createtable(L: number, arraySlots: number, hashSlots: number): void;
  lua_error(L: number): never;
  lua_gc(L: number, what: number, data: number): number;
  lua_getallocf(L: number, userData: number): number;
  lua_gethook(L: number): number;
  lua_gethookcount(L: number): number;
  lua_gethookmask(L: number): number;
  lua_getinfo(L: number, what: number, activation: number): number;
  lua_getstack(L: number, level: number, activation: number): number;
  lua_gettop(L: number): number;
  lua_newuserdata(L: number, bytes: number): number;
  lua_next(L: number, index: number): number;
  lua_objlen(L: number, index: number): number;
  lua_pcall(L: number, args: number, results: number, handlerIndex: number): number;
  lua_pushboolean(L: number, value: number): void;
  lua_pushcclosure(L: number, functionIndex: number, upvalues: number): void;
  lua_pushlstring(L: number, text: number, bytes: number): void;
  lua_pushnil(L: number): void;
  lua_pushnumber(L: number, value: number): void;
  lua_pushvalue(L: number, index: number): void;
  lua_replace(L: number, index: number): void;
  lua_rawget(L: number, index: number): void;
  lua_rawgeti(L: number, index: number, key: number): void;
  lua_rawset(L: number, index: number): void;
  lua_rawseti(L: number, index: number, key: number): void;
  lua_sethook(L: number, hook: number, mask: number, count: number): number;
  lua_setmetatable(L: number, index: number): number;
  lua_settop(L: number, index: number): void;
  lua_toboolean(L: number, index: number): number;
  lua_tolstring(L: number, index: number, length: number): number;
  lua_tonumber(L: number, index: number): number;
  lua_topointer(L: number, index: number): number;
  lua_type(L: number, index: number): number;
}

/** The result of `luaL_loadbuffer` when there is no memory. */
const MEMORY_STATUS = 4;
/** Results of `lua_type`. */
export const luaType = { none: -1, nil: 0, boolean: 1, number: 3, string: 4, table: 5, function: 6 } as const;
/** What `lua_gc` is asked to do. */
export const luaGc = { stop: 0, restart: 1, collect: 2, setPause: 6, setStepMultiplier: 7 } as const;
export const REGISTRY_INDEX = -10_000;

const PAGE_BYTES = 65_536;
/** The small buffer inside the memory through which short strings go in. */
const SCRATCH_BYTES = 8192;

/**
 * The collector's step multiplier (work for each allocated byte, in percent) that stands for no limit: each step finishes its
 * cycle. Only then does a step that follows a refused allocation begin a new cycle, which sees what the error made garbage.
 */
const WHOLE_CYCLES = 0;

/** A request for more than the state may have, made so that Lua raises its own "not enough memory". */
const IMPOSSIBLE_BYTES = 0x7fff_ffff;

/** The structure lua_Debug, with a text for `lua_getinfo` after it: offsets, and its size. */
const activation = { currentLine: 20, shortSource: 36, what: 100, bytes: 104, mostLevels: 50 } as const;

export class Machine {
  readonly x: LuaExports;
  /** The Lua state's main thread. */
  L = 0;
  /** The linear memory; replaced whenever it grows, so never keep it over a call into `x`. */
  memory: Buffer;
  words: DataView;
  /** Entries of the function table that were called through `invoke_vii`: reading the table is slow. */
  readonly functions: unknown[] = [];
  memoryLimitBytes: number;
  /** The line of the script that asked for more than there may be, as messages have it. */
  refusedAt = '';
  /** `SCRATCH_BYTES` of space for strings, and after them 4 bytes for lengths. */
  scratch = 0;
  /** Where the string of `string` lies. */
  #stringStart = 0;
  readonly #string = {
    sizeBytes: 0,
    bytes: (start: number, end: number): Uint8Array =>
      this.memory.subarray(this.#stringStart + start, this.#stringStart + end),
  };

  constructor(x: LuaExports, memoryLimitBytes: number) {
    this.x = x;
    this.memoryLimitBytes = memoryLimitBytes;
    this.memory = Buffer.from(x.memory.buffer);
    this.words = new DataView(x.memory.buffer);
  }

  /** Calls a function of Lua's library that was replaced, in the place of the one that runs. Gives the number of its results. */
  callReplaced(name: HostedFunction, L: number): number {
    const entry = replacedFunction(name);
    this.functions[entry] ??= this.x.__indirect_function_table.get(entry);
    return (this.functions[entry] as (L: number) => number)(L);
  }

  /** Allocates the buffers that every call uses; part of booting. */
  allocateScratch(): void {
    this.scratch = this.x.malloc(SCRATCH_BYTES + 4 + activation.bytes);
  }

  get memoryBytes(): number {
    return this.memory.length;
  }

  /**
   * The C library's heap has reached the end of the memory and needs it to be `neededBytes` long. Grows in steps, never
   * beyond the limit.
   *
   * Lua 5.1 has no collection of last resort: left alone it would run into the limit with half of the memory being garbage,
   * and once there fail in whatever runs next. So past half the limit each step makes it collect before it asks again, and
   * a refusal makes it collect at its next allocation of an object.
   */
  grow(neededBytes: number): boolean {
    const held = this.memory.length / PAGE_BYTES;
    const limit = Math.floor(this.memoryLimitBytes / PAGE_BYTES);
    const needed = Math.ceil(neededBytes / PAGE_BYTES);
    if (needed > limit) {
      this.refusedAt = this.#scriptLine();
      // No collection makes room for what is larger than any memory.
      if (neededBytes < IMPOSSIBLE_BYTES) this.#collectSoon();
      return false;
    }
    const pages = Math.min(limit, Math.max(needed, held + Math.min(held >>> 2, 128))) - held;
    try {
      this.x.memory.grow(pages);
    } catch {
      return false; // the system has no more memory: the same to Lua as its own limit
    }
    this.refresh();
    if (held > limit / 2) this.#collectSoon();
    return true;
  }

  /** Where the main Lua thread is in Lua code; empty when that is nowhere. Allocates nothing, so it may be asked at any time. */
  #scriptLine(): string {
    if (this.L === 0 || this.scratch === 0) return '';
    const at = this.scratch + SCRATCH_BYTES + 4;
    this.memory.write('Sl\0', at + activation.what, 'latin1');
    for (let level = 0; level < activation.mostLevels && this.x.lua_getstack(this.L, level, at) !== 0; level += 1) {
      this.x.lua_getinfo(this.L, at + activation.what, at);
      const line = this.words.getInt32(at + activation.currentLine, true);
      const start = at + activation.shortSource;
      const source = this.memory.toString('latin1', start, this.memory.indexOf(0, start));
      if (line > 0 && source !== ownChunkName) return `${source}:${line}`;
    }
    return '';
  }

  /** Lets the collector begin with Lua's next allocation. These calls only set numbers, so they are safe in the middle of one. */
  #collectSoon(): void {
    if (this.L === 0) return;
    this.x.lua_gc(this.L, luaGc.setPause, 120);
    this.x.lua_gc(this.L, luaGc.setStepMultiplier, WHOLE_CYCLES);
    this.x.lua_gc(this.L, luaGc.restart, 0);
  }

  /** Views die when a memory grows: make new ones. */
  refresh(): void {
    this.memory = Buffer.from(this.x.memory.buffer);
    this.words = new DataView(this.x.memory.buffer);
  }

  /** The bytes of the string (or number, which becomes a string) at a stack index: a view, valid until Lua runs on. */
  bytes(L: number, index: number): Uint8Array {
    const lengthAt = this.scratch + SCRATCH_BYTES;
    const start = this.x.lua_tolstring(L, index, lengthAt);
    if (start === 0) return this.memory.subarray(0, 0);
    return this.memory.subarray(start, start + this.words.getUint32(lengthAt, true));
  }

  /**
   * The string (or number, which becomes a string) at a stack index, to be read through `crossing.ts`; valid until Lua runs
   * on or another one is asked for.
   */
  string(L: number, index: number): LuaString {
    const lengthAt = this.scratch + SCRATCH_BYTES;
    this.#stringStart = this.x.lua_tolstring(L, index, lengthAt);
    this.#string.sizeBytes = this.#stringStart === 0 ? 0 : this.words.getUint32(lengthAt, true);
    return this.#string;
  }

  /** Pushes a string. Like everything that pushes new values, it may raise a Lua memory error. */
  pushBytes(L: number, bytes: Uint8Array): void {
    this.withCopy(L, bytes, (copy) => this.x.lua_pushlstring(L, copy, bytes.length));
  }

  /** Runs `use` with a copy of the bytes in the memory; it must not push other strings through the scratch buffer. */
  withCopy(L: number, bytes: Uint8Array, use: (copy: number) => void): void {
    if (bytes.length <= SCRATCH_BYTES) {
      this.memory.set(bytes, this.scratch);
      use(this.scratch);
      return;
    }
    const copy = this.copyIn(bytes);
    if (copy === 0) this.raiseMemoryError(L);
    try {
      use(copy);
    } finally {
      this.x.free(copy);
    }
  }

  pushText(L: number, text: ByteString): void {
    if (text.length > SCRATCH_BYTES) {
      this.pushBytes(L, Buffer.from(text, 'latin1'));
      return;
    }
    this.memory.write(text, this.scratch, 'latin1');
    this.x.lua_pushlstring(L, this.scratch, text.length);
  }

  /** A copy of the bytes in the memory, to be freed by the caller; 0 when there is no room. */
  copyIn(bytes: Uint8Array): number {
    const copy = this.x.malloc(Math.max(bytes.length, 1));
    if (copy !== 0) this.memory.set(bytes, copy);
    return copy;
  }

  /**
   * Compiles Lua source. Pushes the function, or a message unless the status is `memory`. Needs no protected call around it.
   */
  compile(L: number, source: Uint8Array, name: Uint8Array): number {
    // Asked before room is made for the copy: that may grow the memory, which empties every view of it.
    const sourceBytes = source.length;
    const copy = this.copyIn(Buffer.concat([source, Uint8Array.of(0), name, Uint8Array.of(0)]));
    if (copy === 0) return MEMORY_STATUS;
    const status = this.x.luaL_loadbuffer(L, copy, sourceBytes, copy + sourceBytes + 1);
    this.x.free(copy);
    return status;
  }

  raiseMemoryError(L: number): never {
    this.x.lua_newuserdata(L, IMPOSSIBLE_BYTES);
    throw new Error('Lua allocated 2 GiB where the limit is less');
  }
}
