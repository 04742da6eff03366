/**
 * What a worker and the I/O thread say to each other. Pure; used on both threads.
 *
 * How a worker posts an operation and gets its completion:
 *
 * 1. The main thread makes one `IoChannel` (`channel.ts`) per worker and gives it to the worker and to the I/O thread.
 *    The worker makes an `IoClient` (`client.ts`) of it.
 * 2. `client.post({ run, source, action, script, limitMs, handle, body })` writes the operation into the ring to the I/O
 *    thread, rings its bell, and returns the operation's number. `run` is the number of the request; `source` the number
 *    that the configuration gave the data source (`SourceGrant.id`); `body` values as `values.ts` encodes them.
 * 3. The completion arrives in the ring to the worker. The I/O thread then wakes the worker where it sleeps: in its ring
 *    from the front (`RingReader.waitForFrame`) or in its epoll instance. So the worker has to look at
 *    `client.hasCompletion` before it sleeps: as one more reason in `isDisturbed`, and after `parkElsewhere`.
 * 4. `client.next()` gives the oldest completion `{ id, run, isError, payload }`, or undefined. `payload` is one encoded
 *    value: the result, or the error as a MAP (`encodeError`). It holds until the next call.
 * 5. When a request ends that has posted anything, in whatever way, the worker calls `client.endRun(run)`: what it still
 *    waits for is cancelled, its transactions are rolled back, and everything it holds is released. Completions of a run
 *    that has ended may still come and mean nothing.
 * 6. When the I/O thread dies, `client.next()` gives an error for every operation that had been posted; operations
 *    posted from then on are served by the thread that takes its place.
 *
 * A frame's words are: type (kind, `MORE`, epoch), id (number of the operation), argument (number of the run). A message
 * longer than a frame continues in the next ones; all but the last carry `MORE`. The epoch counts I/O threads: what was
 * written for one that died is passed over.
 */

import { LuafcgidError } from '../base/errors.js';
import { type Value, type ValueMap, ValueReader, ValueWriter } from './values.js';

/** Kinds of frame from a worker. */
export const ToIo = {
  /** An operation: its header, then its body. */
  OPERATION: 1,
  /** The run in `argument` is over. */
  RUN_OVER: 2,
  /** The worker could use a connection of the data source `id` by itself (`loan-words.ts`). */
  BORROW: 3,
  /** It has given the connection of slot `id` back. `argument` is a `Return`, the payload the reason of `LOST`. */
  RETURN: 4,
  /** What runs on the connection of slot `id` is to be broken off. */
  CANCEL: 5,
} as const;

/** Kinds of frame to a worker. */
export const FromIo = {
  /** The result of operation `id`. */
  DONE: 1,
  /** Operation `id` failed. */
  ERROR: 2,
  /** A connection of the data source `argument` is lent in slot `id`. Its payload is a word: the descriptor, which the worker closes. */
  LENT: 3,
} as const;

/** How a connection comes back that was lent. */
export const Return = {
  /** Nothing is under way on it. */
  FIT: 0,
  /** It is to be closed. */
  UNFIT: 1,
  /** It is no more. */
  LOST: 2,
} as const;
export type Return = (typeof Return)[keyof typeof Return];

const KIND_MASK = 0x0f;
/** The message goes on in the next frame. */
export const MORE = 0x10;
const EPOCH_SHIFT = 8;
const EPOCH_MASK = 0x7fffff;

export function frameType(kind: number, epoch: number): number {
  return kind | ((epoch & EPOCH_MASK) << EPOCH_SHIFT);
}

export function kindOf(type: number): number {
  return type & KIND_MASK;
}

/** Whether a frame was written for the I/O thread of this epoch. */
export function isOfEpoch(type: number, epoch: number): boolean {
  return ((type >>> EPOCH_SHIFT) & EPOCH_MASK) === (epoch & EPOCH_MASK);
}

/** What can be asked of a data source. Which of them a source knows depends on its kind. */
export const Action = {
  /** SQL: [text, arguments] → ROWS. Arguments are an ARRAY for `?` or a MAP for `:name`. */
  QUERY: 1,
  /** SQL: [text, arguments] → MAP of `affected` and `insert_id`. */
  EXECUTE: 2,
  /** SQL: [MAP of `isolation`, `readonly`] → INTEGER: the handle of a transaction. */
  BEGIN: 3,
  COMMIT: 4,
  ROLLBACK: 5,
  /** SQL: [name], in the transaction `handle`. */
  SAVEPOINT: 6,
  RELEASE: 7,
  ROLLBACK_TO: 8,
  /** SQL: [text, arguments] → INTEGER: the handle of a cursor. */
  OPEN_CURSOR: 9,
  /** SQL: [most rows] → ROWS from cursor `handle`; fewer than were asked for: it is at its end, and closed. */
  FETCH: 10,
  CLOSE_CURSOR: 11,
  /** Redis: [ARRAY of a command's words] → its reply. A map (HGETALL) is an ARRAY of keys and values in turn. */
  COMMAND: 12,
  /** Redis: [ARRAY of commands] → ARRAY of replies; one that is an error is a MAP of `error`. */
  PIPELINE: 13,
  /** Redis: the same between MULTI and EXEC. */
  MULTI: 14,
  /** HTTP: [MAP of a request, see `http/request.ts`] → MAP of `status`, `url`, `headers` and `body`. */
  HTTP_REQUEST: 15,
  /** HTTP: the same → MAP of `status`, `url`, `headers` and `handle`, by which the body is read. */
  HTTP_OPEN: 16,
  /** HTTP: the next piece of a body as STRING; NIL at its end, and then it is closed. */
  HTTP_READ: 17,
  HTTP_CLOSE: 18,
  /** SQL: [text, arguments] → MAP of `rows` (a TABLE), `affected` and `insert_id`, whichever kind of statement it is. */
  RUN: 19,
  /**
   * [name, milliseconds to wait at most, a number of the request's own] → MAP of `token`, or "timeout" or "deadlock". Of all sources
   * but HTTP, as the next three.
   */
  LOCK: 20,
  /** [name, token] → whether the lock was still held. */
  UNLOCK: 21,
  /** [name, token] → whether the lock is held. */
  HOLDS_LOCK: 22,
  /** [name, the request's own number of a LOCK] → true. That lock is not wanted any more: nobody takes what came or comes of it. */
  FORGET_LOCK: 23,
} as const;
export type Action = (typeof Action)[keyof typeof Action];

/** An operation as a worker posts it. */
export interface OperationRequest {
  /** The number of the request that it is for. */
  readonly run: number;
  /** The number of the data source. */
  readonly source: number;
  readonly action: Action;
  /** What tells scripts apart: they take turns where connections are scarce. */
  readonly script: number;
  /** What is left of the request's time, in milliseconds; 0: no limit but those of the source. */
  readonly limitMs: number;
  /** The transaction or cursor that it is about; 0: none. */
  readonly handle: number;
  /** Encoded values. */
  readonly body: Uint8Array;
}

export const HEADER_BYTES = 20;

export function encodeHeader({
  source,
  action,
  script,
  limitMs,
  handle,
}: Omit<OperationRequest, 'run' | 'body'>): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES);
  bytes.writeUInt32LE(source, 0);
  bytes.writeUInt32LE(action, 4);
  bytes.writeUInt32LE(script >>> 0, 8);
  bytes.writeUInt32LE(Math.min(0xffffffff, Math.ceil(limitMs)), 12);
  bytes.writeUInt32LE(handle, 16);
  return bytes;
}

export function decodeOperation(run: number, message: Buffer): OperationRequest {
  return {
    run,
    source: message.readUInt32LE(0),
    action: message.readUInt32LE(4) as Action,
    script: message.readUInt32LE(8),
    limitMs: message.readUInt32LE(12),
    handle: message.readUInt32LE(16),
    body: message.subarray(HEADER_BYTES),
  };
}

/** What an error tells besides its message. */
export interface ErrorDetail {
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly solve?: string;
  /** The name of the data source. */
  readonly source?: string;
  /** Name and port of a web server. */
  readonly server?: string;
  readonly sqlstate?: string;
  /** Whether the same may succeed when it is tried again. */
  readonly retry?: boolean;
}

/** An error of a data source: one of the catalogue, with what the server said of it. */
export class DataError extends LuafcgidError {
  readonly sqlstate: string | undefined;
  readonly retry: boolean;

  constructor(
    code: ConstructorParameters<typeof LuafcgidError>[0],
    values: Readonly<Record<string, unknown>>,
    { sqlstate, retry = false }: { readonly sqlstate?: string | undefined; readonly retry?: boolean } = {},
    cause?: unknown,
  ) {
    super(code, values, cause);
    this.sqlstate = sqlstate;
    this.retry = retry;
  }
}

/** The payload of an ERROR. What is no error of the catalogue is a bug of the server, and says so. */
export function encodeError(error: unknown): Buffer {
  const known =
    error instanceof LuafcgidError
      ? error
      : new LuafcgidError('LUAFCGID_BUG', { detail: error instanceof Error ? error.stack : String(error) }, error);
  const fields: [string, string | boolean][] = [
    ['code', known.code],
    ['message', known.message],
    ['solve', known.solve],
  ];
  for (const name of ['source', 'server'] as const) {
    const value = known.values[name];
    if (typeof value === 'string') fields.push([name, value]);
  }
  if (known instanceof DataError) {
    if (known.sqlstate !== undefined) fields.push(['sqlstate', known.sqlstate]);
    fields.push(['retry', known.retry]);
  }
  const writer = new ValueWriter();
  writer.map(fields.length);
  for (const [name, value] of fields) {
    writer.text(name);
    if (typeof value === 'boolean') writer.boolean(value);
    else writer.text(value);
  }
  return writer.take();
}

/** Reads the payload of an ERROR. */
export function decodeError(payload: Uint8Array): ErrorDetail {
  const map = new ValueReader(payload).read() as ValueMap;
  const text = (value: Value): string => (Buffer.isBuffer(value) ? value.toString('utf8') : '');
  const optional = (name: string): Record<string, string> => (map.has(name) ? { [name]: text(map.get(name)) } : {});
  return {
    code: text(map.get('code')),
    message: text(map.get('message')),
    ...optional('solve'),
    ...optional('source'),
    ...optional('server'),
    ...optional('sqlstate'),
    ...(map.has('retry') && { retry: map.get('retry') === true }),
  };
}
