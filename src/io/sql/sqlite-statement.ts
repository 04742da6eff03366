/**
 * A statement as SQLite gets it: its values in SQLite's types, and what its text says of it. Plain data, so that it can cross
 * threads. Pure.
 */
import { Bytes, Digits } from '../values.js';
import type { Argument, Statement } from './placeholders.js';
import type { Residue } from './sql.js';
import { refusalOf, residueOf } from './sqlite-residue.js';
import { isText } from './text.js';

export interface SqliteStatement {
  readonly text: string;
  readonly values: readonly (null | bigint | number | string | Uint8Array)[];
  /** Its first word. */
  readonly command: string;
  readonly isChange: boolean;
  readonly isInsert: boolean;
  readonly residue: Residue;
  /** Why it is refused. */
  readonly refusal: string | undefined;
}

const CHANGES = new Set(['insert', 'update', 'delete', 'replace']);

export function toSqliteStatement({ text, values, scanned }: Statement): SqliteStatement {
  const { words } = scanned;
  return {
    text,
    values: values.map(toSqliteValue),
    command: words[0] ?? '',
    isChange: words.some((word) => CHANGES.has(word)),
    isInsert: words.some((word) => word === 'insert' || word === 'replace'),
    residue: residueOf(scanned),
    refusal: refusalOf(scanned),
  };
}

/** Whether a statement only reads, as far as its text tells. */
export function isReading({ scanned: { words } }: Statement): boolean {
  const [command = ''] = words;
  if (command === 'with') return !words.some((word) => CHANGES.has(word));
  return command === 'select' || command === 'values' || command === 'explain';
}

/** A value in the types that the libraries for SQLite take. */
export function toSqliteValue(value: Argument): SqliteStatement['values'][number] {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  // A JavaScript number would be stored as a float.
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (value instanceof Digits) {
    const digits = BigInt(value.text);
    return BigInt.asIntN(64, digits) === digits ? digits : value.text;
  }
  if (value instanceof Bytes) return new Uint8Array(value.value);
  // Text with a NUL in it would be cut there when it is read.
  return isText(value) && !value.includes(0) ? value.toString('utf8') : new Uint8Array(value);
}
