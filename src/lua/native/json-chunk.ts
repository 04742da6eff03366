/**
 * Reads JSON for native states: writes a chunk that makes the value of a text. Texts with an error, and those that are too
 * large or too deep for one Lua function, are left to json-decode.lua.
 */

import { isUtf8 } from 'node:buffer';
import { endOfString, isPlainByte, JsonNumber, noJson, unescapeJson } from '../json-text.js';
import type { GrowingMemory } from './memory.js';
import { ITEMS_AT_ONCE, parameter, tooLargeForChunk, type ValueChunkWriter } from './value-chunk.js';

const KNOWN_KEYS = 256;
const INT64_LIMIT = 2n ** 63n;

export class JsonChunk {
  readonly #writer: ValueChunkWriter;
  /** Integers are a type of their own. */
  readonly #hasIntegers: boolean;
  readonly #numbers = new JsonNumber();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #marksArrays = false;
  /** Keys of this text by their hash: place, length, number of the constant. A length of -1 is no key. */
  readonly #keyStart = new Int32Array(KNOWN_KEYS);
  readonly #keyLength = new Int32Array(KNOWN_KEYS);
  readonly #keyConstant = new Int32Array(KNOWN_KEYS);
  #keyBytes = 0;
  #room = new Uint8Array(1024);

  constructor(writer: ValueChunkWriter, hasIntegers: boolean) {
    this.#writer = writer;
    this.#hasIntegers = hasIntegers;
  }

  /** Writes the chunk of a text; its length, or undefined where the text is left to Lua. */
  write(text: Uint8Array, checksUtf8: boolean, marksArrays: boolean, to: GrowingMemory): number | undefined {
    if (checksUtf8 && !isUtf8(text)) return undefined;
    this.#bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
    this.#at = 0;
    this.#end = text.length;
    this.#marksArrays = marksArrays;
    this.#keyLength.fill(-1);
    const writer = this.#writer;
    writer.begin();
    try {
      const first = writer.use(parameter.count);
      this.#value(this.#skip(), first);
      return this.#skip() === -1 ? writer.finish(first, to) : undefined;
    } catch (error) {
      if (error === noJson || error === tooLargeForChunk) return undefined;
      throw error;
    } finally {
      this.#bytes = Buffer.alloc(0);
      if (this.#room.length > 1 << 20) this.#room = new Uint8Array(1024);
    }
  }

  /** The next byte that is no space, without reading it; -1 at the end. */
  #skip(): number {
    const bytes = this.#bytes;
    while (this.#at < this.#end) {
      const byte = bytes[this.#at] as number;
      if (byte > 32) return byte;
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) throw noJson;
      this.#at += 1;
    }
    return -1;
  }

  /** Code that puts the value which begins with this byte into a register. */
  #value(first: number, register: number): void {
    const writer = this.#writer;
    switch (first) {
      case 0x22:
        writer.loadConstant(register, this.#string());
        return;
      case 0x7b:
        this.#object(register);
        return;
      case 0x5b:
        this.#array(register);
        return;
      case 0x74:
        this.#word('true');
        writer.loadBoolean(register, true);
        return;
      case 0x66:
        this.#word('false');
        writer.loadBoolean(register, false);
        return;
      case 0x6e:
        this.#word('null');
        writer.move(register, parameter.null);
        return;
      default:
        this.#number(register);
    }
  }

  #word(word: string): void {
    const bytes = this.#bytes;
    for (let at = 0; at < word.length; at += 1) {
      if (this.#at + at >= this.#end || bytes[this.#at + at] !== word.charCodeAt(at)) throw noJson;
    }
    this.#at += word.length;
  }

  #number(register: number): void {
    const numbers = this.#numbers;
    const start = this.#at;
    const value = numbers.read(this.#bytes, start, this.#end);
    this.#at = numbers.end;
    if (!this.#hasIntegers || !numbers.isWhole) {
      this.#writer.loadNumber(register, value, false);
      return;
    }
    if (Number.isSafeInteger(value)) {
      this.#writer.loadNumber(register, value, true);
      return;
    }
    const whole = BigInt(this.#bytes.toString('latin1', start, numbers.end));
    const isInteger = whole >= -INT64_LIMIT && whole < INT64_LIMIT;
    this.#writer.loadNumber(register, isInteger ? whole : value, isInteger);
  }

  /** Reads the string whose quote comes now, as a constant. */
  #string(): number {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let at = start;
    while (at < this.#end && isPlainByte[bytes[at] as number] === 1) at += 1;
    if (at >= this.#end) throw noJson;
    if (bytes[at] === 0x22) {
      this.#at = at + 1;
      return this.#writer.string(bytes, start, at);
    }
    const end = endOfString(bytes, at, this.#end);
    if (this.#room.length < end - start) this.#room = new Uint8Array(2 * (end - start));
    const length = unescapeJson(bytes, start, end, this.#room);
    this.#at = end + 1;
    this.#keyBytes = length;
    return this.#writer.string(this.#room, 0, length);
  }

  /** The same for a key of an object: those that come again are one constant. */
  #key(): number {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let at = start;
    let hash = 0;
    while (at < this.#end) {
      const byte = bytes[at] as number;
      if (isPlainByte[byte] === 0) break;
      hash = (Math.imul(hash, 31) + byte) | 0;
      at += 1;
    }
    if (at >= this.#end || bytes[at] !== 0x22) return this.#string();
    const length = at - start;
    const slot = (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (KNOWN_KEYS - 1);
    this.#keyBytes = length;
    this.#at = at + 1;
    if (this.#keyLength[slot] === length) {
      const known = this.#keyStart[slot] as number;
      let same = 0;
      while (same < length && bytes[known + same] === bytes[start + same]) same += 1;
      if (same === length) return this.#keyConstant[slot] as number;
    }
    const constant = this.#writer.string(bytes, start, at);
    this.#keyStart[slot] = start;
    this.#keyLength[slot] = length;
    this.#keyConstant[slot] = constant;
    return constant;
  }

  #array(table: number): void {
    const writer = this.#writer;
    const place = writer.newTable(table);
    if (this.#marksArrays) {
      const called = table + 1;
      writer.use(called + 2);
      writer.move(called, parameter.setMetatable);
      writer.move(called + 1, table);
      writer.move(called + 2, parameter.arrayMeta);
      writer.call(called);
    }
    this.#at += 1;
    let first = this.#skip();
    if (first === 0x5d) {
      this.#at += 1;
      return;
    }
    // Items that are tables need registers of their own, so they are not kept until there are enough of them.
    const keeps = first !== 0x7b && first !== 0x5b;
    writer.use(table + (keeps ? ITEMS_AT_ONCE : 2));
    let kept = 0;
    for (let count = 1; ; count += 1) {
      if (keeps) {
        kept += 1;
        this.#value(first, table + kept);
        if (kept === ITEMS_AT_ONCE) {
          writer.setList(table, kept, count - kept);
          kept = 0;
        }
      } else {
        this.#value(first, table + 2);
        writer.setItem(table, count, table + 2);
      }
      const next = this.#skip();
      this.#at += 1;
      if (next === 0x5d) {
        if (kept > 0) writer.setList(table, kept, count - kept);
        writer.sizeTable(place, count, 0);
        return;
      }
      if (next !== 0x2c) throw noJson;
      first = this.#skip();
    }
  }

  #object(table: number): void {
    const writer = this.#writer;
    const place = writer.newTable(table);
    const value = writer.use(table + 2);
    this.#at += 1;
    let first = this.#skip();
    if (first === 0x7d) {
      this.#at += 1;
      return;
    }
    for (let count = 1; ; count += 1) {
      if (first !== 0x22) throw noJson;
      const key = this.#key();
      const keyBytes = this.#keyBytes;
      if (this.#skip() !== 0x3a) throw noJson;
      this.#at += 1;
      this.#value(this.#skip(), value);
      writer.setField(table, key, keyBytes, value);
      const next = this.#skip();
      this.#at += 1;
      if (next === 0x7d) {
        writer.sizeTable(place, 0, count);
        return;
      }
      if (next !== 0x2c) throw noJson;
      first = this.#skip();
    }
  }
}
