/**
 * The native engines: a Lua library of the system, called through FFI. Scripts have the whole standard library and C
 * modules; they share the process with the server.
 */

import { loadFfi, requireCStack } from '../../base/ffi.js';
import type { NativeEngineName } from '../engine-names.js';
import type { LuaEngine } from '../state.js';
import { NativeBoot } from './boot.js';
import { CStack } from './c-stack.js';
import { HostGate } from './gate.js';
import { type NativeLibrary, openNativeLibrary } from './library.js';
import { GrowingMemory } from './memory.js';
import { type NativeParts, NativeState } from './state.js';
import { ownWorkingDirectory } from './thread-scope.js';

export interface NativeEngineOptions {
  /** The library's file; left out: the system's. */
  readonly file?: string;
  /** What scripts see as `LUAFCGID_VERSION` and as `version` of the module `luafcgid`. */
  readonly version?: string;
  /** Replaces functions of the library, as tests do that let allocations fail. */
  readonly adapt?: (library: NativeLibrary) => NativeLibrary;
}

/**
 * The function of the library that, as a hook, raises an error without a look at any value: `lua_error` would raise what lies on the
 * stack, such as an object that was freed. It is called with the state and the address of the event's record.
 *
 * - Lua 5.1: asked for so many bytes as the address says, it has not enough memory. Such an error goes past message handlers, which
 *   would run inside of the hook, where nothing interrupts them.
 * - Lua 5.4, which collects garbage before it gives up, and LuaJIT: an error with a message that is the record. It begins with the
 *   number of the event, as a text one character. Message handlers are wrapped (native-stdlib.lua).
 */
function stopFunction(name: NativeEngineName): string {
  return name === 'lua5.1' ? 'lua_newuserdata' : 'luaL_error';
}

/** A native engine, and the file that its library came from. */
export interface NativeEngine extends LuaEngine {
  readonly file: string;
}

/**
 * The engine of one thread. Throws `LUAFCGID_LUA_LIBRARY` when the library is missing or is another Lua than the name
 * says.
 */
export function createNativeEngine(name: NativeEngineName, options: NativeEngineOptions = {}): NativeEngine {
  const ffi = loadFfi();
  requireCStack();
  const opened = openNativeLibrary(name, options.file);
  const library = options.adapt?.(opened) ?? opened;
  const running: NativeParts['running'] = { state: undefined };
  const gate = new HostGate(ffi, library, running);
  const cFunction = ffi.pointer(ffi.proto('int', ['uintptr_t']));
  const hook = ffi.pointer(ffi.proto('void', ['uintptr_t', 'uintptr_t']));
  // The process has a limited number of callbacks; a thread that ends does not give its own back by itself.
  const callbacks = [
    ffi.register(gate.call, cFunction),
    ffi.register((L: number) => running.state?.lookAtMemory(L), hook),
    ffi.register((L: number) => running.state?.beInterrupted(L), hook),
  ];
  const cStack = new CStack(ffi);
  const close = (): void => {
    cStack.close();
    for (const callback of callbacks.splice(0)) ffi.unregister(callback);
  };
  const [gateAddress = 0, memoryHook = 0, interruptHook = 0] = callbacks.map(Number);
  const version = options.version ?? 'development';
  let boot: NativeBoot;
  try {
    boot = new NativeBoot({ name, ffi, library, gate, gateAddress, version });
  } catch (error) {
    close();
    throw error;
  }
  const parts: NativeParts = {
    library,
    gate,
    running,
    source: new GrowingMemory(ffi, 64 << 10),
    stopHook: library.symbol(stopFunction(name)),
    memoryHook,
    interruptHook,
    cStack,
    enterDirectory: ownWorkingDirectory(ffi),
    boot: () => boot.boot(),
    deferredPart: (part) => boot.deferredPart(part),
    jsonChunk: boot.jsonChunk,
  };
  return {
    name,
    version: boot.version,
    isConfined: false,
    hasImages: false,
    file: library.file,
    createState: (stateOptions) => new NativeState(parts, stateOptions),
    close,
  };
}
