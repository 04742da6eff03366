/**
 * Values on their way between a worker and the I/O thread: a compact encoding that a Lua engine's host can turn into Lua
 * values without JavaScript objects in between. Pure; used on both threads.
 *
 * A value is one tag byte and what belongs to it. Numbers are little-endian and not aligned.
 *
 * | tag | follows | in Lua |
 * |---|---|---|
 * | NIL, FALSE, TRUE | | nil, false, true |
 * | FLOAT | 8 bytes, double | number; in Lua 5.4 a float |
 * | INTEGER | 8 bytes, double, whole and within ±2^53 | number; in Lua 5.4 an integer |
 * | DIGITS | u32 length, ASCII digits with an optional sign | a whole number beyond ±2^53: a string; in Lua 5.4 an integer where it fits |
 * | STRING | u32 length, bytes | string |
 * | BYTES | u32 length, bytes | string; as an argument it is never taken for text |
 * | ARRAY | u32 count, that many values | table with indices from 1 |
 * | MAP | u32 count, that many pairs of values | table |
 * | TABLE | the same as ROWS | array of arrays, in the order of the columns |
 * | ROWS | u32 columns, that many STRINGs; u32 rows, rows × columns values | array of tables; a NIL is an absent key |
 */

export const Tag = {
  NIL: 0,
  FALSE: 1,
  TRUE: 2,
  FLOAT: 3,
  INTEGER: 4,
  DIGITS: 5,
  STRING: 6,
  BYTES: 7,
  ARRAY: 8,
  MAP: 9,
  ROWS: 10,
  TABLE: 11,
} as const;
export type Tag = (typeof Tag)[keyof typeof Tag];

/** Deepest nesting that is read. What nests deeper was not made by `ValueWriter` from a sane value. */
const MAX_DEPTH = 100;
const FIRST_BYTES = 1024;

/** Whether a number can go as INTEGER. */
export function isExactInteger(number: number): boolean {
  return Number.isSafeInteger(number) && !Object.is(number, -0);
}

/** Makes encoded values, one after the other, in one growing buffer. */
export class ValueWriter {
  #bytes: Buffer;
  #end = 0;

  constructor(firstBytes = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(firstBytes);
  }

  /** Bytes written so far. */
  get byteLength(): number {
    return this.#end;
  }

  /** All that was written: a view that holds until the next call. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  /** Takes what was written; the writer begins anew. */
  take(): Buffer {
    const taken = this.bytes;
    this.#bytes = Buffer.allocUnsafe(FIRST_BYTES);
    this.#end = 0;
    return taken;
  }

  nil(): void {
    this.#tag(Tag.NIL);
  }

  boolean(value: boolean): void {
    this.#tag(value ? Tag.TRUE : Tag.FALSE);
  }

  /** A number: INTEGER where it is one. */
  number(value: number): void {
    this.#tag(isExactInteger(value) ? Tag.INTEGER : Tag.FLOAT);
    this.#double(value);
  }

  /** A number that is FLOAT even where it is whole. */
  float(value: number): void {
    this.#tag(Tag.FLOAT);
    this.#double(value);
  }

  /** A whole number in decimal: INTEGER within ±2^53, else DIGITS. */
  integer(digits: string): void {
    const number = Number(digits);
    if (Number.isSafeInteger(number)) {
      this.#tag(Tag.INTEGER);
      // Without the sign of "-0".
      this.#double(number + 0);
    } else this.#string(Tag.DIGITS, digits, 'latin1');
  }

  /** Text, which goes as UTF-8. */
  text(value: string): void {
    this.#string(Tag.STRING, value, 'utf8');
  }

  /** A byte string: one character, one byte. */
  byteString(value: string): void {
    this.#string(Tag.STRING, value, 'latin1');
  }

  string(value: Uint8Array): void {
    this.#blob(Tag.STRING, value);
  }

  bytesOnly(value: Uint8Array): void {
    this.#blob(Tag.BYTES, value);
  }

  /** An array: `count` values have to follow. */
  array(count: number): void {
    this.#tag(Tag.ARRAY);
    this.#u32(count);
  }

  /** A map: `count` pairs of key and value have to follow. */
  map(count: number): void {
    this.#tag(Tag.MAP);
    this.#u32(count);
  }

  /** Rows: values for each column of each row have to follow, then `endRows` with what this returns. */
  beginRows(columns: readonly string[]): number {
    this.#tag(Tag.ROWS);
    this.#u32(columns.length);
    for (const column of columns) this.text(column);
    const place = this.#end;
    this.#u32(0);
    return place;
  }

  endRows(place: number, count: number): void {
    this.#bytes.writeUInt32LE(count, place);
  }

  /** Encoded ROWS, as TABLE. */
  table(rows: Uint8Array): void {
    this.#tag(Tag.TABLE);
    this.raw(rows.subarray(1));
  }

  /** Values that are encoded already. */
  raw(encoded: Uint8Array): void {
    this.#reserve(encoded.length);
    this.#bytes.set(encoded, this.#end);
    this.#end += encoded.length;
  }

  #tag(tag: Tag): void {
    this.#reserve(1);
    this.#bytes[this.#end] = tag;
    this.#end += 1;
  }

  #u32(value: number): void {
    this.#reserve(4);
    this.#bytes.writeUInt32LE(value, this.#end);
    this.#end += 4;
  }

  #double(value: number): void {
    this.#reserve(8);
    this.#bytes.writeDoubleLE(value, this.#end);
    this.#end += 8;
  }

  #string(tag: Tag, value: string, encoding: 'latin1' | 'utf8'): void {
    const mostBytes = encoding === 'utf8' ? value.length * 3 : value.length;
    this.#reserve(5 + mostBytes);
    this.#bytes[this.#end] = tag;
    const length = this.#bytes.write(value, this.#end + 5, encoding);
    this.#bytes.writeUInt32LE(length, this.#end + 1);
    this.#end += 5 + length;
  }

  #blob(tag: Tag, value: Uint8Array): void {
    this.#tag(tag);
    this.#u32(value.length);
    this.raw(value);
  }

  #reserve(count: number): void {
    const needed = this.#end + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, needed));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }
}

/** A whole number beyond ±2^53, decoded. */
export class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Bytes that are no text, decoded. */
export class Bytes {
  readonly value: Buffer;

  constructor(value: Buffer) {
    this.value = value;
  }
}

/** A decoded value. A string is a Buffer, a view of what was read. Rows are objects without the columns that are NIL. */
export type Value = undefined | boolean | number | Digits | Buffer | Bytes | readonly Value[] | ValueMap | Rows;

/** A decoded map; keys that are strings are text. */
export type ValueMap = Map<string | number | boolean, Value>;

export class Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  /** In Lua each row is an array. */
  readonly isPositional: boolean;

  constructor(columns: readonly string[], rows: readonly (readonly Value[])[], isPositional = false) {
    this.columns = columns;
    this.rows = rows;
    this.isPositional = isPositional;
  }
}

/** Reads encoded values, one after the other. */
export class ValueReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** The next value. @throws RangeError when the bytes are no encoded value */
  read(depth = 0): Value {
    if (depth > MAX_DEPTH) throw new RangeError(`a value is nested more than ${MAX_DEPTH} deep`);
    const tag = this.#bytes.readUInt8(this.#at);
    this.#at += 1;
    switch (tag) {
      case Tag.NIL:
        return undefined;
      case Tag.FALSE:
        return false;
      case Tag.TRUE:
        return true;
      case Tag.FLOAT:
      case Tag.INTEGER: {
        const number = this.#bytes.readDoubleLE(this.#at);
        this.#at += 8;
        return number;
      }
      case Tag.DIGITS:
        return new Digits(this.#blob().toString('latin1'));
      case Tag.STRING:
        return this.#blob();
      case Tag.BYTES:
        return new Bytes(this.#blob());
      case Tag.ARRAY: {
        const count = this.#count(1);
        const values: Value[] = [];
        for (let index = 0; index < count; index += 1) values.push(this.read(depth + 1));
        return values;
      }
      case Tag.MAP: {
        const count = this.#count(2);
        const map: ValueMap = new Map();
        for (let index = 0; index < count; index += 1) map.set(this.#key(depth + 1), this.read(depth + 1));
        return map;
      }
      case Tag.ROWS:
      case Tag.TABLE:
        return this.#rows(depth, tag === Tag.TABLE);
      default:
        throw new RangeError(`no value begins with the byte ${tag}`);
    }
  }

  #key(depth: number): string | number | boolean {
    const key = this.read(depth);
    if (Buffer.isBuffer(key)) return key.toString('utf8');
    if (typeof key === 'number' || typeof key === 'boolean') return key;
    throw new RangeError('a key of a map is a string, a number or a boolean');
  }

  #rows(depth: number, isPositional: boolean): Rows {
    const width = this.#count(5);
    const columns: string[] = [];
    for (let index = 0; index < width; index += 1) columns.push(String(this.read(depth + 1)));
    const count = this.#count(width);
    const rows: Value[][] = [];
    for (let row = 0; row < count; row += 1) {
      const values: Value[] = [];
      for (let index = 0; index < width; index += 1) values.push(this.read(depth + 1));
      rows.push(values);
    }
    return new Rows(columns, rows, isPositional);
  }

  #blob(): Buffer {
    const length = this.#count(1);
    const blob = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return blob;
  }

  /** A count of things of at least so many bytes each, which cannot be more than there are bytes. */
  #count(leastBytes: number): number {
    const count = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    if (count * leastBytes > this.#bytes.length - this.#at) throw new RangeError('a value ends before its length');
    return count;
  }
}
