/** Writes the usual values of the embedded Lua as JSON; everything else is left to json-encode.lua, as are all errors. */

import { jsonEscape } from '../json-text.js';
import { LuaMemory, NODE_BYTES, tag, userdataObject, VALUE_BYTES } from './lua-memory.js';
import { luaType, type Machine } from './machine.js';
import { enlarged, LARGEST_KEPT_BYTES, tooLarge, USUAL_BYTES } from './text-room.js';
import { isUtf8 } from './utf8.js';

const DEEPEST = 1000;
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const hexDigits = Buffer.from('0123456789abcdef');
const words = { null: Buffer.from('null'), true: Buffer.from('true'), false: Buffer.from('false') };
/** Values that stand for something else, by their addresses. */
interface Special {
  readonly null: number;
  readonly arrayMeta: number;
  readonly emptyArrayMeta: number;
  readonly checksUtf8: boolean;
}

class JsonWriter {
  readonly memory = new LuaMemory();
  out = Buffer.allocUnsafeSlow(USUAL_BYTES);
  at = 0;
  mostBytes = 0;
  special!: Special;

  #reserve(bytes: number): void {
    if (this.at + bytes > this.out.length) this.out = enlarged(this.out, this.at, bytes, this.mostBytes);
  }

  #word(word: Buffer): boolean {
    this.#reserve(word.length);
    this.out.set(word, this.at);
    this.at += word.length;
    return true;
  }

  #string(object: number): boolean {
    const { bytes } = this.memory;
    const start = this.memory.stringStart(object);
    const end = start + this.memory.stringLength(object);
    this.#reserve((end - start) * 6 + 2);
    const { out } = this;
    let { at } = this;
    out[at++] = QUOTE;
    let high = 0;
    for (let from = start; from < end; from += 1) {
      const byte = bytes[from] as number;
      high |= byte;
      const letter = jsonEscape[byte] as number;
      if (letter === 0) {
        out[at++] = byte;
        continue;
      }
      out[at++] = BACKSLASH;
      if (letter === 1) {
        out[at] = 0x75;
        out[at + 1] = 0x30;
        out[at + 2] = 0x30;
        out[at + 3] = hexDigits[byte >> 4] as number;
        out[at + 4] = hexDigits[byte & 15] as number;
        at += 5;
      } else out[at++] = letter;
    }
    out[at++] = QUOTE;
    this.at = at;
    return high < 0x80 || !this.special.checksUtf8 || isUtf8(bytes, start, end);
  }

  #number(value: number): boolean {
    if (!Number.isFinite(value)) return false;
    if (value >= 0 && value < 10 && value === (value | 0) && !Object.is(value, -0)) {
      this.#reserve(1);
      this.out[this.at++] = 48 + value;
      return true;
    }
    const isLarge = Math.abs(value) >= 1e21 && Math.abs(value) < 2 ** 63;
    const text = Object.is(value, -0) ? '-0' : isLarge ? BigInt(value).toString() : String(value);
    this.#reserve(text.length);
    this.at += this.out.write(text, this.at, 'latin1');
    return true;
  }

  /** Whether the value was written. */
  value(address: number, depth: number): boolean {
    const { memory } = this;
    switch (memory.typeAt(address)) {
      case tag.string:
        return this.#string(memory.objectAt(address));
      case tag.number:
        return this.#number(memory.numberAt(address));
      case tag.boolean:
        return this.#word(memory.objectAt(address) === 0 ? words.false : words.true);
      case tag.nil:
        return this.#word(words.null);
      case tag.table:
        return this.table(memory.objectAt(address), depth);
      case tag.userdata:
        return memory.objectAt(address) === this.special.null && this.#word(words.null);
      default:
        return false;
    }
  }

  table(table: number, depth: number): boolean {
    if (depth > DEEPEST) return false;
    const { memory, special } = this;
    const meta = memory.metatable(table);
    const isArray = meta !== 0 && (meta === special.arrayMeta || meta === special.emptyArrayMeta);
    const start = memory.arrayStart(table);
    const size = memory.arraySize(table);
    let items = 0;
    while (items < size && memory.typeAt(start + items * VALUE_BYTES) !== tag.nil) items += 1;
    for (let at = items; at < size; at += 1) {
      if (memory.typeAt(start + at * VALUE_BYTES) !== tag.nil) return false; // an array with holes
    }
    const nodes = memory.nodesStart(table);
    const end = nodes + memory.nodeCount(table) * NODE_BYTES;
    let fields = 0;
    for (let node = nodes; node < end; node += NODE_BYTES) {
      if (memory.typeAt(node) === tag.nil) continue;
      if (memory.keyType(node) !== tag.string) return false; // an array that grew in the hash part, among others
      fields += 1;
    }
    if (fields > 0) return items === 0 && !isArray && this.#object(nodes, end, depth);
    if (items > 0 || isArray) return this.#array(start, items, depth);
    this.#reserve(2);
    this.out[this.at++] = 0x7b;
    this.out[this.at++] = 0x7d;
    return true;
  }

  #array(start: number, items: number, depth: number): boolean {
    this.#reserve(2);
    this.out[this.at++] = 0x5b;
    for (let at = 0; at < items; at += 1) {
      if (at > 0) {
        this.#reserve(2);
        this.out[this.at++] = COMMA;
      }
      if (!this.value(start + at * VALUE_BYTES, depth + 1)) return false;
    }
    this.#reserve(1);
    this.out[this.at++] = 0x5d;
    return true;
  }

  #object(nodes: number, end: number, depth: number): boolean {
    const { memory } = this;
    let separator = 0x7b;
    for (let node = nodes; node < end; node += NODE_BYTES) {
      if (memory.typeAt(node) === tag.nil) continue;
      this.#reserve(1);
      this.out[this.at++] = separator;
      separator = COMMA;
      if (!this.#string(memory.objectAt(memory.keyOf(node)))) return false;
      this.#reserve(1);
      this.out[this.at++] = COLON;
      if (!this.value(node, depth + 1)) return false;
    }
    this.#reserve(1);
    this.out[this.at++] = 0x7d;
    return true;
  }
}

const writer = new JsonWriter();

/**
 * The JSON text of the value at stack index 1, valid until the next one is written; undefined when this is not the usual
 * case. At 2 to 4 are `null` and the metatables of arrays and empty arrays, at 5
 * whether strings have to be UTF-8.
 */
export function encodeJson(machine: Machine, L: number): Uint8Array | undefined {
  const { x } = machine;
  const type = x.lua_type(L, 1);
  if (type !== luaType.table) return undefined; // single values cost next to nothing
  writer.special = {
    null: userdataObject(x.lua_topointer(L, 2)),
    arrayMeta: x.lua_topointer(L, 3),
    emptyArrayMeta: x.lua_topointer(L, 4),
    checksUtf8: x.lua_toboolean(L, 5) !== 0,
  };
  const table = x.lua_topointer(L, 1);
  writer.memory.use(machine);
  writer.at = 0;
  writer.mostBytes = machine.memoryLimitBytes;
  try {
    return writer.table(table, 1) ? writer.out.subarray(0, writer.at) : undefined;
  } catch (error) {
    if (error === tooLarge) return undefined;
    throw error;
  } finally {
    writer.memory.release();
    if (writer.out.length > LARGEST_KEPT_BYTES) writer.out = Buffer.allocUnsafeSlow(USUAL_BYTES);
  }
}
