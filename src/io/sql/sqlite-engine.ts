/**
 * SQLite in the calling thread: statements of one database, with rows encoded as they come. A call blocks its thread, so
 * `sqlite-thread.ts` runs it in a thread of its own.
 */
import { DataError } from '../protocol.js';
import type { ValueWriter } from '../values.js';
import { type Outcome, Residue, type RowSink, type TransactionState } from './sql.js';
import type { SqliteStatement } from './sqlite-statement.js';

/** What is used of a database of `node:sqlite`, and of the package with the same interface. */
export interface Database {
  prepare(text: string): PreparedStatement;
  exec(text: string): void;
  close(): void;
  readonly isTransaction: boolean;
  /** Left out by older versions. */
  readonly limits?: DatabaseLimits;
}

/** Limits of one connection (sqlite3_limit). */
export interface DatabaseLimits {
  /** Bytes of a value or a row. */
  length: number;
  /** Bytes of a statement. */
  sqlLength: number;
  /** Instructions of its program. */
  vdbeOp: number;
}

export interface PreparedStatement {
  run(...values: readonly unknown[]): { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint };
  get(...values: readonly unknown[]): readonly unknown[] | undefined;
  iterate(...values: readonly unknown[]): Iterator<readonly unknown[]>;
  columns(): readonly { readonly name: string }[];
  setReadBigInts(enabled: boolean): void;
  setReturnArrays(enabled: boolean): void;
}

export type OpenDatabase = (
  file: string,
  options: { readonly readOnly: boolean; readonly timeout: number },
) => Database;

export interface SqliteSettings {
  readonly source: string;
  readonly file: string;
  readonly isReadOnly: boolean;
  /** Longest wait for another process that writes. */
  readonly busyMs: number;
}

export interface EngineCursor {
  fetch(maxRows: number, sink: RowSink, isCancelled: () => boolean): void;
  close(): void;
}

const PREPARED_AT_MOST = 50;
const ENDS = new Set(['commit', 'end', 'rollback']);
/** In the place of a ROLLBACK that SQLite has done by itself. */
const NO_STATEMENT = 'select 1 where 0';

/** Result codes (sqlite3.h). */
const Code = { BUSY: 5, LOCKED: 6, READONLY: 8, CANTOPEN: 14 };

export class SqliteEngine {
  readonly #open: OpenDatabase;
  readonly #settings: SqliteSettings;
  #database: Database;
  readonly #prepared = new Map<string, PreparedStatement>();
  #residue: Residue = Residue.NONE;
  #isRolledBack = false;

  /** @throws DataError when the file cannot be opened */
  constructor(open: OpenDatabase, settings: SqliteSettings) {
    this.#open = open;
    this.#settings = settings;
    this.#database = this.#opened();
  }

  get transaction(): TransactionState {
    if (this.#isRolledBack) return 'failed';
    return this.#database.isTransaction ? 'open' : 'none';
  }

  get residue(): Residue {
    return this.#residue;
  }

  /** @param isCancelled asked between two rows */
  execute(statement: SqliteStatement, sink: RowSink | undefined, isCancelled: () => boolean): Outcome {
    const { values } = statement;
    return this.#guarded(statement, (prepared) => {
      if (sink === undefined || prepared.columns().length === 0) {
        const { changes, lastInsertRowid } = prepared.run(...values);
        // Of other statements it would be told what the one before has done.
        return {
          affected: statement.isChange ? Number(changes) : undefined,
          insertId: statement.isInsert ? String(lastInsertRowid) : undefined,
          tag: undefined,
        };
      }
      this.#readRows(prepared, prepared.iterate(...values), sink, Number.POSITIVE_INFINITY, isCancelled);
      return { affected: undefined, insertId: undefined, tag: undefined };
    });
  }

  /** Begins to read rows. */
  openCursor(statement: SqliteStatement): EngineCursor {
    return this.#guarded(statement, (prepared) => {
      // What is open must not be begun anew by the next who asks for the same.
      this.#prepared.delete(statement.text);
      const rows = prepared.iterate(...statement.values);
      return {
        fetch: (maxRows, sink, isCancelled) => {
          try {
            this.#readRows(prepared, rows, sink, maxRows, isCancelled);
          } catch (error) {
            throw this.#errorOf(error);
          }
        },
        close: () => void rows.return?.(),
      };
    });
  }

  /** Makes it like new. */
  reset(): void {
    this.close();
    this.#database = this.#opened();
    this.#residue = Residue.NONE;
    this.#isRolledBack = false;
  }

  close(): void {
    this.#prepared.clear();
    this.#database.close();
  }

  #opened(): Database {
    const { source, file, isReadOnly } = this.#settings;
    try {
      if (!isReadOnly) return this.#openToWrite();
      try {
        return this.#openToRead();
      } catch (error) {
        if (codeOf(error) !== Code.CANTOPEN) throw error;
        // There is no such file yet, or it was left behind by a crash, which only a writer can mend.
        this.#openToWrite().close();
        return this.#openToRead();
      }
    } catch (error) {
      throw new DataError(
        'LUAFCGID_DATA_CONNECT',
        { source, reason: `${file}: ${(error as Error).message}` },
        { retry: true },
      );
    }
  }

  #openToRead(): Database {
    const { file, busyMs } = this.#settings;
    const database = this.#open(file, { readOnly: true, timeout: busyMs });
    // It is looked at only when something is read: that it is a database shows now.
    database.exec('pragma schema_version');
    return database;
  }

  #openToWrite(): Database {
    const { file, busyMs } = this.#settings;
    const database = this.#open(file, { readOnly: false, timeout: busyMs });
    // Readers and a writer do not wait for each other.
    database.exec('pragma journal_mode = wal');
    return database;
  }

  #guarded<Result>(statement: SqliteStatement, use: (prepared: PreparedStatement) => Result): Result {
    const { text, command, refusal, residue } = statement;
    const { source } = this.#settings;
    if (refusal !== undefined) throw new DataError('LUAFCGID_DATA_QUERY', { source, reason: refusal });
    if (this.#isRolledBack && command !== 'rollback') {
      throw new DataError('LUAFCGID_DATA_TRANSACTION', { source, reason: 'SQLite has rolled it back after an error' });
    }
    this.#residue = Math.max(this.#residue, residue) as Residue;
    const wasOpen = this.#database.isTransaction;
    try {
      return use(this.#prepare(this.#isRolledBack ? NO_STATEMENT : text));
    } catch (error) {
      // Some errors end the transaction: what came next would not be in one.
      if (wasOpen && !this.#database.isTransaction && !ENDS.has(command)) this.#isRolledBack = true;
      throw this.#errorOf(error);
    } finally {
      if (command === 'rollback') this.#isRolledBack = false;
    }
  }

  #prepare(text: string): PreparedStatement {
    let prepared = this.#prepared.get(text);
    if (prepared === undefined) {
      prepared = this.#database.prepare(text);
      prepared.setReadBigInts(true);
      prepared.setReturnArrays(true);
    } else this.#prepared.delete(text);
    this.#prepared.set(text, prepared);
    if (this.#prepared.size > PREPARED_AT_MOST) {
      for (const oldest of this.#prepared.keys()) {
        this.#prepared.delete(oldest);
        break;
      }
    }
    return prepared;
  }

  #readRows(
    prepared: PreparedStatement,
    rows: Iterator<readonly unknown[]>,
    sink: RowSink,
    maxRows: number,
    isCancelled: () => boolean,
  ): void {
    const { source } = this.#settings;
    let next = rows.next();
    // After the first step: tables may have changed since the statement was prepared.
    sink.begin(prepared.columns().map(({ name }) => name));
    while (next.done !== true) {
      for (const value of next.value) writeValue(sink.writer, value);
      sink.count += 1;
      if (sink.isFull) {
        rows.return?.();
        throw new DataError('LUAFCGID_DATA_RESULT_SIZE', { source });
      }
      if (sink.count >= maxRows) return;
      if (isCancelled()) {
        rows.return?.();
        throw new DataError('LUAFCGID_DATA_CANCELED', { source, reason: 'it was broken off' }, { retry: true });
      }
      next = rows.next();
    }
  }

  #errorOf(error: unknown): unknown {
    // What SQLite refuses by its authorizer has no code. Faults of the server itself are of other classes.
    if (error instanceof Error && error.constructor === Error && codeOf(error) === undefined) {
      return new DataError('LUAFCGID_DATA_QUERY', { source: this.#settings.source, reason: error.message });
    }
    if (error instanceof DataError || codeOf(error) === undefined) return error;
    const code = codeOf(error) as number;
    const primary = code & 0xff;
    const values = { source: this.#settings.source, reason: (error as Error).message };
    return new DataError('LUAFCGID_DATA_QUERY', values, {
      sqlstate: `SQLITE ${code}`,
      retry: primary === Code.BUSY || primary === Code.LOCKED,
    });
  }
}

/** The result code of SQLite that an error carries. */
export function codeOf(error: unknown): number | undefined {
  const { errcode } = error as { readonly errcode?: unknown };
  return typeof errcode === 'number' ? errcode : undefined;
}

/** Whether a statement would have changed something where only reading is possible. Nothing was changed then. */
export function isReadOnlyError(error: unknown): boolean {
  return (
    error instanceof DataError &&
    /^SQLITE \d+$/.test(error.sqlstate ?? '') &&
    (Number(error.sqlstate?.slice(7)) & 0xff) === Code.READONLY
  );
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);

function writeValue(writer: ValueWriter, value: unknown): void {
  if (value === null) writer.nil();
  else if (typeof value === 'string') writer.text(value);
  else if (typeof value === 'number') writer.float(value);
  else if (typeof value === 'bigint') {
    if (value >= -MOST && value <= MOST) writer.number(Number(value));
    else writer.integer(String(value));
  } else writer.string(value as Uint8Array);
}
