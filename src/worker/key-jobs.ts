/** Keys from passwords that requests of this worker wait for. Each is an operation like others (`waits.ts`). */

import type { Derivation } from '../base/key-derivation.js';
import type { LuaValue } from '../lua/state.js';
import type { MainPort } from './main-port.js';

/** What is made of the key. */
type Finish = (key: Uint8Array) => LuaValue;

export class KeyJobs {
  readonly #port: Pick<MainPort, 'tell' | 'takeKeys'>;
  readonly #made: Int32Array;
  readonly #pending = new Map<number, Finish>();
  #seen = 0;

  /** @param made one word: how many keys the main thread has made for this worker */
  constructor(port: Pick<MainPort, 'tell' | 'takeKeys'>, made: SharedArrayBuffer) {
    this.#port = port;
    this.#made = new Int32Array(made);
  }

  /** @param operation the token of the operation that waits for it */
  start(operation: number, password: Uint8Array, derivation: Derivation, finish: Finish): void {
    this.#pending.set(operation, finish);
    this.#port.tell({ key: { job: operation, password, derivation } });
  }

  get mayHaveNews(): boolean {
    return this.#pending.size > 0 && Atomics.load(this.#made, 0) !== this.#seen;
  }

  /** Ends the operations whose keys are there. */
  poll(end: (operation: number, result: { readonly isError: boolean; readonly value: LuaValue }) => void): void {
    if (!this.mayHaveNews) return;
    this.#seen = Atomics.load(this.#made, 0);
    for (const { job, key, message } of this.#port.takeKeys()) {
      const finish = this.#pending.get(job);
      this.#pending.delete(job);
      if (finish === undefined) continue;
      if (key === undefined) end(job, { isError: true, value: message });
      else end(job, { isError: false, value: finish(key) });
    }
  }
}
