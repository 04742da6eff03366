/**
 * The WebAssembly file of Lua 5.1 that the npm package `wasmoon-lua5.1` ships: finding it, checking that it is the one
 * this engine was written against, and compiling it. None of the package's JavaScript is used.
 */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { LuafcgidError } from '../../../base/errors.js';
import { encodeName, leb128, readSections, type Section, section, vector, WasmReader, writeModule } from './bytes.js';
import { hostedFunctionNames, widenNumbers } from './wide-numbers.js';

/** What the engine calls. Everything else the file exports is dropped: each export costs time in each new instance. */
export const exportNames = [
  'memory',
  '__indirect_function_table',
  '__wasm_call_ctors',
  'emscripten_stack_init',
  'emscripten_stack_get_base',
  'emscripten_stack_get_end',
  'stackSave',
  'stackRestore',
  'setThrew',
  'setTempRet0',
  'malloc',
  'fflush',
  'free',
  'luaL_newstate',
  'luaL_openlibs',
  'luaL_loadbuffer',
  'luaL_ref',
  'lua_checkstack',
  'lua_createtable',
  'lua_error',
  'lua_gc',
  'lua_getallocf', // for tests, which make allocations fail
  'lua_gethook',
  'lua_gethookcount',
  'lua_gethookmask',
  'lua_getinfo',
  'lua_getstack',
  'lua_gettop',
  'lua_newuserdata',
  'lua_next',
  'lua_objlen',
  'lua_pcall',
  'lua_pushboolean',
  'lua_pushcclosure',
  'lua_pushlstring',
  'lua_pushnil',
  'lua_pushnumber',
  'lua_pushvalue',
  'lua_replace',
  'lua_rawget',
  'lua_rawgeti',
  'lua_rawset',
  'lua_rawseti',
  'lua_sethook',
  'lua_setmetatable',
  'lua_settop',
  'lua_toboolean',
  'lua_tolstring',
  'lua_tonumber',
  'lua_topointer',
  'lua_type',
] as const;

/** Every import of the file: `libc.ts` provides all of them. */
export const importNames = [
  'env._emscripten_get_now_is_monotonic',
  'env._emscripten_system',
  'env._emscripten_throw_longjmp',
  'env.__syscall_dup3',
  'env.__syscall_fcntl64',
  'env.__syscall_ioctl',
  'env.__syscall_openat',
  'env.__syscall_readlinkat',
  'env.__syscall_renameat',
  'env.__syscall_rmdir',
  'env.__syscall_unlinkat',
  'env._gmtime_js',
  'env._localtime_js',
  'env._mktime_js',
  'env._tzset_js',
  'env.emscripten_date_now',
  'env.emscripten_memcpy_js',
  'env.emscripten_resize_heap',
  'env.exit',
  'env.invoke_vii',
  'env.strftime',
  'wasi_snapshot_preview1.environ_get',
  'wasi_snapshot_preview1.environ_sizes_get',
  'wasi_snapshot_preview1.fd_close',
  'wasi_snapshot_preview1.fd_read',
  'wasi_snapshot_preview1.fd_seek',
  'wasi_snapshot_preview1.fd_write',
] as const;

/**
 * Pages of 64 KiB that an instance starts with. The file asks for 16 MiB, most of it a C stack of 4 MiB and room that
 * small scripts never touch; with thousands of states the sheer size of the reservations slows the garbage collector.
 */
export const INITIAL_PAGES = 12;

/** SHA-256 of the file: its text and its memory layout are what the engine was written against. */
const fileDigest = 'cba969b97e8a319eba8996b5df488aed5cdd22a56f2de53b42598e474014e610';

/** The file cannot be used: says why, once, at start. */
function unusable(detail: string, cause?: unknown): LuafcgidError {
  return new LuafcgidError('LUAFCGID_LUA_ENGINE', { detail }, cause);
}

/** Where the installed package keeps the file. */
export function embeddedFile(): string {
  try {
    // The package's main script lies beside the file; naming the file itself would break should it gain an exports map.
    return join(dirname(createRequire(import.meta.url).resolve('wasmoon-lua5.1')), 'liblua5.1.wasm');
  } catch (error) {
    throw unusable('the npm package wasmoon-lua5.1 is not installed', error);
  }
}

/** The memory section with a smaller first size; the maximum stays. */
function shrinkMemory(body: Uint8Array): Uint8Array {
  const reader = new WasmReader(body);
  const count = reader.number();
  const flags = reader.byte();
  const pages = reader.number();
  if (count !== 1 || pages < INITIAL_PAGES) throw unusable(`its memory starts with ${pages} pages`);
  return Uint8Array.of(count, flags, ...leb128(INITIAL_PAGES), ...body.subarray(reader.position));
}

/** The export section with the names of `exportNames` only. */
function trimExports(body: Uint8Array): Uint8Array {
  const wanted = new Set<string>(exportNames);
  const reader = new WasmReader(body);
  const kept: Uint8Array[] = [];
  for (let left = reader.number(); left > 0; left -= 1) {
    const name = reader.name();
    const start = reader.position;
    reader.byte();
    reader.number();
    if (wanted.has(name)) kept.push(Buffer.concat([encodeName(name), body.subarray(start, reader.position)]));
  }
  return vector(kept);
}

function adapt({ id, body }: Section): Section {
  if (id === section.memory) return { id, body: shrinkMemory(body) };
  if (id === section.export) return { id, body: trimExports(body) };
  return { id, body };
}

/** Throws `LUAFCGID_LUA_ENGINE` unless the module imports and exports exactly what the engine provides and calls. */
export function checkEmbeddedModule(module: WebAssembly.Module): void {
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const missing = exportNames.filter((name) => !exported.has(name));
  if (missing.length > 0) throw unusable(`it lacks the exports ${missing.join(', ')}`);
  const provided = new Set<string>(importNames);
  const unknown = WebAssembly.Module.imports(module)
    .map(({ module: from, name }) => `${from}.${name}`)
    .filter((name) => !provided.has(name));
  if (unknown.length > 0) throw unusable(`it needs the unknown imports ${unknown.join(', ')}`);
}

/** The file with what the engine changes in it, which the build saves: changing it takes 40 ms of each start. */
const saved = new URL('./changed.wasm', import.meta.url);

/** The same for two changed files only if they were changed alike. */
function changesOf(digest: string): Buffer {
  const parts = [digest, exportNames, importNames, hostedFunctionNames, INITIAL_PAGES];
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}

/** The bytes of the package's file; throws unless they are the expected ones. */
function readExpected(file: string): Buffer {
  const bytes = readFileSync(file);
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (digest !== fileDigest) throw unusable(`${file} is another file: its SHA-256 digest is ${digest}`);
  return bytes;
}

/** The package's file as the engine uses it: numbers of 64 bits, fewer exports, a smaller memory. */
export function changeModule(file = embeddedFile()): Buffer {
  return writeModule(widenNumbers(readSections(readExpected(file))).map(adapt));
}

/** Saves the changed file for later starts: a step of the build. */
export function saveChangedModule(): void {
  writeFileSync(saved, Buffer.concat([changesOf(fileDigest), changeModule()]));
}

/** The changed file that the build has saved; undefined when there is none, or one that was changed in another way. */
export function savedModule(): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(saved);
  } catch {
    return undefined;
  }
  const changes = changesOf(fileDigest);
  return bytes.subarray(0, changes.length).equals(changes) ? bytes.subarray(changes.length) : undefined;
}

/**
 * Compiles the embedded Lua, in some 20 ms: once, on the main thread. The result can be handed to worker threads in their
 * `workerData`, which shares the machine code. Throws `LUAFCGID_LUA_ENGINE` when the file is missing or another one.
 */
export function compileEmbeddedModule(file = embeddedFile()): WebAssembly.Module {
  let module: WebAssembly.Module;
  try {
    readExpected(file);
    module = new WebAssembly.Module(savedModule() ?? changeModule(file));
  } catch (error) {
    throw error instanceof LuafcgidError ? error : unusable((error as Error).message, error);
  }
  checkEmbeddedModule(module);
  return module;
}
