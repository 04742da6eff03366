/**
 * Pages that templates make: tables of pieces in pairs, of which the second one is escaped, and a table in the place of a first
 * one is a part of the page with pieces of its own. They are read where they lie in Lua's memory.
 */

import { entityOf, LONGEST_ENTITY_BYTES } from './html-escape.js';
import { LuaMemory, tag, valueBytes } from './lua-memory.js';
import type { Machine } from './machine.js';
import { enlarged, largestKeptBytes, tooLarge, usualBytes } from './text-room.js';

/** Parts lie in each other as deep as layouts and blocks do. */
const deepest = 200;

class PageWriter {
  readonly memory = new LuaMemory();
  out = Buffer.allocUnsafeSlow(usualBytes);
  at = 0;
  mostBytes = 0;

  #reserve(bytes: number): void {
    if (this.at + bytes > this.out.length) this.out = enlarged(this.out, this.at, bytes, this.mostBytes);
  }

  #plain(object: number): void {
    const { memory } = this;
    const start = memory.stringStart(object);
    const length = memory.stringLength(object);
    this.#reserve(length);
    const { out, at } = this;
    const { bytes } = memory;
    // For short texts a loop costs less than a call.
    if (length > 64) out.set(bytes.subarray(start, start + length), at);
    else for (let i = 0; i < length; i += 1) out[at + i] = bytes[start + i] as number;
    this.at = at + length;
  }

  #escaped(object: number): void {
    const { memory } = this;
    const start = memory.stringStart(object);
    const end = start + memory.stringLength(object);
    this.#reserve((end - start) * LONGEST_ENTITY_BYTES);
    const { out } = this;
    const { bytes } = memory;
    let { at } = this;
    for (let from = start; from < end; from += 1) {
      const byte = bytes[from] as number;
      const entity = entityOf[byte];
      if (entity === undefined) out[at++] = byte;
      else for (let i = 0; i < entity.length; i += 1) out[at++] = entity[i] as number;
    }
    this.at = at;
  }

  /** Whole numbers only: the digits of others are for Lua to write. */
  #number(value: number): boolean {
    if (!Number.isInteger(value) || Math.abs(value) >= 1e14 || Object.is(value, -0)) return false;
    const text = String(value);
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i += 1) this.out[this.at + i] = text.charCodeAt(i);
    this.at += text.length;
    return true;
  }

  /** Whether all pieces were written. */
  table(table: number, depth: number): boolean {
    const { memory } = this;
    if (depth > deepest || memory.metatable(table) !== 0) return false;
    const start = memory.arrayStart(table);
    const end = start + memory.arraySize(table) * valueBytes;
    let isEscaped = false;
    for (let value = start; value < end; value += valueBytes) {
      switch (memory.typeAt(value)) {
        case tag.string:
          if (isEscaped) this.#escaped(memory.objectAt(value));
          else this.#plain(memory.objectAt(value));
          break;
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
    writer.out = out.length > largestKeptBytes ? Buffer.allocUnsafeSlow(usualBytes) : out;
  }
  return isWritten;
}
