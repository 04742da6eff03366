/**
 * Operations on data sources that this worker does by itself, on connections that the I/O thread has lent to it. No other thread
 * is woken for them. All others go to the I/O thread as ever.
 */
import { LuafcgidError } from '../../base/errors.js';
import type { IoClient } from '../../io/client.js';
import type { SourceGrant } from '../../io/handle.js';
import type { LentLimits } from '../../io/lent-limits.js';
import { LoanWords, WaitingCounts } from '../../io/loan-words.js';
import { Action, encodeError, Return } from '../../io/protocol.js';
import { Residue } from '../../io/sql/sql.js';
import type { LuaValue, OperationResult, PostedOperation } from '../../lua/state.js';
import { decodeResult } from '../operation-values.js';
import type { Line, LineParts } from './line.js';
import { PostgresLine, type PostgresTask } from './postgres-line.js';
import { PostgresTasks } from './postgres-tasks.js';
import { RedisLine, type RedisTask } from './redis-line.js';
import { redisRequest } from './redis-tasks.js';
import { SourceLines } from './source-lines.js';
import type { Task, TaskEvents } from './task.js';

/** A list of descriptors that the kernel watches, see `linux/epoll.ts`. */
export interface WatchList {
  add(fd: number, interest: number, mark: number): void;
  change(fd: number, interest: number, mark: number): void;
  removeIfThere(fd: number): void;
}

export interface DirectDataParts {
  readonly io: IoClient;
  readonly sources: readonly SourceGrant[];
  readonly loans: SharedArrayBuffer;
  readonly waiting: SharedArrayBuffer;
  readonly sockets: LineParts['sockets'];
  readonly nowMs: () => number;
  /** Watches a descriptor wherever this worker may wait. False when that cannot be. */
  watch(descriptor: number): boolean;
  /** Watches also whether more can be written. */
  watchRoom(descriptor: number, wantsRoom: boolean): void;
  unwatch(descriptor: number): void;
  /** An operation is over. */
  over(token: number, result: OperationResult): void;
  /** Has the I/O thread do it. */
  post(token: number, run: number, operation: PostedOperation): void;
}

/** The request that an operation is for. */
export interface DataOwner {
  readonly id: number;
  /** Data sources on whose connections it has left what it counts on: all that it does there goes by the I/O thread. */
  boundSources?: Set<number> | undefined;
}

interface Lent {
  readonly kind: 'redis' | 'postgres';
  readonly limits: LentLimits;
  readonly lines: SourceLines;
  readonly statements: PostgresTasks | undefined;
}

export class DirectData implements TaskEvents {
  readonly #parts: DirectDataParts;
  readonly #words: LoanWords;
  readonly #sources = new Map<number, Lent>();
  readonly #lines = new Map<number, Line>();
  #earliestMs = Number.POSITIVE_INFINITY;

  constructor(parts: DirectDataParts) {
    const { io, loans, sockets, nowMs } = parts;
    this.#parts = parts;
    this.#words = new LoanWords(loans);
    const counts = new WaitingCounts(parts.waiting);
    for (const { id, kind, limits } of parts.sources) {
      if (limits === undefined || (kind !== 'redis' && kind !== 'postgres')) continue;
      const lines = new SourceLines({
        limits,
        words: this.#words,
        counts,
        nowMs,
        tasks: this,
        borrow: () => io.borrow(id),
        planLook: (dueMs) => this.#planLook(dueMs),
        post: ({ token, run, operation }) => parts.post(token, run, operation),
      });
      this.#sources.set(id, { kind, limits, lines, statements: kind === 'postgres' ? new PostgresTasks() : undefined });
    }
    io.loanEvents = {
      lent: (slot, source, descriptor) => this.#lent(slot, source, descriptor),
      lentInVain: (descriptor) => sockets.close(descriptor),
      threadLost: () => {
        const error = new LuafcgidError('LUAFCGID_IO_LOST');
        for (const { lines } of this.#sources.values()) lines.orphan(error);
      },
    };
  }

  /** Whether connections are lent, so that this worker has to wait where it hears of them. */
  get hasLines(): boolean {
    return this.#lines.size > 0;
  }

  /** When `look` may find something; undefined: never. */
  get nextMs(): number | undefined {
    return this.#earliestMs === Number.POSITIVE_INFINITY ? undefined : this.#earliestMs;
  }

  /** Begins an operation. Returns false when it has to go to the I/O thread. */
  start(token: number, operation: PostedOperation, script: number, owner: DataOwner): boolean {
    const source = this.#sources.get(operation.source);
    if (source === undefined || owner.boundSources?.has(operation.source) === true) return false;
    const { queryMs } = source.limits;
    const limitMs = operation.limitMs > 0 ? Math.min(operation.limitMs, queryMs) : queryMs;
    const task: Task = { token, operation, run: owner.id, script, limitMs, dueMs: 0 };
    if (source.statements === undefined) {
      const request = redisRequest(operation);
      return request !== undefined && source.lines.start(Object.assign(task, request) satisfies RedisTask);
    }
    const statement = source.statements.read(operation);
    if (statement === undefined) return false;
    if (statement === Residue.SESSION) {
      owner.boundSources ??= new Set();
      owner.boundSources.add(operation.source);
      return false;
    }
    const wantsRows = operation.action === Action.QUERY;
    return source.lines.start(Object.assign(task, { statement, wantsRows }) satisfies PostgresTask);
  }

  /** The request of an operation is over. */
  abandon(token: number): void {
    for (const { lines } of this.#sources.values()) if (lines.abandon(token)) return;
  }

  /** Something has happened on a descriptor. */
  serve(descriptor: number): void {
    const line = this.#lines.get(descriptor);
    if (line === undefined) this.#parts.unwatch(descriptor);
    else line.ready();
  }

  /** What is to be written goes out: nothing else is to be done now. */
  flush(): void {
    for (const line of this.#lines.values()) line.flush();
  }

  /** Ends what has taken too long. */
  look(nowMs: number): void {
    if (nowMs < this.#earliestMs) return;
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const { lines } of this.#sources.values()) this.#planLook(lines.look(nowMs));
  }

  done({ token }: Task, value: LuaValue): void {
    this.#parts.over(token, { isError: false, value });
  }

  failed({ token }: Task, error: unknown): void {
    this.#parts.over(token, { isError: true, value: decodeResult(encodeError(error)) });
  }

  #planLook(dueMs: number): void {
    if (dueMs < this.#earliestMs) this.#earliestMs = dueMs;
  }

  #lent(slot: number, source: number, descriptor: number): void {
    const lent = this.#sources.get(source);
    if (lent === undefined || !this.#parts.watch(descriptor)) {
      this.#words.set(slot, 0);
      this.#parts.sockets.close(descriptor);
      return this.#parts.io.giveBack(slot, Return.FIT, '');
    }
    const { io, sockets, nowMs } = this.#parts;
    const parts: LineParts = {
      words: this.#words,
      sockets,
      nowMs,
      tasks: this,
      watch: (fd, wantsRoom) => this.#parts.watchRoom(fd, wantsRoom),
      unwatch: (fd) => {
        this.#lines.delete(fd);
        this.#parts.unwatch(fd);
      },
      giveBack: (number, how, reason) => io.giveBack(number, how, reason),
      cancelOn: (number) => io.cancelOn(number),
      planLook: (dueMs) => this.#planLook(dueMs),
      changed: (changed) => lent.lines.changed(changed),
    };
    const line =
      lent.kind === 'redis'
        ? new RedisLine(slot, descriptor, lent.limits, parts)
        : new PostgresLine(slot, descriptor, lent.limits, parts);
    this.#lines.set(descriptor, line);
    lent.lines.add(line);
  }
}
