/** What operations on databases and their results consist of, in the encoding of `values.ts`. Pure. */
import { type Value, ValueReader, ValueWriter } from '../values.js';
import type { Outcome } from './sql.js';

/** A result that is none. */
export const NOTHING = nil();

/** All values of an operation's body. */
export function readAll(body: Uint8Array): Value[] {
  const reader = new ValueReader(body);
  const values: Value[] = [];
  while (reader.hasMore) values.push(reader.read());
  return values;
}

export function textOf(value: Value): string | undefined {
  return Buffer.isBuffer(value) ? value.toString('utf8') : undefined;
}

function nil(): Uint8Array {
  const writer = new ValueWriter();
  writer.nil();
  return writer.take();
}

export function integer(value: number): Uint8Array {
  const writer = new ValueWriter();
  writer.number(value);
  return writer.take();
}

/** `affected` and `insert_id`, where there are such. @param rows encoded ROWS, which are added as TABLE */
export function encodeOutcome({ affected, insertId }: Outcome, rows?: Buffer): Uint8Array {
  const writer = new ValueWriter();
  writer.map(Number(affected !== undefined) + Number(insertId !== undefined) + Number(rows !== undefined));
  if (rows !== undefined) {
    writer.text('rows');
    writer.table(rows);
  }
  if (affected !== undefined) {
    writer.text('affected');
    writer.number(affected);
  }
  if (insertId !== undefined) {
    writer.text('insert_id');
    writer.integer(insertId);
  }
  return writer.take();
}
