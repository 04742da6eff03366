/**
 * The shared memory between the I/O thread and a worker: a ring each way, the epoch, and the bell of the I/O thread. The main
 * thread makes it, both sides use it. Pure.
 */
import { createRing } from '../channel/ring.js';
import { createLoanWords, createWaitingWords } from './loan-words.js';

/** All of it can be cloned to another thread. */
export interface IoChannel {
  readonly toIo: SharedArrayBuffer;
  readonly toWorker: SharedArrayBuffer;
  /** One word for all channels: how many I/O threads have died. */
  readonly epoch: SharedArrayBuffer;
  /** One word for all channels: 1 while the I/O thread sleeps and wants to be rung. */
  readonly bell: SharedArrayBuffer;
  /** For all channels: operations that wait for connections (`WaitingCounts`). */
  readonly waiting: SharedArrayBuffer;
  /** Connections that are lent to this worker (`LoanWords`). */
  readonly loans: SharedArrayBuffer;
}

/** Where a worker sleeps, for those who wake it. */
export interface ParkedAt {
  /** The ring from the front. */
  readonly ring: SharedArrayBuffer;
  /** Has the descriptor that wakes it in its epoll instance, see `channel/lending.ts`. */
  readonly loans?: SharedArrayBuffer | undefined;
  /** Whether it sleeps by the kernel's own call (`linux/futex.ts`). */
  readonly usesFutex: boolean;
}

const TO_IO_BYTES = 64 * 1024;
const TO_WORKER_BYTES = 256 * 1024;

/** What all channels of a server share. */
export type IoCommon = Pick<IoChannel, 'epoch' | 'bell' | 'waiting'>;

export function createIoCommon(): IoCommon {
  return { epoch: new SharedArrayBuffer(4), bell: new SharedArrayBuffer(4), waiting: createWaitingWords() };
}

export function createIoChannel(common: IoCommon, toIoBytes = TO_IO_BYTES, toWorkerBytes = TO_WORKER_BYTES): IoChannel {
  return {
    ...common,
    toIo: createRing(toIoBytes),
    toWorker: createRing(toWorkerBytes),
    loans: createLoanWords(),
  };
}

/** The I/O thread's bell. A thread with an event loop cannot sleep in `Atomics.wait`, so this has its own way. */
export class IoBell {
  readonly #asleep: Int32Array;

  constructor({ bell }: IoCommon) {
    this.#asleep = new Int32Array(bell);
  }

  /** Wakes the I/O thread if it sleeps. Call it after writing, or after making room that it waits for. */
  ring(): void {
    if (Atomics.exchange(this.#asleep, 0, 0) === 1) Atomics.notify(this.#asleep, 0);
  }

  /**
   * The I/O thread has found nothing to do.
   * @param hasWork looks once more, after it has been said that this thread sleeps
   * @param wake called when somebody has rung
   */
  sleep(hasWork: () => boolean, wake: () => void): void {
    Atomics.store(this.#asleep, 0, 1);
    if (hasWork()) {
      Atomics.store(this.#asleep, 0, 0);
      setImmediate(wake);
      return;
    }
    const wait = waitAsync(this.#asleep, 0, 1);
    if (wait.async) void wait.value.then(wake);
    else setImmediate(wake);
  }
}

type WaitAsync = (
  cell: Int32Array,
  index: number,
  value: number,
) => { readonly async: false } | { readonly async: true; readonly value: Promise<string> };

/** In the language since ECMAScript 2024, and in every Node.js that the server runs on. */
const waitAsync = (Atomics as unknown as { readonly waitAsync: WaitAsync }).waitAsync;
