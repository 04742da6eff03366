/**
 * The I/O thread as the main thread sees it: started when there is a data source, replaced when it dies, told of sources
 * and of those who post operations.
 */
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import { LuafcgidError } from '../base/errors.js';
import { createIoChannel, createIoCommon, type IoChannel, type ParkedAt } from './channel.js';
import { type LentLimits, limitsOf } from './lent-limits.js';
import { OwnConnections } from './loan-words.js';
import { type ReadLimits, readLimitsOf } from './read-limits.js';
import type { SourceStatus } from './source.js';
import type { IoSource } from './sources.js';
import type { FromIoThread, IoThreadData, ToIoThread } from './thread-messages.js';
import { createWaker } from './waker.js';

export interface IoEvents {
  log(level: 'info' | 'warn' | 'error', text: string): void;
}

/** A data source as workers know it. */
export interface SourceGrant {
  /** What operations name it by. */
  readonly id: number;
  readonly name: string;
  readonly kind: IoSource['kind'];
  /** Paths or directories of the scripts that may use it; none: all may. */
  readonly scripts: readonly string[];
  /** What a worker needs that uses connections of it by itself; undefined: none are lent. */
  readonly limits?: LentLimits | undefined;
  /** What a worker needs that reads it by itself; undefined: none does. */
  readonly reads?: ReadLimits | undefined;
}

/** A thread that lasted so long was no failure. */
const LASTING_MS = 10_000;
/** Delay before a thread that died is replaced: none at first, then doubled with each that dies before long. */
const REPLACE_MS = 100;
const MAX_REPLACE_MS = 10_000;
/** How often the thread is asked whether it is well, and after which time without an answer it is replaced. */
const WATCH_MS = 5_000;
const HANG_MS = 15_000;
/** Longest time for what is under way when the server stops. */
const STOP_MS = 2_000;

interface ClientEntry {
  readonly channel: IoChannel;
  readonly parkedAt: ParkedAt;
  readonly waker: Promise<() => void>;
}

export class IoHandle {
  readonly #events: IoEvents;
  readonly #common = createIoCommon();
  readonly #epoch = new Int32Array(this.#common.epoch);
  readonly #sources = new Map<number, IoSource>();
  readonly #clients = new Map<number, ClientEntry>();
  /** Channels of workers that are given up and whose threads have not ended. */
  readonly #leftBehind = new Map<number, IoChannel>();
  readonly #answers = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #thread: Worker | undefined;
  #startedMs = 0;
  #failures = 0;
  #endReason: string | undefined;
  /** When the thread was asked whether it is well; undefined while it has answered. */
  #askedMs: number | undefined;
  #watch: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  #lastId = 0;
  #isStopping = false;

  constructor(events: IoEvents) {
    this.#events = events;
  }

  /**
   * Names data sources that workers are going to use. Those that are known already keep their numbers and connections; all
   * others stay, too, until `keepSources`.
   */
  addSources(sources: readonly IoSource[]): SourceGrant[] {
    const grants = sources.map((source): SourceGrant => {
      const known = [...this.#sources].find(([, other]) => isDeepStrictEqual(other, source));
      const id = known?.[0] ?? this.#nextId();
      if (known === undefined) {
        this.#sources.set(id, source);
        this.#add(id);
      }
      const { name, kind, scripts } = source;
      return { id, name, kind, scripts, limits: limitsOf(id, source), reads: readLimitsOf(id, source) };
    });
    if (this.#thread === undefined && this.#restart === undefined && this.#sources.size > 0) this.#start();
    return grants;
  }

  /** No worker uses any other source any more: what is under way on them ends in order. */
  keepSources(grants: readonly SourceGrant[]): void {
    for (const id of [...this.#sources.keys()]) {
      if (grants.some((grant) => grant.id === id)) continue;
      this.#sources.delete(id);
      this.#send({ kind: 'removeSource', id });
    }
  }

  /** Makes the channel of a worker. @param id the worker's, unlike that of any other */
  openChannel(id: number, parkedAt: ParkedAt): IoChannel {
    const channel = createIoChannel(this.#common);
    this.#clients.set(id, { channel, parkedAt, waker: createWaker(parkedAt) });
    this.#send({ kind: 'addClient', id, channel, parkedAt });
    return channel;
  }

  /**
   * The worker is gone: all that its requests hold is released.
   * @param hasEnded its thread has ended, and uses no descriptor any more
   */
  closeChannel(id: number, hasEnded: boolean): void {
    const channel = this.#clients.get(id)?.channel ?? this.#leftBehind.get(id);
    this.#leftBehind.delete(id);
    if (channel !== undefined) {
      if (hasEnded) new OwnConnections(channel.loans, channel.waiting).removeAll();
      else this.#leftBehind.set(id, channel);
    }
    if (this.#clients.delete(id) || hasEnded) this.#send({ kind: 'removeClient', id, hasEnded });
  }

  /** Connects to a source once, and tells what is at the other end. @throws what an operation would fail with */
  probe(id: number): Promise<string> {
    return this.#ask((number) => ({ kind: 'probe', number, id })) as Promise<string>;
  }

  status(): Promise<readonly SourceStatus[]> {
    return this.#ask((number) => ({ kind: 'status', number })) as Promise<readonly SourceStatus[]>;
  }

  /**
   * Ends what is under way, closes all connections, and ends the thread.
   * @returns whether it has ended: one of its threads may be inside of a query of SQLite, and then is left to the end of the process
   */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    clearInterval(this.#watch);
    const thread = this.#thread;
    if (thread === undefined) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), STOP_MS);
    });
    const closed = this.#ask((number) => ({ kind: 'stop', number })).then(
      () => true,
      () => true,
    );
    const hasClosed = await Promise.race([closed, late]);
    clearTimeout(timer);
    if (hasClosed) await thread.terminate();
    else thread.unref();
    return hasClosed;
  }

  /** Ends the thread, and another takes its place: what is under way fails. */
  async restart(reason: string): Promise<void> {
    this.#endReason = reason;
    await this.#thread?.terminate();
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #start(): void {
    this.#restart = undefined;
    this.#startedMs = performance.now();
    const data: IoThreadData = { common: this.#common };
    // Client libraries look at variables of the environment for what the configuration does not say.
    const thread = new Worker(new URL('./thread.cjs', import.meta.url), { workerData: data, env: {}, name: 'io' });
    this.#thread = thread;
    this.#endReason = undefined;
    this.#askedMs = undefined;
    this.#watch = setInterval(() => this.#look(), WATCH_MS).unref();
    thread.on('message', (message: FromIoThread) => this.#take(message));
    thread.on('error', (error) => {
      this.#endReason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    thread.on('exit', () => this.#gone(this.#endReason ?? 'it ended'));
    for (const id of this.#sources.keys()) this.#add(id);
    for (const [id, { channel, parkedAt }] of this.#clients) this.#send({ kind: 'addClient', id, channel, parkedAt });
  }

  /** A thread that answers nothing serves nobody: a library may hang in a loop. */
  #look(): void {
    const nowMs = performance.now();
    if (this.#askedMs !== undefined) {
      if (nowMs - this.#askedMs > HANG_MS) void this.restart(`it did not answer for ${HANG_MS / 1000} s`);
      return;
    }
    this.#askedMs = nowMs;
    const answered = (): void => {
      this.#askedMs = undefined;
    };
    this.status().then(answered, answered);
  }

  #take(message: FromIoThread): void {
    if (message.kind === 'log') return this.#events.log(message.level, message.text);
    const answer = this.#answers.get(message.number);
    this.#answers.delete(message.number);
    if (message.kind === 'answer') answer?.resolve(message.result);
    else answer?.reject(new Error(message.message));
  }

  /** What was under way fails; a new thread serves what comes. */
  #gone(reason: string): void {
    this.#thread = undefined;
    clearInterval(this.#watch);
    for (const { reject } of this.#answers.values()) reject(new LuafcgidError('LUAFCGID_IO_LOST'));
    this.#answers.clear();
    if (this.#isStopping) return;
    this.#events.log('error', `the I/O thread is replaced: ${reason}`);
    Atomics.add(this.#epoch, 0, 1);
    for (const { waker } of this.#clients.values()) void waker.then((wake) => wake());
    this.#failures = performance.now() - this.#startedMs >= LASTING_MS ? 0 : this.#failures + 1;
    const delayMs = this.#failures <= 1 ? 0 : Math.min(MAX_REPLACE_MS, REPLACE_MS * 2 ** (this.#failures - 2));
    this.#restart = setTimeout(() => this.#start(), delayMs);
  }

  #add(id: number): void {
    const source = this.#sources.get(id);
    if (source !== undefined) this.#send({ kind: 'addSource', id, source });
  }

  /** A thread that is started later gets everything at its start. */
  #send(message: ToIoThread): void {
    this.#thread?.postMessage(message);
  }

  #ask(question: (number: number) => ToIoThread): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#thread === undefined) return reject(new LuafcgidError('LUAFCGID_IO_LOST'));
      const number = this.#nextId();
      this.#answers.set(number, { resolve, reject });
      this.#send(question(number));
    });
  }
}
