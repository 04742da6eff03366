/**
 * Where front and worker race for offers: each slot holds the number of an offer that neither has claimed yet, or 0. The
 * side that sets it to 0 has it: the worker, which then runs the request, or the front, which takes the offer back. The
 * slots lie in the control block of the ring to the worker.
 */
import { CONTROL_BYTES, FIRST_SLOT, SLOTS } from './ring.js';

export class OfferSlots {
  readonly #slots: Int32Array;

  constructor(ring: SharedArrayBuffer) {
    this.#slots = new Int32Array(ring, 0, CONTROL_BYTES / 4).subarray(FIRST_SLOT, FIRST_SLOT + SLOTS);
  }

  /** A slot without an offer, or -1. For the front only. */
  findFree(): number {
    for (let slot = 0; slot < SLOTS; slot += 1) if (Atomics.load(this.#slots, slot) === 0) return slot;
    return -1;
  }

  /** Lays an offer into a free slot, before the worker can read of it. */
  lay(slot: number, offer: number): void {
    Atomics.store(this.#slots, slot, offer);
  }

  /** Returns whether the offer was there: it is the caller's now, and nobody else's. */
  claim(slot: number, offer: number): boolean {
    return Atomics.compareExchange(this.#slots, slot, offer, 0) === offer;
  }
}
