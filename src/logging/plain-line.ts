/**
 * Lines of the access log as bytes, without texts in between: that takes a third of the time, and workers write a line for each
 * request. Only lines whose values stand there as they are; all others, and those in JSON, are for `AccessFormat.line`. Pure.
 */
import { forEachPair } from '../fcgi/session.js';
import { type AccessFormat, type AccessRecord, FIELD_BYTES } from './access-format.js';

const NONE = 0x2d;
const ZERO = 0x30;
const POINT = 0x2e;
const LINE_END = 10;

/** Characters that need no escape, inside of quotes or outside. */
const IS_PLAIN = new Uint8Array(256);
for (let byte = 0x21; byte <= 0x7e; byte += 1) IS_PLAIN[byte] = byte === 0x22 || byte === 0x5c ? 0 : 1;

/** The line cannot be written this way, or there is no room for it. */
export const NOT_PLAIN = -1;

interface Step {
  readonly literal: Uint8Array;
  readonly from: ((record: AccessRecord) => string | number | undefined) | undefined;
  /** Index of the parameter. */
  readonly param: number;
  /** Ten to the power of the digits behind the point; 0: a whole number. */
  readonly scale: number;
  readonly digits: number;
}

export class PlainLines {
  readonly #steps: readonly Step[];
  readonly #tail: Uint8Array;
  readonly #format: AccessFormat;
  /** Where the values of parameters begin and end in those of the request; 0, 0: it has none. */
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  #params: Uint8Array = new Uint8Array();

  /** @param format of text, not of JSON */
  constructor(format: AccessFormat) {
    this.#format = format;
    this.#steps = format.pieces.map(({ literal, from, param, digits = 0 }) => {
      return { literal: Buffer.from(literal), from, param, scale: digits === 0 ? 0 : 10 ** digits, digits };
    });
    this.#tail = Buffer.from(format.tail);
    this.#starts = new Uint32Array(format.paramNames.length);
    this.#ends = new Uint32Array(format.paramNames.length);
  }

  /**
   * Writes the line of a request and its end.
   * @returns where it ends, or `NOT_PLAIN`: then what was written there is nothing
   */
  write(record: AccessRecord, bytes: Uint8Array, start: number, end: number): number {
    this.#findParams(record.params);
    let at = start;
    for (const { literal, from, param, scale, digits } of this.#steps) {
      at = putBytes(literal, 0, literal.length, bytes, at, end);
      if (at === NOT_PLAIN) return NOT_PLAIN;
      if (from === undefined) {
        const [first, last] = [this.#starts[param] as number, this.#ends[param] as number];
        at = first === last ? putByte(NONE, bytes, at, end) : putPlain(this.#params, first, last, bytes, at, end);
      } else {
        const value = from(record);
        if (value === undefined || value === '') at = putByte(NONE, bytes, at, end);
        else if (typeof value === 'string') at = putText(value, bytes, at, end);
        else if (scale === 0) at = putWhole(value, bytes, at, end);
        else at = putNumber(value, scale, digits, bytes, at, end);
      }
      if (at === NOT_PLAIN) return NOT_PLAIN;
    }
    at = putBytes(this.#tail, 0, this.#tail.length, bytes, at, end);
    return at === NOT_PLAIN ? NOT_PLAIN : putByte(LINE_END, bytes, at, end);
  }

  #findParams(params: Uint8Array): void {
    if (this.#starts.length === 0) return;
    this.#starts.fill(0);
    this.#ends.fill(0);
    this.#params = params;
    forEachPair(params, this.#visit);
  }

  readonly #visit = (nameStart: number, valueStart: number, valueEnd: number): void => {
    const param = this.#format.paramAt(this.#params, nameStart, valueStart);
    if (param === undefined) return;
    this.#starts[param] = valueStart;
    this.#ends[param] = valueEnd;
  };
}

function putByte(byte: number, bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return NOT_PLAIN;
  bytes[at] = byte;
  return at + 1;
}

function putBytes(
  from: Uint8Array,
  first: number,
  last: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  if (last - first > end - start) return NOT_PLAIN;
  let at = start;
  for (let index = first; index < last; index += 1, at += 1) bytes[at] = from[index] as number;
  return at;
}

function putPlain(
  from: Uint8Array,
  first: number,
  last: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  if (last - first > FIELD_BYTES || last - first > end - start) return NOT_PLAIN;
  let at = start;
  for (let index = first; index < last; index += 1, at += 1) {
    const byte = from[index] as number;
    if (IS_PLAIN[byte] === 0) return NOT_PLAIN;
    bytes[at] = byte;
  }
  return at;
}

function putText(text: string, bytes: Uint8Array, start: number, end: number): number {
  const { length } = text;
  if (length > FIELD_BYTES || length > end - start) return NOT_PLAIN;
  for (let index = 0; index < length; index += 1) {
    const byte = text.charCodeAt(index);
    if (IS_PLAIN[byte] !== 1) return NOT_PLAIN;
    bytes[start + index] = byte;
  }
  return start + length;
}

function putWhole(value: number, bytes: Uint8Array, start: number, end: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return NOT_PLAIN;
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits += 1;
  return digits > end - start ? NOT_PLAIN : putDigits(value, digits, bytes, start);
}

function putNumber(
  value: number,
  scale: number,
  digits: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  const scaled = Math.round(value * scale);
  if (!Number.isSafeInteger(scaled) || scaled < 0) return NOT_PLAIN;
  const whole = Math.floor(scaled / scale);
  const point = putWhole(whole, bytes, start, end);
  if (point === NOT_PLAIN || digits + 1 > end - point) return NOT_PLAIN;
  bytes[point] = POINT;
  return putDigits(scaled - whole * scale, digits, bytes, point + 1);
}

/** So many digits of a whole number, with zeros before it. */
function putDigits(value: number, digits: number, bytes: Uint8Array, start: number): number {
  let rest = value;
  for (let at = start + digits - 1; at >= start; at -= 1) {
    const tens = Math.floor(rest / 10);
    bytes[at] = ZERO + rest - tens * 10;
    rest = tens;
  }
  return start + digits;
}
