/** One worker as the main thread sees it: a thread, its two rings, and the news of its start and end. */
import { Worker } from 'node:worker_threads';
import { createRing } from '../channel/ring.js';
import type { ThreadData } from './thread-data.js';

export interface WorkerEvents {
  /** The thread waits for requests. */
  onReady(): void;
  /** There is something in the ring to the front, or room in the other. Only told where there is no other bell. */
  onBell(): void;
  /** The thread is no more. Also told when it never became ready. */
  onGone(reason: string): void;
}

/** What all workers of a server share. */
export type WorkerSettings = Omit<ThreadData, 'toWorker' | 'toFront'> & { readonly ringBytes: number };

export class WorkerHandle {
  /** The rings, whose other ends are the front's. */
  readonly toWorker: SharedArrayBuffer;
  readonly toFront: SharedArrayBuffer;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>;
  readonly #thread: Worker;
  readonly #isNative: boolean;

  constructor(settings: WorkerSettings, events: WorkerEvents) {
    const { ringBytes, ...shared } = settings;
    this.#isNative = settings.engine.name !== 'embedded';
    this.toWorker = createRing(ringBytes);
    this.toFront = createRing(ringBytes);
    const data: ThreadData = { ...shared, toWorker: this.toWorker, toFront: this.toFront };
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), { workerData: data });
    let reason = 'the thread ended';
    this.#thread.on('message', (message: 'ready' | 'bell') => {
      if (message === 'ready') events.onReady();
      else events.onBell();
    });
    this.#thread.on('error', (error) => {
      reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        resolve();
        events.onGone(reason);
      });
    });
  }

  /**
   * Ends the thread whatever it does. One that runs native code cannot be ended: to break off JavaScript that Lua has
   * called would hand Lua an undefined result. It is left to the end of the process, see `endProcess`.
   */
  async terminate(): Promise<void> {
    if (this.#isNative) this.#thread.unref();
    else await this.#thread.terminate();
  }
}
