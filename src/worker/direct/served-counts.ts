/** What states have served on lent connections since the front was last told, and how long their requests usually take. */

import { SHORT_MS, usualAfter } from '../../base/usual-time.js';
import type { Outbox } from '../outbox.js';

/** The front is told at the latest after so many requests, or after this time. */
const MAX_UNTOLD = 256;
const MAX_UNTOLD_MS = 100;

interface Served {
  /** Requests since the front was last told. */
  count: number;
  usualMs: number;
}

export class ServedCounts {
  readonly #outbox: Pick<Outbox, 'served'>;
  readonly #ringBell: () => void;
  readonly #states = new Map<number, Served>();
  #untold = 0;
  #toldMs = 0;

  /** @param ringBell wakes the front */
  constructor(outbox: Pick<Outbox, 'served'>, ringBell: () => void) {
    this.#outbox = outbox;
    this.#ringBell = ringBell;
  }

  /** A state has served a request. */
  note(state: number, tookMs: number, nowMs: number): void {
    let served = this.#states.get(state);
    if (served === undefined) {
      // The front lets only short ones be served: what the first takes is no proof that they are long.
      served = { count: 0, usualMs: Math.min(tookMs, SHORT_MS / 2) };
      this.#states.set(state, served);
    }
    served.count += 1;
    served.usualMs = usualAfter(served.usualMs, tookMs);
    this.#untold += 1;
    const isLong = served.usualMs > SHORT_MS;
    if (isLong || this.#untold >= MAX_UNTOLD) this.tell(nowMs);
    if (isLong) this.#ringBell();
  }

  /** Tells the front, if it was not told for some time. */
  tellIfDue(nowMs: () => number): void {
    if (this.#untold === 0) return;
    const now = nowMs();
    if (now - this.#toldMs > MAX_UNTOLD_MS) this.tell(now);
  }

  /** Tells the front. Wakes nobody. */
  tell(nowMs: number): void {
    if (this.#untold === 0) return;
    for (const [state, served] of this.#states) {
      if (served.count > 0) this.#outbox.served(state, served.count, served.usualMs);
      // It has served nothing since the last time: it may be gone.
      else this.#states.delete(state);
      served.count = 0;
    }
    this.#untold = 0;
    this.#toldMs = nowMs;
  }
}
