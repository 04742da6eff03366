/** What one decision costs with many states, in the policy alone and in the pool's whole books. */

import { VictimHeap } from '../../dist/src/pool/eviction-heap.js';
import { ageOf, decide, scoreAfterUse } from '../../dist/src/pool/policy.js';
import { Pool } from '../../dist/src/pool/pool.js';
import { median, randomNumbers } from '../statistics.mjs';

const HALF_LIFE_MS = 600_000;
const INTERVAL_MS = 0.1;
const SEED = 2015;
const BATCH = 1000;

/**
 * @param {number} rounds
 * @param {(index: number) => void} task
 * @returns {{cpuMicros: number, medianMicros: number, worstMicros: number}} of one call: mean CPU time, with garbage
 *   collection; and elapsed time, the median and the slowest of batches
 */
function timed(rounds, task) {
  for (let index = 0; index < rounds / 4; index += 1) task(index);
  const batches = [];
  const beginCpu = process.cpuUsage();
  for (let index = 0; index < rounds; index += BATCH) {
    const begin = performance.now();
    for (let inBatch = 0; inBatch < BATCH; inBatch += 1) task(index + inBatch);
    batches.push(((performance.now() - begin) * 1000) / BATCH);
  }
  const { user, system } = process.cpuUsage(beginCpu);
  return { cpuMicros: (user + system) / rounds, medianMicros: median(batches), worstMicros: Math.max(...batches) };
}

/** @param {number} states @param {number} workers @param {number} rounds */
export function timeDecisions(states, workers, rounds) {
  return [
    { task: 'policy: evict the least popular state, list a new one', ...timed(rounds, policyMiss(states, workers)) },
    {
      task: 'pool: a request finds an idle state (join, assign, release)',
      ...timed(rounds, poolTask(states, workers, false)),
    },
    { task: 'pool: a request takes the place of another state', ...timed(rounds, poolTask(states, workers, true)) },
  ];
}

/** @param {number} states @param {number} workers */
function policyMiss(states, workers) {
  const random = randomNumbers(SEED);
  const share = states / workers;
  let uses = 0;
  const crew = Array.from({ length: workers }, () => {
    /** @type {VictimHeap<{score: number, lastUse: number, heapIndex: number}>} */
    const heap = new VictimHeap();
    for (let index = 0; index < share; index += 1) {
      uses += 1;
      heap.add({ score: random() * 20, lastUse: uses, heapIndex: -1 });
    }
    return {
      heap,
      stateCount: share,
      share,
      get victim() {
        return heap.first;
      },
    };
  });
  return (/** @type {number} */ index) => {
    const decision = decide({ idle: undefined, scriptStates: 0, clones: 1, isFull: false, freeWorkers: crew });
    if (decision.action !== 'create' || decision.evict === undefined) throw new Error(`decided: ${decision.action}`);
    const { evict: state, worker } = decision;
    worker.heap.remove(state);
    uses += 1;
    state.lastUse = uses;
    state.score = scoreAfterUse(random() * 20, ageOf(index * INTERVAL_MS, uses, HALF_LIFE_MS, states));
    worker.heap.add(state);
  };
}

/** @param {number} states @param {number} workers @param {boolean} isNew whether each request asks for a script not seen before */
function poolTask(states, workers, isNew) {
  const random = randomNumbers(SEED);
  const pool = new Pool(
    { states, clones: 1, workers, queue: 16, halfLifeMs: HALF_LIFE_MS, maxCount: 0 },
    { mayOffer: () => false, revoke: () => true },
  );
  for (let index = 0; index < workers; index += 1) pool.addWorker(index + 1, index);
  let nowMs = 0;
  let scripts = 0;
  const serve = (/** @type {string} */ script) => {
    nowMs += INTERVAL_MS;
    pool.join({ script, peer: 1, arrivedMs: nowMs });
    const assignment = pool.assign(nowMs);
    if (assignment === undefined) throw new Error('a free pool did not serve');
    if (assignment.evicted !== undefined) pool.closed(assignment.evicted.id);
    pool.release(assignment.state.id, false, 1);
    return assignment;
  };
  const newScript = () => {
    scripts += 1;
    return `/srv/www/script-${scripts}.lua`;
  };
  while (pool.counts().states < states) serve(newScript());
  const names = Array.from({ length: states }, (_, index) => `/srv/www/script-${index + 1}.lua`);
  return () => {
    const assignment = serve(isNew ? newScript() : names[Math.floor(random() * states)]);
    if (assignment.create !== isNew) throw new Error('served in another way than meant');
  };
}
