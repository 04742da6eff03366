/** Several threads at one dictionary, some of which are ended in the middle of a change (issue 13, 6). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createDictionary, Dictionary } from '../../src/shared/dictionary.js';
import { recover } from '../../src/shared/guarded-memory.js';
import { eventually } from '../support/shared.js';
import { audit } from './support/audit.js';

function hammer(shared: SharedArrayBuffer, owner: number, rounds: SharedArrayBuffer, limit: number): Worker {
  const file = new URL('./support/hammer-thread.js', import.meta.url);
  return new Worker(file, { workerData: { shared, owner, rounds, limit } });
}

const done = (rounds: SharedArrayBuffer): number => Atomics.load(new Int32Array(rounds), 0);

/** Waits until a thread has gone on a little. */
async function goesOn(rounds: SharedArrayBuffer): Promise<void> {
  const wanted = done(rounds) + 20;
  await eventually('the thread goes on', () => done(rounds) >= wanted);
}

describe('threads that use one dictionary', () => {
  it('lose no change of each other, and never see a value that is half written', async () => {
    const shared = createDictionary(96 * 1024, [1, 2]);
    const rounds = new SharedArrayBuffer(4);
    const threads = [1, 2, 3].map((owner) => hammer(shared, owner, rounds, 500));
    await Promise.all(threads.map((thread) => once(thread, 'exit')));
    audit(shared);
    const dictionary = new Dictionary({ shared, owner: 9, evicts: true, nowMs: () => 0 });
    assert.equal(dictionary.get(Buffer.from('count'))?.value, 1500);
  });

  it('go on when one of them is ended in the middle of a change, which is taken back', async () => {
    const shared = createDictionary(96 * 1024, [3, 4]);
    const lock = new Int32Array(shared);
    const rounds = new SharedArrayBuffer(4);
    const lasting = hammer(shared, 1, rounds, 0);
    let held = 0;
    for (let owner = 2; owner < 100 && (held < 3 || owner < 12); owner += 1) {
      const own = new SharedArrayBuffer(4);
      const victim = hammer(shared, owner, own, 0);
      await goesOn(own);
      await victim.terminate();
      if (((lock[0] as number) & 0x3fffffff) === owner) held += 1;
      recover(shared, owner);
      await goesOn(rounds);
    }
    await lasting.terminate();
    recover(shared, 1);
    audit(shared);
    assert.ok(held >= 1, 'no thread was ended while it held the lock: this test shows nothing');
  });
});
