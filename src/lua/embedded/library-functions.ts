/** Host functions that do work of the library's modules in the memory of the embedded Lua. Each may give nothing: then Lua does it. */

import { BODY_PIECE_BYTES } from '../crossing.js';
import type { RequestHost, StateOptions } from '../state.js';
import { decodeJson } from './json-decode.js';
import { encodeJson } from './json-encode.js';
import type { Machine } from './machine.js';
import { withPage } from './pages.js';

/** Works on the stack of `L`, gives the number of its results there. */
type LibraryFunction = (
  state: {
    readonly machine: Machine;
    readonly request: Pick<RequestHost, 'tryWrite'> | undefined;
    readonly options: Pick<StateOptions, 'interrupts'>;
  },
  L: number,
) => number;

/** Rounds to the nearest integer, as LuaJIT does, and takes the low 32 bits. */
const ROUNDER = 2 ** 52 + 2 ** 51;
function toBits(value: number): number {
  return Number.isInteger(value) ? value | 0 : (value + ROUNDER - ROUNDER) | 0;
}

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
  jsondecode({ machine, options }, L) {
    const { x } = machine;
    x.lua_settop(L, 4);
    x.lua_pushboolean(L, 1);
    x.lua_pushboolean(L, 1);
    if (decodeJson(machine, L, options.interrupts)) return 3;
    x.lua_settop(L, 0);
    x.lua_pushboolean(L, 1);
    return 1;
  },

  /** A page's pieces as a string: true and the string; or true. */
  joinpieces({ machine }, L) {
    machine.x.lua_settop(L, 1);
    machine.x.lua_pushboolean(L, 1);
    return withPage(machine, L, (page) => machine.pushBytes(L, page)) ? 2 : 1;
  },

  /** The same to the client: true, whether it was written, and what of it has to wait for the client to read. */
  writepieces({ machine, request }, L) {
    machine.x.lua_settop(L, 1);
    if (request === undefined) throw new Error('no request is running');
    machine.x.lua_pushboolean(L, 1);
    let hasRest = false;
    const isWritten = withPage(machine, L, (page) => {
      for (let at = 0; at < page.length && !hasRest; at += BODY_PIECE_BYTES) {
        const piece = page.subarray(at, at + BODY_PIECE_BYTES);
        const taken = request.tryWrite(piece);
        if (taken === piece.length) continue;
        hasRest = true;
        machine.x.lua_pushboolean(L, 1);
        machine.pushBytes(L, page.subarray(at + taken));
      }
    });
    if (hasRest) return 3;
    machine.x.lua_pushboolean(L, isWritten ? 1 : 0);
    return 2;
  },

  /** An operation on the low 32 bits of two numbers: 0 and, 1 or, 2 exclusive or, 3 and 4 shifts to the left and right. */
  bitop({ machine }, L) {
    const { x } = machine;
    const left = toBits(x.lua_tonumber(L, 2));
    const right = toBits(x.lua_tonumber(L, 3));
    switch (x.lua_tonumber(L, 1)) {
      case 0:
        x.lua_pushnumber(L, left & right);
        break;
      case 1:
        x.lua_pushnumber(L, left | right);
        break;
      case 2:
        x.lua_pushnumber(L, left ^ right);
        break;
      case 3:
        x.lua_pushnumber(L, left << right);
        break;
      default:
        x.lua_pushnumber(L, (left >>> right) | 0);
    }
    return 1;
  },
} satisfies Record<string, LibraryFunction>;
