/** Histograms of times: how a time finds its place, where places end, and what is read from their counts. */

/** Times up to 1/16, 1/8, … 2^17 ms; the last place has all that are longer. */
export const TIME_PLACES = 23;
const SHORTEST_MS = 1 / 16;

/** The place in which a time is counted: the first whose limit it does not pass. */
export function placeOf(timeMs: number): number {
  // Also for what is no number: a clock that steps back must not write beside the histogram.
  if (!(timeMs > SHORTEST_MS)) return 0;
  return Math.min(TIME_PLACES - 1, Math.ceil(Math.log2(timeMs / SHORTEST_MS)));
}

/** The longest time that is counted in a place. */
export function limitOf(place: number): number {
  return place === TIME_PLACES - 1 ? Number.POSITIVE_INFINITY : SHORTEST_MS * 2 ** place;
}

/**
 * The time that so large a part of all did not pass, in milliseconds: the limit of the place in which it lies, so it is
 * never told too low and at most double. Undefined when nothing was counted.
 */
export function quantileOf(counts: ArrayLike<number>, part: number): number | undefined {
  let total = 0;
  for (let place = 0; place < TIME_PLACES; place += 1) total += counts[place] ?? 0;
  if (total === 0) return undefined;
  let passed = 0;
  for (let place = 0; place < TIME_PLACES - 1; place += 1) {
    passed += counts[place] ?? 0;
    if (passed >= part * total) return limitOf(place);
  }
  return limitOf(TIME_PLACES - 2);
}
