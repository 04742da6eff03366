/** A pool of states reduced to what an eviction policy is about: which requests find their script's state. */

import { VictimHeap } from '../../dist/src/pool/eviction-heap.js';
import { RememberedScores } from '../../dist/src/pool/ghost-scores.js';
import { ageOf, scoreAfterUse, UNUSED } from '../../dist/src/pool/policy.js';

/**
 * @typedef {{score: number, lastUse: number, heapIndex: number, script: number}} Entry
 * @typedef {(score: number, index: number) => number} Scoring the score after a use by request `index`
 */

/** Always the same: what was not used for longest goes. @type {Scoring} */
export const leastRecentlyUsed = () => 0;

/** What was used least since it came goes. @type {Scoring} */
export const leastFrequentlyUsed = (score) => (score === UNUSED ? 1 : score + 1);

/** The pool's own policy. @param {number} halfLifeMs @param {number} intervalMs between two requests @param {number} states @returns {Scoring} */
export const popularityWithAging = (halfLifeMs, intervalMs, states) => (score, index) =>
  scoreAfterUse(score, ageOf(index * intervalMs, index, halfLifeMs, states));

/** What is needed again last goes: nothing can do better, and nothing can know it. @param {Int32Array} requests @returns {Scoring} */
export function clairvoyant(requests) {
  const nextUse = new Float64Array(requests.length);
  const seen = new Map();
  for (let index = requests.length - 1; index >= 0; index -= 1) {
    nextUse[index] = seen.get(requests[index]) ?? Number.POSITIVE_INFINITY;
    seen.set(requests[index], index);
  }
  return (_score, index) => -nextUse[index];
}

/**
 * @param {Int32Array} requests
 * @param {number} states
 * @param {Scoring} scoring
 * @param {RememberedScores} [remembered] of scripts whose state is gone
 * @returns {number} share of the requests that found a state
 */
export function hitRate(requests, states, scoring, remembered) {
  /** @type {Map<number, Entry>} */
  const entries = new Map();
  /** @type {VictimHeap<Entry>} */
  const heap = new VictimHeap();
  let hits = 0;
  for (let index = 0; index < requests.length; index += 1) {
    const script = requests[index];
    let entry = entries.get(script);
    if (entry !== undefined) {
      hits += 1;
      heap.remove(entry);
    } else {
      const victim = entries.size >= states ? heap.first : undefined;
      if (victim !== undefined) {
        heap.remove(victim);
        entries.delete(victim.script);
        remembered?.keep(String(victim.script), victim.score);
      }
      entry = { score: remembered?.take(String(script)) ?? UNUSED, lastUse: 0, heapIndex: -1, script };
      entries.set(script, entry);
    }
    entry.score = scoring(entry.score, index);
    entry.lastUse = index + 1;
    heap.add(entry);
  }
  return hits / requests.length;
}
