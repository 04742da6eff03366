/** What a kind of SQL database has to offer, so that `sql-source.ts` can serve scripts with it. Runs in the I/O thread. */
import type { ValueWriter } from '../values.js';
import type { Dialect, Statement } from './placeholders.js';

/** Where a connection's transaction stands, as the server said last. */
export type TransactionState = 'none' | 'open' | 'failed';

/** What a connection has kept of what was done on it, besides tables. */
export const Residue = {
  /** Nothing that another script could see. */
  NONE: 0,
  /** Perhaps something: it is cleaned before another script gets it. */
  PERHAPS: 1,
  /** Something that its script counts on (a setting, a temporary table, a lock): it keeps the connection till it ends. */
  SESSION: 2,
} as const;
export type Residue = (typeof Residue)[keyof typeof Residue];

export interface Outcome {
  /** Rows that the statement changed; undefined where that has no meaning. */
  readonly affected: number | undefined;
  /** In decimal. */
  readonly insertId: string | undefined;
  /** What the server called the statement, where it does, e.g. `ROLLBACK`. */
  readonly tag: string | undefined;
}

/**
 * What counts for each row of a result beside its values. A row without any value, or of a NULL alone, takes memory where it is read: it
 * would else be free, and a result of millions of them would cost the worker that gets it.
 */
export const ROW_BYTES = 32;

/** Where a statement's rows go. */
export class RowSink {
  readonly writer: ValueWriter;
  readonly mostBytes: number;
  count = 0;
  #place = -1;
  #filled: Buffer | undefined;

  constructor(writer: ValueWriter, mostBytes: number) {
    this.writer = writer;
    this.mostBytes = mostBytes;
  }

  get hasBegun(): boolean {
    return this.#place >= 0;
  }

  begin(columns: readonly string[]): void {
    this.#place = this.writer.beginRows(columns);
  }

  /** Whether there are more bytes of rows than are allowed. */
  get isFull(): boolean {
    return this.writer.byteLength + ROW_BYTES * this.count > this.mostBytes;
  }

  /** Rows that were encoded elsewhere. */
  fill(rows: Uint8Array | undefined, count: number): void {
    this.#filled = rows === undefined ? undefined : Buffer.from(rows.buffer, rows.byteOffset, rows.length);
    this.count = count;
  }

  /** A statement without rows has no columns. */
  finish(): Buffer {
    if (this.#filled !== undefined) return this.#filled;
    if (!this.hasBegun) this.begin([]);
    this.writer.endRows(this.#place, this.count);
    return this.writer.take();
  }
}

/** Rows that are fetched a few at a time. */
export interface SqlCursor {
  /** Writes at most so many rows. Fewer than asked for: it is at its end. */
  fetch(maxRows: number, sink: RowSink): Promise<void>;
  /** Its work is done: what it has changed by itself stays. */
  close(): Promise<void>;
  /** Its run is over: what it has changed by itself is rolled back with the transaction. */
  abandon(): Promise<void>;
}

/** One connection. It does one thing at a time; its errors are `DataError`s. */
export interface SqlConnection {
  /** Whether it can be used still. */
  readonly isOpen: boolean;
  readonly transaction: TransactionState;
  readonly residue: Residue;
  /** The server was told to stop something that may have been over by then: what runs next may be hit. */
  readonly mayBeCancelled?: boolean;
  /** Runs a statement. With `sink` full, it is broken off with `LUAFCGID_DATA_RESULT_SIZE`. */
  execute(statement: Statement, sink: RowSink | undefined): Promise<Outcome>;
  openCursor(statement: Statement): Promise<SqlCursor>;
  /** Breaks off what runs. Resolves when the server has been told; what runs ends by itself then. */
  cancel(): Promise<void>;
  /** Makes it like new: no settings, temporary tables or locks. */
  reset(): Promise<void>;
  /** Lets another thread use it, when nothing is left on it. Gives its descriptor; undefined: it cannot be lent. */
  lend?(): number | undefined;
  /** That thread uses it no more. */
  takeBack?(): Promise<void>;
  /** Closes it, in order where that is possible within a second. */
  end(): Promise<void>;
  /** Closes it at once. */
  destroy(): void;
}

export interface TransactionOptions {
  readonly isolation: string | undefined;
  readonly isReadOnly: boolean;
}

export interface SqlDriver {
  readonly dialect: Dialect;
  /** Whether its connections can be lent to workers. */
  readonly lends?: boolean;
  /** Opens a connection. @param lost called once, when the connection has ended by itself @throws DataError */
  connect(lost: (reason: string) => void): Promise<SqlConnection>;
  /** What begins a transaction, statement by statement. */
  begin(options: TransactionOptions): readonly string[];
  /** Asks what is at the other end. */
  readonly versionQuery: string;
}

export const ISOLATION_LEVELS = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];
