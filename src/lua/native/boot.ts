/**
 * Makes native states: opens Lua's libraries and runs the Lua files of this folder, without one unprotected call that
 * could raise an error.
 */

import { readFileSync } from 'node:fs';
import type { Ffi } from '../../base/ffi.js';
import { GLOBALS_LIMIT_BYTES, GLOBALS_LIMIT_VALUES } from '../crossing.js';
import type { NativeEngineName } from '../engine-names.js';
import { entryNames } from '../entries.js';
import { LuaError } from '../lua-error.js';
import { luaStatus } from '../lua-status.js';
import { deferredModules, deferredParts, loadedParts, luaFile, standIns } from '../runtime/manifest.js';
import type { ByteString } from '../state.js';
import { ownChunkName } from '../traceback.js';
import { StringChunk, templateText, valueChunk } from './chunks.js';
import { nativeFunctionNames } from './functions.js';
import type { HostGate } from './gate.js';
import { JsonChunk } from './json-chunk.js';
import { libraryError, type NativeLibrary } from './library.js';
import { GrowingMemory, NativeMemory } from './memory.js';
import { ValueChunk51 } from './value-chunk.js';
import { ValueChunk54 } from './value-chunk-54.js';

/** Called with the host's C function; gives a function that takes the chunks of the parts. */
const hostFile = 'runtime/native-host.lua';
const parts = loadedParts('native');

/** Lua 5.1 has no way to push a C function without allocating: it is passed on under this key of the registry. */
const FUNCTION_SLOT = 0x6c756166;
/** Where the registry has the entry `traceback`. */
export const TRACEBACK_SLOT = FUNCTION_SLOT + 1;

/** The libraries of Lua 5.4 come as values, which a chunk puts where they belong. */
const installLibraries = `
  local base, package, coroutine, table, io, os, string, math, utf8, debug = ...
  local libraries = { _G = base, package = package, coroutine = coroutine, table = table, io = io, os = os,
    string = string, math = math, utf8 = utf8, debug = debug }
  for name, library in base.next, libraries do
    base[name] = library
    package.loaded[name] = library
  end`;

/** A precompiled chunk. */
interface Precompiled {
  readonly memory: NativeMemory;
  readonly bytes: number;
}

/** What of an engine is needed to make states. */
export interface BootParts {
  readonly name: NativeEngineName;
  readonly ffi: Ffi;
  readonly library: NativeLibrary;
  readonly gate: HostGate;
  /** The address of the gate's function. */
  readonly gateAddress: number;
  /** What scripts see as the server's version. */
  readonly version: string;
}

export class NativeBoot {
  readonly #parts: BootParts;
  readonly #openers: readonly number[];
  readonly #scratch: GrowingMemory;
  readonly #ownName: NativeMemory;
  /** For the structure lua_Debug, which is about 150 bytes, and the text "f" after it. */
  readonly #activation: NativeMemory;
  readonly #chunks = new Map<string, Precompiled>();
  /** e.g. `Lua 5.1` or `LuaJIT 2.1.0-beta3`. */
  readonly version: string;
  /** Nothing where this Lua does not take such chunks. */
  readonly jsonChunk: JsonChunk | undefined;

  /** Throws `LUAFCGID_LUA_LIBRARY` when the library is not what the engine's name says. */
  constructor(parts: BootParts) {
    const { ffi, library, gate } = parts;
    this.#parts = parts;
    this.#scratch = new GrowingMemory(ffi, 64 << 10);
    this.#ownName = new NativeMemory(ffi, 32);
    this.#ownName.bytes.write(`=${ownChunkName}\0`, 'latin1');
    this.#activation = new NativeMemory(ffi, 1024);
    this.#activation.bytes.write('f\0', 512, 'latin1');
    try {
      this.#openers = library.kind.openers.map((name) => library.symbol(`luaopen_${name}`));
    } catch (error) {
      throw libraryError(parts.name, `${library.file}: ${(error as Error).message}`);
    }
    if (!library.kind.isJit && hasSymbol(library, 'luaopen_jit')) {
      throw libraryError(parts.name, `${library.file} is LuaJIT`);
    }
    const L = this.#newState();
    try {
      this.#expectOk(L, this.#openLibraries(L));
      this.version = this.#checkVersion(L);
      this.#precompile(L);
      gate.stringChunk = this.#makeStringChunk(L);
      this.jsonChunk = gate.stringChunk && this.#makeJsonChunk(L);
    } finally {
      library.close(L);
    }
  }

  /** A new state with the functions of `entryNames` as the first values on its stack. Throws `LuaError`. */
  boot(): number {
    const L = this.#newState();
    const { library } = this.#parts;
    try {
      // Nothing of what is made here becomes garbage.
      library.stopCollector(L);
      this.#expectOk(L, this.#openLibraries(L));
      this.#load(L, hostFile);
      this.#pushGate(L);
      this.#load(L, 'manifest');
      library.pushNumber(L, FUNCTION_SLOT);
      this.#expectOk(L, library.pcall(L, 3, 1, 0));
      for (const { file } of parts) {
        library.pushValue(L, 1);
        this.#load(L, file);
        this.#expectOk(L, library.pcall(L, 1, 0, 0));
      }
      this.#expectOk(L, library.pcall(L, 0, entryNames.length, 0));
      library.restartCollector(L);
      return L;
    } catch (error) {
      library.close(L);
      throw error;
    }
  }

  /** The precompiled chunk of a deferred part. */
  deferredPart(name: ByteString): Uint8Array | undefined {
    const part = deferredParts.find((deferred) => deferred.name === name);
    return part && this.#chunks.get(part.file)?.memory.bytes;
  }

  #newState(): number {
    const L = this.#parts.library.newState();
    if (L === 0) throw new LuaError('memory', 'the system has no memory for another Lua state');
    return L;
  }

  /** Opens the standard library; gives a status, and a message on the stack if that is an error. */
  #openLibraries(L: number): number {
    const { library } = this.#parts;
    if (library.kind.hasCpcall) {
      for (const opener of this.#openers) {
        const status = library.cpcall(L, opener);
        if (status !== luaStatus.ok) return status;
      }
      return luaStatus.ok;
    }
    const install = this.#chunks.get('install');
    const status =
      install === undefined
        ? this.#loadText(L, installLibraries)
        : library.loadBuffer(L, install.memory.address, install.bytes, this.#ownName.address);
    if (status !== luaStatus.ok) return status;
    for (const opener of this.#openers) {
      library.pushCFunction(L, opener);
      const opened = library.pcall(L, 0, 1, 0);
      if (opened !== luaStatus.ok) return opened;
    }
    return library.pcall(L, this.#openers.length, 0, 0);
  }

  /** Pushes the host's C function. */
  #pushGate(L: number): void {
    const { library, gate, gateAddress } = this.#parts;
    if (!library.kind.hasCpcall) {
      library.pushCFunction(L, gateAddress);
      return;
    }
    // `cpcall` makes the function, which then puts itself into a place that exists already.
    this.#load(L, 'slot');
    this.#expectOk(L, library.pcall(L, 0, 0, 0));
    gate.keepFunction = (thread) => {
      const { address } = this.#activation;
      if (library.getStack(thread, 0, address) === 0) return 0;
      library.getInfo(thread, address + 512, address);
      library.rawSetI(thread, library.kind.registryIndex, FUNCTION_SLOT);
      return 0;
    };
    try {
      this.#expectOk(L, library.cpcall(L, gateAddress));
    } finally {
      gate.keepFunction = undefined;
    }
    library.rawGetI(L, library.kind.registryIndex, FUNCTION_SLOT);
  }

  /** Pushes a precompiled chunk. */
  #load(L: number, name: string): void {
    const { memory, bytes } = this.#chunks.get(name) as Precompiled;
    this.#expectOk(L, this.#parts.library.loadBuffer(L, memory.address, bytes, this.#ownName.address));
  }

  #loadText(L: number, source: ByteString): number {
    const bytes = this.#parts.gate.writeSource(this.#scratch, source);
    return this.#parts.library.loadBuffer(L, this.#scratch.address, bytes, this.#ownName.address);
  }

  #expectOk(L: number, status: number): void {
    if (status === luaStatus.ok) return;
    const bytes = this.#parts.gate.readTop(L);
    const text = bytes === undefined ? 'an error without a message' : Buffer.from(bytes).toString('latin1');
    if (status === luaStatus.memory || text.endsWith('not enough memory')) {
      throw new LuaError('memory', 'there is not enough memory for another Lua state');
    }
    throw new LuaError('fatal', `a Lua state could not be made: ${text}`);
  }

  /** The string that a chunk gives. */
  #evaluate(L: number, source: ByteString): Buffer {
    const { library, gate } = this.#parts;
    this.#expectOk(L, this.#loadText(L, source));
    this.#expectOk(L, library.pcall(L, 0, 1, 0));
    const result = Buffer.from(gate.readTop(L) ?? new Uint8Array(0));
    library.setTop(L, 0);
    return result;
  }

  #checkVersion(L: number): string {
    const { library, name } = this.#parts;
    const found = this.#evaluate(L, 'return _VERSION .. "/" .. (jit and jit.version or "")').toString('latin1');
    const [version = '', jit = ''] = found.split('/');
    if (version !== library.kind.version) throw libraryError(name, `${library.file} is ${version}`);
    return jit === '' ? version : jit;
  }

  /** Compiles the Lua files once: to load the result costs a fraction. */
  #precompile(L: number): void {
    const { library, gate, version } = this.#parts;
    const dump = (name: string, source: ByteString) => {
      this.#expectOk(L, this.#loadText(L, 'return string.dump(...)'));
      this.#expectOk(L, this.#loadText(L, source));
      this.#expectOk(L, library.pcall(L, 1, 1, 0));
      const bytes = gate.readTop(L) ?? new Uint8Array(0);
      const memory = new NativeMemory(this.#parts.ffi, bytes.length);
      memory.bytes.set(bytes);
      this.#chunks.set(name, { memory, bytes: bytes.length });
      library.setTop(L, 0);
    };
    for (const file of [hostFile, ...[...parts, ...deferredParts].map((part) => part.file)]) {
      dump(file, readFileSync(luaFile(file), 'latin1'));
    }
    const manifest = {
      version,
      functions: nativeFunctionNames,
      entries: entryNames,
      parts: parts.map(({ name }) => name),
      deferred: deferredModules,
      stand_ins: standIns('native'),
      traceback_slot: TRACEBACK_SLOT,
      most_values: GLOBALS_LIMIT_VALUES,
      most_bytes: GLOBALS_LIMIT_BYTES,
      ...(gate.buffer && { buffer: gate.buffer.address }),
    };
    dump('manifest', valueChunk(manifest));
    dump('slot', `debug.getregistry()[${FUNCTION_SLOT}] = false`);
    dump('install', installLibraries);
  }

  /** How strings are given to this Lua as precompiled chunks; nothing where that does not work as expected. */
  #makeStringChunk(L: number): StringChunk | undefined {
    const { library, gate } = this.#parts;
    if (library.kind.isJit) return undefined;
    const text = valueChunk(templateText);
    const load = library.kind.hasCpcall ? 'loadstring' : 'load';
    const dump = this.#evaluate(L, `return string.dump(${load}(${JSON.stringify(text)}, "=${ownChunkName}"))`);
    const chunk = StringChunk.fromDump(dump, !library.kind.hasCpcall);
    for (const length of chunk === undefined ? [] : [0, 1, 39, 40, 41, 126, 127, 128, 255, 16_382, 16_383, 16_384]) {
      const wanted = Buffer.alloc(length, 'every byte counts \0\r\n"\\\x1b\xff', 'latin1');
      const bytes = chunk?.write(this.#scratch, length, (to, at) => void to.set(wanted, at)) ?? 0;
      const loaded = library.loadBuffer(L, this.#scratch.address, bytes, this.#ownName.address);
      if (loaded !== luaStatus.ok || library.pcall(L, 0, 1, 0) !== luaStatus.ok) return undefined;
      const got = gate.readTop(L);
      if (got === undefined || Buffer.compare(got, wanted) !== 0) return undefined;
      library.setTop(L, 0);
    }
    return chunk;
  }

  /** How JSON is read by precompiled chunks; nothing where a text does not become what it should. */
  #makeJsonChunk(L: number): JsonChunk | undefined {
    const { library } = this.#parts;
    const is54 = !library.kind.hasCpcall;
    const dump = this.#evaluate(L, `return string.dump(${is54 ? 'load' : 'loadstring'}("return 1"))`);
    const chunk = new JsonChunk(is54 ? new ValueChunk54(dump) : new ValueChunk51(dump), is54);
    this.#expectOk(L, this.#loadText(L, probeCheck));
    const bytes = chunk.write(Buffer.from(JSON.stringify(probe)), true, true, this.#scratch) ?? 0;
    const isRight =
      library.loadBuffer(L, this.#scratch.address, bytes, this.#ownName.address) === luaStatus.ok &&
      library.pcall(L, 1, 1, 0) === luaStatus.ok &&
      library.toBoolean(L, -1) !== 0;
    library.setTop(L, 0);
    return isRight ? chunk : undefined;
  }
}

/** A value with all that chunks of values consist of, and Lua code that says whether a chunk makes it. */
const probe = {
  ['long '.repeat(20)]: [0, -7, 2.5, 1e300, 100_000, 'text', '', 'long '.repeat(60), true, false, null, [], {}],
  lists: [
    Array.from({ length: 600 }, (_, at) => at * 1000.5),
    Array.from({ length: 300 }, (_, at) => ({ a: at, b: at })),
  ],
  fields: Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`field ${at}`, at])),
};

const probeCheck = `
  local make, meta = ..., {}
  local value = make("nothing", setmetatable, meta)
  local list, numbers, rows = value[("long "):rep(20)], value.lists[1], value.lists[2]
  local isRight = list[1] == 0 and list[2] == -7 and list[3] == 2.5 and list[4] == 1e300 and list[5] == 100000
    and list[6] == "text" and list[7] == "" and list[8] == ("long "):rep(60) and list[9] == true and list[10] == false
    and list[11] == "nothing" and getmetatable(list[12]) == meta and next(list[12]) == nil and next(list[13]) == nil
    and getmetatable(list[13]) == nil and #list == 13 and #numbers == 600 and #rows == 300
  for at = 0, 599 do isRight = isRight and numbers[at + 1] == at * 1000.5 end
  for at = 0, 299 do
    isRight = isRight and rows[at + 1].a == at and rows[at + 1].b == at and value.fields["field " .. at] == at
  end
  return isRight`;

function hasSymbol(library: NativeLibrary, name: string): boolean {
  try {
    return library.symbol(name) !== 0;
  } catch {
    return false;
  }
}
