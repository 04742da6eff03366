/**
 * A database as scripts use it: each operation gets a connection of the pool for as long as it takes, a transaction and a
 * cursor keep theirs, and whatever a run has is taken back when the run ends. Runs in the I/O thread.
 */
import { LuafcgidError } from '../../base/errors.js';
import { systemClock } from '../clock.js';
import type { SourceLoans } from '../lending/source-loans.js';
import { Pool } from '../pool/pool.js';
import { refusalError } from '../pool/refusals.js';
import { Action, DataError } from '../protocol.js';
import type { Log, Operation, Run, Source, SourceStatus } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import { type Value, type ValueMap, ValueReader, ValueWriter } from '../values.js';
import { commit } from './commit.js';
import { Handles, HeldByRuns } from './held.js';
import { lendSql } from './lent-sql.js';
import { plainStatement, type Statement } from './placeholders.js';
import { Session } from './session.js';
import { ISOLATION_LEVELS, type Outcome, Residue, RowSink, type SqlConnection, type SqlDriver } from './sql.js';
import { encodeOutcome, integer, NOTHING, readAll, textOf } from './sql-encoding.js';
import { Statements } from './statements.js';

const MAX_AGE_MS = 3_600_000;

export class SqlSource implements Source {
  readonly name: string;
  readonly #settings: ResolvedSource;
  readonly #driver: SqlDriver;
  readonly #log: Log;
  readonly #pool: Pool<SqlConnection>;
  readonly #held: HeldByRuns;
  /** Sessions that their runs keep, since they have left something on them that counts. */
  readonly #kept = new Map<Run, Session>();
  readonly #statements: Statements;
  /** Left out where no connections are lent. */
  readonly lending: SourceLoans | undefined;

  constructor(settings: ResolvedSource, driver: SqlDriver, log: Log, handles = new Handles()) {
    this.#held = new HeldByRuns(settings.name, handles);
    this.name = settings.name;
    this.#settings = settings;
    this.#driver = driver;
    this.#statements = new Statements(driver.dialect);
    this.#log = log;
    this.#pool = new Pool<SqlConnection>(
      { ...settings, maxAgeMs: MAX_AGE_MS, waitingElsewhere: () => this.lending?.counts.inWorkers() ?? 0 },
      {
        connect: (opened, failed) => void this.#connect(opened, failed),
        close: closeConnection,
        waitingChanged: () => this.lending?.noteWaiting(),
      },
      systemClock,
    );
    if (driver.lends === true)
      this.lending = lendSql(this.#pool, (connection, reason) => this.#lost(connection, reason));
  }

  /** Whether the transaction or cursor is one of this source. */
  owns(handle: number): boolean {
    return this.#held.has(handle);
  }

  /** Whether the run has left something on a connection, which it keeps therefore. */
  keeps(run: Run): boolean {
    return this.#kept.has(run);
  }

  start(operation: Operation): void {
    this.#perform(operation).then(
      (result) => operation.done(result),
      (error) => operation.fail(error),
    );
  }

  status(): SourceStatus {
    const { open, down } = this.#pool;
    const busy = this.#pool.busy - (this.lending?.unused ?? 0);
    const waiting = this.#pool.waiting + (this.lending?.counts.inWorkers() ?? 0);
    const { kind, connections, queue } = this.#settings;
    return { name: this.name, kind, open, busy, waiting, connections, queue, down: down?.message };
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
    this.lending?.close();
    await this.#pool.close();
  }

  async #connect(opened: (connection: SqlConnection) => void, failed: (error: Error) => void): Promise<void> {
    let connection: SqlConnection | undefined;
    try {
      connection = await this.#driver.connect((reason) => {
        if (connection !== undefined) this.#lost(connection, reason);
      });
    } catch (error) {
      return failed(error as Error);
    }
    opened(connection);
  }

  #lost(connection: SqlConnection, reason: string): void {
    this.#log('warn', `data source ${this.name}: a connection was lost: ${reason}`);
    this.#pool.lost(connection);
  }

  #perform(operation: Operation): Promise<Uint8Array> {
    switch (operation.action) {
      case Action.QUERY:
        return this.#execute(operation, true);
      case Action.EXECUTE:
        return this.#execute(operation, false);
      case Action.RUN:
        return this.#runAny(operation);
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
    const sink = wantsRows ? new RowSink(new ValueWriter(), this.#settings.maxResultBytes) : undefined;
    const outcome = await this.#outcome(operation, sink);
    return sink?.finish() ?? encodeOutcome(outcome);
  }

  /** Rows and outcome. */
  async #runAny(operation: Operation): Promise<Uint8Array> {
    const sink = new RowSink(new ValueWriter(), this.#settings.maxResultBytes);
    const outcome = await this.#outcome(operation, sink);
    return encodeOutcome(outcome, sink.finish());
  }

  async #outcome(operation: Operation, sink: RowSink | undefined): Promise<Outcome> {
    const statement = this.statement(operation);
    const execute = (session: Session): Promise<Outcome> => this.#executeIn(session, operation, statement, sink);
    return operation.handle === 0
      ? this.#withSession(operation, execute)
      : execute(this.#held.transactionOf(operation).session);
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
    const handle = this.#held.add(run, session, undefined, false);
    const texts = this.#driver.begin({ isolation, isReadOnly: given?.get('readonly') === true });
    try {
      await session.run(this.#limitMs(operation), true, async () => {
        for (const text of texts)
          await session.connection.execute(plainStatement(text, this.#driver.dialect), undefined);
      });
    } catch (error) {
      this.#held.end(handle);
      throw error;
    }
    return integer(handle);
  }

  async #commit(operation: Operation): Promise<Uint8Array> {
    const { session, run } = this.#held.transactionOf(operation);
    try {
      await commit({
        source: this.name,
        session,
        dialect: this.#driver.dialect,
        limitMs: this.#limitMs(operation),
        isAwaited: () => !run.isOver,
        log: this.#log,
      });
    } finally {
      this.#held.end(operation.handle);
    }
    return NOTHING;
  }

  async #rollback(operation: Operation): Promise<Uint8Array> {
    const { session } = this.#held.transactionOf(operation);
    try {
      await session.run(this.#limitMs(operation), true, async () => {
        if (session.connection.transaction === 'none') return;
        await session.connection.execute(plainStatement('rollback', this.#driver.dialect), undefined);
      });
    } finally {
      this.#held.end(operation.handle);
    }
    return NOTHING;
  }

  async #savepoint(operation: Operation, command: string): Promise<Uint8Array> {
    const name = textOf(readAll(operation.body)[0]) ?? '';
    if (!/^[a-z]\w{0,30}$/i.test(name)) {
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: 'the name of a savepoint is letters and digits' });
    }
    const { session } = this.#held.transactionOf(operation);
    const statement = plainStatement(`${command} ${name}`, this.#driver.dialect);
    await session.run(this.#limitMs(operation), true, () => session.connection.execute(statement, undefined));
    return NOTHING;
  }

  async #openCursor(operation: Operation): Promise<Uint8Array> {
    const statement = this.statement(operation);
    const { run } = operation;
    const isShared = operation.handle !== 0;
    const session = isShared ? this.#held.transactionOf(operation).session : await this.#acquire(operation);
    const hold = { release: () => void session.end() };
    if (!isShared) run.add(hold);
    try {
      const cursor = await session.run(this.#limitMs(operation), true, () => session.connection.openCursor(statement));
      session.cursors.add(cursor);
      return integer(this.#held.add(run, session, cursor, isShared));
    } catch (error) {
      if (!isShared) void session.end();
      throw error;
    } finally {
      run.remove(hold);
    }
  }

  async #fetch(operation: Operation): Promise<Uint8Array> {
    const { cursor, session } = this.#held.cursorOf(operation);
    const maxRows = Number(readAll(operation.body)[0]);
    if (!(maxRows >= 1))
      throw new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason: 'a cursor fetches at least one row' });
    const sink = new RowSink(new ValueWriter(), this.#settings.maxResultBytes);
    try {
      await session.run(this.#limitMs(operation), true, () => cursor.fetch(maxRows, sink));
    } catch (error) {
      this.#held.end(operation.handle);
      throw error;
    }
    if (sink.count < maxRows) await this.#closeCursor(operation);
    return sink.finish();
  }

  async #closeCursor(operation: Operation): Promise<Uint8Array> {
    if (!this.#held.has(operation.handle)) return NOTHING;
    const { cursor, session } = this.#held.cursorOf(operation);
    try {
      await session.run(this.#limitMs(operation), true, () => cursor.close());
      session.cursors.delete(cursor);
    } finally {
      this.#held.end(operation.handle);
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

  /** The statement of an operation that has one. @throws LuafcgidError when its values do not fit */
  statement({ body }: Operation): Statement {
    return this.#statements.read(body);
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
