/** The pool's decisions: what one costs, and which requests find their state, beside other policies. */
import { RememberedScores } from '../dist/src/pool/ghost-scores.js';
import { clairvoyant, hitRate, leastFrequentlyUsed, leastRecentlyUsed, popularityWithAging } from './policy/caches.mjs';
import { timeDecisions } from './policy/decision-time.mjs';
import { makeTraffic } from './policy/traffic.mjs';
import { fixed, say, sayTable } from './report.mjs';

const STATES = 10_000;
const WORKERS = 2;
const SCRIPTS = 2000;
const POOL = 200;
/** 100 requests a second: with it, half-lives become numbers of requests. */
const INTERVAL_MS = 10;
const HALF_LIVES_S = [600, 60, 6];

/** @param {import('./options.mjs').Options} options */
export function measurePolicy(options) {
  const times = timeDecisions(STATES, WORKERS, options.quick ? 50_000 : 400_000);
  say(`### Time of one decision with ${STATES} states on ${WORKERS} workers\n`);
  sayTable(
    ['decision|', 'CPU µs', 'elapsed µs', 'slowest thousand, µs each'],
    times.map(({ task, cpuMicros, medianMicros, worstMicros }) => [
      task,
      fixed(cpuMicros, 2),
      fixed(medianMicros, 2),
      fixed(worstMicros, 2),
    ]),
  );

  const length = options.quick ? 200_000 : 1_000_000;
  say(
    `### Requests that find a state of their script: ${SCRIPTS} scripts, ${POOL} states, ${length} requests, 100 a second\n`,
  );
  const results = makeTraffic(SCRIPTS, length).map(({ name, requests }) => ({
    name,
    leastRecentlyUsed: hitRate(requests, POOL, leastRecentlyUsed),
    leastFrequentlyUsed: hitRate(requests, POOL, leastFrequentlyUsed),
    byHalfLife: HALF_LIVES_S.map((seconds) =>
      hitRate(requests, POOL, popularityWithAging(seconds * 1000, INTERVAL_MS, POOL), new RememberedScores(POOL)),
    ),
    optimum: hitRate(requests, POOL, clairvoyant(requests)),
  }));
  const percent = (/** @type {number} */ share) => `${fixed(share * 100, 1)} %`;
  sayTable(
    ['traffic|', 'LRU', 'LFU', ...HALF_LIVES_S.map((seconds) => `halflife = ${seconds}`), 'could be known'],
    results.map((result) => [
      result.name,
      percent(result.leastRecentlyUsed),
      percent(result.leastFrequentlyUsed),
      ...result.byHalfLife.map(percent),
      percent(result.optimum),
    ]),
  );
  return { times, hitRates: results };
}
