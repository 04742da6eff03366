/** Which part of a script's time does not count, on clocks of the test's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UnscheduledTime } from '../../src/worker/unscheduled-time.js';

class Setting {
  nowMs = 100;
  cpuMs = 10;
  looks = 0;
  readonly time = new UnscheduledTime(
    () => {
      this.looks += 1;
      return this.cpuMs;
    },
    () => this.nowMs,
  );

  /** A script executes. @returns what of its time counts */
  run(tookMs: number, onProcessorMs: number): number {
    this.time.begin();
    this.nowMs += tookMs;
    this.cpuMs += onProcessorMs;
    return tookMs - this.time.end();
  }
}

describe('the time of a script', () => {
  it('counts as it is when it is short, and the clock of the processor is not looked at', () => {
    const setting = new Setting();
    assert.equal(setting.run(0.2, 0.05), 0.2);
    assert.equal(setting.looks, 0);
  });

  it('counts as short once, and what comes next by the processor that it has used', () => {
    const setting = new Setting();
    assert.equal(setting.run(8, 8), 0.5);
    assert.ok(Math.abs(setting.run(8, 7.5) - 7.5) < 1e-9);
    assert.ok(Math.abs(setting.run(8, 0.05) - 0.05) < 1e-9, 'it was not on the processor');
    assert.equal(setting.run(0.1, 0.1), 0.1);
    assert.equal(setting.run(8, 8), 0.5, 'nothing was in doubt before');
  });

  it('counts as it is where there is no such clock', () => {
    let nowMs = 0;
    const time = new UnscheduledTime(undefined, () => nowMs);
    time.begin();
    nowMs = 8;
    assert.equal(time.end(), 0);
  });
});
