/** Host functions that do work of the library's modules in the memory of the embedded Lua. Each may give nothing: then Lua does it. */

import { decodeJson } from './json-decode.js';
import { encodeJson } from './json-encode.js';
import type { Machine } from './machine.js';

/** Works on the stack of `L`, gives the number of its results there. */
type LibraryFunction = (state: { readonly machine: Machine }, L: number) => number;

export const libraryFunctions = {
  /** True and the text; or true. */
  jsonencode({ machine }, L) {
    machine.x.lua_settop(L, 5);
    const text = encodeJson(machine, L);
    machine.x.lua_pushboolean(L, 1);
    if (text === undefined) return 1;
    machine.pushBytes(L, text);
    return 2;
  },

  /** True, true and the value; or true. */
  jsondecode({ machine }, L) {
    const { x } = machine;
    x.lua_settop(L, 4);
    x.lua_pushboolean(L, 1);
    x.lua_pushboolean(L, 1);
    if (decodeJson(machine, L)) return 3;
    x.lua_settop(L, 0);
    x.lua_pushboolean(L, 1);
    return 1;
  },
} satisfies Record<string, LibraryFunction>;
