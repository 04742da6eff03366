/** Locks in shared memory: one holder at a time, in turn, and nobody waits for ever (issue 13, 6; data-access.md 4.5). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLocks, readLockStatus } from '../../src/shared/lock-memory.js';
import { type Acquired, LockTable } from '../../src/shared/lock-table.js';

const name = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

function create() {
  const shared = createLocks([1, 2]);
  return { shared, table: new LockTable(shared, 1) };
}

const waiterOf = (acquired: Acquired): number =>
  acquired.outcome === 'waits' ? acquired.waiter : assert.fail(acquired.outcome);
const tokenOf = (acquired: Acquired): number =>
  acquired.outcome === 'held' ? acquired.token : assert.fail(acquired.outcome);

describe('the table of locks', () => {
  it('gives a lock to one request at a time, in the order in which they asked', () => {
    const { shared, table } = create();
    const token = tokenOf(table.acquire(name('a'), { worker: 1, run: 1 }, true));
    const second = waiterOf(table.acquire(name('a'), { worker: 2, run: 7 }, true));
    const third = waiterOf(table.acquire(name('a'), { worker: 3, run: 9 }, true));
    assert.equal(table.acquire(name('a'), { worker: 4, run: 1 }, false).outcome, 'busy');
    assert.equal(table.isGranted(second), false);
    assert.equal(table.release(name('a'), { worker: 2, run: 7 }, token), undefined, 'it is not held by this one');
    assert.equal(table.release(name('a'), { worker: 1, run: 1 }, token), 2);
    assert.deepEqual([table.isGranted(second), table.isGranted(third)], [true, false]);
    const next = table.cancel(second) as number;
    assert.ok(next > token, 'tokens grow');
    assert.equal(table.release(name('a'), { worker: 2, run: 7 }, next), 3);
    const last = table.cancel(third) as number;
    assert.equal(table.release(name('a'), { worker: 3, run: 9 }, last), 0);
    assert.deepEqual([readLockStatus(shared).held, readLockStatus(shared).waiting], [0, 0]);
  });

  it('finds the circle that a request would close, however long, and none where somebody can go on', () => {
    const { table } = create();
    const runs = [1, 2, 3].map((run) => ({ worker: run, run }));
    for (const [at, run] of runs.entries()) tokenOf(table.acquire(name(`lock ${at}`), run, true));
    const waiters = runs.map((run, at) => [waiterOf(table.acquire(name(`lock ${(at + 1) % 3}`), run, true))]);
    assert.equal(table.settle(waiters[0] as number[]), false);
    assert.equal(table.settle(waiters[1] as number[]), false);
    table.unsettle(waiters[0] as number[]);
    assert.equal(table.settle(waiters[2] as number[]), false, 'the first one may do something else');
    assert.equal(table.settle(waiters[0] as number[]), true);
    assert.equal(table.acquire(name('lock 0'), runs[0] as (typeof runs)[0], true).outcome, 'own');
  });

  it('releases what a lost worker held, and forgets that it waited', () => {
    const { shared, table } = create();
    tokenOf(table.acquire(name('a'), { worker: 1, run: 1 }, true));
    tokenOf(table.acquire(name('b'), { worker: 2, run: 2 }, true));
    waiterOf(table.acquire(name('b'), { worker: 1, run: 3 }, true));
    const waiter = waiterOf(table.acquire(name('a'), { worker: 3, run: 4 }, true));
    assert.deepEqual([...new LockTable(shared, 99).releaseWorker(1)], [3]);
    assert.equal(table.isGranted(waiter), true);
    assert.equal(readLockStatus(shared).waiting, 0);
    assert.equal(readLockStatus(shared).left, 1);
  });

  it('does what a model of queues does', () => {
    const ACTION = fc.record({
      do: fc.constantFrom('acquire', 'acquire', 'release', 'cancel', 'lose'),
      lock: fc.nat(4),
      worker: fc.integer({ min: 1, max: 3 }),
      run: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(ACTION, { maxLength: 150, size: 'max' }), (actions) => {
        const { shared, table } = create();
        /** By lock, who holds it, and who waits. */
        const model = new Map<number, { key: string; worker: number; run: number; waiter: number; token: number }[]>();
        const isLost = new Set<number>();
        for (const { do: what, lock, worker, run } of actions) {
          const queue = model.get(lock) ?? [];
          model.set(lock, queue);
          const key = `${worker} ${run}`;
          const holder = { worker, run };
          const refresh = (): void => {
            const [first] = queue;
            if (first === undefined || first.token !== 0) return;
            assert.ok(table.isGranted(first.waiter), 'the first in the queue has it');
            first.token = table.cancel(first.waiter) as number;
          };
          const at = queue.findIndex((one) => one.key === key);
          if (what === 'acquire') {
            if (at > 0) continue;
            const acquired = table.acquire(name(`lock ${lock}`), holder, true);
            if (at === 0) assert.equal(acquired.outcome, 'own');
            else if (queue.length === 0) queue.push({ ...holder, key, waiter: 0, token: tokenOf(acquired) });
            else queue.push({ ...holder, key, waiter: waiterOf(acquired), token: 0 });
          } else if (what === 'release' && at === 0) {
            const released = table.release(name(`lock ${lock}`), holder, queue[0]?.token as number);
            queue.shift();
            assert.equal(released, queue[0]?.worker ?? 0);
            refresh();
          } else if (what === 'cancel' && at > 0) {
            assert.equal(table.cancel(queue[at]?.waiter as number), undefined);
            queue.splice(at, 1);
          } else if (what === 'lose' && lock === 0) {
            isLost.add(worker);
            table.releaseWorker(worker);
            for (const [other, entries] of model) {
              const left = entries.filter((one) => one.worker !== worker);
              model.set(other, left);
              const [first] = left;
              if (first === undefined || first.token !== 0) continue;
              assert.ok(table.isGranted(first.waiter));
              first.token = table.cancel(first.waiter) as number;
            }
          }
        }
        const held = [...model.values()].filter((entries) => entries.length > 0).length;
        const waiting = [...model.values()].reduce((sum, entries) => sum + Math.max(0, entries.length - 1), 0);
        assert.deepEqual([readLockStatus(shared).held, readLockStatus(shared).waiting], [held, waiting]);
      }),
      { numRuns: 100 },
    );
  });
});
