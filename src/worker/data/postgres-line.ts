/**
 * A lent connection to PostgreSQL: one statement at a time, so that a slow one delays no other. Each is prepared when it is run for
 * the first time on the connection, in the extended protocol, which takes one statement and binds its values.
 */
import { DataError, Return } from '../../io/protocol.js';
import type { Statement } from '../../io/sql/placeholders.js';
import { lostError, outcomeOf, serverError, staleness } from '../../io/sql/postgres-outcome.js';
import { ROW_BYTES } from '../../io/sql/sql.js';
import type { LuaValue } from '../../lua/state.js';
import { Line, type LineParts } from './line.js';
import {
  columnsOf,
  faultOf,
  type Message,
  MessageReader,
  MessageWriter,
  needsTypes,
  TooLarge,
  tagOf,
  typesOf,
} from './postgres-messages.js';
import { type Prepared, PreparedStatements } from './postgres-prepared.js';
import { headBytes, PostgresValues } from './postgres-values.js';
import type { Task } from './task.js';

/** Time for the end of a statement that the server was told to stop. After that its connection is closed. */
const CANCEL_MS = 1000;
/** What else may come between two rows. */
const SMALL_BYTES = 1024 * 1024;

export interface PostgresTask extends Task {
  readonly statement: Statement;
  /** Its rows are the result; else how many it has changed. */
  readonly wantsRows: boolean;
}

export interface PostgresLimits {
  readonly name: string;
  readonly maxResultBytes: number;
}

/** A statement under way. */
interface Current {
  readonly task: PostgresTask;
  readonly prepared: Prepared;
  /** It is prepared with this. */
  readonly isNew: boolean;
  /** It was run before, with a prepared statement that did not hold any more. */
  readonly isAgain: boolean;
  /** The types of its parameters are asked for, before its values can be sent. */
  asksTypes: boolean;
  readonly rows: LuaValue[];
  error: Error | undefined;
  tag: string | undefined;
  isLate: boolean;
  isTooLarge: boolean;
  /** The server was told to stop it. */
  isCancelled: boolean;
}

const letter = (text: string): number => text.charCodeAt(0);
const PARAMETERS = letter('t');
const COLUMNS = letter('T');
const NO_COLUMNS = letter('n');
const ROW = letter('D');
const COMPLETE = letter('C');
const FAULT = letter('E');
const READY = letter('Z');
/** Those of a statement that tell nothing more, and what the server may say at any time. */
const PASSED_OVER = new Set(['1', '2', '3', 'I', 'N', 'S', 'A'].map(letter));
const ANY_TIME = new Set(['N', 'S', 'A'].map(letter));
const IN_NO_TRANSACTION = letter('I');

const writer = new MessageWriter();

export class PostgresLine extends Line {
  protected readonly closedReason = 'Connection terminated unexpectedly';
  readonly #limits: PostgresLimits;
  readonly #reader = new MessageReader();
  readonly #prepared: PreparedStatements;
  readonly #values = new PostgresValues();
  #current: Current | undefined;
  /** What the server said while nothing was under way. */
  #said: Error | undefined;
  /** What has come is being read. What follows in it was sent before anything that begins now: it is no answer to that. */
  #isReading = false;
  /** A statement has ended in what is being read. */
  #hasEnded = false;
  /** It is to be run again then. */
  #again: PostgresTask | undefined;

  constructor(slot: number, descriptor: number, limits: PostgresLimits, parts: LineParts) {
    super(slot, descriptor, parts);
    this.#limits = limits;
    this.#prepared = new PreparedStatements();
  }

  get isUnused(): boolean {
    return this.#current === undefined && this.#again === undefined;
  }

  get hasRoom(): boolean {
    return this.isUnused && !this.#isReading;
  }

  start(task: PostgresTask): void {
    task.dueMs = this.parts.nowMs() + task.limitMs;
    this.parts.planLook(task.dueMs);
    this.#begin(task, false);
  }

  abandon(token: number): boolean {
    const current = this.#current;
    if (current?.task.token !== token) return false;
    current.task.token = 0;
    this.#cancel(current);
    return true;
  }

  look(nowMs: number): number {
    const current = this.#current;
    if (current === undefined) return Number.POSITIVE_INFINITY;
    const { task } = current;
    if (task.dueMs > nowMs) return task.dueMs;
    if (current.isCancelled) {
      this.end(Return.UNFIT, 'it did not stop');
      return Number.POSITIVE_INFINITY;
    }
    current.isLate = true;
    this.#cancel(current);
    return task.dueMs;
  }

  #begin(task: PostgresTask, isAgain: boolean): void {
    const { statement } = task;
    const { prepared, isNew, closed } = this.#prepared.take(statement.text);
    const asksTypes = prepared.types === undefined && needsTypes(statement);
    this.#current = {
      task,
      prepared,
      isNew,
      isAgain,
      asksTypes,
      rows: [],
      error: undefined,
      tag: undefined,
      isLate: false,
      isTooLarge: false,
      isCancelled: false,
    };
    for (const name of closed) writer.close(name);
    if (isNew) {
      writer.parse(prepared.name, statement.text);
      writer.describe(prepared.name);
    }
    if (prepared.columns !== undefined) this.#values.sizeBytes = headBytes(prepared.columns);
    if (asksTypes) writer.flush();
    else this.#writeValues(this.#current);
    this.send(writer.take());
  }

  #writeValues({ prepared, task }: Current): void {
    writer.bind(prepared.name, task.statement.values, prepared.types);
    writer.execute();
    writer.sync();
  }

  #cancel(current: Current): void {
    if (current.isCancelled) return;
    current.isCancelled = true;
    current.task.dueMs = this.parts.nowMs() + CANCEL_MS;
    this.parts.planLook(current.task.dueMs);
    this.parts.cancelOn(this.slot);
  }

  protected take(bytes: Buffer): void {
    const most = (this.#current?.task.wantsRows === true ? this.#limits.maxResultBytes : SMALL_BYTES) + SMALL_BYTES;
    this.#isReading = true;
    try {
      this.#reader.feed(bytes, this.#takeMessage, most);
      const { kept } = this.#reader;
      if (this.#current === undefined && kept !== undefined && !ANY_TIME.has(kept)) throw unexpected(kept);
    } catch (error) {
      if (error instanceof TooLarge) {
        if (this.#current !== undefined) this.#current.error = this.#tooLarge();
        return this.end(Return.LOST, 'a row was larger than maxresult');
      }
      if (!(error instanceof RangeError)) throw error;
      return this.end(Return.LOST, error.message);
    } finally {
      this.#isReading = false;
    }
    this.#goOn();
  }

  /** All that has come was read: the next statement may begin. */
  #goOn(): void {
    const again = this.#again;
    if (this.isGone || this.#current !== undefined) return;
    if (again !== undefined) {
      this.#again = undefined;
      return this.#begin(again, true);
    }
    if (!this.#hasEnded) return;
    this.#hasEnded = false;
    if (!this.isWanted) this.parts.changed(this);
    if (this.isUnused && !this.isGone) this.rest();
  }

  readonly #takeMessage = (message: Message): boolean => {
    const { type, bytes } = message;
    const current = this.#current;
    if (current === undefined) this.#takeIdle(message);
    else if (type === ROW) this.#takeRow(current, bytes);
    else if (type === COMPLETE) current.tag = tagOf(bytes);
    else if (type === READY) this.#finish(current, bytes[0] as number);
    else if (type === FAULT) this.#takeFault(current, bytes);
    else if (type === PARAMETERS) current.prepared.types = typesOf(bytes);
    else if (type === COLUMNS || type === NO_COLUMNS) this.#takeColumns(current, type === COLUMNS ? bytes : undefined);
    else if (!PASSED_OVER.has(type)) throw unexpected(type);
    return !this.isGone;
  };

  #takeIdle({ type, bytes }: Message): void {
    if (type === FAULT) this.#said = serverError(this.#limits.name, faultOf(bytes));
    else if (!ANY_TIME.has(type)) throw unexpected(type);
  }

  #takeColumns(current: Current, bytes: Buffer | undefined): void {
    const { prepared } = current;
    // Told once, when it is prepared.
    if (prepared.columns !== undefined) throw unexpected(bytes === undefined ? NO_COLUMNS : COLUMNS);
    prepared.columns = bytes === undefined ? [] : columnsOf(bytes);
    this.#values.sizeBytes = headBytes(prepared.columns);
    if (!current.asksTypes) return;
    current.asksTypes = false;
    this.#writeValues(current);
    this.send(writer.take());
  }

  #takeRow(current: Current, bytes: Buffer): void {
    const { columns } = current.prepared;
    if (!current.task.wantsRows || current.isTooLarge) return;
    if (columns === undefined || bytes.readUInt16BE(0) !== columns.length)
      throw new RangeError('a row has other columns');
    const row = Object.create(null) as Record<string, LuaValue>;
    this.#values.sizeBytes += ROW_BYTES;
    let at = 2;
    for (const { name, type } of columns) {
      const length = bytes.readInt32BE(at);
      at += 4;
      if (length < 0) {
        this.#values.noteNull();
        continue;
      }
      if (at + length > bytes.length) throw new RangeError('a value of a row has no end');
      row[name] = this.#values.read(type, bytes.toString('latin1', at, at + length));
      at += length;
    }
    current.rows.push(row);
    if (this.#values.sizeBytes <= this.#limits.maxResultBytes) return;
    current.isTooLarge = true;
    current.rows.length = 0;
    current.error = this.#tooLarge();
    this.#cancel(current);
  }

  #tooLarge(): DataError {
    return new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.#limits.name });
  }

  #takeFault(current: Current, bytes: Buffer): void {
    current.error ??= serverError(this.#limits.name, faultOf(bytes));
    if (!current.asksTypes) return;
    current.asksTypes = false;
    writer.sync();
    this.send(writer.take());
  }

  /** The server is ready for the next statement. */
  #finish(current: Current, status: number): void {
    const { task, error, isCancelled, tag } = current;
    // What is said once too often would be taken for the end of the next statement.
    if (error === undefined && tag === undefined)
      throw new RangeError('the server did not tell how the statement ended');
    const isStopped = error instanceof DataError && error.code === 'LUAFCGID_DATA_CANCELED';
    this.#current = undefined;
    if (error !== undefined) {
      const why = status === IN_NO_TRANSACTION && !current.isAgain ? staleness(error) : undefined;
      this.#prepared.forget(current.task.statement.text, why === 'forgotten');
      if (why !== undefined && !isCancelled) {
        this.#again = task;
        return;
      }
    }
    this.#hasEnded = true;
    this.#tell(current);
    // A request to stop that came too late may hit what comes next.
    if ((isCancelled && !isStopped) || status !== IN_NO_TRANSACTION) this.end(Return.UNFIT, '');
  }

  #tell({ task, error, isLate, prepared, rows, tag }: Current): void {
    if (task.token === 0) return;
    const { tasks } = this.parts;
    if (error !== undefined) return tasks.failed(task, isLate ? this.#late(task, error) : error);
    if (task.wantsRows) {
      return tasks.done(task, { columns: (prepared.columns ?? []).map(({ name }) => name), rows });
    }
    const { affected } = outcomeOf(tag);
    tasks.done(task, affected === undefined ? {} : { affected });
  }

  /** What has ended since it took too long says that, unless it has failed by itself. */
  #late({ limitMs }: Task, error: Error): Error {
    if (!(error instanceof DataError)) return error;
    if (error.code !== 'LUAFCGID_DATA_CANCELED' && error.code !== 'LUAFCGID_DATA_LOST') return error;
    const values = { source: this.#limits.name, seconds: limitMs / 1000 };
    return new DataError('LUAFCGID_DATA_TIMEOUT', values, { sqlstate: error.sqlstate, retry: true });
  }

  protected fail(reason: string): void {
    const current = this.#current;
    const said = current?.error ?? this.#said;
    const isTooLarge = said instanceof DataError && said.code === 'LUAFCGID_DATA_RESULT_SIZE';
    this.failWith(isTooLarge ? said : lostError(this.#limits.name, said, reason));
  }

  protected failWith(error: unknown): void {
    const current = this.#current;
    const again = this.#again;
    this.#current = undefined;
    this.#again = undefined;
    if (again !== undefined) this.parts.tasks.failed(again, error);
    if (current === undefined || current.task.token === 0) return;
    const known = current.isLate ? this.#late(current.task, error as Error) : error;
    this.parts.tasks.failed(current.task, known);
  }
}

function unexpected(type: number): RangeError {
  return new RangeError(`the server sent a message of type ${type}, which was not expected`);
}
