/**
 * Pages that templates make: tables of pieces in pairs, of which the second one is escaped, and a table in the place of a first
 * one is a part of the page with pieces of its own. They are read where they lie in Lua's memory.
 */

import { entityOf, LONGEST_ENTITY_BYTES } from './html-escape.js';
import { LuaMemory, TYPE_WORD, tag, VALUE_BYTES } from './lua-memory.js';
import type { Machine } from './machine.js';
import { enlarged, LARGEST_KEPT_BYTES, tooLarge, USUAL_BYTES } from './text-room.js';

/** Parts lie in each other as deep as layouts and blocks do. */
const DEEPEST = 200;

/** For a longer text a call costs less than a loop. */
const LONGEST_LOOP = 64;

/** Of numbers below 2^31. */
const LONGEST_DIGITS = 10;

const zero = '0'.charCodeAt(0);

/** For each byte the length of its entity, 0 for those that stay, and the entities in places of 8 bytes. */
const entityLengths = Uint8Array.from(entityOf, (entity) => entity?.length ?? 0);
const entityBytes = new Uint8Array(entityOf.length * 8);
entityOf.forEach((entity, byte) => {
  if (entity !== undefined) entityBytes.set(entity, byte * 8);
});

/** Writes a text with entities. The buffer has room for it. Gives where the text ends. */
function escapeInto(out: Uint8Array, to: number, bytes: Uint8Array, from: number, end: number): number {
  let at = to;
  for (let next = from; next < end; next += 1) {
    const byte = bytes[next] as number;
    const length = entityLengths[byte] as number;
    if (length === 0) {
      out[at] = byte;
      at += 1;
      continue;
    }
    const entity = byte * 8;
    for (let i = 0; i < length; i += 1) out[at + i] = entityBytes[entity + i] as number;
    at += length;
  }
  return at;
}

/** Writes the digits of a number from 0 to 2^31 - 1. Gives where they end. */
function digitsInto(out: Uint8Array, to: number, value: number): number {
  let end = to + 1;
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) end += 1;
  let rest = value;
  for (let at = end - 1; at >= to; at -= 1) {
    const tenth = (rest / 10) | 0;
    out[at] = zero + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}

class PageWriter {
  readonly memory = new LuaMemory();
  out = Buffer.allocUnsafeSlow(USUAL_BYTES);
  at = 0;
  mostBytes = 0;

  /** The buffer, with room for so many more bytes. */
  #reserve(bytes: number): Buffer {
    if (this.at + bytes > this.out.length) this.out = enlarged(this.out, this.at, bytes, this.mostBytes);
    return this.out;
  }

  #plain(start: number, length: number): void {
    const out = this.#reserve(length);
    const { at } = this;
    const { bytes } = this.memory;
    if (length > LONGEST_LOOP) out.set(bytes.subarray(start, start + length), at);
    else for (let i = 0; i < length; i += 1) out[at + i] = bytes[start + i] as number;
    this.at = at + length;
  }

  /** Whole numbers only: the digits of others are for Lua to write. */
  #number(value: number): boolean {
    const small = value | 0;
    if (small === value && (small > 0 || (small === 0 && !Object.is(value, -0)))) {
      this.at = digitsInto(this.#reserve(LONGEST_DIGITS), this.at, small);
      return true;
    }
    if (!Number.isInteger(value) || Math.abs(value) >= 1e14 || Object.is(value, -0)) return false;
    const text = String(value);
    const out = this.#reserve(text.length);
    for (let i = 0; i < text.length; i += 1) out[this.at + i] = text.charCodeAt(i);
    this.at += text.length;
    return true;
  }

  /** Whether all pieces were written. */
  table(table: number, depth: number): boolean {
    const { memory } = this;
    if (depth > DEEPEST || memory.metatable(table) !== 0) return false;
    const { bytes, words } = memory;
    const start = memory.arrayStart(table);
    const end = start + memory.arraySize(table) * VALUE_BYTES;
    let isEscaped = false;
    for (let value = start; value < end; value += VALUE_BYTES) {
      switch (words[(value >>> 2) + TYPE_WORD]) {
        case tag.string: {
          const object = memory.objectAt(value);
          const length = memory.stringLength(object);
          const text = memory.stringStart(object);
          if (isEscaped) {
            if (length > 0) {
              const out = this.#reserve(length * LONGEST_ENTITY_BYTES);
              this.at = escapeInto(out, this.at, bytes, text, text + length);
            }
          } else this.#plain(text, length);
          break;
        }
        case tag.number:
          if (!this.#number(memory.numberAt(value))) return false;
          break;
        case tag.table:
          if (isEscaped || !this.table(memory.objectAt(value), depth + 1)) return false;
          break;
        case tag.nil:
          return true;
        default:
          return false;
      }
      isEscaped = !isEscaped;
    }
    // A page of which a part lies in the table's other half ends in nothing.
    return memory.nodeCount(table) === 1;
  }
}

const writer = new PageWriter();

/**
 * Writes the page whose pieces are at stack index 1, and hands it to `use`, which may let other scripts run meanwhile: they write
 * theirs into another buffer. Gives false when the page is for Lua to write.
 */
export function withPage(machine: Machine, L: number, use: (page: Uint8Array) => void): boolean {
  writer.memory.use(machine);
  writer.at = 0;
  writer.mostBytes = machine.memoryLimitBytes;
  let isWritten = false;
  try {
    isWritten = writer.table(machine.x.lua_topointer(L, 1), 0);
  } catch (error) {
    if (error !== tooLarge) throw error;
  } finally {
    writer.memory.release();
  }
  const { out, at } = writer;
  writer.out = Buffer.alloc(0);
  try {
    if (isWritten) use(out.subarray(0, at));
  } finally {
    writer.out = out.length > LARGEST_KEPT_BYTES ? Buffer.allocUnsafeSlow(USUAL_BYTES) : out;
  }
  return isWritten;
}
