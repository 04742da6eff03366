/** Keys from passwords: how many are made at a time (issue 14). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyResult } from '../../src/channel/derivation-messages.js';
import { KeyDesk } from '../../src/threads/key-desk.js';

const derivation = { scheme: 'scrypt', costs: {}, salt: new Uint8Array(), keyBytes: 1 } as const;
const jobOf = (job: number) => ({ job, password: Uint8Array.of(job), derivation });

test('two keys are made at a time, the others in their order, and what fails is told', async () => {
  const begun: number[] = [];
  const ends = new Map<number, (error?: Error) => void>();
  const desk = new KeyDesk(([job = 0]) => {
    begun.push(job);
    return new Promise((resolve, reject) => {
      ends.set(job, (error) => (error === undefined ? resolve(Uint8Array.of(10 * job)) : reject(error)));
    });
  });
  const results: KeyResult[] = [];
  const made = [1, 2, 3, 4].map((job) => {
    return new Promise<void>((resolve) => {
      desk.run(jobOf(job), (result) => {
        results.push(result);
        resolve();
      });
    });
  });
  assert.deepEqual(begun, [1, 2]);
  ends.get(2)?.(new Error('no memory'));
  await made[1];
  await Promise.resolve();
  assert.deepEqual(begun, [1, 2, 3]);
  ends.get(1)?.();
  await made[0];
  await Promise.resolve();
  assert.deepEqual(begun, [1, 2, 3, 4]);
  ends.get(4)?.();
  ends.get(3)?.();
  await Promise.all(made);
  assert.deepEqual(results.slice(0, 2), [
    { job: 2, key: undefined, message: 'no memory' },
    { job: 1, key: Uint8Array.of(10), message: '' },
  ]);
  assert.deepEqual(results.map(({ job }) => job).sort(), [1, 2, 3, 4]);
});
