/**
 * Library functions of the embedded Lua that work in C for long. The watchdog looks around after so many instructions of Lua, and one
 * instruction may call any of these: so they count their work as instructions. And for arguments that have no use, with which they
 * would go on for minutes, they end at once. They take places in the function table, as those of `wide-numbers.ts` do.
 */

import { type Code, functionBody, op, valueType } from './code.js';
import { unusable } from './sections.js';

interface LuaApi {
  readonly lua: (name: string) => Code;
}

/** What the functions call: the Lua API, and the library functions that they stand for. */
interface Callees extends LuaApi {
  readonly original: (library: 'string' | 'table' | 'base', name: string) => Code;
}

const [STRING_TYPE, TABLE_TYPE] = [4, 5];
/** A local variable of a replacement: how many results there are. */
const RESULTS = 1;
/** What a cycle of the collector counts: there is a look between two of them. */
const CYCLE = 5_000;
/** `table.insert` moves each item between the end of the list and the position: the lowest position that it takes. */
const LOWEST_POSITION = -(2 ** 20);
/** Where `lua_State` has `hookcount`: the instructions until the hook is called, while one is set. */
const HOOK_COUNT_AT = 64;

/** Bytes of text that take as long as an instruction, as a power of two; and what an item costs that is sorted. */
const TEXT_SHIFT = 3;
const SORTED_ITEM = 8;

const L = 0;

/** `(L, work)`: counts work as so many instructions, at most those that are left until the hook. */
export function countWork(): Uint8Array {
  const [work, left] = [1, 2];
  return functionBody(
    [valueType.i32],
    [op.get(L), op.loadWord(HOOK_COUNT_AT), op.tee(left), op.i32(2), op.i32LessSigned, op.if(op.return)],
    [op.get(L), op.get(left), op.get(work), op.i32Subtract, op.i32(1)],
    [op.get(left), op.get(work), op.i32GreaterUnsigned, op.select, op.storeWord(HOOK_COUNT_AT)],
  );
}

/** Counts the length of the text that is argument 1. */
export const countText = ({ lua }: LuaApi, count: number): Code => [
  [op.get(L), op.get(L), op.i32(1), lua('lua_objlen'), op.i32(TEXT_SHIFT), op.i32ShiftRightUnsigned, op.call(count)],
];

/** The same for functions that search, unless argument 3 says where to begin: then they most often end soon. */
export const countSearch = (callees: LuaApi, count: number): Code => [
  [op.get(L), op.i32(3), callees.lua('lua_type'), op.i32(0), op.i32LessEqualSigned, op.if(countText(callees, count))],
];

/** The same if it is one. */
export const countIfText = (callees: LuaApi, count: number): Code => [
  [op.get(L), op.i32(1), callees.lua('lua_type'), op.i32(STRING_TYPE), op.i32Eq, op.if(countText(callees, count))],
];

/** `(L)`: counts the lengths of all texts among the arguments. */
export function countTexts({ lua }: LuaApi, count: number): Uint8Array {
  const [at, size] = [1, 2];
  return functionBody(
    [valueType.i32, valueType.i32],
    [op.get(L), lua('lua_gettop'), op.set(at)],
    op.block(
      op.loop(
        [op.get(at), op.i32(1), op.i32LessSigned, op.brIf(1)],
        [op.get(L), op.get(at), lua('lua_type'), op.i32(STRING_TYPE), op.i32Eq],
        op.if([op.get(size), op.get(L), op.get(at), lua('lua_objlen'), op.i32Add, op.set(size)]),
        [op.get(at), op.i32(1), op.i32Subtract, op.set(at), op.br(0)],
      ),
    ),
    [op.get(L), op.get(size), op.i32(TEXT_SHIFT), op.i32ShiftRightUnsigned, op.call(count)],
    op.i32(0),
  );
}

/**
 * @param data the memory that the file's data segments describe
 * @param count the function `countWork`
 */
export function bounded({ lua, original }: Callees, data: Buffer, count: number) {
  const message = data.indexOf('\0invalid value\0') + 1;
  if (message === 0) throw unusable('its message "invalid value" was not found');
  const position = 1;
  const length: Code = [op.get(L), op.i32(1), lua('lua_objlen')];
  const withText = (name: string): Uint8Array =>
    functionBody([], countText({ lua }, count), op.get(L), original('string', name));
  /** Counts work with a list. (`lua_objlen` would make a text of a number.) */
  const countItems = (work: Code): Code => [
    [op.get(L), op.i32(1), lua('lua_type'), op.i32(TABLE_TYPE), op.i32Eq, op.if(op.get(L), work, op.call(count))],
  ];
  const withItems = (name: string, each: number): Uint8Array =>
    functionBody([], countItems([length, op.i32(each), op.i32Multiply]), op.get(L), original('table', name));
  /** Items between the position that is argument 2 and the end of the list. */
  const movedItems: Code = [length, op.get(L), op.i32(2), lua('lua_tointeger'), op.i32Subtract];
  return {
    string: {
      gsub: withText('gsub'),
      upper: withText('upper'),
      lower: withText('lower'),
      reverse: withText('reverse'),
      rep: functionBody(
        [],
        // The empty string, however often, is the empty string.
        [op.get(L), op.i32(1), lua('lua_type'), op.i32(STRING_TYPE), op.i32Eq],
        [length, op.i32Eqz, op.i32And],
        [op.get(L), op.i32(2), lua('lua_isnumber'), op.i32And],
        op.if([op.get(L), op.i32(1), lua('lua_settop')], op.i32(1), op.return),
        [op.get(L), op.get(L), op.i32(2), lua('lua_tointeger'), op.call(count)],
        [op.get(L), original('string', 'rep')],
      ),
    },
    base: {
      loadstring: functionBody([], countIfText({ lua }, count), op.get(L), original('base', 'loadstring')),
      // Counted when it is over: a look that came due before would come in a finalizer, where Lua calls no hook, and be lost.
      collectgarbage: functionBody(
        [valueType.i32],
        [op.get(L), original('base', 'collectgarbage'), op.set(RESULTS)],
        [op.get(L), op.i32(CYCLE), op.call(count), op.get(RESULTS)],
      ),
    },
    table: {
      insert: functionBody(
        [valueType.i32],
        [op.get(L), lua('lua_gettop'), op.i32(3), op.i32Eq],
        op.if(
          [op.get(L), op.i32(2), lua('lua_tointeger'), op.tee(position), op.i32(LOWEST_POSITION), op.i32LessSigned],
          op.if(op.get(L), op.i32(2), op.i32(message), lua('luaL_argerror'), op.return),
          countItems(movedItems),
        ),
        [op.get(L), original('table', 'insert')],
      ),
      remove: functionBody(
        [],
        [op.get(L), lua('lua_gettop'), op.i32(2), op.i32Eq, op.if(countItems(movedItems))],
        [op.get(L), original('table', 'remove')],
      ),
      concat: withItems('concat', 1),
      sort: withItems('sort', SORTED_ITEM),
    },
  };
}
