/** Values of PostgreSQL, which come as the server's text, as Lua gets them. Pure. `io/sql/postgres-values.ts` has the same table. */
import { isoTime, PostgresType } from '../../io/sql/postgres-values.js';
import type { LuaValue } from '../../lua/state.js';

const TAG_BYTES = 1;
const NUMBER_BYTES = 9;
const LENGTH_BYTES = 5;

/** A value, and how many bytes it has in the encoding of `io/values.ts`, by which the limit of a result counts. */
export class PostgresValues {
  /** Bytes of all values since it was set to 0. */
  sizeBytes = 0;

  /** @param text one character per byte */
  read(type: number, text: string): LuaValue {
    switch (type) {
      case PostgresType.BOOL:
        this.sizeBytes += TAG_BYTES;
        return text === 't';
      case PostgresType.INT8:
      case PostgresType.INT2:
      case PostgresType.INT4:
      case PostgresType.OID:
        return this.#integer(text);
      case PostgresType.FLOAT4:
      case PostgresType.FLOAT8:
        this.sizeBytes += NUMBER_BYTES;
        return Number(text);
      case PostgresType.BYTEA:
        return this.#string(Buffer.from(text.slice(2), 'hex').toString('latin1'));
      case PostgresType.TIMESTAMP:
      case PostgresType.TIMESTAMPTZ:
        return this.#string(isoTime(text));
      default:
        return this.#string(text);
    }
  }

  noteNull(): void {
    this.sizeBytes += TAG_BYTES;
  }

  #integer(text: string): LuaValue {
    const number = Number(text);
    const isNumber = Number.isSafeInteger(number);
    this.sizeBytes += isNumber ? NUMBER_BYTES : LENGTH_BYTES + text.length;
    return isNumber ? number + 0 : text;
  }

  #string(text: string): string {
    this.sizeBytes += LENGTH_BYTES + text.length;
    return text;
  }
}

/** Bytes of the names of columns, before the rows. */
export function headBytes(columns: readonly { readonly name: string }[]): number {
  let bytes = TAG_BYTES + 8;
  for (const { name } of columns) bytes += LENGTH_BYTES + name.length;
  return bytes;
}
