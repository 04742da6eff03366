/** Which Lua runs the scripts: makes an engine from data that can be handed to a thread. */

import { LuafcgidError } from '../base/errors.js';
import { loadFfi } from '../base/ffi.js';
import { type BootedLua, bootedLua, compileEmbeddedModule, createEmbeddedEngine } from './embedded/engine.js';
import type { EngineName, NativeEngineName } from './engine-names.js';
import { inheritStandardStreams } from './native/child-streams.js';
import { createNativeEngine } from './native/engine.js';
import { exitAtOnce, openNativeLibrary } from './native/library.js';
import { passOnUsualSignals } from './native/thread-scope.js';
import type { LuaEngine } from './state.js';

/** `LUA_MASKCOUNT` */
const COUNT_MASK = 8;

interface EmbeddedData {
  readonly name: 'embedded';
  /** Compiled once, shared by all threads. */
  readonly module: WebAssembly.Module;
  /** Copied by all threads. */
  readonly booted: BootedLua;
  /** The server's version, which scripts may read. */
  readonly version: string;
}

interface NativeData {
  readonly name: NativeEngineName;
  /** The library that was found. */
  readonly file: string;
  readonly version: string;
}

/** All that a thread needs to make its engine; can be cloned between threads. */
export type EngineData = EmbeddedData | NativeData;

/**
 * Prepares an engine for this and other threads.
 * @param version the server's
 * @param library a file to take in place of the system's library of a native engine
 * @throws LuafcgidError when its files are missing or not the expected ones, or another native library is loaded already
 */
export function prepareEngine(version: string, name: EngineName = 'embedded', library?: string): EngineData {
  if (name === 'embedded') {
    const module = compileEmbeddedModule();
    return { name, module, booted: bootedLua(module, version), version };
  }
  inheritStandardStreams(loadFfi());
  passOnUsualSignals(loadFfi());
  if (native !== undefined && native.name !== name) {
    throw new LuafcgidError('LUAFCGID_LUA_SECOND_LIBRARY', { engine: name, loaded: native.name });
  }
  const { file, close } = createNativeEngine(name, { version, ...(library !== undefined && { file: library }) });
  close?.();
  if (native !== undefined && native.file !== file) {
    throw new LuafcgidError('LUAFCGID_LUA_SECOND_LIBRARY', { engine: file, loaded: native.file });
  }
  native = { name, file, version };
  return native;
}

/** The library that this process has loaded: C modules find the functions of the first one, whoever loads them. */
let native: NativeData | undefined;

let leavesThreads = false;

/** A thread is left that is inside of native code: `endProcess` must not wait for it. */
export function leaveThreadsBehind(): void {
  leavesThreads = true;
}

/**
 * Ends the process. `process.exit` would wait for all threads and break off their JavaScript; a thread that runs native
 * Lua does not end then, or has its Lua called back into nothing. So with a native engine the system ends the process,
 * and also when other threads are left that are inside of native code.
 */
export function endProcess(exitCode: number): never {
  if (native === undefined && !leavesThreads) process.exit(exitCode);
  process.exitCode = exitCode;
  process.emit('exit', exitCode);
  return exitAtOnce(exitCode);
}

/**
 * A function that has native Lua call a hook before its next instruction, from whichever thread (`HookTarget`);
 * undefined where the engine needs none.
 */
export function createHookSetter(data: EngineData): ((state: number, hook: number) => void) | undefined {
  if (data.name === 'embedded') return undefined;
  const library = openNativeLibrary(data.name, data.file);
  return (state, hook) => library.setHook(state, hook, COUNT_MASK, 1);
}

/** The engine of the calling thread. */
export function createEngine(data: EngineData): LuaEngine {
  const { version } = data;
  if (data.name === 'embedded') return createEmbeddedEngine(data.module, { version, booted: data.booted });
  return createNativeEngine(data.name, { file: data.file, version });
}
