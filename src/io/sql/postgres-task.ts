/**
 * One exchange with PostgreSQL: the messages that are sent together, and what comes back until the server is ready again. It
 * stands in the place of the package's own query, so that rows are encoded as they come and no statement is ever sent in the
 * simple protocol.
 */
import { DataError } from '../protocol.js';
import { Bytes, Digits } from '../values.js';
import type { Argument, Statement } from './placeholders.js';
import { CANCELED, outcomeOf, serverError } from './postgres-outcome.js';
import { writePostgresValue } from './postgres-values.js';
import type { Outcome, RowSink } from './sql.js';
import { isText } from './text.js';

/** The messages of the protocol, as the package sends and reports them. */
export interface Wire {
  readonly stream: {
    on(event: 'data', listener: (bytes: Buffer) => void): void;
    destroy(): void;
    cork(): void;
    uncork(): void;
    pause(): void;
    resume(): void;
  };
  on(event: string, listener: (message: Message) => void): void;
  parse(message: { readonly name: string; readonly text: string; readonly types: readonly number[] }): void;
  bind(message: {
    readonly portal: string;
    readonly statement: string;
    readonly values: readonly (string | Buffer | null)[];
  }): void;
  describe(message: { readonly type: 'P' | 'S'; readonly name: string }): void;
  execute(message: { readonly portal: string; readonly rows: number }): void;
  close(message: { readonly type: 'P' | 'S'; readonly name: string }): void;
  sendCopyFail(reason: string): void;
  sync(): void;
  query(text: string): void;
}

export interface Column {
  readonly name: string;
  readonly dataTypeID: number;
}

/** What is read of messages. */
export interface Message {
  readonly status?: string;
  readonly dataTypeIDs?: readonly number[];
  readonly fields?: readonly unknown[];
  readonly text?: string;
}

const BYTEA = 17;
/** What else may come between two rows. */
const SMALL_BYTES = 1024 * 1024;
/** Whether the server said it, not the package or the system. */
export function isServerError(error: unknown): boolean {
  return typeof (error as { severity?: unknown }).severity === 'string';
}

export class PostgresTask {
  /** The package asks for it. */
  readonly callback = (): void => {};
  send: (wire: Wire) => void = () => {};
  settle: (error: Error | undefined) => void = () => {};
  /** Called when the rows are more than are allowed: the server has to be told to stop. */
  tooLarge: () => void = () => {};
  error: Error | undefined;
  /** The server was told to stop it, and did. */
  wasCanceled = false;
  columns: readonly Column[] = [];
  /** Types of the parameters. */
  types: readonly number[] | undefined;
  readonly #source: string;
  readonly #statement: Statement;
  readonly #sink: RowSink | undefined;
  readonly #valueTypes: readonly number[] | undefined;
  #tag: string | undefined;
  #isTooLarge = false;
  /** Bytes since the last whole row. */
  #bytesOfRow = 0;

  /** @param valueTypes those of the statement's parameters, where they are known */
  constructor(
    source: string,
    statement: Statement,
    sink: RowSink | undefined,
    valueTypes: readonly number[] | undefined,
  ) {
    this.#source = source;
    this.#statement = statement;
    this.#sink = sink;
    this.#valueTypes = valueTypes;
  }

  get outcome(): Outcome {
    return outcomeOf(this.#tag);
  }

  /** @param prepared the name of the prepared statement; undefined: it is sent with this */
  sendWhole(wire: Wire, prepared: string | undefined): void {
    if (prepared === undefined) wire.parse({ name: '', text: this.#statement.text, types: [] });
    wire.bind({ portal: '', statement: prepared ?? '', values: this.#values() });
    wire.describe({ type: 'P', name: '' });
    wire.execute({ portal: '', rows: 0 });
    wire.sync();
  }

  sendPrepare(wire: Wire, name: string): void {
    wire.parse({ name, text: this.#statement.text, types: [] });
    wire.describe({ type: 'S', name });
    wire.sync();
  }

  sendOpen(wire: Wire, portal: string): void {
    wire.parse({ name: '', text: this.#statement.text, types: [] });
    wire.bind({ portal, statement: '', values: this.#values() });
    wire.describe({ type: 'P', name: portal });
    wire.sync();
  }

  sendFetch(wire: Wire, portal: string, rows: number): void {
    this.#sink?.begin(this.columns.map(({ name }) => name));
    wire.execute({ portal, rows });
    wire.sync();
  }

  sendClose(wire: Wire, type: 'P' | 'S', name: string): void {
    wire.close({ type, name });
    wire.sync();
  }

  /** Bytes have come. @returns whether the row that they are of is larger than all rows may be */
  noteBytes(count: number): boolean {
    this.#bytesOfRow += count;
    return this.#bytesOfRow > (this.#sink?.mostBytes ?? SMALL_BYTES) + SMALL_BYTES;
  }

  parameters(types: readonly number[]): void {
    this.types = types;
  }

  // What follows is called by the package's client.

  submit(wire: Wire): null {
    wire.stream.cork();
    try {
      this.send(wire);
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleRowDescription({ fields }: Message): void {
    this.columns = fields as readonly Column[];
    this.#sink?.begin(this.columns.map(({ name }) => name));
  }

  handleDataRow({ fields }: Message): void {
    this.#bytesOfRow = 0;
    const sink = this.#sink;
    if (sink === undefined || this.#isTooLarge) return;
    const values = fields as readonly (string | null)[];
    for (let index = 0; index < values.length; index += 1) {
      writePostgresValue(sink.writer, (this.columns[index] as Column).dataTypeID, values[index] as string | null);
    }
    sink.count += 1;
    if (!sink.isFull) return;
    this.#isTooLarge = true;
    // What is left of the result is not kept.
    sink.writer.take();
    this.error = new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.#source });
    this.tooLarge();
  }

  handleCommandComplete({ text }: Message): void {
    this.#tag = text;
  }

  handlePortalSuspended(): void {}

  handleEmptyQuery(): void {}

  handleReadyForQuery(): void {}

  handleCopyInResponse(wire: Wire): void {
    wire.sendCopyFail('COPY FROM STDIN is not possible here');
  }

  handleCopyData(): void {}

  handleError(error: Error): void {
    this.wasCanceled ||= (error as { readonly code?: string }).code === CANCELED;
    this.error ??= isServerError(error) ? serverError(this.#source, error) : error;
  }

  #values(): (string | Buffer | null)[] {
    return this.#statement.values.map((value, index) => toWire(value, this.#valueTypes?.[index]));
  }
}

/** A string goes as text, a Buffer as it is. */
function toWire(value: Argument, type: number | undefined): string | Buffer | null {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value === 'number') return String(value);
  if (value instanceof Digits) return value.text;
  if (value instanceof Bytes) return Buffer.from(value.value);
  if (type === BYTEA || !isText(value)) return Buffer.from(value);
  return value.toString('utf8');
}
