/**
 * MySQL and MariaDB: connections of the package `mysql2`. Statements with values are always prepared on the server, which
 * binds them; the package could also put values into the text, and is never asked to. Runs in the I/O thread.
 */
import { connect as connectSocket } from 'node:net';
import type { Connection, ConnectionOptions } from 'mysql2';
import { readPassword, tlsOptions } from '../credentials.js';
import { DataError } from '../protocol.js';
import { loadDriver } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import { MysqlCursor } from './mysql-cursor.js';
import { residueOf } from './mysql-residue.js';
import { type Command, isFatal, MysqlTask, type MysqlValues, toParameters } from './mysql-task.js';
import { plainStatement, type Statement } from './placeholders.js';
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

/** Statements that a connection keeps prepared. */
const PREPARED_AT_MOST = 50;
const END_MS = 1000;
/** The server's own limit, in case that this side cannot tell it to stop. */
const NET_MS = 1000;
/** Most values that a message can have. */
const MAX_VALUES = 65_535;
/** A bit of the server's status: a transaction is open. */
const IN_TRANSACTION = 1;

export class MysqlDriver implements SqlDriver {
  readonly dialect = 'mysql';
  readonly versionQuery = 'select version()';
  readonly #source: ResolvedSource;

  constructor(source: ResolvedSource) {
    this.#source = source;
  }

  begin({ isolation, isReadOnly }: TransactionOptions): string[] {
    const start = `start transaction${isReadOnly ? ' read only' : ''}`;
    return isolation === undefined ? [start] : [`set transaction isolation level ${isolation}`, start];
  }

  async connect(lost: (reason: string) => void): Promise<SqlConnection> {
    const source = this.#source;
    const { createConnection, TypedParameter } = await loadDriver(
      'MySQL or MariaDB',
      'mysql2',
      async () => (await import('mysql2')).default,
    );
    const options = await connectionOptions(source);
    const open = (): Promise<Connection> =>
      new Promise((resolve, reject) => {
        const opened = createConnection(options);
        // Without a listener, the error of an idle connection would end the thread.
        opened.on('error', () => {});
        opened.connect((error) => (error ? reject(connectError(source, error)) : resolve(opened)));
      });
    const client = await open();
    const connection = new MysqlConnection(source, client, open, TypedParameter as MysqlValues, lost);
    await connection.prepareSession();
    return connection;
  }
}

async function connectionOptions(source: ResolvedSource): Promise<ConnectionOptions> {
  const { host, port, socket, tls } = source;
  const encryption = await tlsOptions(source);
  return {
    // The package checks the certificate for this name, whatever it is connected to.
    host: tls.serverName ?? host,
    stream: () => (socket === undefined ? connectSocket(port, host) : connectSocket(socket)),
    user: source.user ?? 'root',
    password: await readPassword(source),
    database: source.database,
    connectTimeout: source.connectMs,
    charset: 'utf8mb4',
    // Parsers made as code from what a server says were how others broke in.
    disableEval: true,
    multipleStatements: false,
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
    maxPreparedStatements: PREPARED_AT_MOST,
    // A server could ask for any file.
    flags: ['-LOCAL_FILES'],
    ...(encryption !== false && {
      ssl: {
        ...(encryption.ca !== undefined && { ca: encryption.ca as Buffer }),
        rejectUnauthorized: encryption.rejectUnauthorized === true,
        verifyIdentity: encryption.rejectUnauthorized === true,
      },
    }),
  } as ConnectionOptions;
}

function connectError(
  source: ResolvedSource,
  error: NodeJS.ErrnoException & { readonly sqlState?: string },
): DataError {
  const isLate = error.code === 'ETIMEDOUT' && error.errno === undefined;
  const reason = isLate ? `no answer within ${source.connectMs / 1000} s` : error.message || String(error.code);
  return new DataError(
    'LUAFCGID_DATA_CONNECT',
    { source: source.name, reason },
    { sqlstate: error.sqlState, retry: true },
  );
}

class MysqlConnection implements SqlConnection {
  readonly #source: ResolvedSource;
  readonly #client: Connection;
  readonly #open: () => Promise<Connection>;
  readonly #values: MysqlValues;
  #lost: ((reason: string) => void) | undefined;
  #task: MysqlTask | undefined;
  #cursor: MysqlCursor | undefined;
  #transaction: TransactionState = 'none';
  #residue: Residue = Residue.NONE;
  #lostReason: string | undefined;

  constructor(
    source: ResolvedSource,
    client: Connection,
    open: () => Promise<Connection>,
    values: MysqlValues,
    lost: (reason: string) => void,
  ) {
    this.#source = source;
    this.#client = client;
    this.#open = open;
    this.#values = values;
    this.#lost = lost;
    client.on('error', (error) => this.#gone(error.message));
    client.on('end', () => this.#gone('the server closed the connection'));
    (client as unknown as { stream: NodeJS.EventEmitter }).stream.on('close', () =>
      this.#gone('the connection was closed'),
    );
  }

  get isOpen(): boolean {
    return this.#lostReason === undefined;
  }

  get transaction(): TransactionState {
    return this.#transaction;
  }

  get residue(): Residue {
    return this.#residue;
  }

  /** What holds for the whole session; a reset forgets it. */
  async prepareSession(): Promise<void> {
    const seconds = (this.#source.queryMs + NET_MS) / 1000;
    const isMariaDb = (this.#client as unknown as { _isMariaDB: boolean })._isMariaDB;
    const limit = isMariaDb ? `max_statement_time = ${seconds}` : `max_execution_time = ${Math.round(seconds * 1000)}`;
    await this.#run(plainStatement(`set time_zone = '+00:00', ${limit}`, 'mysql'), undefined);
  }

  async execute(statement: Statement, sink: RowSink | undefined): Promise<Outcome> {
    this.#check(statement);
    this.#residue = Math.max(this.#residue, residueOf(statement.scanned)) as Residue;
    return this.#run(statement, sink);
  }

  async openCursor(statement: Statement): Promise<SqlCursor> {
    this.#check(statement);
    this.#residue = Math.max(this.#residue, residueOf(statement.scanned)) as Residue;
    const cursor = new MysqlCursor(this.#client);
    const task = new MysqlTask(this.#source.name, undefined);
    task.rows = cursor;
    this.#cursor = cursor;
    const ended = this.#start(task, statement);
    cursor.follow(
      ended.finally(() => {
        this.#cursor = undefined;
      }),
    );
    await cursor.begun;
    const close = async (): Promise<void> => {
      if (cursor.hasEnded) return;
      const done = cursor.discard();
      await this.cancel();
      await done;
    };
    const fetch = async (maxRows: number, sink: RowSink): Promise<void> => {
      await cursor.fetch(maxRows, sink);
      if (!sink.isFull) return;
      await close();
      throw new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.#source.name });
    };
    return { fetch, close, abandon: close };
  }

  async cancel(): Promise<void> {
    const other = await this.#open();
    await new Promise<void>((resolve) => other.query(`kill query ${this.#client.threadId}`, () => resolve()));
    await new Promise<void>((resolve) => other.end(() => resolve()));
  }

  async reset(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const { reset } = this.#client as unknown as { reset(done: (error: Error | null) => void): void };
      reset.call(this.#client, (error) => (error === null ? resolve() : reject(error)));
    });
    this.#transaction = 'none';
    await this.prepareSession();
    this.#residue = Residue.NONE;
  }

  async end(): Promise<void> {
    this.#lost = undefined;
    if (this.#lostReason !== undefined) return;
    const timer = setTimeout(() => this.destroy(), END_MS);
    await new Promise<void>((resolve) => {
      this.#client.once('end', resolve);
      (this.#client as unknown as { stream: NodeJS.EventEmitter }).stream.once('close', () => resolve());
      this.#client.end(() => {});
    });
    clearTimeout(timer);
  }

  destroy(): void {
    (this.#client as unknown as { stream: { destroy(): void } }).stream.destroy();
  }

  #check({ scanned, values }: Statement): void {
    const { name } = this.#source;
    if (values.length > MAX_VALUES) {
      const reason = `${values.length} values are more than MySQL takes at once, which is ${MAX_VALUES}`;
      throw new DataError('LUAFCGID_DATA_ARGUMENT', { reason });
    }
    if (scanned.words[0] === 'use') {
      const reason = 'USE is refused: a data source is one database; name another one in the configuration';
      throw new DataError('LUAFCGID_DATA_QUERY', { source: name, reason });
    }
    const fault = (reason: string): DataError => new DataError('LUAFCGID_DATA_TRANSACTION', { source: name, reason });
    if (this.#cursor !== undefined) throw fault('a cursor is open on its connection: read it to its end, or close it');
    if (this.#transaction === 'failed' && scanned.words[0] !== 'rollback') {
      throw fault('the server has rolled it back because of a deadlock');
    }
  }

  #run(statement: Statement, sink: RowSink | undefined): Promise<Outcome> {
    const task = new MysqlTask(this.#source.name, sink);
    task.tooLarge = () => void this.cancel().catch(() => this.destroy());
    return this.#start(task, statement);
  }

  #start(task: MysqlTask, { text, values }: Statement): Promise<Outcome> {
    if (this.#lostReason !== undefined) return Promise.reject(lostError(this.#source, this.#lostReason));
    if (this.#task !== undefined) return Promise.reject(new Error('a statement runs on this connection already'));
    this.#task = task;
    return new Promise((resolve, reject) => {
      task.settle = () => {
        this.#task = undefined;
        const { error } = task;
        if (error === undefined) {
          if (task.serverStatus !== undefined) this.#transaction = task.serverStatus & IN_TRANSACTION ? 'open' : 'none';
          return resolve(task.outcome);
        }
        // After a deadlock the server has ended the transaction: what came next would not be in one.
        if (task.isRolledBack && this.#transaction === 'open') this.#transaction = 'failed';
        if (isFatal(task.cause)) return this.#gone(task.cause?.message ?? 'it failed', reject);
        reject(error);
      };
      const command =
        values.length === 0
          ? this.#client.query({ sql: text })
          : this.#client.execute({ sql: text, values: toParameters(values, this.#values) as string[] });
      task.follow(command as unknown as Command);
    });
  }

  #gone(reason: string, reject?: (error: Error) => void): void {
    this.#lostReason ??= reason;
    reject?.(lostError(this.#source, reason));
    this.destroy();
    const task = this.#task;
    this.#task = undefined;
    task?.fail(lostError(this.#source, reason));
    this.#lost?.(reason);
    this.#lost = undefined;
  }
}

function lostError(source: ResolvedSource, reason: string): DataError {
  return new DataError('LUAFCGID_DATA_LOST', { source: source.name, reason }, { retry: true });
}
