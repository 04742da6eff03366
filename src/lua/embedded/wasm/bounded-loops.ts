/**
 * Library functions of the embedded Lua that would go on for minutes in C, where nothing interrupts them, for arguments that have no
 * use. These take their places in the function table, as those of `wide-numbers.ts` do.
 */

import { type Code, functionBody, op, valueType } from './code.js';
import { unusable } from './sections.js';

/** What the functions call: the Lua API, and the library functions that they stand for. */
interface Callees {
  readonly lua: (name: string) => Code;
  readonly original: (library: 'string' | 'table', name: string) => Code;
}

const [numberType, stringType] = [3, 4];
/** `table.insert` moves each item between the end of the list and the position: the lowest position that it takes. */
const LOWEST_POSITION = -(2 ** 20);

/** @param data the memory that the file's data segments describe */
export function bounded({ lua, original }: Callees, data: Buffer) {
  const message = data.indexOf('\0invalid value\0') + 1;
  if (message === 0) throw unusable('its message "invalid value" was not found');
  const [L, position] = [0, 1];
  return {
    string: {
      // The empty string, however often, is the empty string.
      rep: functionBody(
        [],
        [op.get(L), op.i32(1), lua('lua_type'), op.i32(stringType), op.i32Eq],
        [op.get(L), op.i32(1), lua('lua_objlen'), op.i32Eqz, op.i32And],
        [op.get(L), op.i32(2), lua('lua_type'), op.i32(numberType), op.i32Eq, op.i32And],
        op.if([op.get(L), op.i32(1), lua('lua_settop')], op.i32(1), op.return),
        [op.get(L), original('string', 'rep')],
      ),
    },
    table: {
      insert: functionBody(
        [valueType.i32],
        [op.get(L), lua('lua_gettop'), op.i32(3), op.i32Eq],
        [
          op.get(L),
          op.i32(2),
          lua('lua_tointeger'),
          op.tee(position),
          op.i32(LOWEST_POSITION),
          op.i32LessSigned,
          op.i32And,
        ],
        op.if(op.get(L), op.i32(2), op.i32(message), lua('luaL_argerror'), op.return),
        [op.get(L), original('table', 'insert')],
      ),
    },
  };
}
