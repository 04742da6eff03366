/** Values of PostgreSQL, which come as the server's text, in the encoding of `values.ts`. Pure. */
import type { ValueWriter } from '../values.js';

/** Numbers of types (pg_type.dat). */
export const PostgresType = {
  BOOL: 16,
  BYTEA: 17,
  INT8: 20,
  INT2: 21,
  INT4: 23,
  OID: 26,
  FLOAT4: 700,
  FLOAT8: 701,
  TIMESTAMP: 1114,
  TIMESTAMPTZ: 1184,
} as const;

/** @param text null: NULL */
export function writePostgresValue(writer: ValueWriter, type: number, text: string | null): void {
  if (text === null) return writer.nil();
  switch (type) {
    case PostgresType.BOOL:
      return writer.boolean(text === 't');
    case PostgresType.INT8:
    case PostgresType.INT2:
    case PostgresType.INT4:
    case PostgresType.OID:
      return writer.integer(text);
    case PostgresType.FLOAT4:
    case PostgresType.FLOAT8:
      return writer.float(Number(text));
    case PostgresType.BYTEA:
      return writer.string(Buffer.from(text.slice(2), 'hex'));
    case PostgresType.TIMESTAMP:
    case PostgresType.TIMESTAMPTZ:
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
