/** Which Lua runs the scripts: makes an engine from data that can be handed to a thread. */
import { compileEmbeddedModule, createEmbeddedEngine } from './embedded.js';
import type { LuaEngine } from './state.js';

/** All that a thread needs to make its engine; can be cloned between threads. */
export interface EngineData {
  readonly name: 'embedded';
  /** Compiled once, shared by all threads. */
  readonly module: WebAssembly.Module;
  /** The server's version, which scripts may read. */
  readonly version: string;
}

/**
 * Prepares the engine for this and other threads.
 * @throws LuafcgidError when its files are missing or not the expected ones
 */
export function prepareEngine(version: string): EngineData {
  return { name: 'embedded', module: compileEmbeddedModule(), version };
}

/** The engine of the calling thread. */
export function createEngine(data: EngineData): LuaEngine {
  return createEmbeddedEngine(data.module, { version: data.version });
}
