/** Data sources of tests: settings with small limits, and operations on a source without any thread. */
import { readdirSync, readFileSync } from 'node:fs';
import { Action, DataError } from '../../../src/io/protocol.js';
import { type Operation, Run, type Source } from '../../../src/io/source.js';
import type { ResolvedSource } from '../../../src/io/sources.js';
import { Bytes, Digits, Rows, type Value, ValueReader, ValueWriter } from '../../../src/io/values.js';

/** Settings of a source at this machine. */
export function sourceSettings(given: Partial<ResolvedSource> & Pick<ResolvedSource, 'kind'>): ResolvedSource {
  return {
    name: 'main',
    host: '127.0.0.1',
    port: 0,
    socket: undefined,
    user: undefined,
    database: '',
    tls: { mode: 'off', caFile: undefined, serverName: undefined },
    passwordFile: undefined,
    passwordVariable: undefined,
    password: undefined,
    connections: 4,
    queue: 100,
    // What a test does not set is no limit that a busy machine comes to.
    waitMs: 60_000,
    connectMs: 60_000,
    queryMs: 60_000,
    idleMs: 600_000,
    maxResultBytes: 1024 * 1024,
    scripts: [],
    ...given,
  };
}

/** A value of a test: a Uint8Array is bytes, a bigint digits, and null is NIL. */
export type Plain =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Plain[]
  | { readonly [key: string]: Plain };

export function write(writer: ValueWriter, value: Plain): void {
  if (value === null || value === undefined) writer.nil();
  else if (typeof value === 'boolean') writer.boolean(value);
  else if (typeof value === 'number') writer.number(value);
  else if (typeof value === 'bigint') writer.integer(String(value));
  else if (typeof value === 'string') writer.text(value);
  else if (value instanceof Uint8Array) writer.bytesOnly(value);
  else if (Array.isArray(value)) {
    writer.array(value.length);
    for (const member of value) write(writer, member as Plain);
  } else {
    const entries = Object.entries(value);
    writer.map(entries.length);
    for (const [key, member] of entries) {
      writer.text(key);
      write(writer, member);
    }
  }
}

export function encode(...values: readonly Plain[]): Buffer {
  const writer = new ValueWriter();
  for (const value of values) write(writer, value);
  return writer.take();
}

/** As a test wants to compare it: strings, digits as bigint, bytes that are no text as Buffer, rows as objects. */
export function toPlain(value: Value): unknown {
  if (Buffer.isBuffer(value)) {
    const text = value.toString('utf8');
    return Buffer.from(text).equals(value) ? text : Buffer.from(value);
  }
  if (value instanceof Digits) return BigInt(value.text);
  if (value instanceof Bytes) return value.value;
  if (value instanceof Rows) {
    const { columns } = value;
    return value.rows.map((row) =>
      Object.fromEntries(row.flatMap((cell, at) => (cell === undefined ? [] : [[columns[at], toPlain(cell)]]))),
    );
  }
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [key, toPlain(member)]));
  if (Array.isArray(value)) return value.map(toPlain);
  return value;
}

export interface OperationOptions {
  readonly script?: number;
  readonly limitMs?: number;
  readonly handle?: number;
}

/** Asks a source for something, and gives what it answers. */
export function ask(
  source: Source,
  run: Run,
  action: Action,
  body: Buffer,
  options: OperationOptions = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const operation: Operation = {
      run,
      action,
      script: options.script ?? 1,
      limitMs: options.limitMs ?? 0,
      handle: options.handle ?? 0,
      body,
      done: (result) => resolve(toPlain(new ValueReader(result).read())),
      fail: reject,
    };
    source.start(operation);
  });
}

let runs = 0;
const going = new Map<Source, Set<Run>>();

/** Closes a source after a test, also one that has failed and left runs. */
export function closeWithRuns(source: Source): Promise<void> {
  for (const run of going.get(source) ?? []) run.end();
  return source.close();
}

/** Stops a process where it is, and resolves when it stands. */
export async function freeze(process: { readonly pid: number; signal(signal: NodeJS.Signals): void }): Promise<void> {
  process.signal('SIGSTOP');
  const tasks = `/proc/${process.pid}/task`;
  const stands = (task: string): boolean => {
    try {
      return / T /.test(readFileSync(`${tasks}/${task}/stat`, 'latin1').slice(0, 60));
    } catch {
      return true; // it has ended meanwhile
    }
  };
  await until(() => readdirSync(tasks).every(stands), 'the process stands');
}

/** A request of a test, and what it may ask of a source. */
export class TestRun {
  readonly run: Run;
  readonly #source: Source;

  constructor(source: Source) {
    runs += 1;
    this.run = new Run(runs);
    this.#source = source;
    going.set(source, (going.get(source) ?? new Set()).add(this.run));
  }

  query(
    text: string,
    args: readonly Plain[] | { readonly [key: string]: Plain } = [],
    options: OperationOptions = {},
  ): Promise<unknown> {
    return ask(this.#source, this.run, Action.QUERY, encode(text, args), options);
  }

  execute(text: string, args: readonly Plain[] = [], options: OperationOptions = {}): Promise<unknown> {
    return ask(this.#source, this.run, Action.EXECUTE, encode(text, args), options);
  }

  async begin(options: { readonly [key: string]: Plain } = {}): Promise<number> {
    return (await ask(this.#source, this.run, Action.BEGIN, encode(options))) as number;
  }

  do(action: Action, handle: number, ...values: readonly Plain[]): Promise<unknown> {
    return ask(this.#source, this.run, action, encode(...values), { handle });
  }

  async openCursor(text: string, args: readonly Plain[] = [], handle = 0): Promise<number> {
    return (await ask(this.#source, this.run, Action.OPEN_CURSOR, encode(text, args), { handle })) as number;
  }

  end(): void {
    this.run.end();
  }
}

/** For `assert.rejects`: an error of a data source with this code. */
export function code(expected: string, sqlstate?: string): (error: unknown) => boolean {
  return (error) => {
    const { code: actual } = error as { code?: string };
    if (actual !== expected) throw error;
    if (sqlstate !== undefined && (!(error instanceof DataError) || error.sqlstate !== sqlstate)) throw error;
    return true;
  };
}

/** Longest wait for what is bound to come. Generous: it only ends a test that would hang. */
const GUARD_MS = 240_000;

/** Resolves when something has come to be. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + GUARD_MS;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`did not happen within ${GUARD_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
