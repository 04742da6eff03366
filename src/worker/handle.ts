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

  constructor(settings: WorkerSettings, events: WorkerEvents) {
    const { ringBytes, ...shared } = settings;
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

  /** Ends the thread whatever it does. */
  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }
}
