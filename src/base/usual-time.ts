/**
 * How long requests of a state take: the limits and estimates by which the front and the workers decide, on the same
 * numbers, whether a request may be waited for.
 */

/** How long a request of a state takes that has not served any: nobody can tell. */
export const UNKNOWN_MS = Number.POSITIVE_INFINITY;

/** Workers serve only those scripts by themselves whose requests usually take no longer than this. */
export const SHORT_MS = 0.5;

/** Nobody waits longer than this behind a running request while another worker could serve it. */
export const LONG_MS = 1;

/** More than this does not count of one request: its thread may just have had to wait for a processor. */
const MAX_COUNTED_MS = 1;

/** How much one request counts. */
const WEIGHT = 1 / 8;

/** What a state's requests usually take, after one more: all of them count, and none alone says much. */
export function usualAfter(usualMs: number, tookMs: number): number {
  const countedMs = Math.min(tookMs, MAX_COUNTED_MS);
  return usualMs === UNKNOWN_MS ? countedMs : usualMs + (countedMs - usualMs) * WEIGHT;
}

/**
 * What the next request of a state is expected to take, after one that took `tookMs`. A long one counts at once, since
 * somebody may be about to wait behind the next; short ones count little by little.
 */
export function expectedAfter(expectedMs: number, tookMs: number): number {
  if (expectedMs === UNKNOWN_MS || tookMs >= expectedMs) return tookMs;
  return expectedMs + (tookMs - expectedMs) * WEIGHT;
}
