/**
 * A database of SQLite as scripts use it: one connection that writes, and others that read meanwhile. What only reads goes to
 * these; what turns out to write there has changed nothing, and goes to the writer. Runs in the I/O thread.
 */
import { Action } from '../protocol.js';
import type { Log, Operation, Source, SourceStatus } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import { type ValueMap, ValueReader } from '../values.js';
import { Handles } from './held.js';
import { SqlSource } from './sql-source.js';
import { SqliteDriver } from './sqlite.js';
import { isReadOnlyError } from './sqlite-engine.js';
import { isReading } from './sqlite-statement.js';

export class SqliteSource implements Source {
  readonly name: string;
  readonly #writer: SqlSource;
  /** undefined for a database in memory, which belongs to its connection. */
  readonly #readers: SqlSource | undefined;
  readonly #connections: number;

  constructor(settings: ResolvedSource, log: Log) {
    const handles = new Handles();
    // Workers have some of those that read (decision 0030).
    const readers = settings.database === ':memory:' ? 0 : settings.connections - 1 - (settings.readingWorkers ?? 0);
    this.name = settings.name;
    this.#connections = settings.database === ':memory:' ? 1 : settings.connections;
    this.#writer = new SqlSource({ ...settings, connections: 1 }, new SqliteDriver(settings, false, log), log, handles);
    if (readers < 1) return;
    this.#readers = new SqlSource(
      { ...settings, connections: readers },
      new SqliteDriver(settings, true, log),
      log,
      handles,
    );
  }

  start(operation: Operation): void {
    const readers = this.#readers;
    if (readers === undefined || !this.#mayRead(readers, operation)) return this.#writer.start(operation);
    if (operation.handle !== 0 || operation.action === Action.BEGIN) return readers.start(operation);
    const fail = (error: unknown): void => {
      if (isReadOnlyError(error)) this.#writer.start(operation);
      else operation.fail(error);
    };
    const { run, action, script, limitMs, handle, body } = operation;
    readers.start({ run, action, script, limitMs, handle, body, done: (result) => operation.done(result), fail });
  }

  status(): SourceStatus {
    const writer = this.#writer.status();
    const readers = this.#readers?.status();
    if (readers === undefined) return { ...writer, connections: this.#connections };
    return {
      ...writer,
      open: writer.open + readers.open,
      busy: writer.busy + readers.busy,
      waiting: writer.waiting + readers.waiting,
      connections: this.#connections,
      down: writer.down ?? readers.down,
    };
  }

  probe(): Promise<string> {
    return this.#writer.probe();
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#readers?.close()]);
  }

  #mayRead(readers: SqlSource, operation: Operation): boolean {
    const { action, handle, body, run } = operation;
    if (handle !== 0) return readers.owns(handle);
    // Its temporary tables are there.
    if (this.#writer.keeps(run)) return false;
    if (action === Action.BEGIN) {
      const options = new ValueReader(body).read() as ValueMap | undefined;
      return options?.get('readonly') === true;
    }
    if (action !== Action.QUERY && action !== Action.OPEN_CURSOR) return false;
    try {
      return isReading(readers.statement(operation));
    } catch {
      // The writer says what is wrong with it.
      return false;
    }
  }
}
