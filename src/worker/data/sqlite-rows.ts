/** Rows of SQLite as Lua gets them, with the values that `io/sql/sqlite-engine.ts` and `operation-values.ts` make of them. Pure. */
import { ROW_BYTES } from '../../io/sql/sql.js';
import type { ReadRows } from '../../io/sql/sqlite-short-reads.js';
import type { LuaValue } from '../../lua/state.js';

/** Bytes of values in the encoding of `io/values.ts`, by which the limit of a result counts. */
const TAG_BYTES = 1;
const NUMBER_BYTES = 9;
const LENGTH_BYTES = 5;

const MOST = BigInt(Number.MAX_SAFE_INTEGER);
/** A character that is more than one byte. */
const WIDE = /[\x80-\uffff]/;

/** `{ columns, rows }`. Undefined when they may have more bytes than are allowed. */
export function toLuaRows({ columns, rows }: ReadRows, mostBytes: number): LuaValue | undefined {
  const names = columns.map(toBytes);
  let bytes = 0;
  for (const name of names) bytes += LENGTH_BYTES + name.length;
  const found: LuaValue[] = [];
  for (const row of rows) {
    const fields = Object.create(null) as Record<string, LuaValue>;
    bytes += ROW_BYTES;
    for (let at = 0; at < names.length; at += 1) {
      const value = toLua(row[at]);
      if (value === undefined) bytes += TAG_BYTES;
      else {
        fields[names[at] as string] = value;
        bytes += typeof value === 'string' ? LENGTH_BYTES + value.length : NUMBER_BYTES;
      }
    }
    if (bytes > mostBytes - SLACK_BYTES) return undefined;
    found.push(fields);
  }
  return { columns: names, rows: found };
}

/** So near to the limit somebody else counts exactly. */
const SLACK_BYTES = 256;

function toLua(value: unknown): string | number | undefined {
  if (typeof value === 'string') return toBytes(value);
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return value >= -MOST && value <= MOST ? Number(value) : String(value);
  if (value === null) return undefined;
  const bytes = value as Uint8Array;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** One character per byte. */
function toBytes(text: string): string {
  return WIDE.test(text) ? Buffer.from(text).toString('latin1') : text;
}
