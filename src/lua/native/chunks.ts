/**
 * Lua chunks that give a value. This is how strings and tables get into a native state: to load a chunk is protected by
 * Lua itself and never raises an error, and to call it is left to Lua code, where an error may be raised.
 */

import { replaceEach } from '../../base/bounded-text.js';
import { NESTING_LIMIT } from '../crossing.js';
import type { ByteString, LuaValue } from '../state.js';
import type { GrowingMemory } from './memory.js';

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\0': '\\000',
};

function quote(text: ByteString): string {
  return `"${replaceEach(text, /["\\\n\r\0]/g, (character) => escapes[character] as string)}"`;
}

/** Lua source of a value, each character one byte. */
export function luaSource(value: LuaValue, depth = 0): ByteString {
  if (depth > NESTING_LIMIT) throw new Error(`a value is nested deeper than ${NESTING_LIMIT} levels`);
  if (value === undefined || value === null) return 'nil';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return '(0/0)';
    if (!Number.isFinite(value)) return value > 0 ? '(1/0)' : '(-1/0)';
    return String(value);
  }
  if (Array.isArray(value)) {
    return `{${value.map((item: LuaValue) => luaSource(item, depth + 1)).join(',')}}`;
  }
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `[${quote(name)}]=${luaSource(field, depth + 1)}`).join(',')}}`;
}

/** Source of a chunk that returns the value. */
export function valueChunk(value: LuaValue): ByteString {
  return `return ${luaSource(value)}`;
}

/** The constant of the chunk from which a template is made: longer than what Lua treats as a short string. */
export const templateText = 'the text of this constant is replaced by what a chunk gives'.padEnd(100, '.');

/**
 * A precompiled chunk `return "..."` as this machine's Lua writes it, into which other strings are put. Copying a string
 * costs less than compiling its source. The engine tries a template before it uses it.
 */
export class StringChunk {
  readonly #head: Uint8Array;
  readonly #tail: Uint8Array;
  readonly #is54: boolean;

  private constructor(head: Uint8Array, tail: Uint8Array, is54: boolean) {
    this.#head = head;
    this.#tail = tail;
    this.#is54 = is54;
  }

  /** From what `string.dump` gave for a chunk that returns `templateText`; nothing when its layout is unknown. */
  static fromDump(dump: Buffer, is54: boolean): StringChunk | undefined {
    const at = dump.indexOf(templateText, 'latin1');
    const length = templateText.length + 1;
    if (is54) {
      // A length is written in groups of seven bits, the last one marked by its top bit.
      if (at < 1 || dump[at - 1] !== (length | 0x80)) return undefined;
      return new StringChunk(dump.subarray(0, at - 1), dump.subarray(at + templateText.length), is54);
    }
    // A size_t and a final NUL.
    if (at < 8 || dump.readBigUInt64LE(at - 8) !== BigInt(length)) return undefined;
    return new StringChunk(dump.subarray(0, at - 8), dump.subarray(at + templateText.length), is54);
  }

  /** Writes the chunk of a string of so many bytes, which `fill` puts in its place. Gives the length of the chunk. */
  write(memory: GrowingMemory, length: number, fill: (to: Buffer, at: number) => void): number {
    memory.reserve(this.#head.length + 10 + length + this.#tail.length);
    const { bytes } = memory;
    bytes.set(this.#head);
    let at = this.#head.length;
    if (this.#is54) {
      const size = length + 1;
      let groups = 1;
      while (size >= 2 ** (7 * groups)) groups += 1;
      for (let group = groups - 1; group >= 0; group -= 1) {
        bytes[at] = (Math.floor(size / 2 ** (7 * group)) & 0x7f) | (group === 0 ? 0x80 : 0);
        at += 1;
      }
    } else {
      bytes.writeBigUInt64LE(BigInt(length + 1), at);
      at += 8;
    }
    fill(bytes, at);
    at += length;
    bytes.set(this.#tail, at);
    return at + this.#tail.length;
  }
}
