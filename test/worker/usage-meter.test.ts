/** What requests take of their worker. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeUsage, encodeUsage } from '../../src/channel/messages.js';
import { findCpuClock, UsageMeter } from '../../src/worker/usage-meter.js';

describe('a usage meter', () => {
  it('charges each request with what the thread did since the one before, and with nothing else', () => {
    let now = 100;
    const meter = new UsageMeter(() => now);
    now += 3;
    meter.noteMemory(4096);
    assert.deepEqual(meter.end(), { cpuMs: 3, memoryBytes: 4096 });
    now += 50;
    meter.skip();
    now += 2;
    assert.deepEqual(meter.end(), { cpuMs: 2, memoryBytes: undefined });
  });

  it('knows no time where there is no clock', () => {
    const meter = new UsageMeter(undefined);
    meter.skip();
    meter.noteMemory(1);
    assert.deepEqual(meter.end(), { cpuMs: undefined, memoryBytes: 1 });
  });

  it('has a clock here that goes on while the thread works', async () => {
    const clock = await findCpuClock();
    if (process.platform !== 'linux' && clock === undefined) return;
    assert.ok(clock);
    const beganMs = clock();
    const used = process.cpuUsage();
    const deadline = performance.now() + 20_000;
    while (clock() < beganMs + 5) assert.ok(performance.now() < deadline, 'the clock stands still');
    // All threads of the process together have used at least as much.
    const { user, system } = process.cpuUsage(used);
    assert.ok((user + system) / 1000 >= 4, `${(user + system) / 1000} ms`);
  });

  it('is told as it is, whatever is not known', () => {
    for (const usage of [
      { cpuMs: 0.25, memoryBytes: 2 ** 40 },
      { cpuMs: undefined, memoryBytes: 0 },
      { cpuMs: 0, memoryBytes: undefined },
    ]) {
      assert.deepEqual(decodeUsage(Buffer.concat([Buffer.alloc(1), encodeUsage(usage)]).subarray(1)), usage);
    }
  });
});
