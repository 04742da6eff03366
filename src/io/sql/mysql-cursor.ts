/**
 * Rows of MySQL as they are asked for: the socket is paused while enough of them wait here, so the server waits too. Runs in
 * the I/O thread.
 */
import type { RowTaker } from './mysql-task.js';
import { type Column, writeMysqlValue } from './mysql-values.js';
import type { RowSink } from './sql.js';

/** Rows, and bytes of their values, that wait here before the socket is paused. */
const WAITING_AT_MOST = 256;
const WAITING_BYTES = 1024 * 1024;

export class MysqlCursor implements RowTaker {
  /** Resolves when the columns are known, or the statement is over; rejects when it fails before. */
  readonly begun: Promise<void>;
  readonly #client: { pause(): void; resume(): void };
  #columns: readonly Column[] = [];
  #rows: (readonly unknown[])[] = [];
  #waitingBytes = 0;
  #hasEnded = false;
  #isPaused = false;
  #isDiscarded = false;
  #error: Error | undefined;
  #resolveBegun: () => void = () => {};
  #rejectBegun: (error: Error) => void = () => {};
  #notify: () => void = () => {};
  #ended: Promise<unknown> = Promise.resolve();

  constructor(client: { pause(): void; resume(): void }) {
    this.#client = client;
    this.begun = new Promise((resolve, reject) => {
      this.#resolveBegun = resolve;
      this.#rejectBegun = reject;
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** @param ended the end of the statement */
  follow(ended: Promise<unknown>): void {
    this.#ended = ended.then(
      () => {
        this.#hasEnded = true;
        this.#resolveBegun();
        this.#notify();
      },
      (error) => {
        this.#hasEnded = true;
        this.#error = error as Error;
        this.#rejectBegun(error as Error);
        this.#notify();
      },
    );
  }

  columns(columns: readonly Column[]): void {
    this.#columns = columns;
    this.#resolveBegun();
  }

  row(values: readonly unknown[]): void {
    if (this.#isDiscarded) return;
    this.#rows.push(values);
    this.#waitingBytes += bytesOf(values);
    const isEnough = this.#rows.length >= WAITING_AT_MOST || this.#waitingBytes >= WAITING_BYTES;
    if (isEnough && !this.#isPaused) {
      this.#isPaused = true;
      this.#client.pause();
    }
    this.#notify();
  }

  /** Ends early when there are more bytes than are allowed. */
  async fetch(maxRows: number, sink: RowSink): Promise<void> {
    sink.begin(this.#columns.map(({ name }) => name));
    while (sink.count < maxRows && !sink.isFull) {
      const values = this.#rows.shift();
      if (values !== undefined) {
        this.#waitingBytes -= bytesOf(values);
        for (let index = 0; index < values.length; index += 1) {
          writeMysqlValue(sink.writer, this.#columns[index] as Column, values[index]);
        }
        sink.count += 1;
        continue;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#hasEnded) return;
      await this.#more();
    }
  }

  /** Passes over what comes. Resolves when the statement has ended. */
  async discard(): Promise<void> {
    this.#isDiscarded = true;
    this.#rows = [];
    this.#waitingBytes = 0;
    this.#resume();
    await this.#ended;
  }

  #more(): Promise<void> {
    const arrived = new Promise<void>((resolve) => {
      this.#notify = resolve;
    });
    this.#resume();
    return this.#rows.length > 0 || this.#hasEnded ? Promise.resolve() : arrived;
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#client.resume();
  }
}

/** Those of texts and blobs: other values have few. */
function bytesOf(values: readonly unknown[]): number {
  let bytes = 0;
  for (const value of values) if (typeof value === 'string' || Buffer.isBuffer(value)) bytes += value.length;
  return bytes;
}
