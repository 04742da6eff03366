/**
 * A lent connection to Redis. Commands of many requests are on their way on it at the same time, since Redis answers in the
 * order in which it is asked.
 */
import { DataError, Return } from '../../io/protocol.js';
import { errorCodeOf, RETRY } from '../../io/redis/replies.js';
import type { LuaValue } from '../../lua/state.js';
import { Line, type LineParts } from './line.js';
import { type Reply, ReplyError, ReplyReader } from './redis-replies.js';
import type { Task } from './task.js';

/** Operations that are on their way at the same time, as in the I/O thread. */
const LANES = 64;
/** What is written without a look at what else has happened: then it goes out. */
const WRITTEN_TOGETHER = 8;

/** What an operation sends, and what becomes of the replies. */
export interface RedisTask extends Task {
  readonly bytes: Buffer;
  /** Replies that come for it. */
  readonly replies: number;
  /** `command`: its reply is the result. `list`: all are. `last`: that of EXEC is, unless one before it is an error. */
  readonly gives: 'command' | 'list' | 'last';
}

interface Pending {
  readonly task: RedisTask;
  left: number;
  readonly values: LuaValue[];
  sizeBytes: number;
  error: ReplyError | undefined;
}

export interface RedisLimits {
  readonly name: string;
  readonly maxResultBytes: number;
}

const LIST_BYTES = 5;
const ERROR_BYTES = 20;

export class RedisLine extends Line {
  protected readonly closedReason = 'Socket closed unexpectedly';
  readonly #limits: RedisLimits;
  readonly #reader: ReplyReader;
  #pending: Pending[] = [];
  #unwritten = 0;
  /** Operations that had been sent when what is being read had come: it has no answers to others. */
  #answerable = 0;

  constructor(slot: number, descriptor: number, limits: RedisLimits, parts: LineParts) {
    super(slot, descriptor, parts);
    this.#limits = limits;
    this.#reader = new ReplyReader(limits.maxResultBytes, (reply, sizeBytes) => this.#takeReply(reply, sizeBytes));
  }

  get isUnused(): boolean {
    return this.#pending.length === 0;
  }

  get hasRoom(): boolean {
    return this.#pending.length < LANES;
  }

  start(task: RedisTask): void {
    this.#pending.push({ task, left: task.replies, values: [], sizeBytes: LIST_BYTES, error: undefined });
    task.dueMs = this.parts.nowMs() + task.limitMs;
    this.parts.planLook(task.dueMs);
    this.sendLater(task.bytes);
    this.#unwritten += 1;
    if (this.#unwritten >= WRITTEN_TOGETHER) this.flush();
  }

  override flush(): void {
    this.#unwritten = 0;
    super.flush();
  }

  abandon(token: number): boolean {
    const found = this.#pending.find(({ task }) => task.token === token);
    // Its replies come all the same.
    if (found !== undefined) found.task.token = 0;
    return found !== undefined;
  }

  look(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { task } of this.#pending) {
      if (task.dueMs <= nowMs) {
        const values = { source: this.#limits.name, seconds: task.limitMs / 1000 };
        this.#fail(task, new DataError('LUAFCGID_DATA_TIMEOUT', values, { retry: true }));
        // What others have sent behind it would wait as well.
        this.end(Return.LOST, 'the connection was closed');
        return Number.POSITIVE_INFINITY;
      }
      nextMs = Math.min(nextMs, task.dueMs);
    }
    return nextMs;
  }

  protected take(bytes: Buffer): void {
    const before = this.#pending.length;
    this.#answerable = before - this.#unwritten;
    try {
      this.#reader.feed(bytes);
      if (this.#answerable === 0 && this.#reader.hasPart) throw unasked();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return this.end(Return.LOST, error.message);
    }
    if (this.#pending.length === before || this.isGone) return;
    this.parts.changed(this);
    if (this.isUnused && !this.isGone) this.rest();
  }

  protected fail(reason: string): void {
    this.failWith(this.#lostError(reason));
  }

  protected failWith(error: unknown): void {
    for (const { task } of this.#pending.splice(0)) this.#fail(task, error);
  }

  #lostError(reason: string): DataError {
    return new DataError('LUAFCGID_DATA_LOST', { source: this.#limits.name, reason }, { retry: true });
  }

  #takeReply(reply: Reply, sizeBytes: number): void {
    const [pending] = this.#pending;
    if (pending === undefined || this.#answerable === 0) throw unasked();
    const { task, values } = pending;
    if (reply instanceof ReplyError) {
      pending.error ??= reply;
      pending.sizeBytes += ERROR_BYTES + reply.text.length;
      values.push({ error: reply.text });
    } else {
      pending.sizeBytes += sizeBytes;
      if (pending.sizeBytes <= this.#limits.maxResultBytes || task.gives !== 'list') values.push(reply);
    }
    pending.left -= 1;
    if (pending.left > 0) return;
    this.#pending.shift();
    this.#answerable -= 1;
    this.#settle(pending, reply, sizeBytes);
  }

  #settle({ task, values, sizeBytes, error }: Pending, last: Reply, lastBytes: number): void {
    if (task.token === 0) return;
    const isList = task.gives === 'list';
    if (!isList && last instanceof ReplyError) return this.#fail(task, this.#serverError(error ?? last));
    if ((isList ? sizeBytes : lastBytes) > this.#limits.maxResultBytes) {
      return this.#fail(task, new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.#limits.name }));
    }
    this.parts.tasks.done(task, isList ? values : (last as LuaValue));
  }

  #serverError({ text }: ReplyError): DataError {
    const message = Buffer.from(text, 'latin1').toString();
    const code = errorCodeOf(message);
    const retry = code !== undefined && RETRY.has(code);
    return new DataError(
      'LUAFCGID_DATA_QUERY',
      { source: this.#limits.name, reason: message },
      { sqlstate: code, retry },
    );
  }

  #fail(task: Task, error: unknown): void {
    if (task.token !== 0) this.parts.tasks.failed(task, error);
    task.token = 0;
  }
}

function unasked(): RangeError {
  return new RangeError('the server answered what it was not asked');
}
