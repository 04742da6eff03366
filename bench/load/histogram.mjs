/** Counts latencies in buckets that are never wider than 1/128 of their value: percentiles without keeping samples. */

const SUB_BITS = 7;
const SUB = 1 << SUB_BITS;

export class Histogram {
  #counts = new Uint32Array(SUB * 26);
  #total = 0;

  get total() {
    return this.#total;
  }

  /** @param {number} micros below 2 to the power of 31 */
  add(micros) {
    const value = Math.max(0, Math.floor(micros));
    // Up to SUB each value has its own bucket; above, each doubling has SUB of them.
    const shift = Math.max(0, 31 - Math.clz32(value) - SUB_BITS);
    this.#counts[shift * SUB + (value >>> shift)] += 1;
    this.#total += 1;
  }

  /** The value that `share` (0 to 1) of all lie at or below; 0 when there are none. @param {number} share */
  percentile(share) {
    const rank = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index += 1) {
      seen += this.#counts[index];
      if (seen >= rank) {
        const shift = Math.max(0, Math.floor(index / SUB) - 1);
        return (index - shift * SUB) << shift;
      }
    }
    return 0;
  }
}
