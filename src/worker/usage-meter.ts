/** Measures what a request takes of its worker: for the access log, and only if that wants it. */
import type { Usage } from '../channel/messages.js';

/** Processor time that this thread has used so far, in milliseconds. */
export type CpuClock = () => number;

export class UsageMeter {
  readonly #clock: CpuClock | undefined;
  #beganMs = 0;
  #memoryBytes: number | undefined;

  /** @param clock undefined where there is none */
  constructor(clock: CpuClock | undefined) {
    this.#clock = clock;
  }

  /** A request begins. */
  begin(): void {
    this.#memoryBytes = undefined;
    if (this.#clock !== undefined) this.#beganMs = this.#clock();
  }

  /** Its script has ended, and this is what its state holds. */
  noteMemory(bytes: number): void {
    this.#memoryBytes = bytes;
  }

  /** The request ends. */
  end(): Usage {
    const cpuMs = this.#clock === undefined ? undefined : this.#clock() - this.#beganMs;
    return { cpuMs, memoryBytes: this.#memoryBytes };
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
