/**
 * PostgreSQL: connections by the `Client` of the package `pg`, of which connecting, TLS and the messages of the protocol are
 * used. Statements are sent here, always in the extended protocol, which takes one statement and binds its values. Runs in
 * the I/O thread.
 */
import type { Client, QueryArrayConfig } from 'pg';
import { readPassword, tlsOptions } from '../credentials.js';
import { DataError } from '../protocol.js';
import { resumeReading, stopReading } from '../socket-handle.js';
import { loadDriver } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import { plainStatement, type Statement } from './placeholders.js';
import { sendCancelRequest } from './postgres-cancel.js';
import { lostError, staleness } from './postgres-outcome.js';
import { residueOf } from './postgres-residue.js';
import { isServerError, type Message, PostgresTask, type Wire } from './postgres-task.js';
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
/** Texts of which it is remembered that they were run: the second time they are prepared. */
const REMEMBERED_AT_MOST = 500;
/** The server's own limit, in case that this side cannot tell it to stop. */
const NET_MS = 1000;
const END_MS = 1000;
/** Most values that a message can have. */
const MAX_VALUES = 65_535;

const RESET_ALL = 'discard all';
/** The same without what only `PREPARE` could have made: prepared statements stay. */
const RESET_PERHAPS = `set session authorization default; reset all; close all; unlisten *;
  select pg_advisory_unlock_all(); discard temp; discard sequences`;

export class PostgresDriver implements SqlDriver {
  readonly dialect = 'postgres';
  readonly versionQuery = 'show server_version';
  /** Encrypted connections have keys that only this thread has. */
  readonly lends: boolean;
  readonly #source: ResolvedSource;

  constructor(source: ResolvedSource) {
    this.#source = source;
    this.lends = source.tls.mode === 'off';
  }

  begin({ isolation, isReadOnly }: TransactionOptions): string[] {
    return [`begin${isolation === undefined ? '' : ` isolation level ${isolation}`}${isReadOnly ? ' read only' : ''}`];
  }

  async connect(lost: (reason: string) => void): Promise<SqlConnection> {
    const source = this.#source;
    const { Client } = (await loadDriver('PostgreSQL', 'pg', () => import('pg'))).default;
    const password = await readPassword(source);
    const client = new Client({
      host: source.socket ?? source.host,
      port: source.port,
      user: source.user ?? 'postgres',
      database: source.database,
      // Without a password the package would look for one in files and variables of its own.
      password: () => password ?? '',
      ssl: await tlsOptions(source),
      connectionTimeoutMillis: source.connectMs,
      keepAlive: true,
      application_name: 'luafcgid',
      statement_timeout: source.queryMs + NET_MS,
      // A time with a zone is told in UTC, and dates as ISO 8601 has them, whatever the server is set to.
      options: '-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex',
    });
    const connection = new PostgresConnection(source, client, lost);
    try {
      await client.connect();
    } catch (error) {
      connection.destroy();
      throw connectError(source, error);
    }
    return connection;
  }
}

function connectError(source: ResolvedSource, error: unknown): DataError {
  const { message, code } = error as NodeJS.ErrnoException;
  const isServers = isServerError(error);
  const reason =
    message === 'timeout expired' ? `no answer within ${source.connectMs / 1000} s` : message || String(code);
  const values = { source: source.name, reason: isServers ? `${reason} (${code})` : reason };
  return new DataError('LUAFCGID_DATA_CONNECT', values, { sqlstate: isServers ? code : undefined, retry: true });
}

interface Prepared {
  readonly name: string;
  /** The types of its parameters, once they were asked for. */
  types: readonly number[] | undefined;
}

/** What the types of the package leave out. */
type PostgresClient = Omit<Client, 'connection'> & {
  readonly connection: Wire;
  readonly processID: number;
  readonly secretKey: number;
};

class PostgresConnection implements SqlConnection {
  readonly #source: ResolvedSource;
  readonly #client: PostgresClient;
  #lost: ((reason: string) => void) | undefined;
  #task: PostgresTask | undefined;
  #transaction: TransactionState = 'none';
  #residue: Residue = Residue.NONE;
  readonly #prepared = new Map<string, Prepared>();
  readonly #seen = new Set<string>();
  #lastName = 0;
  #isLost = false;
  #mayBeCancelled = false;

  constructor(source: ResolvedSource, client: Client, lost: (reason: string) => void) {
    this.#source = source;
    this.#client = client as unknown as PostgresClient;
    this.#lost = lost;
    // Without a listener, the error of an idle connection would end the thread.
    client.on('error', (error) => this.#gone(error.message));
    client.on('end', () => this.#gone('the server closed the connection'));
    const { connection } = this.#client;
    connection.on('readyForQuery', (message: Message) => this.#ready(message.status ?? 'I'));
    client.once('connect', () => this.#watchSize());
    connection.on('parameterDescription', (message: Message) => this.#task?.parameters(message.dataTypeIDs ?? []));
  }

  get isOpen(): boolean {
    return !this.#isLost;
  }

  get transaction(): TransactionState {
    return this.#transaction;
  }

  get mayBeCancelled(): boolean {
    return this.#mayBeCancelled;
  }

  get residue(): Residue {
    return this.#residue;
  }

  async execute(statement: Statement, sink: RowSink | undefined): Promise<Outcome> {
    if (statement.values.length > MAX_VALUES) {
      const reason = `${statement.values.length} values are more than PostgreSQL takes at once, which is ${MAX_VALUES}`;
      throw new DataError('LUAFCGID_DATA_ARGUMENT', { reason });
    }
    this.#residue = Math.max(this.#residue, residueOf(statement.scanned)) as Residue;
    const prepared = await this.#prepare(statement);
    const task = new PostgresTask(this.#source.name, statement, sink, prepared?.types);
    task.tooLarge = () => {
      this.#mayBeCancelled = true;
      void this.cancel();
    };
    task.send = (wire) => task.sendWhole(wire, prepared?.name);
    try {
      return await this.#run(task);
    } catch (error) {
      if (prepared !== undefined && this.#forgetStale(error, statement)) return this.execute(statement, sink);
      throw error;
    }
  }

  async openCursor(statement: Statement): Promise<SqlCursor> {
    const own = this.#transaction === 'none';
    if (own) await this.#plain('begin');
    this.#residue = Math.max(this.#residue, residueOf(statement.scanned)) as Residue;
    this.#lastName += 1;
    const portal = `c${this.#lastName}`;
    const task = new PostgresTask(this.#source.name, statement, undefined, undefined);
    task.send = (wire) => task.sendOpen(wire, portal);
    await this.#run(task);
    return {
      fetch: async (maxRows, sink) => {
        const fetching = new PostgresTask(this.#source.name, statement, sink, undefined);
        fetching.columns = task.columns;
        fetching.send = (wire) => fetching.sendFetch(wire, portal, maxRows);
        await this.#run(fetching);
      },
      close: async () => {
        const closing = new PostgresTask(this.#source.name, statement, undefined, undefined);
        closing.send = (wire) => closing.sendClose(wire, 'P', portal);
        await this.#run(closing);
        if (own) await this.#plain('commit');
      },
      // It ends with its transaction.
      abandon: async () => {},
    };
  }

  async cancel(): Promise<void> {
    const { processID, secretKey } = this.#client;
    await sendCancelRequest(this.#source, await tlsOptions(this.#source), processID, secretKey);
  }

  async reset(): Promise<void> {
    if (this.#residue === Residue.PERHAPS) {
      const task = new PostgresTask(this.#source.name, plainStatement('', 'postgres'), undefined, undefined);
      // Several statements in one message: the only use of the simple protocol, with a text of our own.
      task.send = (wire) => wire.query(RESET_PERHAPS);
      await this.#run(task);
    } else {
      await this.#plain(RESET_ALL);
      this.#prepared.clear();
    }
    this.#residue = Residue.NONE;
  }

  lend(): number | undefined {
    const isAtRest = this.#task === undefined && this.#transaction === 'none' && this.#residue === Residue.NONE;
    if (!isAtRest || this.#isLost) return undefined;
    return stopReading(this.#client.connection.stream)?.fd;
  }

  async takeBack(): Promise<void> {
    resumeReading(this.#client.connection.stream);
    // What the other thread has prepared is of no use to this one.
    await this.#plain('deallocate all');
    this.#prepared.clear();
  }

  async end(): Promise<void> {
    this.#lost = undefined;
    if (this.#isLost) return;
    const timer = setTimeout(() => this.destroy(), END_MS);
    await this.#client.end().catch(() => {});
    clearTimeout(timer);
  }

  destroy(): void {
    this.#client.connection.stream.destroy();
  }

  /** Runs a statement of our own, which leaves nothing behind. */
  async #plain(text: string): Promise<void> {
    const task = new PostgresTask(this.#source.name, plainStatement(text, 'postgres'), undefined, undefined);
    task.send = (wire) => task.sendWhole(wire, undefined);
    await this.#run(task);
  }

  /** A statement that is run for the second time is prepared, and one whose values could be misread without types. */
  async #prepare(statement: Statement): Promise<Prepared | undefined> {
    const { text } = statement;
    let prepared = this.#prepared.get(text);
    // The text of a bytea has backslashes with a meaning of their own: whether a string is meant for one has to be known.
    const needsTypes = statement.values.some((value) => Buffer.isBuffer(value) && value.includes(0x5c));
    if (prepared === undefined) {
      if (!needsTypes && !this.#seen.has(text)) {
        this.#seen.add(text);
        if (this.#seen.size > REMEMBERED_AT_MOST) this.#seen.delete(first(this.#seen));
        return undefined;
      }
      this.#lastName += 1;
      prepared = { name: `s${this.#lastName}`, types: undefined };
      const task = new PostgresTask(this.#source.name, statement, undefined, undefined);
      const { name } = prepared;
      task.send = (wire) => task.sendPrepare(wire, name);
      await this.#run(task);
      prepared.types = task.types;
    }
    this.#prepared.delete(text);
    this.#prepared.set(text, prepared);
    if (this.#prepared.size > PREPARED_AT_MOST) await this.#unprepare(first(this.#prepared.keys()));
    return prepared;
  }

  async #unprepare(text: string): Promise<void> {
    const prepared = this.#prepared.get(text);
    this.#prepared.delete(text);
    if (prepared === undefined) return;
    const task = new PostgresTask(this.#source.name, plainStatement('', 'postgres'), undefined, undefined);
    task.send = (wire) => task.sendClose(wire, 'S', prepared.name);
    await this.#run(task);
  }

  /** Whether a prepared statement is to be made again: its tables have changed, or the server has forgotten it. */
  #forgetStale(error: unknown, { text }: Statement): boolean {
    const why = this.#transaction === 'none' ? staleness(error) : undefined;
    if (why === undefined) return false;
    if (why === 'forgotten') this.#prepared.clear();
    // A new name: the old one may still stand for the old statement.
    else this.#prepared.delete(text);
    return true;
  }

  #run(task: PostgresTask): Promise<Outcome> {
    if (this.#isLost) return Promise.reject(lostError(this.#source.name, undefined, 'it was closed'));
    if (this.#task !== undefined) return Promise.reject(new Error('a statement runs on this connection already'));
    this.#task = task;
    return new Promise((resolve, reject) => {
      task.settle = (error) => (error === undefined ? resolve(task.outcome) : reject(error));
      this.#client.query(task as unknown as QueryArrayConfig);
    });
  }

  /** The package keeps a row until it is whole: one that is larger than all rows may be must not fill the memory. */
  #watchSize(): void {
    this.#client.connection.stream.on('data', (bytes: Buffer) => {
      if (this.#task?.noteBytes(bytes.length) !== true) return;
      this.#task.error = new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.#source.name });
      this.#gone('a row was larger than maxresult');
    });
  }

  #ready(status: string): void {
    this.#transaction = status === 'I' ? 'none' : status === 'T' ? 'open' : 'failed';
    const task = this.#task;
    this.#task = undefined;
    if (task?.wasCanceled === true) this.#mayBeCancelled = false;
    task?.settle(task.error);
  }

  #gone(reason: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const task = this.#task;
    this.#task = undefined;
    this.#client.connection.stream.destroy();
    const isTooLarge = task?.error instanceof DataError && task.error.code === 'LUAFCGID_DATA_RESULT_SIZE';
    task?.settle(isTooLarge ? task.error : lostError(this.#source.name, task.error, reason));
    this.#lost?.(reason);
    this.#lost = undefined;
  }
}

function first<Item>(items: Iterable<Item>): Item {
  for (const item of items) return item;
  throw new Error('there is none');
}
