/** Values of MySQL, as the package reads them, in the encoding of `values.ts`. Pure. */
import type { ValueWriter } from '../values.js';

/** What is needed of a column's definition. */
export interface Column {
  readonly name: string;
  readonly columnType?: number;
}

/** Numbers of types (field_types.h). */
const Type = {
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATETIME: 12,
  YEAR: 13,
};

export function writeMysqlValue(writer: ValueWriter, { columnType }: Column, value: unknown): void {
  if (value === null || value === undefined) return writer.nil();
  switch (columnType) {
    case Type.TINY:
    case Type.SHORT:
    case Type.LONG:
    case Type.LONGLONG:
    case Type.INT24:
    case Type.YEAR:
      return writer.integer(String(value));
    case Type.FLOAT:
      return writer.float(shortest(Number(value)));
    case Type.DOUBLE:
      return writer.float(Number(value));
    case Type.TIMESTAMP:
      return writer.text(isoTime(String(value), 'Z'));
    case Type.DATETIME:
      return writer.text(isoTime(String(value), ''));
    default:
      if (typeof value === 'string') return writer.text(value);
      if (value instanceof Uint8Array) return writer.string(value);
      // Points and vectors.
      return writer.text(JSON.stringify(value));
  }
}

/** `2026-11-27 00:43:11.541532` as ISO 8601 has it. The session's zone is UTC. */
function isoTime(text: string, zone: string): string {
  return /^\d{4}-\d\d-\d\d \d\d:/.test(text) ? `${text.replace(' ', 'T')}${zone}` : text;
}

/** Most decimal digits that a number of 32 bits needs. */
const FLOAT_DIGITS = 9;

/** A number of 32 bits with no more digits than it has: 0.1 instead of 0.10000000149011612. */
function shortest(value: number): number {
  for (let digits = 6; digits < FLOAT_DIGITS; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
