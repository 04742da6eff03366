/** How a thread sleeps until another has changed a word of shared memory. Both ends of a ring have to use the same way. */

export interface Parker {
  /**
   * Sleeps while the first word of `cell` is `expected`, or until woken; may also return for no reason.
   * @param longestMs left out: no limit
   */
  wait(cell: Int32Array, expected: number, longestMs?: number): void;
  /** Wakes the thread that sleeps on the cell, if one does. */
  wake(cell: Int32Array): void;
}

/** The language's own way, which works everywhere. */
export const atomicsParker: Parker = {
  wait: (cell, expected, longestMs) => void Atomics.wait(cell, 0, expected, longestMs),
  wake: (cell) => void Atomics.notify(cell, 0),
};
