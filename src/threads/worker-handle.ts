/** One worker as the main thread sees it: a thread, its two rings, and the news of its start and end. */
import { statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { KeyJob, KeyResult } from '../channel/derivation-messages.js';
import type { ImageAnswer, ImageNews } from '../channel/image-messages.js';
import { createInterrupts, Interrupter, type InterruptRequest } from '../channel/interrupts.js';
import { createLoans } from '../channel/lending.js';
import { createLineRing } from '../channel/line-ring.js';
import { firstLentRequest } from '../channel/messages.js';
import type { Parker } from '../channel/park.js';
import { createRing, disturb } from '../channel/ring.js';
import type { IoHandle } from '../io/handle.js';
import { createWaker } from '../io/waker.js';
import { createCounters } from '../metrics/counters.js';
import { recover } from '../shared/guarded-memory.js';
import type { ThreadData } from '../worker/thread-data.js';

export type { WarmedScript } from '../worker/warm-start.js';

import type { WarmedScript } from '../worker/warm-start.js';
import type { ImageStore } from './image-store.js';
import type { KeyDesk } from './key-desk.js';
import { releaseLocksOf } from './lock-release.js';

/**
 * Most memory of a worker's own JavaScript objects: many times what one needs. One that takes more ends, and not the process.
 * Lua states do not count here: `memory` bounds them.
 */
const HEAP_LIMIT_MIB = 512;

/** A thread that is to be ended is waited for so long while it is inside of a call that would not survive that. */
const CALL_MS = 2000;
const CALL_LOOK_MS = 5;

/** What the thread says besides its ring. */
type FromThread =
  | 'ready'
  | 'bell'
  | { readonly wake: number }
  | { readonly warmed: readonly WarmedScript[] }
  | { readonly images: ImageNews }
  | { readonly key: KeyJob };

export interface WorkerEvents {
  /** The thread waits for requests. */
  onReady(): void;
  /** Before it is ready: what has become of the scripts that it was to load. */
  onWarmed(scripts: readonly WarmedScript[]): void;
  /** There is something in the ring to the front, or room in the other. Only told where there is no other bell. */
  onBell(): void;
  /** A request of this worker has got a lock, which one of another has released. */
  onWake(worker: number): void;
  /** The thread is no more. Also told when it never became ready. */
  onGone(reason: string): void;
}

/** What all workers of a server share. */
export type WorkerSettings = Omit<
  ThreadData,
  | 'index'
  | 'toWorker'
  | 'toFront'
  | 'interrupts'
  | 'loans'
  | 'counters'
  | 'lines'
  | 'firstRequest'
  | 'io'
  | 'worker'
  | 'needsRoom'
  | 'images'
  | 'keysMade'
> & {
  readonly ringBytes: number;
  /** Lets native Lua call a hook, see `createHookSetter`. */
  readonly setHook: ((state: number, hook: number) => void) | undefined;
  /** That of the rings; undefined: the language's own. */
  readonly sleeper: Parker | undefined;
  /** The I/O thread; undefined where no data source is configured. */
  readonly io: IoHandle | undefined;
};

/** What the main thread does for workers; undefined where one is alone. */
interface Services {
  /** Images that they share. */
  readonly images: Pick<ImageStore, 'index' | 'heard' | 'gone'>;
  readonly keys: Pick<KeyDesk, 'run'>;
}

const PROGRAM = new URL('../worker/thread.cjs', import.meta.url);

/** Tells the file that workers run from any that takes its place; undefined when there is none. */
export function workerProgram(): string | undefined {
  const stats = statSync(PROGRAM, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.size}:${stats.mtimeNs}:${stats.dev}:${stats.ino}`;
}

export class WorkerHandle {
  /** The rings, whose other ends are the front's. */
  readonly toWorker: SharedArrayBuffer;
  readonly toFront: SharedArrayBuffer;
  readonly interrupts: SharedArrayBuffer = createInterrupts();
  readonly loans: SharedArrayBuffer = createLoans();
  /** What it has done so far. */
  readonly counters: SharedArrayBuffer = createCounters();
  /** Lines of the access log; undefined: there is none. */
  readonly lines: SharedArrayBuffer | undefined;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;
  /** Resolves when it has ended or was given up. */
  readonly over: Promise<void>;
  #giveUp: () => void = () => {};
  readonly #startedMs = performance.now();
  #isReady = false;
  readonly #thread: Worker;
  readonly #isNative: boolean;
  /** Whatever its requests hold of data sources is released: also when it hangs and does not end. */
  readonly #closeChannel: (hasEnded: boolean) => void;
  readonly #interrupter: Interrupter;
  readonly #sleeper: Parker | undefined;
  #waker: Promise<() => void> | undefined;
  /** What its requests have locked is free. */
  readonly #releaseLocks: () => void;
  /** Images that only it has used are dropped. */
  readonly #leaveImages: () => void;
  readonly #keysMade = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #imageAnswers = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  /**
   * @param id unlike that of any other worker
   * @param index its number in the log, which a worker that takes its place has too
   * @param needsRoom it fails where the system has no room for a single state
   * @param services what the main thread does for it
   */
  constructor(
    id: number,
    index: number,
    settings: WorkerSettings,
    needsRoom: boolean,
    events: WorkerEvents,
    services?: Services,
  ) {
    const { ringBytes, setHook, sleeper, io, ...shared } = settings;
    this.#interrupter = new Interrupter(this.interrupts, setHook);
    this.#sleeper = sleeper;
    this.#releaseLocks = () => void releaseLocksOf(settings.locks, id, (worker) => events.onWake(worker));
    this.#closeChannel = (hasEnded) => io?.closeChannel(id, hasEnded);
    const images = services?.images;
    this.#leaveImages = () => images?.gone(id);
    this.#isNative = settings.engine.name !== 'embedded';
    this.toWorker = createRing(ringBytes);
    this.toFront = createRing(ringBytes);
    this.lines = settings.accessFormat === undefined ? undefined : createLineRing();
    const data: ThreadData = {
      ...shared,
      index,
      toWorker: this.toWorker,
      toFront: this.toFront,
      interrupts: this.interrupts,
      loans: this.loans,
      counters: this.counters,
      lines: this.lines,
      needsRoom,
      worker: id,
      keysMade: services && (this.#keysMade.buffer as SharedArrayBuffer),
      images: images && { answered: this.#imageAnswers.buffer as SharedArrayBuffer, index: images.index },
      firstRequest: firstLentRequest(id),
      io: io?.openChannel(id, { ring: this.toWorker, loans: this.loans, usesFutex: sleeper !== undefined }),
    };
    const resourceLimits = { maxOldGenerationSizeMb: HEAP_LIMIT_MIB };
    this.#thread = new Worker(PROGRAM, { workerData: data, resourceLimits });
    const givenUp = new Promise<void>((resolve) => {
      this.#giveUp = resolve;
    });
    let reason = 'the thread ended';
    this.#thread.on('message', (message: FromThread) => {
      if (message === 'bell') return events.onBell();
      if (message !== 'ready') {
        if ('key' in message) return services?.keys.run(message.key, (result) => this.#handOver(result));
        if ('images' in message) return this.#answer(images?.heard(id, message.images));
        return 'wake' in message ? events.onWake(message.wake) : events.onWarmed(message.warmed);
      }
      this.#isReady = true;
      events.onReady();
    });
    this.#thread.on('error', (error) => {
      reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        resolve();
        // It may have been ended while it changed a dictionary.
        for (const memory of [settings.locks, ...settings.shared.map((grant) => grant.memory)]) recover(memory, id);
        this.#releaseLocks();
        this.#leaveImages();
        this.#closeChannel(true);
        events.onGone(reason);
      });
    });
    this.over = Promise.race([this.ended, givenUp]);
  }

  /** Wakes the thread, which sleeps or is about to. */
  wake(): void {
    const parkedAt = { ring: this.toWorker, loans: this.loans, usesFutex: this.#sleeper !== undefined };
    this.#waker ??= createWaker(parkedAt);
    void this.#waker.then((wake) => wake());
  }

  /** A key that the thread's script waits for. */
  #handOver(result: KeyResult): void {
    this.#thread.postMessage(result);
    Atomics.add(this.#keysMade, 0, 1);
    this.wake();
  }

  /** The thread sleeps until its question is answered. */
  #answer(answer: ImageAnswer | undefined): void {
    if (answer === undefined) return;
    this.#thread.postMessage(answer);
    Atomics.store(this.#imageAnswers, 0, answer.question);
    Atomics.notify(this.#imageAnswers, 0);
  }

  /** Whether it has ever waited for requests. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Time since its start. */
  get ageMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Breaks into a request; does nothing when the worker does not run it (any more). */
  interrupt(request: number, what: InterruptRequest): void {
    if (!this.#interrupter.request(request, what)) return;
    // A worker that waits in its rings runs no Lua.
    disturb(this.toWorker, this.#sleeper);
    disturb(this.toFront, this.#sleeper);
  }

  /**
   * For a thread that cannot be ended: from now on it gets only the processor time that nobody else wants.
   * @returns false where that cannot be done
   */
  async makeIdle(): Promise<boolean> {
    const { thread } = this.#interrupter;
    if (thread === 0) return false;
    const { makeIdle } = await import('../linux/threads.js');
    return makeIdle(thread);
  }

  /** Nobody listens to the thread any more: it ends when it comes to itself, or is ended. */
  async abandon(): Promise<void> {
    this.#interrupter.abandon();
    this.#closeChannel(false);
    this.#releaseLocks();
    this.#leaveImages();
    this.#giveUp();
    disturb(this.toWorker, this.#sleeper);
    disturb(this.toFront, this.#sleeper);
    await this.terminate();
  }

  /**
   * Ends the thread whatever it does. One that runs native code cannot be ended: to break off JavaScript that Lua has
   * called would hand Lua an undefined result. It is left to the end of the process, see `endProcess`.
   */
  async terminate(): Promise<void> {
    if (this.#isNative || !(await this.#leavesCall())) this.#thread.unref();
    else await this.#thread.terminate();
  }

  /** Whether the thread can be ended: it is inside of no call that would not survive that, and begins none any more. */
  async #leavesCall(): Promise<boolean> {
    this.#interrupter.abandon();
    for (let waitedMs = 0; this.#interrupter.isInCall; waitedMs += CALL_LOOK_MS) {
      if (waitedMs >= CALL_MS) return false;
      await setTimeout(CALL_LOOK_MS);
    }
    return true;
  }
}
