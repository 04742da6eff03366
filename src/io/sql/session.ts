/**
 * One connection while somebody has it: operations one after the other, each with its limit, and the way back to the pool.
 * Whatever ended its use, others get the connection only when its transaction is over and nothing is left on it. Runs in the
 * I/O thread.
 */
import { LuafcgidError } from '../../base/errors.js';
import { DataError } from '../protocol.js';
import { plainStatement } from './placeholders.js';
import { Residue, type SqlConnection, type SqlCursor, type SqlDriver } from './sql.js';

/** Time for the server's answer to being told to stop, and for what makes a connection fit for others. */
const CANCEL_MS = 1000;
const CLEAN_MS = 5000;
/** Longest time for what is never broken off. After that its connection is not worth waiting for. */
const UNCANCELLED_MS = 60_000;

/** What brings a connection back to its pool. */
export interface Returns {
  release(connection: SqlConnection): void;
  discard(connection: SqlConnection): void;
}

export class Session {
  readonly connection: SqlConnection;
  /** Those that are open on the connection. */
  readonly cursors = new Set<SqlCursor>();
  readonly #driver: SqlDriver;
  readonly #source: string;
  readonly #returns: Returns;
  /** Whether what runs may be broken off. */
  #mayCancel = false;
  #cancelling: Promise<void> | undefined;
  #isBusy = false;
  #isOver = false;
  /** Ends with the last operation. */
  #last: Promise<unknown> = Promise.resolve();
  /** A cancel request was sent, and it is not known that it has hit what it was meant for. */
  #isSuspect = false;

  constructor(source: string, connection: SqlConnection, driver: SqlDriver, returns: Returns) {
    this.#source = source;
    this.connection = connection;
    this.#driver = driver;
    this.#returns = returns;
  }

  /** Whether an operation runs or waits here. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /**
   * Runs an operation when those before it have ended.
   * @param limitMs after that the server is told to stop; a connection that does not come to rest is closed
   * @param mayCancel false for a COMMIT, which is never broken off: its outcome would be unknown
   */
  run<Result>(limitMs: number, mayCancel: boolean, operation: () => Promise<Result>): Promise<Result> {
    this.#isBusy = true;
    const result = this.#last.then(() => this.#runNow(limitMs, mayCancel, operation));
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#last = settled;
    void settled.then(() => {
      if (this.#last === settled) this.#isBusy = false;
    });
    return result;
  }

  async #runNow<Result>(limitMs: number, mayCancel: boolean, operation: () => Promise<Result>): Promise<Result> {
    if (this.#isOver) throw new LuafcgidError('LUAFCGID_DATA_RUN_OVER');
    let isLate = false;
    this.#mayCancel = mayCancel;
    const late = setTimeout(
      () => {
        isLate = mayCancel;
        if (mayCancel) this.#cancel();
        else this.connection.destroy();
      },
      mayCancel ? limitMs : UNCANCELLED_MS,
    );
    try {
      return await operation();
    } catch (error) {
      const wasCanceled = error instanceof DataError && error.code === 'LUAFCGID_DATA_CANCELED';
      if (wasCanceled) this.#isSuspect = false;
      const isEnd = wasCanceled || (error instanceof DataError && error.code === 'LUAFCGID_DATA_LOST');
      if (!isLate || !isEnd) throw error;
      const { sqlstate } = error as DataError;
      throw new DataError(
        'LUAFCGID_DATA_TIMEOUT',
        { source: this.#source, seconds: limitMs / 1000 },
        { sqlstate, retry: true },
      );
    } finally {
      clearTimeout(late);
      this.#mayCancel = false;
      await this.#cancelling;
    }
  }

  /** Breaks off what runs, if it may be. */
  #cancel(): void {
    if (!this.#mayCancel || this.#cancelling !== undefined) return;
    this.#isSuspect = true;
    const force = setTimeout(() => this.connection.destroy(), CANCEL_MS);
    this.#cancelling = this.connection
      .cancel()
      .catch(() => this.connection.destroy())
      .finally(() => {
        this.#cancelling = undefined;
      });
    void this.#last.finally(() => clearTimeout(force));
  }

  /** Nobody needs the session any more: breaks off what runs, and gives the connection back when it is fit for others. */
  async end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancel();
    await this.#last;
    const { connection } = this;
    const late = setTimeout(() => connection.destroy(), CLEAN_MS);
    try {
      if (this.#isSuspect || connection.mayBeCancelled === true)
        throw new Error('a cancel request may still be on its way');
      for (const cursor of this.cursors) await cursor.abandon();
      const rollback = plainStatement('rollback', this.#driver.dialect);
      if (connection.transaction !== 'none') await connection.execute(rollback, undefined);
      if (connection.residue !== Residue.NONE) await connection.reset();
      if ((connection.transaction as string) !== 'none') throw new Error('a transaction is open after ROLLBACK');
    } catch {
      return this.#returns.discard(connection);
    } finally {
      clearTimeout(late);
    }
    this.#returns.release(connection);
  }
}
