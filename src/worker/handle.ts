/** One worker as the main thread sees it: a thread, its two rings, and the news of its start and end. */
import { Worker } from 'node:worker_threads';
import { ToWorker } from '../channel/messages.js';
import { createRing, RingReader, RingWriter } from '../channel/ring.js';
import type { ThreadData } from './thread-data.js';

export interface WorkerEvents {
  /** The thread waits for requests. */
  onReady(): void;
  /** There is something in the ring to the front, or room in the other. */
  onBell(): void;
  /** The thread is no more. Also told when it never became ready. */
  onGone(reason: string): void;
}

/** What all workers of a server share. */
export type WorkerSettings = Omit<ThreadData, 'toWorker' | 'toFront'> & { readonly ringBytes: number };

export class WorkerHandle {
  /** The front's ends of the rings. */
  readonly toWorker: RingWriter;
  readonly toFront: RingReader;
  readonly #thread: Worker;
  readonly #ended: Promise<void>;
  readonly #isNative: boolean;

  constructor(settings: WorkerSettings, events: WorkerEvents) {
    const { ringBytes, ...shared } = settings;
    this.#isNative = settings.engine.name !== 'embedded';
    const toWorker = createRing(ringBytes);
    const toFront = createRing(ringBytes);
    this.toWorker = new RingWriter(toWorker);
    this.toFront = new RingReader(toFront);
    const data: ThreadData = { ...shared, toWorker, toFront };
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), { workerData: data });
    let reason = 'the thread ended';
    this.#thread.on('message', (message: 'ready' | 'bell') => {
      if (message === 'ready') events.onReady();
      else events.onBell();
    });
    this.#thread.on('error', (error) => {
      reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.#ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        resolve();
        events.onGone(reason);
      });
    });
  }

  /** Asks an idle worker to end, and waits until it has. */
  async stop(): Promise<void> {
    this.toWorker.tryWrite(ToWorker.STOP, 0, 0, new Uint8Array(0));
    this.toWorker.wakeReader();
    await this.#ended;
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
