/**
 * Writes JSON for native states, of values that json-flatten.lua has put into a row of pieces: each ends with a NUL. A piece
 * that has a NUL in itself is found by the number of pieces, and then the text is left to json-encode.lua.
 *
 * - `{` begins an object, whose end is `}`. Its members begin with the key, after a letter that says what the value is: `s`
 *   a string, which is the next piece; `j` the next piece, as it is; `f` the next piece, a number with more digits than it
 *   may need; `t` an object or an array.
 * - `[` begins an array, whose end is `]`. In it `S`, `J` or `F` and a number come before so many pieces that are what these
 *   letters stand for in objects. Objects and arrays stand for themselves.
 */

import { isUtf8 } from 'node:buffer';
import { jsonEscape, noJson } from '../json-text.js';

const USUAL_BYTES = 64 << 10;
const LARGEST_KEPT_BYTES = 1 << 20;
const hexDigits = Buffer.from('0123456789abcdef');
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const ARRAY = 0x5b;
const ARRAY_END = 0x5d;
const STRING = 0x73;
const PLAIN = 0x6a;
const FLOAT = 0x66;
const STRINGS = 0x53;
const PLAINS = 0x4a;
const FLOATS = 0x46;

class JsonStream {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #pieces = 0;
  #out: Buffer = Buffer.allocUnsafeSlow(USUAL_BYTES);
  #to = 0;

  /** The last two pieces are the number of those before them, and `1` where strings have to be UTF-8. */
  write(text: Uint8Array): Uint8Array | undefined {
    this.#bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
    this.#at = 0;
    this.#pieces = 0;
    this.#to = 0;
    if (this.#out.length > LARGEST_KEPT_BYTES) this.#out = Buffer.allocUnsafeSlow(USUAL_BYTES);
    this.#table();
    const pieces = this.#pieces;
    const isWhole = this.#count() === pieces;
    const checksUtf8 = this.#mark() === 0x31;
    const isRight = isWhole && this.#at === text.length && (!checksUtf8 || isUtf8(text));
    return isRight ? this.#out.subarray(0, this.#to) : undefined;
  }

  /** Makes the room larger, so that so many bytes more can be written. */
  #grow(to: number, bytes: number): Buffer {
    const larger = Buffer.allocUnsafeSlow(Math.max(to + bytes, this.#out.length * 2));
    larger.set(this.#out.subarray(0, to));
    this.#out = larger;
    return larger;
  }

  #put(byte: number): void {
    if (this.#to === this.#out.length) this.#grow(this.#to, 1);
    this.#out[this.#to] = byte;
    this.#to += 1;
  }

  /** A piece of one byte. */
  #mark(): number {
    const mark = this.#bytes[this.#at];
    if (mark === undefined || this.#bytes[this.#at + 1] !== 0) throw noJson;
    this.#at += 2;
    this.#pieces += 1;
    return mark;
  }

  /** The rest of the piece, as a string. */
  #string(): void {
    const bytes = this.#bytes;
    let out = this.#out;
    let to = this.#to;
    let from = this.#at;
    let room = out.length - 8;
    if (to > room) {
      out = this.#grow(to, 8);
      room = out.length - 8;
    }
    out[to++] = QUOTE;
    for (; ; from += 1) {
      const byte = bytes[from];
      if (byte === 0) break;
      if (byte === undefined) throw noJson;
      if (to > room) {
        out = this.#grow(to, 8);
        room = out.length - 8;
      }
      const letter = jsonEscape[byte] as number;
      if (letter === 0) {
        out[to++] = byte;
        continue;
      }
      out[to++] = BACKSLASH;
      if (letter === 1) {
        out[to] = 0x75;
        out[to + 1] = 0x30;
        out[to + 2] = 0x30;
        out[to + 3] = hexDigits[byte >> 4] as number;
        out[to + 4] = hexDigits[byte & 15] as number;
        to += 5;
      } else out[to++] = letter;
    }
    out[to++] = QUOTE;
    this.#to = to;
    this.#at = from + 1;
    this.#pieces += 1;
  }

  /** The piece as it is. */
  #plain(): void {
    const bytes = this.#bytes;
    let out = this.#out;
    let to = this.#to;
    let from = this.#at;
    for (; ; from += 1) {
      const byte = bytes[from];
      if (byte === 0) break;
      if (byte === undefined) throw noJson;
      if (to === out.length) out = this.#grow(to, 1);
      out[to++] = byte;
    }
    this.#to = to;
    this.#at = from + 1;
    this.#pieces += 1;
  }

  /** The piece, a number with 17 digits, with as many as it needs. */
  #float(): void {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw noJson;
    const text = String(Number(this.#bytes.toString('latin1', this.#at, end)));
    const out = this.#to + text.length > this.#out.length ? this.#grow(this.#to, text.length) : this.#out;
    for (let at = 0; at < text.length; at += 1) out[this.#to + at] = text.charCodeAt(at);
    this.#to += text.length;
    this.#at = end + 1;
    this.#pieces += 1;
  }

  #table(): void {
    const mark = this.#mark();
    if (mark === OBJECT) this.#object();
    else if (mark === ARRAY) this.#array();
    else throw noJson;
  }

  #object(): void {
    this.#put(OBJECT);
    for (let isFirst = true; ; isFirst = false) {
      const kind = this.#bytes[this.#at];
      if (kind === OBJECT_END) {
        this.#mark();
        this.#put(OBJECT_END);
        return;
      }
      if (!isFirst) this.#put(COMMA);
      this.#at += 1;
      this.#string();
      this.#put(COLON);
      if (kind === STRING) this.#string();
      else if (kind === PLAIN) this.#plain();
      else if (kind === FLOAT) this.#float();
      else this.#table();
    }
  }

  #array(): void {
    this.#put(ARRAY);
    for (let isFirst = true; ; isFirst = false) {
      const kind = this.#bytes[this.#at];
      if (kind === ARRAY_END) {
        this.#mark();
        this.#put(ARRAY_END);
        return;
      }
      if (!isFirst) this.#put(COMMA);
      if (kind === STRINGS || kind === PLAINS || kind === FLOATS) {
        this.#mark();
        this.#items(kind, this.#count());
      } else this.#table();
    }
  }

  #items(kind: number, count: number): void {
    for (let item = 0; item < count; item += 1) {
      if (item > 0) this.#put(COMMA);
      if (kind === STRINGS) this.#string();
      else if (kind === PLAINS) this.#plain();
      else this.#float();
    }
  }

  /** A piece that is a number of items. */
  #count(): number {
    const bytes = this.#bytes;
    let count = 0;
    let at = this.#at;
    for (; at < bytes.length && bytes[at] !== 0; at += 1) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) throw noJson;
      count = count * 10 + digit;
    }
    this.#at = at + 1;
    this.#pieces += 1;
    return count;
  }
}

const stream = new JsonStream();

/** The JSON text of a row of pieces, valid until the next one is written; undefined where it is left to Lua. */
export function writeJsonStream(text: Uint8Array): Uint8Array | undefined {
  try {
    return stream.write(text);
  } catch (error) {
    if (error === noJson) return undefined;
    throw error;
  }
}
