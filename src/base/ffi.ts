/**
 * The FFI (koffi) of the calling thread, whichever thread that is. Everything that calls native code takes it from here: the size
 * of the C stack can only be set before the first library is loaded, once for each thread.
 */
import { createRequire } from 'node:module';
import type koffiModule from 'koffi';
import { LuafcgidError } from './errors.js';

export type Ffi = typeof koffiModule;

/**
 * The C stack of native calls, the most that koffi allows. Lua needs 2 MiB for each coroutine that nests calls to its limit, and
 * Lua 5.1's patterns 6 MiB. Pages that are not touched take no memory.
 */
export const C_STACK_BYTES = 16 << 20;

let ffi: Ffi | undefined;

/** The FFI, loaded at its first use on this thread. Throws where koffi is not installed for this system. */
export function loadFfi(): Ffi {
  if (ffi !== undefined) return ffi;
  const loaded = createRequire(import.meta.url)('koffi') as Ffi;
  try {
    loaded.config({ sync_stack_size: C_STACK_BYTES });
  } catch {
    // A library was loaded on this thread before. Those that need the stack ask for it: `requireCStack`.
  }
  ffi = loaded;
  return loaded;
}

/** Throws `LUAFCGID_FFI_STACK` when native calls of this thread do not have the C stack that Lua's depth limits rely on. */
export function requireCStack(): void {
  const { sync_stack_size: sizeBytes = 0 } = loadFfi().config();
  if (sizeBytes >= C_STACK_BYTES) return;
  throw new LuafcgidError('LUAFCGID_FFI_STACK', { size: sizeBytes, needed: C_STACK_BYTES });
}
