/** Lua values on their way to the I/O thread and back; `io/values.ts` has the encoding. */

import { LuafcgidError } from '../base/errors.js';
import { Bytes, Digits, Rows, type Value, type ValueMap, ValueReader, ValueWriter } from '../io/values.js';
import type { LuaValue } from '../lua/state.js';

/** Deeper arguments are taken for mistakes. */
const DEEPEST = 16;

/**
 * Encodes what a Lua module wants to post. `shape` says what the values are, in order:
 * `s` text, `b` bytes, `n` a number, `d` a whole number in digits, each with a value; `t` `f` `0` true, false and NULL,
 * without; `A` and `M` an array and a map, whose count is a value and whose members (`M`: keys and members) follow.
 * @throws LuafcgidError when the two do not fit together
 */
export function encodeOperation(shape: string, values: readonly (number | Uint8Array)[]): Uint8Array {
  const writer = new ValueWriter();
  let at = 0;
  let value = 0;
  const wrong = (): never => {
    throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: `the shape "${shape}" does not fit its values` });
  };
  const number = (): number => {
    const next = values[value];
    value += 1;
    return typeof next === 'number' ? next : wrong();
  };
  const bytes = (): Uint8Array => {
    const next = values[value];
    value += 1;
    return typeof next === 'object' ? next : wrong();
  };
  const member = (depth: number): void => {
    const kind = shape[at];
    at += 1;
    if (depth > DEEPEST) wrong();
    switch (kind) {
      case 's':
        return writer.string(bytes());
      case 'b':
        return writer.bytesOnly(bytes());
      case 'n':
        return writer.number(number());
      case 'd':
        return writer.integer(Buffer.from(bytes()).toString('latin1'));
      case 't':
      case 'f':
        return writer.boolean(kind === 't');
      case '0':
        return writer.nil();
      case 'A':
      case 'M': {
        const count = number();
        if (kind === 'A') writer.array(count);
        else writer.map(count);
        for (let left = kind === 'A' ? count : 2 * count; left > 0; left -= 1) member(depth + 1);
        return;
      }
      default:
        wrong();
    }
  };
  while (at < shape.length) member(0);
  if (value !== values.length) wrong();
  return writer.take();
}

/** The same values as they come out of the encoding, without it. @throws LuafcgidError when the two do not fit together */
export function readValues(shape: string, values: readonly (number | Uint8Array)[]): Value[] {
  let at = 0;
  let next = 0;
  const wrong = (): never => {
    throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: `the shape "${shape}" does not fit its values` });
  };
  const take = (): number | Uint8Array => {
    const value = values[next];
    next += 1;
    return value ?? wrong();
  };
  const number = (): number => {
    const value = take();
    return typeof value === 'number' ? value : wrong();
  };
  const bytes = (): Buffer => {
    const value = take();
    return typeof value === 'object' ? Buffer.from(value.buffer, value.byteOffset, value.length) : wrong();
  };
  const member = (depth: number): Value => {
    const kind = shape[at];
    at += 1;
    if (depth > DEEPEST) wrong();
    switch (kind) {
      case 's':
        return bytes();
      case 'b':
        return new Bytes(bytes());
      case 'n':
        return number();
      case 'd':
        return new Digits(bytes().toString('latin1'));
      case 't':
      case 'f':
        return kind === 't';
      case '0':
        return undefined;
      case 'A':
        return Array.from({ length: number() }, () => member(depth + 1));
      case 'M': {
        const map: ValueMap = new Map();
        for (let left = number(); left > 0; left -= 1) {
          const key = member(depth + 1);
          map.set(Buffer.isBuffer(key) ? key.toString() : wrong(), member(depth + 1));
        }
        return map;
      }
      default:
        return wrong();
    }
  };
  const read: Value[] = [];
  while (at < shape.length) read.push(member(0));
  if (next !== values.length) wrong();
  return read;
}

/** The value that an operation has given. Rows become `{ columns, rows }`; a NULL is an absent key. */
export function decodeResult(payload: Uint8Array): LuaValue {
  return payload.length === 0 ? undefined : toLua(new ValueReader(payload).read());
}

function toLua(value: Value): LuaValue {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (value instanceof Digits) return value.text;
  if (value instanceof Bytes) return value.value.toString('latin1');
  if (value instanceof Rows) return toRows(value);
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, member]) => [latin1(String(key)), toLua(member)]));
  }
  if (Array.isArray(value)) return value.map(toLua);
  return value as undefined | boolean | number;
}

function toRows({ columns, rows, isPositional }: Rows): LuaValue {
  const names = columns.map(latin1);
  if (isPositional) return { columns: names, rows: rows.map((row) => row.map(toLua)) };
  return {
    columns: names,
    rows: rows.map((row) => {
      const fields: Record<string, LuaValue> = Object.create(null) as Record<string, LuaValue>;
      for (let at = 0; at < names.length; at += 1) {
        const cell = toLua(row[at]);
        if (cell !== undefined) fields[names[at] as string] = cell;
      }
      return fields;
    }),
  };
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** Tells scripts apart where they take turns for connections: two with one number only take their turns together. */
export function scriptNumber(path: string): number {
  let hash = 0;
  for (let at = 0; at < path.length; at += 1) hash = (Math.imul(hash, 31) + path.charCodeAt(at)) | 0;
  return hash >>> 0;
}
