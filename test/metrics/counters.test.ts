import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createCounters, keepCounters, readCounters, WorkerCounters } from '../../src/metrics/counters.js';

const RUN = { status: 200, sentBytes: 10, tookMs: 1, isDirect: false };

function countsOf(...runs: readonly Partial<typeof RUN>[]) {
  const shared = createCounters();
  const counters = new WorkerCounters(shared);
  for (const run of runs) counters.note({ ...RUN, ...run });
  return readCounters([shared]);
}

describe('the counters of a worker', () => {
  it('begin at nothing', () => {
    const { byStatus, direct, sentBytes, runMs, times } = countsOf();
    assert.deepEqual([byStatus, direct, sentBytes, runMs], [[0, 0, 0, 0, 0, 0], 0, 0, 0]);
    assert.ok(times.every(({ count }) => count === 0));
  });

  it('count requests by the hundreds of their status; those without a usable one apart', () => {
    const statuses = [200, 204, 301, 404, 500, 599, 0, 600, 999];
    const { byStatus } = countsOf(...statuses.map((status) => ({ status })));
    assert.deepEqual(byStatus, [3, 0, 2, 1, 1, 2]);
  });

  it('add up bytes, run times and the requests that the worker has read by itself', () => {
    const { direct, sentBytes, runMs } = countsOf(
      { sentBytes: 2 ** 40 },
      { sentBytes: 1, isDirect: true, tookMs: 2.5 },
    );
    assert.deepEqual([direct, sentBytes, runMs], [1, 2 ** 40 + 1, 3.5]);
  });

  it('count each run time once, at the least limit that it does not pass', () => {
    const limits = countsOf().times.map(({ upToMs }) => upToMs);
    assert.deepEqual(limits.slice(0, 3), [1 / 16, 1 / 8, 1 / 4]);
    assert.equal(limits.at(-1), Number.POSITIVE_INFINITY);
    for (const tookMs of [0, 1 / 16, 0.0626, 0.125, 1, 1.01, 60_000, 131_072, 131_073, 1e9]) {
      const [place, ...others] = countsOf({ tookMs }).times.filter(({ count }) => count > 0);
      assert.deepEqual(others, []);
      assert.equal(
        place?.upToMs,
        limits.find((upToMs) => tookMs <= upToMs),
        `${tookMs} ms`,
      );
    }
  });

  it('of several workers are added up, also of those that have ended', () => {
    const [first, second, kept] = [createCounters(), createCounters(), createCounters()];
    new WorkerCounters(first).note(RUN);
    new WorkerCounters(second).note({ ...RUN, status: 404 });
    keepCounters(kept, first);
    keepCounters(kept, first);
    const { byStatus, sentBytes } = readCounters([kept, second]);
    assert.deepEqual([byStatus, sentBytes], [[0, 0, 2, 0, 1, 0], 30]);
  });

  it('are seen by another thread while the worker goes on', async () => {
    const shared = createCounters();
    const url = new URL('../../src/metrics/counters.js', import.meta.url).href;
    const source = `const { workerData } = require('node:worker_threads');
      import(${JSON.stringify(url)}).then(({ WorkerCounters }) => {
        const counters = new WorkerCounters(workerData);
        for (;;) counters.note({ status: 200, sentBytes: 3, tookMs: 1, isDirect: true });
      });`;
    const thread = new Worker(source, { eval: true, workerData: shared });
    try {
      let last = 0;
      for (let seen = 0; seen < 1000; ) {
        const [, , requests = 0] = readCounters([shared]).byStatus;
        assert.ok(Number.isSafeInteger(requests) && requests >= last, `${requests} after ${last}`);
        if (requests > last) seen += 1;
        last = requests;
        if (requests === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      await thread.terminate();
    }
  });
});
