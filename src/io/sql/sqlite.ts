/** SQLite: each connection is a thread (`sqlite-thread.ts`), as the I/O thread sees it. Runs in the I/O thread. */
import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../../base/errors.js';
import { DataError } from '../protocol.js';
import type { Log } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import type { Statement } from './placeholders.js';
import {
  type Outcome,
  Residue,
  type RowSink,
  type SqlConnection,
  type SqlCursor,
  type SqlDriver,
  type TransactionOptions,
  type TransactionState,
} from './sql.js';
import type { Failure, SqliteAnswer, SqliteCall, SqliteThreadData } from './sqlite-messages.js';
import { toSqliteStatement } from './sqlite-statement.js';

/** Longest wait for another process that writes. */
const BUSY_AT_MOST_MS = 5000;
const END_MS = 1000;
/** Threads that were given up and have not ended. With so many, no more are started: each holds a processor. */
const GIVEN_UP_AT_MOST = 4;

type Unnumbered<Call> = Call extends unknown ? Omit<Call, 'number'> : never;

export class SqliteDriver implements SqlDriver {
  readonly dialect = 'sqlite';
  readonly versionQuery = 'select sqlite_version()';
  readonly #source: ResolvedSource;
  readonly #isReadOnly: boolean;
  readonly #log: Log;
  #givenUp = 0;

  constructor(source: ResolvedSource, isReadOnly: boolean, log: Log) {
    this.#source = source;
    this.#isReadOnly = isReadOnly;
    this.#log = log;
  }

  begin({ isReadOnly }: TransactionOptions): string[] {
    // What is going to write has its turn at the beginning: later it could not be given.
    return [isReadOnly || this.#isReadOnly ? 'begin' : 'begin immediate'];
  }

  async connect(lost: (reason: string) => void): Promise<SqlConnection> {
    const { name, database, waitMs } = this.#source;
    if (this.#givenUp >= GIVEN_UP_AT_MOST) {
      const reason = `${this.#givenUp} threads are inside of queries that do not end`;
      throw new DataError('LUAFCGID_DATA_CONNECT', { source: name, reason }, { retry: true });
    }
    const settings = {
      source: name,
      file: database,
      isReadOnly: this.#isReadOnly,
      busyMs: Math.min(waitMs, BUSY_AT_MOST_MS),
    };
    const connection = new SqliteConnection(settings, lost, (ended) => this.#noteGivenUp(ended));
    await connection.ready;
    return connection;
  }

  /** A thread does not end, since it is inside of a query. */
  #noteGivenUp(ended: Promise<void>): void {
    const { name } = this.#source;
    this.#givenUp += 1;
    this.#log('warn', `data source ${name}: a query does not end; its thread was given up and goes on by itself`);
    void ended.then(() => {
      this.#givenUp -= 1;
      this.#log('info', `data source ${name}: a thread that was given up has ended`);
    });
  }
}

class SqliteConnection implements SqlConnection {
  /** Resolves when the file is open. */
  readonly ready: Promise<void>;
  readonly #source: string;
  readonly #thread: Worker;
  readonly #cancelled = new SharedArrayBuffer(4);
  readonly #calls = new Map<number, { resolve(answer: SqliteAnswer): void; reject(error: Error): void }>();
  #lost: ((reason: string) => void) | undefined;
  #lastNumber = 0;
  #lastCursor = 0;
  #transaction: TransactionState = 'none';
  #residue: Residue = Residue.NONE;
  #isGone = false;

  /** Resolves when the thread is no more. */
  readonly #ended: Promise<void>;
  readonly #givenUp: (ended: Promise<void>) => void;

  constructor(
    settings: SqliteThreadData['settings'],
    lost: (reason: string) => void,
    givenUp: (ended: Promise<void>) => void,
  ) {
    this.#source = settings.source;
    this.#givenUp = givenUp;
    this.#lost = lost;
    const data: SqliteThreadData = { settings, cancelled: this.#cancelled };
    this.#thread = new Worker(new URL('./sqlite-thread.cjs', import.meta.url), { workerData: data, env: {} });
    this.#thread.on('message', (answer: SqliteAnswer) => this.#take(answer));
    this.#thread.on('error', (error) => this.#gone(error instanceof Error ? error.message : String(error)));
    this.#ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        resolve();
        this.#gone('its thread ended');
      });
    });
    this.ready = new Promise((resolve, reject) => {
      this.#calls.set(0, { resolve: () => resolve(), reject });
    });
  }

  get isOpen(): boolean {
    return !this.#isGone;
  }

  get transaction(): TransactionState {
    return this.#transaction;
  }

  get residue(): Residue {
    return this.#residue;
  }

  async execute(statement: Statement, sink: RowSink | undefined): Promise<Outcome> {
    const answer = await this.#call({
      kind: 'execute',
      statement: toSqliteStatement(statement),
      maxBytes: sink?.mostBytes,
    });
    sink?.fill(answer.rows, answer.count ?? 0);
    return answer.outcome as Outcome;
  }

  async openCursor(statement: Statement): Promise<SqlCursor> {
    this.#lastCursor += 1;
    const cursor = this.#lastCursor;
    await this.#call({ kind: 'openCursor', cursor, statement: toSqliteStatement(statement) });
    const close = async (): Promise<void> => void (await this.#call({ kind: 'closeCursor', cursor }));
    return {
      fetch: async (maxRows, sink) => {
        const answer = await this.#call({ kind: 'fetch', cursor, maxRows, maxBytes: sink.mostBytes });
        sink.fill(answer.rows, answer.count ?? 0);
      },
      close,
      abandon: close,
    };
  }

  /** It is looked at between two rows. A statement that gives none costs its thread. */
  async cancel(): Promise<void> {
    Atomics.store(new Int32Array(this.#cancelled), 0, this.#lastNumber);
  }

  async reset(): Promise<void> {
    await this.#call({ kind: 'reset' });
  }

  async end(): Promise<void> {
    this.#lost = undefined;
    if (this.#isGone) return;
    this.#thread.postMessage({ kind: 'end', number: 0 } satisfies SqliteCall);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.destroy();
        resolve();
      }, END_MS);
    });
    await Promise.race([this.#ended, late]);
    clearTimeout(timer);
  }

  /**
   * The thread is given up: it ends when SQLite returns, and nobody waits for it. To end it before is not possible: the
   * package for Node.js without a SQLite of its own would end the process with it.
   */
  destroy(): void {
    if (this.#isGone) return;
    this.#thread.unref();
    this.#givenUp(this.#ended);
    this.#thread.postMessage({ kind: 'end', number: 0 } satisfies SqliteCall);
    this.#gone('its thread was given up');
  }

  #call(call: Unnumbered<SqliteCall>): Promise<SqliteAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#isGone) return reject(this.#lostError('its thread has ended'));
      this.#lastNumber = (this.#lastNumber % 0x7fffffff) + 1;
      const number = this.#lastNumber;
      this.#calls.set(number, { resolve, reject });
      this.#thread.postMessage({ ...call, number });
    });
  }

  #take(answer: SqliteAnswer): void {
    const waiting = this.#calls.get(answer.number);
    this.#calls.delete(answer.number);
    this.#transaction = answer.transaction;
    this.#residue = answer.residue;
    if (answer.failure === undefined) waiting?.resolve(answer);
    else waiting?.reject(errorOf(answer.failure));
  }

  #gone(reason: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const { reject } of this.#calls.values()) reject(this.#lostError(reason));
    this.#calls.clear();
    this.#lost?.(reason);
    this.#lost = undefined;
  }

  #lostError(reason: string): DataError {
    return new DataError('LUAFCGID_DATA_LOST', { source: this.#source, reason }, { retry: true });
  }
}

function errorOf({ code, values, sqlstate, retry }: Failure): DataError {
  return new DataError(code as ErrorCode, values, { sqlstate, retry });
}
