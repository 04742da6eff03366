/** Measures what a request takes of its worker: for the access log, and only if that wants it. */
import type { Usage } from '../channel/messages.js';

/** Processor time that this thread has used so far, in milliseconds. */
export type CpuClock = () => number;

export class UsageMeter {
  readonly #clock: CpuClock | undefined;
  /** Where the clock stood when the thread had done its last work. */
  #lastMs: number;
  #memoryBytes: number | undefined;

  /** @param clock undefined where there is none */
  constructor(clock: CpuClock | undefined) {
    this.#clock = clock;
    this.#lastMs = clock?.() ?? 0;
  }

  /** What was done until now belongs to no request. */
  skip(): void {
    if (this.#clock !== undefined) this.#lastMs = this.#clock();
  }

  /** Its script has ended, and this is what its state holds. */
  noteMemory(bytes: number): void {
    this.#memoryBytes = bytes;
  }

  /**
   * The request ends. It is charged with all since the one before, since each look at the clock costs as much as a small
   * script: sleeping takes no processor time.
   */
  end(): Usage {
    const memoryBytes = this.#memoryBytes;
    this.#memoryBytes = undefined;
    if (this.#clock === undefined) return { cpuMs: undefined, memoryBytes };
    const beganMs = this.#lastMs;
    this.#lastMs = this.#clock();
    return { cpuMs: this.#lastMs - beganMs, memoryBytes };
  }
}

/** The processor time of the calling thread; undefined where that cannot be had. */
export async function findCpuClock(): Promise<CpuClock | undefined> {
  const { platform } = process;
  if (platform === 'linux') {
    try {
      return (await import('../linux/thread-clock.js')).threadCpuMs;
    } catch {
      // Without FFI there may still be the way below.
    }
  }
  const { threadCpuUsage } = process as { threadCpuUsage?: () => NodeJS.CpuUsage };
  if (threadCpuUsage === undefined) return undefined;
  return () => {
    const { user, system } = threadCpuUsage();
    return (user + system) / 1000;
  };
}
