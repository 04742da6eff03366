/**
 * Makes JavaScript functions callable through a WebAssembly function table. A table holds WebAssembly functions only, so a
 * tiny module is generated that imports the JavaScript functions and exports them again.
 */

import { encodeName, section, vector, writeModule } from './wasm/bytes.js';

const I32 = 0x7f;
const FUNCTION_KIND = 0;

/** `(lua_State*) -> int`, the shape of a `lua_CFunction`. */
export type LuaCFunction = (luaState: number) => number;
/** `(lua_State*, lua_Debug*) -> void`, the shape of a `lua_Hook`. */
export type LuaHook = (luaState: number, activation: number) => void;

const signatures = {
  function: Uint8Array.of(0x60, 1, I32, 1, I32),
  hook: Uint8Array.of(0x60, 2, I32, I32, 0),
} as const;

/** The same functions as WebAssembly functions, in the same order: `functions` first, then `hooks`. */
export function asWasmFunctions(functions: readonly LuaCFunction[], hooks: readonly LuaHook[]): readonly unknown[] {
  const all = [...functions, ...hooks];
  const typeOf = (at: number) => (at < functions.length ? 0 : 1);
  const bytes = writeModule([
    { id: section.type, body: vector([signatures.function, signatures.hook]) },
    {
      id: section.import,
      body: vector(
        all.map((_, at) =>
          Buffer.concat([encodeName('host'), encodeName(String(at)), Uint8Array.of(FUNCTION_KIND, typeOf(at))]),
        ),
      ),
    },
    {
      id: section.export,
      body: vector(all.map((_, at) => Buffer.concat([encodeName(String(at)), Uint8Array.of(FUNCTION_KIND, at)]))),
    },
  ]);
  const host = Object.fromEntries(all.map((run, at) => [String(at), run as WebAssembly.Import]));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host });
  return all.map((_, at) => (exports as Record<string, unknown>)[String(at)]);
}
