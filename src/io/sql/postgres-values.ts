/** Values of PostgreSQL, which come as the server's text, in the encoding of `values.ts`. Pure. */
import type { ValueWriter } from '../values.js';

/** Numbers of types (pg_type.dat). */
const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const OID = 26;
const FLOAT4 = 700;
const FLOAT8 = 701;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;

/** @param text null: NULL */
export function writePostgresValue(writer: ValueWriter, type: number, text: string | null): void {
  if (text === null) return writer.nil();
  switch (type) {
    case BOOL:
      return writer.boolean(text === 't');
    case INT8:
    case INT2:
    case INT4:
    case OID:
      return writer.integer(text);
    case FLOAT4:
    case FLOAT8:
      return writer.float(Number(text));
    case BYTEA:
      return writer.string(Buffer.from(text.slice(2), 'hex'));
    case TIMESTAMP:
    case TIMESTAMPTZ:
      return writer.text(isoTime(text));
    default:
      return writer.text(text);
  }
}

/** `2026-11-27 00:43:11.541532+00` as ISO 8601 has it. What is no such time (`infinity`, years before Christ) stays. */
export function isoTime(text: string): string {
  const parts = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/.exec(text);
  if (parts === null) return text;
  return `${parts[1]}T${parts[2]}${parts[3] === undefined ? '' : 'Z'}`;
}
