/** Reads and changes the sections of the engine's WebAssembly file. */

import { LuafcgidError } from '../../../base/errors.js';
import { leb128, type Section, WasmReader } from './bytes.js';

export function unusable(detail: string): LuafcgidError {
  return new LuafcgidError('LUAFCGID_LUA_ENGINE', { detail });
}

/** The start of a list in a section's body: how many there are, and where the first one is. */
export function readCount(body: Uint8Array): { count: number; start: number } {
  const reader = new WasmReader(body);
  const count = reader.number();
  return { count, start: reader.position };
}

/** Adds elements to a section that is a list of them. */
export function extend({ id, body }: Section, added: readonly Uint8Array[]): Section {
  const { count, start } = readCount(body);
  const all = [Uint8Array.from(leb128(count + added.length)), body.subarray(start), ...added];
  return { id, body: Buffer.concat(all) };
}

/** The file's functions in its function table, from entry 1 on. */
export function readTable(body: Uint8Array): number[] {
  const reader = new WasmReader(body);
  // One active segment of table 0 that begins at entry 1: `i32.const 1`, `end`.
  const head = [reader.number(), reader.number(), reader.byte(), reader.number(), reader.byte()];
  if (head.join() !== [1, 0, 0x41, 1, 0x0b].join()) throw unusable('its function table is laid out in an unknown way');
  return Array.from({ length: reader.number() }, () => reader.number());
}

/** The types of the file's own functions, by their numbers. */
export function readTypes(body: Uint8Array): number[] {
  const reader = new WasmReader(body);
  return Array.from({ length: reader.number() }, () => reader.number());
}

/** The functions that the file imports, which come first in its numbering. */
export function countImports(body: Uint8Array): number {
  const reader = new WasmReader(body);
  const count = reader.number();
  for (let left = count; left > 0; left -= 1) {
    reader.name();
    reader.name();
    if (reader.byte() !== 0) throw unusable('it imports something that is no function');
    reader.number();
  }
  return count;
}

/** Functions by the names under which they are exported. */
export function readExports(body: Uint8Array): Map<string, number> {
  const reader = new WasmReader(body);
  const found = new Map<string, number>();
  for (let left = reader.number(); left > 0; left -= 1) {
    const name = reader.name();
    const kind = reader.byte();
    const index = reader.number();
    if (kind === 0) found.set(name, index);
  }
  return found;
}

/** The memory that the file's data segments describe. */
export function readData(body: Uint8Array): Buffer {
  const reader = new WasmReader(body);
  const memory = Buffer.alloc(64 << 10);
  for (let left = reader.number(); left > 0; left -= 1) {
    // An active segment of memory 0: `i32.const` address, `end`, bytes.
    if (reader.byte() !== 0 || reader.byte() !== 0x41) throw unusable('its data is laid out in an unknown way');
    const address = reader.number();
    if (reader.byte() !== 0x0b) throw unusable('its data is laid out in an unknown way');
    memory.set(reader.take(reader.number()), address);
  }
  return memory;
}

/** The bodies of the code section. */
export function readBodies(body: Uint8Array): Uint8Array[] {
  const reader = new WasmReader(body);
  return Array.from({ length: reader.number() }, () => {
    const start = reader.position;
    const length = reader.number();
    reader.take(length);
    return body.subarray(start, reader.position);
  });
}

/** A table or memory section with another first size. */
export function resize({ id, body }: Section, from: number, to: number, prefix: readonly number[]): Section {
  const reader = new WasmReader(body);
  const head = [reader.number(), ...prefix.map(() => reader.byte()), reader.byte()];
  const size = reader.number();
  if (head.slice(0, -1).join() !== [1, ...prefix].join() || size !== from)
    throw unusable(`its function table has ${size} entries`);
  return { id, body: Uint8Array.of(...head, ...leb128(to), ...body.subarray(reader.position)) };
}
