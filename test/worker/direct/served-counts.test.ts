import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ServedCounts } from '../../../src/worker/direct/served-counts.js';

class Setting {
  /** State, count and usual time of each message. */
  readonly told: [state: number, count: number, usualMs: number][] = [];
  bells = 0;
  nowMs = 1_000;
  readonly counts = new ServedCounts(
    { served: (state, count, usualMs) => void this.told.push([state, count, usualMs]) },
    () => {
      this.bells += 1;
    },
  );

  serve(state: number, tookMs: number, times = 1): void {
    for (let left = times; left > 0; left -= 1) this.counts.note(state, tookMs, this.nowMs);
  }

  get sums(): (readonly [state: number, count: number])[] {
    return this.told.map(([state, count]) => [state, count]);
  }
}

describe('what a worker has served by itself', () => {
  it('is told in sums, by state, when it is asked for; and nothing when there is nothing', () => {
    const setting = new Setting();
    setting.counts.tell(setting.nowMs);
    assert.deepEqual(setting.told, []);
    setting.serve(1, 0.1, 3);
    setting.serve(2, 0.1);
    setting.counts.tell(setting.nowMs);
    assert.deepEqual(setting.sums, [
      [1, 3],
      [2, 1],
    ]);
    setting.counts.tell(setting.nowMs);
    assert.equal(setting.told.length, 2);
    assert.equal(setting.bells, 0, 'nobody is woken for it');
  });

  it('is told after 256 requests without being asked', () => {
    const setting = new Setting();
    setting.serve(1, 0.1, 255);
    assert.deepEqual(setting.sums, []);
    setting.serve(1, 0.1);
    assert.deepEqual(setting.sums, [[1, 256]]);
  });

  it('is told before the next wait once a tenth of a second has passed', () => {
    const setting = new Setting();
    setting.serve(1, 0.1);
    setting.counts.tell(setting.nowMs);
    setting.serve(1, 0.1);
    setting.nowMs += 100;
    setting.counts.tellIfDue(() => setting.nowMs);
    assert.equal(setting.told.length, 1);
    setting.nowMs += 1;
    setting.counts.tellIfDue(() => setting.nowMs);
    assert.equal(setting.told.length, 2);
  });

  it('is told at once, and the front woken, when requests of a state have come to take long', () => {
    const setting = new Setting();
    setting.serve(1, 0.1, 5);
    // One that took long says little: its thread may just have had to wait.
    setting.serve(1, 50);
    assert.deepEqual([setting.told.length, setting.bells], [0, 0]);
    setting.serve(1, 50, 5);
    assert.ok(setting.bells > 0);
    const [state, , usualMs = 0] = setting.told.at(-1) ?? [];
    assert.ok(state === 1 && usualMs > 0.5 && usualMs <= 1, `${usualMs} ms`);
  });

  it('is forgotten of a state that has served nothing between two times', () => {
    const setting = new Setting();
    setting.serve(1, 0.2, 10);
    setting.serve(2, 0.1);
    setting.counts.tell(setting.nowMs);
    const [, , before = 0] = setting.told[0] ?? [];
    setting.serve(2, 0.1);
    setting.counts.tell(setting.nowMs);
    setting.serve(1, 0.01);
    setting.counts.tell(setting.nowMs);
    const [, , after = 0] = setting.told.at(-1) ?? [];
    assert.ok(after < before / 2, 'its usual time begins anew');
  });
});
