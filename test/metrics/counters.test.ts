import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  At,
  type CountedRun,
  CountersView,
  createCounters,
  MOST_SCRIPTS,
  OTHER_SCRIPTS,
  STATUS_CLASSES,
  WorkerCounters,
} from '../../src/metrics/counters.js';
import { limitOf, TIME_PLACES } from '../../src/metrics/histogram.js';
import { MOST_TOTALS, ScriptTotals } from '../../src/metrics/totals.js';

const RUN: CountedRun = {
  script: '/srv/page.lua',
  status: 200,
  sentBytes: 10,
  tookMs: 1,
  waitedMs: 0,
  isDirect: false,
  isLoad: false,
  isFailed: false,
  isTimedOut: false,
};

function counted(...runs: readonly Partial<CountedRun>[]): ScriptTotals {
  const shared = createCounters();
  const counters = new WorkerCounters(shared);
  for (const run of runs) counters.note({ ...RUN, ...run });
  const totals = new ScriptTotals();
  totals.add(new CountersView(shared));
  return totals;
}

function numberOf({ starts, numbers }: ScriptTotals, script: string, at: number): number {
  return numbers[(starts.get(script) ?? Number.NaN) + at] ?? 0;
}

function statusesOf(totals: ScriptTotals): number[] {
  return Array.from({ length: STATUS_CLASSES }, (_, place) => totals.sum(At.STATUS + place));
}

describe('the counters of a worker', () => {
  it('begin at nothing', () => {
    const totals = counted();
    for (const at of Object.values(At)) assert.equal(totals.sum(at), 0);
    assert.equal(new CountersView(createCounters()).total, 0);
  });

  it('count requests by the hundreds of their status; those without a usable one apart', () => {
    const statuses = [200, 204, 301, 404, 500, 599, 0, 600, 999];
    assert.deepEqual(statusesOf(counted(...statuses.map((status) => ({ status })))), [3, 0, 2, 1, 1, 2]);
  });

  it('add up bytes, run times and the requests that the worker has read by itself', () => {
    const totals = counted({ sentBytes: 2 ** 40 }, { sentBytes: 1, isDirect: true, tookMs: 2.5 });
    assert.deepEqual([totals.sum(At.DIRECT), totals.sum(At.SENT_BYTES), totals.sum(At.RUN_MS)], [1, 2 ** 40 + 1, 3.5]);
  });

  it('tell the time in which a script waited from that in which it ran, and count only those that waited', () => {
    const totals = counted({ tookMs: 50, waitedMs: 48 }, { tookMs: 2 });
    assert.deepEqual([totals.sum(At.RUN_MS), totals.sum(At.WAIT_MS)], [4, 48]);
    const waits = Array.from({ length: TIME_PLACES }, (_, place) => totals.sum(At.WAIT_TIMES + place));
    assert.equal(
      waits.reduce((sum, count) => sum + count, 0),
      1,
    );
  });

  it('count each run time once, at the least limit that it does not pass', () => {
    const limits = Array.from({ length: TIME_PLACES }, (_, place) => limitOf(place));
    assert.deepEqual(limits.slice(0, 3), [1 / 16, 1 / 8, 1 / 4]);
    assert.equal(limits.at(-1), Number.POSITIVE_INFINITY);
    for (const tookMs of [-1, 0, 1 / 16, 0.0626, 0.125, 1, 1.01, 60_000, 131_072, 131_073, 1e9]) {
      const totals = counted({ tookMs });
      const places = limits.flatMap((_, place) => (totals.sum(At.RUN_TIMES + place) > 0 ? [place] : []));
      assert.deepEqual(
        places.map((place) => limits[place]),
        [limits.find((upToMs) => tookMs <= upToMs)],
        `${tookMs} ms`,
      );
    }
  });

  it('keep scripts apart, by names of bytes', () => {
    const named = counted({ script: '/srv/caf\xc3\xa9.lua' }, { script: '/srv/b.lua' }, { script: '/srv/b.lua' });
    assert.deepEqual(
      [...named.starts.keys()].map((script) => [script, numberOf(named, script, At.STATUS + 2)]),
      [
        ['/srv/caf\xc3\xa9.lua', 1],
        ['/srv/b.lua', 2],
        [OTHER_SCRIPTS, 0],
      ],
    );
  });

  it('lose no request when there are more scripts than slots, or names without an end (bounded cardinality)', () => {
    const many = counted(...Array.from({ length: 3 * MOST_SCRIPTS }, (_, at) => ({ script: `/srv/${at}.lua` })));
    assert.ok(many.starts.size <= MOST_TOTALS + 1);
    assert.equal(many.sum(At.STATUS + 2), 3 * MOST_SCRIPTS);
    const long = counted(...Array.from({ length: 500 }, (_, at) => ({ script: `/${at}${'x'.repeat(4_000)}` })));
    assert.equal(long.sum(At.STATUS + 2), 500);
    assert.ok(numberOf(long, OTHER_SCRIPTS, At.STATUS + 2) > 400);
  });

  it('of several workers are added up, also of those that have ended', () => {
    const [first, second] = [createCounters(), createCounters()];
    new WorkerCounters(first).note(RUN);
    new WorkerCounters(second).note({ ...RUN, status: 404 });
    const ended = new ScriptTotals();
    ended.add(new CountersView(first));
    ended.add(new CountersView(first));
    const totals = new ScriptTotals();
    totals.addAll(ended);
    totals.add(new CountersView(second));
    assert.deepEqual([statusesOf(totals), totals.sum(At.SENT_BYTES)], [[0, 0, 2, 0, 1, 0], 30]);
  });

  it('have the memory of states, the later one where two share a place', () => {
    const shared = createCounters();
    const counters = new WorkerCounters(shared);
    const view = new CountersView(shared);
    counters.noteMemory(7, 1_000);
    assert.equal(view.memoryOf(7), 1_000);
    counters.noteMemory(7 + 1_024, 2_000);
    assert.deepEqual([view.memoryOf(7), view.memoryOf(7 + 1_024)], [undefined, 2_000]);
  });

  it('are seen by another thread while the worker goes on', async () => {
    const shared = createCounters();
    const url = new URL('../../src/metrics/counters.js', import.meta.url).href;
    const source = `const { workerData } = require('node:worker_threads');
      import(${JSON.stringify(url)}).then(({ WorkerCounters }) => {
        const counters = new WorkerCounters(workerData);
        for (;;) counters.note(${JSON.stringify(RUN)});
      });`;
    const thread = new Worker(source, { eval: true, workerData: shared });
    const view = new CountersView(shared);
    try {
      let last = 0;
      for (let seen = 0; seen < 1000; ) {
        const { total } = view;
        assert.ok(Number.isSafeInteger(total) && total >= last, `${total} after ${last}`);
        if (total > last) seen += 1;
        last = total;
        if (total === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const names: string[] = [];
      view.visitScripts((script) => void names.push(script));
      assert.deepEqual(names, [RUN.script, OTHER_SCRIPTS]);
    } finally {
      await thread.terminate();
    }
  });
});
