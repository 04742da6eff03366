/** One statement of MySQL on its way: what the package's command reports, encoded as it comes. Runs in the I/O thread. */
import { DataError } from '../protocol.js';
import { Bytes, Digits } from '../values.js';
import { type Column, writeMysqlValue } from './mysql-values.js';
import type { Argument } from './placeholders.js';
import type { Outcome, RowSink } from './sql.js';
import { isText } from './text.js';

/** What the package calls a statement that was sent without a callback. */
export interface Command {
  on(event: 'fields', listener: (columns: readonly Column[] | undefined) => void): void;
  on(event: 'result', listener: (rowOrHeader: readonly unknown[] | Header) => void): void;
  on(event: 'error', listener: (error: MysqlError) => void): void;
  on(event: 'end', listener: () => void): void;
}

/** What comes instead of rows. */
interface Header {
  readonly affectedRows: number | string;
  readonly insertId: number | string;
  readonly serverStatus?: number;
}

export interface MysqlError extends Error {
  readonly errno?: number;
  readonly code?: string;
  readonly sqlState?: string;
  readonly sqlMessage?: string;
  readonly fatal?: boolean;
}

/** Where rows go other than into a result. */
export interface RowTaker {
  columns(columns: readonly Column[]): void;
  row(values: readonly unknown[]): void;
}

/** What tells the package which type a value has. */
export interface MysqlValues {
  readonly LONGLONG: ((value: bigint | number) => unknown) & { unsigned(value: bigint): unknown };
}

/** Numbers of errors (mysqld_error.h). */
const DEADLOCK = 1213;
const LOCK_WAIT = 1205;
const CANCELED = new Set([1317, 1969, 3024]);
const ENDS_CONNECTION = new Set([1053, 1927]);

/** Whether the connection ends with the error. */
export function isFatal(error: MysqlError | undefined): boolean {
  return (
    error !== undefined &&
    (error.fatal === true || error.sqlState === undefined || ENDS_CONNECTION.has(error.errno ?? 0))
  );
}

export class MysqlTask {
  settle: () => void = () => {};
  /** Called when the rows are more than are allowed: the server has to be told to stop. */
  tooLarge: () => void = () => {};
  rows: RowTaker | undefined;
  error: Error | undefined;
  /** As the package has it. */
  cause: MysqlError | undefined;
  serverStatus: number | undefined;
  /** The server has ended the transaction. */
  isRolledBack = false;
  readonly #source: string;
  readonly #sink: RowSink | undefined;
  #columns: readonly Column[] = [];
  #header: Header | undefined;
  #results = 0;
  #isTooLarge = false;

  constructor(source: string, sink: RowSink | undefined) {
    this.#source = source;
    this.#sink = sink;
  }

  get outcome(): Outcome {
    const { affectedRows, insertId } = this.#header ?? {};
    return {
      affected: affectedRows === undefined ? undefined : Number(affectedRows),
      insertId: insertId === undefined || Number(insertId) === 0 ? undefined : String(insertId),
      tag: undefined,
    };
  }

  follow(command: Command): void {
    command.on('fields', (columns) => this.#begin(columns));
    command.on('result', (result) => {
      if (Array.isArray(result)) this.#row(result);
      else {
        this.#header = result as Header;
        this.serverStatus = this.#header.serverStatus ?? this.serverStatus;
      }
    });
    command.on('error', (error) => this.#failed(error));
    command.on('end', () => this.settle());
  }

  /** Whatever the command may still report. */
  fail(error: Error): void {
    this.error = error;
    this.cause = undefined;
    this.settle();
    this.settle = () => {};
  }

  #begin(columns: readonly Column[] | undefined): void {
    if (columns === undefined) return;
    this.#results += 1;
    if (this.#results > 1) {
      const reason = 'the procedure gave more than one result, of which only the first can be told';
      this.error ??= new DataError('LUAFCGID_DATA_QUERY', { source: this.#source, reason });
      return;
    }
    this.#columns = columns;
    this.rows?.columns(columns);
    this.#sink?.begin(columns.map(({ name }) => name));
  }

  #row(values: readonly unknown[]): void {
    if (this.rows !== undefined) return this.rows.row(values);
    const sink = this.#sink;
    if (sink === undefined || this.#isTooLarge || this.#results > 1) return;
    for (let index = 0; index < values.length; index += 1) {
      writeMysqlValue(sink.writer, this.#columns[index] as Column, values[index]);
    }
    sink.count += 1;
    if (!sink.isFull) return;
    this.#isTooLarge = true;
    // What is left of the result is not kept.
    sink.writer.take();
    this.error = new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.#source });
    this.tooLarge();
  }

  #failed(error: MysqlError): void {
    this.cause = error;
    this.isRolledBack = error.errno === DEADLOCK;
    const values = { source: this.#source, reason: error.sqlMessage ?? error.message };
    const { sqlState: sqlstate, errno = 0 } = error;
    this.error ??= CANCELED.has(errno)
      ? new DataError('LUAFCGID_DATA_CANCELED', values, { sqlstate, retry: true })
      : new DataError('LUAFCGID_DATA_QUERY', values, { sqlstate, retry: errno === DEADLOCK || errno === LOCK_WAIT });
  }
}

export function toParameters(values: readonly Argument[], types: MysqlValues): unknown[] {
  return values.map((value) => {
    if (value === undefined) return null;
    if (typeof value === 'number') return Number.isSafeInteger(value) ? types.LONGLONG(value) : value;
    if (typeof value === 'boolean') return types.LONGLONG(value ? 1 : 0);
    if (value instanceof Digits) return largeInteger(value.text, types);
    if (value instanceof Bytes) return value.value;
    return isText(value) ? value.toString('utf8') : value;
  });
}

const MAX_SIGNED = 2n ** 63n - 1n;
const MAX_UNSIGNED = 2n ** 64n - 1n;

/** What is beyond 64 bits goes as text, which the server compares as a decimal. */
function largeInteger(digits: string, types: MysqlValues): unknown {
  const value = BigInt(digits);
  if (value >= -MAX_SIGNED - 1n && value <= MAX_SIGNED) return types.LONGLONG(value);
  return value > 0n && value <= MAX_UNSIGNED ? types.LONGLONG.unsigned(value) : digits;
}
