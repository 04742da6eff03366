/** Lua values going in and out of a machine as JavaScript values. Both run inside protected calls: both may raise. */

import { GLOBALS_LIMIT_BYTES, GLOBALS_LIMIT_VALUES, NESTING_LIMIT, wholeText } from '../crossing.js';
import type { ByteString, LuaValue } from '../state.js';
import { luaType, type Machine } from './machine.js';

/** Pushes a value; tables are new ones. */
export function pushValue(machine: Machine, L: number, value: LuaValue, depth = 0): void {
  const { x } = machine;
  if (depth > NESTING_LIMIT) throw new Error(`a value is nested deeper than ${NESTING_LIMIT} levels`);
  if (x.lua_checkstack(L, 3) === 0) machine.raiseMemoryError(L);
  if (value === undefined || value === null) {
    x.lua_pushnil(L);
  } else if (typeof value === 'boolean') {
    x.lua_pushboolean(L, value ? 1 : 0);
  } else if (typeof value === 'number') {
    x.lua_pushnumber(L, value);
  } else if (typeof value === 'string') {
    machine.pushText(L, value);
  } else if (Array.isArray(value)) {
    const items: readonly LuaValue[] = value;
    x.lua_createtable(L, items.length, 0);
    items.forEach((item, at) => {
      pushValue(machine, L, item, depth + 1);
      x.lua_rawseti(L, -2, at + 1);
    });
  } else {
    const fields = Object.entries(value);
    x.lua_createtable(L, 0, fields.length);
    for (const [name, field] of fields) {
      if (field === undefined) continue;
      machine.pushText(L, name);
      pushValue(machine, L, field, depth + 1);
      x.lua_rawset(L, -3);
    }
  }
}

/**
 * Reads Lua values, within a budget for all that one reader reads: a table that refers to one below it several times, many
 * levels deep, stands for more values than any memory has room for.
 */
export class ValueReader {
  readonly #machine: Machine;
  readonly #L: number;
  /** What each table has become, by its address: one that is referred to again is not read again. */
  readonly #tables = new Map<number, LuaValue>();
  #bytesLeft = GLOBALS_LIMIT_BYTES;
  #valuesLeft = GLOBALS_LIMIT_VALUES;

  constructor(machine: Machine, L: number) {
    this.#machine = machine;
    this.#L = L;
  }

  /**
   * The value at a stack index above 0. A table whose keys are 1 to n becomes an array (so does an empty one), any other a
   * record with its string keys and its number keys as text. Functions and other values that are no data are left out.
   */
  read(index: number, open: readonly number[] = []): LuaValue {
    const { x } = this.#machine;
    const L = this.#L;
    this.#valuesLeft -= 1;
    if (this.#valuesLeft < 0) throw new Error(`there are more than ${GLOBALS_LIMIT_VALUES} values`);
    switch (x.lua_type(L, index)) {
      case luaType.boolean:
        return x.lua_toboolean(L, index) !== 0;
      case luaType.number:
        return x.lua_tonumber(L, index);
      case luaType.string:
        return this.#text(index);
      case luaType.table:
        return this.#table(index, open);
      default:
        return undefined;
    }
  }

  #text(index: number): ByteString {
    const text = wholeText(this.#machine.string(this.#L, index), this.#bytesLeft);
    if (text === undefined) throw new Error(`there are more than ${GLOBALS_LIMIT_BYTES} bytes of text`);
    this.#bytesLeft -= text.length;
    return text;
  }

  #table(index: number, open: readonly number[]): LuaValue {
    const machine = this.#machine;
    const L = this.#L;
    const { x } = machine;
    const identity = x.lua_topointer(L, index);
    if (open.includes(identity)) throw new Error('a table contains itself');
    if (this.#tables.has(identity)) return this.#tables.get(identity);
    if (open.length >= NESTING_LIMIT) throw new Error(`tables are nested deeper than ${NESTING_LIMIT} levels`);
    if (x.lua_checkstack(L, 3) === 0) machine.raiseMemoryError(L);
    const fields: Record<string, LuaValue> = Object.create(null);
    const items: LuaValue[] = [];
    let isArray = true;
    x.lua_pushnil(L);
    const keyIndex = x.lua_gettop(L);
    const inner = [...open, identity];
    const length = x.lua_objlen(L, index);
    while (x.lua_next(L, index) !== 0) {
      const value = this.read(keyIndex + 1, inner);
      const keyType = x.lua_type(L, keyIndex);
      // lua_tolstring would turn a number key into a string in place and confuse lua_next.
      if (keyType === luaType.number) {
        const key = x.lua_tonumber(L, keyIndex);
        fields[String(key)] = value;
        if (Number.isInteger(key) && key >= 1 && key <= length) items[key - 1] = value;
        else isArray = false;
      } else {
        isArray = false;
        if (keyType === luaType.string) fields[this.#text(keyIndex)] = value;
      }
      x.lua_settop(L, keyIndex);
    }
    const value = isArray ? items : fields;
    this.#tables.set(identity, value);
    return value;
  }
}
