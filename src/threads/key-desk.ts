/** Makes the keys from passwords that workers ask for: few at a time, since each takes a processor and up to 256 MiB for a while. */

import type { KeyJob, KeyResult } from '../channel/derivation-messages.js';

/** Each is on a thread of the pool of Node.js, which files need as well. */
const MOST_AT_ONCE = 2;

interface Waiting {
  readonly job: KeyJob;
  readonly done: (result: KeyResult) => void;
}

export class KeyDesk {
  readonly #derive: (password: Uint8Array, derivation: KeyJob['derivation']) => Promise<Uint8Array>;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(derive: (password: Uint8Array, derivation: KeyJob['derivation']) => Promise<Uint8Array>) {
    this.#derive = derive;
  }

  /** @param done called when the key is there, or cannot be made */
  run(job: KeyJob, done: (result: KeyResult) => void): void {
    this.#waiting.push({ job, done });
    this.#next();
  }

  #next(): void {
    while (this.#running < MOST_AT_ONCE) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running += 1;
      void this.#make(next);
    }
  }

  async #make({ job: { job, password, derivation }, done }: Waiting): Promise<void> {
    let result: KeyResult;
    try {
      result = { job, key: new Uint8Array(await this.#derive(password, derivation)), message: '' };
    } catch (error) {
      result = { job, key: undefined, message: (error as Error).message };
    }
    this.#running -= 1;
    done(result);
    this.#next();
  }
}
