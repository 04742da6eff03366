/**
 * A database as scripts use it: each operation gets a connection of the pool for as long as it takes, a transaction and a
 * cursor keep theirs, and whatever a run has is taken back when the run ends. Runs in the I/O thread.
 */
import { LuafcgidError } from '../../base/errors.js';
import { systemClock } from '../clock.js';
import { Pool } from '../pool/pool.js';
import { refusalError } from '../pool/refusals.js';
import { Action, DataError } from '../protocol.js';
import type { Operation, Run, Source, SourceStatus } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import { type Value, type ValueMap, ValueReader, ValueWriter } from '../values.js';
import { bind, plainStatement, type Statement } from './placeholders.js';
import { type ScannedStatement, scan } from './scanner.js';
import { Session } from './session.js';
import {
  ISOLATION_LEVELS,
  type Outcome,
  Residue,
  RowSink,
  type SqlConnection,
  type SqlCursor,
  type SqlDriver,
} from './sql.js';

/** Texts that were looked through, of which the result is kept. */
const SCANNED_AT_MOST = 500;
const MAX_AGE_MS = 3_600_000;
const NOTHING = nil();

/** What a handle stands for. */
interface Held {
  readonly run: Run;
  readonly session: Session;
  /** undefined: a transaction. */
  readonly cursor: SqlCursor | undefined;
  /** Whether the session is the transaction's, so that it outlives the cursor. */
  readonly isShared: boolean;
  readonly release: () => void;
}

type Log = (level: 'info' | 'warn' | 'error', text: string) => void;

export class SqlSource implements Source {
  readonly name: string;
  readonly #settings: ResolvedSource;
  readonly #driver: SqlDriver;
  readonly #log: Log;
  readonly #pool: Pool<SqlConnection>;
  readonly #held = new Map<number, Held>();
  /** Sessions that their runs keep, since they have left something on them that counts. */
  readonly #kept = new Map<Run, Session>();
  readonly #scanned = new Map<string, ScannedStatement>();
  #lastHandle = 0;

  constructor(settings: ResolvedSource, driver: SqlDriver, log: Log) {
    this.name = settings.name;
    this.#settings = settings;
    this.#driver = driver;
    this.#log = log;
    this.#pool = new Pool<SqlConnection>(
      { ...settings, maxAgeMs: MAX_AGE_MS },
      { connect: (opened, failed) => void this.#connect(opened, failed), close: closeConnection },
      systemClock,
    );
  }

  start(operation: Operation): void {
    this.#perform(operation).then(
      (result) => operation.done(result),
      (error) => operation.fail(error),
    );
  }

  status(): SourceStatus {
    const { open, busy, waiting, down } = this.#pool;
    return { name: this.name, kind: this.#settings.kind, open, busy, waiting, down: down?.message };
  }

  async probe(): Promise<string> {
    const connection = await this.#driver.connect(() => {});
    try {
      const sink = new RowSink(new ValueWriter(), this.#settings.maxResultBytes);
      await connection.execute(plainStatement(this.#driver.versionQuery, this.#driver.dialect), sink);
      const rows = new ValueReader(sink.finish()).read() as { readonly rows: readonly (readonly Value[])[] };
      return String(rows.rows[0]?.[0]);
    } finally {
      await connection.end();
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #connect(opened: (connection: SqlConnection) => void, failed: (error: Error) => void): Promise<void> {
    let connection: SqlConnection | undefined;
    try {
      connection = await this.#driver.connect((reason) => {
        if (connection === undefined) return;
        this.#log('warn', `data source ${this.name}: a connection was lost: ${reason}`);
        this.#pool.lost(connection);
      });
    } catch (error) {
      return failed(error as Error);
    }
    opened(connection);
  }

  #perform(operation: Operation): Promise<Uint8Array> {
    switch (operation.action) {
      case Action.QUERY:
        return this.#execute(operation, true);
      case Action.EXECUTE:
        return this.#execute(operation, false);
      case Action.BEGIN:
        return this.#begin(operation);
      case Action.COMMIT:
        return this.#commit(operation);
      case Action.ROLLBACK:
        return this.#rollback(operation);
      case Action.SAVEPOINT:
        return this.#savepoint(operation, 'savepoint');
      case Action.RELEASE:
        return this.#savepoint(operation, 'release savepoint');
      case Action.ROLLBACK_TO:
        return this.#savepoint(operation, 'rollback to savepoint');
      case Action.OPEN_CURSOR:
        return this.#openCursor(operation);
      case Action.FETCH:
        return this.#fetch(operation);
      case Action.CLOSE_CURSOR:
        return this.#closeCursor(operation);
      default:
        return Promise.reject(
          new LuafcgidError('LUAFCGID_DATA_ACTION', { source: this.name, action: operation.action }),
        );
    }
  }

  async #execute(operation: Operation, wantsRows: boolean): Promise<Uint8Array> {
    const statement = this.#statement(operation);
    const sink = wantsRows ? new RowSink(new ValueWriter(), this.#settings.maxResultBytes) : undefined;
    const execute = (session: Session): Promise<Outcome> => this.#executeIn(session, operation, statement, sink);
    const outcome =
      operation.handle === 0
        ? await this.#withSession(operation, execute)
        : await execute(this.#transactionOf(operation).session);
    return sink?.finish() ?? encodeOutcome(outcome);
  }

  async #executeIn(
    session: Session,
    operation: Operation,
    statement: Statement,
    sink: RowSink | undefined,
  ): Promise<Outcome> {
    const { connection } = session;
    return session.run(this.#limitMs(operation), true, async () => {
      const before = connection.transaction;
      const outcome = await connection.execute(statement, sink);
      // A transaction begins and ends by the operations for that only: else it could outlive the run, or end too early.
      if (before === 'none' && connection.transaction !== 'none') {
        await connection.execute(plainStatement('rollback', this.#driver.dialect), undefined);
        throw this.#transactionFault('the statement began a transaction, which was rolled back');
      }
      if (before !== 'none' && connection.transaction === 'none') {
        throw this.#transactionFault('the statement ended the transaction that it was in');
      }
      return outcome;
    });
  }

  /** Runs something on a connection that is the run's for as long as that takes. */
  async #withSession<Result>(operation: Operation, use: (session: Session) => Promise<Result>): Promise<Result> {
    const { run } = operation;
    const kept = this.#kept.get(run);
    if (kept !== undefined) return use(kept);
    const session = await this.#acquire(operation);
    const hold = { release: () => void session.end() };
    run.add(hold);
    try {
      return await use(session);
    } finally {
      const isKept = session.connection.residue === Residue.SESSION && !run.isOver && !this.#kept.has(run);
      if (isKept) this.#keep(run, session, hold);
      else {
        run.remove(hold);
        void session.end();
      }
    }
  }

  /** The run has made a setting, a temporary table or a lock: the connection stays its own until it ends. */
  #keep(run: Run, session: Session, hold: { release(): void }): void {
    this.#kept.set(run, session);
    run.remove(hold);
    run.add({
      release: () => {
        this.#kept.delete(run);
        void session.end();
      },
    });
  }

  async #begin(operation: Operation): Promise<Uint8Array> {
    const [given] = readAll(operation.body) as [ValueMap | undefined];
    const isolation = textOf(given?.get('isolation'))?.toLowerCase();
    if (isolation !== undefined && !ISOLATION_LEVELS.includes(isolation)) {
      const reason = `isolation is "${isolation}", not one of ${ISOLATION_LEVELS.join(', ')}`;
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason });
    }
    const { run } = operation;
    const session = await this.#acquire(operation);
    const handle = this.#hold(run, session, undefined, false);
    const texts = this.#driver.begin({ isolation, isReadOnly: given?.get('readonly') === true });
    try {
      await session.run(this.#limitMs(operation), true, async () => {
        for (const text of texts)
          await session.connection.execute(plainStatement(text, this.#driver.dialect), undefined);
      });
    } catch (error) {
      this.#end(handle);
      throw error;
    }
    return integer(handle);
  }

  async #commit(operation: Operation): Promise<Uint8Array> {
    const held = this.#transactionOf(operation);
    const { session, run } = held;
    const { connection } = session;
    let tag: string | undefined;
    try {
      const commit = plainStatement('commit', this.#driver.dialect);
      await this.#unlessLate(
        operation,
        held,
        session.run(0, false, async () => {
          if (connection.transaction === 'failed')
            throw this.#transactionFault('it was rolled back, since a statement in it had failed');
          ({ tag } = await connection.execute(commit, undefined));
        }),
      );
    } catch (error) {
      if (!(error instanceof DataError) || error.code !== 'LUAFCGID_DATA_LOST') throw error;
      const reason = String(error.values.reason);
      if (run.isOver) this.#log('warn', `data source ${this.name}: the outcome of a COMMIT is not known: ${reason}`);
      throw new DataError('LUAFCGID_DATA_COMMIT_UNKNOWN', { source: this.name, reason }, {}, error);
    } finally {
      this.#end(operation.handle);
    }
    if (tag === 'ROLLBACK') throw this.#transactionFault('it was rolled back, since a statement in it had failed');
    return NOTHING;
  }

  /** Waits for a COMMIT, but not longer than for a query. It goes on by itself, and the log tells how it ended. */
  #unlessLate(operation: Operation, { run }: Held, commit: Promise<void>): Promise<void> {
    const limitMs = this.#limitMs(operation);
    return new Promise((resolve, reject) => {
      let isLate = false;
      const late = setTimeout(() => {
        isLate = true;
        reject(
          new DataError('LUAFCGID_DATA_LOST', { source: this.name, reason: `no answer within ${limitMs / 1000} s` }),
        );
      }, limitMs);
      const tell = (how: string): void => {
        if (isLate || run.isOver) this.#log('warn', `data source ${this.name}: a COMMIT that nobody waited for ${how}`);
      };
      commit.then(
        () => {
          clearTimeout(late);
          tell('has succeeded');
          resolve();
        },
        (error) => {
          clearTimeout(late);
          tell(`has failed: ${(error as Error).message}`);
          reject(error);
        },
      );
    });
  }

  async #rollback(operation: Operation): Promise<Uint8Array> {
    const { session } = this.#transactionOf(operation);
    try {
      await session.run(this.#limitMs(operation), true, async () => {
        if (session.connection.transaction === 'none') return;
        await session.connection.execute(plainStatement('rollback', this.#driver.dialect), undefined);
      });
    } finally {
      this.#end(operation.handle);
    }
    return NOTHING;
  }

  async #savepoint(operation: Operation, command: string): Promise<Uint8Array> {
    const name = textOf(readAll(operation.body)[0]) ?? '';
    if (!/^[a-z]\w{0,30}$/i.test(name)) {
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: 'the name of a savepoint is letters and digits' });
    }
    const { session } = this.#transactionOf(operation);
    const statement = plainStatement(`${command} ${name}`, this.#driver.dialect);
    await session.run(this.#limitMs(operation), true, () => session.connection.execute(statement, undefined));
    return NOTHING;
  }

  async #openCursor(operation: Operation): Promise<Uint8Array> {
    const statement = this.#statement(operation);
    const { run } = operation;
    const isShared = operation.handle !== 0;
    const session = isShared ? this.#transactionOf(operation).session : await this.#acquire(operation);
    const hold = { release: () => void session.end() };
    if (!isShared) run.add(hold);
    try {
      const cursor = await session.run(this.#limitMs(operation), true, () => session.connection.openCursor(statement));
      return integer(this.#hold(run, session, cursor, isShared));
    } catch (error) {
      if (!isShared) void session.end();
      throw error;
    } finally {
      run.remove(hold);
    }
  }

  async #fetch(operation: Operation): Promise<Uint8Array> {
    const { cursor, session } = this.#cursorOf(operation);
    const maxRows = Number(readAll(operation.body)[0]);
    if (!(maxRows >= 1))
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: 'a cursor fetches at least one row' });
    const sink = new RowSink(new ValueWriter(), this.#settings.maxResultBytes);
    try {
      await session.run(this.#limitMs(operation), true, () => cursor.fetch(maxRows, sink));
    } catch (error) {
      this.#end(operation.handle);
      throw error;
    }
    if (sink.count < maxRows) await this.#closeCursor(operation);
    return sink.finish();
  }

  async #closeCursor(operation: Operation): Promise<Uint8Array> {
    if (!this.#held.has(operation.handle)) return NOTHING;
    const { cursor, session } = this.#cursorOf(operation);
    try {
      await session.run(this.#limitMs(operation), true, () => cursor.close());
    } finally {
      this.#end(operation.handle);
    }
    return NOTHING;
  }

  /** A connection of the pool, when there is one. */
  #acquire({ run, script, limitMs }: Operation): Promise<Session> {
    return new Promise((resolve, reject) => {
      let giveUp = (): void => {};
      const hold = {
        release: () => {
          giveUp();
          reject(new LuafcgidError('LUAFCGID_DATA_RUN_OVER'));
        },
      };
      run.add(hold);
      giveUp = this.#pool.acquire({
        script,
        limitMs,
        got: (connection) => {
          run.remove(hold);
          const session = new Session(this.name, connection, this.#driver, this.#pool);
          // The run has ended between two lines.
          if (run.isOver) void session.end();
          else resolve(session);
        },
        refused: (refusal) => {
          run.remove(hold);
          reject(refusalError(this.#settings, refusal));
        },
      });
      if (run.isOver) giveUp();
    });
  }

  #hold(run: Run, session: Session, cursor: SqlCursor | undefined, isShared: boolean): number {
    this.#lastHandle = (this.#lastHandle % 0x7fffffff) + 1;
    const handle = this.#lastHandle;
    const hold = { release: () => this.#end(handle) };
    this.#held.set(handle, { run, session, cursor, isShared, release: () => run.remove(hold) });
    run.add(hold);
    return handle;
  }

  /** A transaction or cursor is no more. */
  #end(handle: number): void {
    const held = this.#held.get(handle);
    if (held === undefined) return;
    this.#held.delete(handle);
    held.release();
    if (!held.isShared) void held.session.end();
  }

  #transactionOf({ handle, run }: Operation): Held {
    const held = this.#held.get(handle);
    if (held === undefined || held.run !== run || held.cursor !== undefined) {
      throw this.#transactionFault('it is over: it was ended, or its connection was lost');
    }
    return held;
  }

  #cursorOf({ handle, run }: Operation): Held & { readonly cursor: SqlCursor } {
    const held = this.#held.get(handle);
    if (held?.cursor === undefined || held.run !== run)
      throw new DataError('LUAFCGID_DATA_CURSOR', { source: this.name });
    return held as Held & { readonly cursor: SqlCursor };
  }

  #statement({ body }: Operation): Statement {
    const [text, given = []] = readAll(body);
    if (!Buffer.isBuffer(text))
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: 'the statement is no string' });
    const { dialect } = this.#driver;
    return bind(this.#scan(text.toString('utf8')), dialect, given as readonly Value[] | ValueMap);
  }

  #scan(text: string): ScannedStatement {
    let scanned = this.#scanned.get(text);
    if (scanned === undefined) scanned = scan(text, this.#driver.dialect);
    else this.#scanned.delete(text);
    this.#scanned.set(text, scanned);
    if (this.#scanned.size > SCANNED_AT_MOST)
      for (const oldest of this.#scanned.keys()) {
        this.#scanned.delete(oldest);
        break;
      }
    return scanned;
  }

  #limitMs({ limitMs }: Operation): number {
    const { queryMs } = this.#settings;
    return limitMs > 0 ? Math.min(limitMs, queryMs) : queryMs;
  }

  #transactionFault(reason: string): DataError {
    return new DataError('LUAFCGID_DATA_TRANSACTION', { source: this.name, reason });
  }
}

function closeConnection(connection: SqlConnection, closed: () => void): void {
  void connection.end().finally(closed);
}

function readAll(body: Uint8Array): Value[] {
  const reader = new ValueReader(body);
  const values: Value[] = [];
  while (reader.hasMore) values.push(reader.read());
  return values;
}

function textOf(value: Value): string | undefined {
  return Buffer.isBuffer(value) ? value.toString('utf8') : undefined;
}

function nil(): Uint8Array {
  const writer = new ValueWriter();
  writer.nil();
  return writer.take();
}

function integer(value: number): Uint8Array {
  const writer = new ValueWriter();
  writer.number(value);
  return writer.take();
}

/** `affected` and `insert_id`, where there are such. */
function encodeOutcome({ affected, insertId }: Outcome): Uint8Array {
  const writer = new ValueWriter();
  writer.map(Number(affected !== undefined) + Number(insertId !== undefined));
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
