/** A thread that uses a dictionary as fast as it can, until it is ended. It tells how far it has come. */
import { parentPort, workerData } from 'node:worker_threads';
import { Dictionary } from '../../../src/shared/dictionary.js';

interface HammerData {
  readonly shared: SharedArrayBuffer;
  readonly owner: number;
  /** One word: how many rounds all threads have done. */
  readonly rounds: SharedArrayBuffer;
  /** 0: until it is ended. */
  readonly limit: number;
}

const { shared, owner, rounds, limit } = workerData as HammerData;
const done = new Int32Array(rounds);
const start = process.hrtime();
const dictionary = new Dictionary({
  shared,
  owner,
  evicts: true,
  nowMs() {
    const [seconds, nanoseconds] = process.hrtime(start);
    return seconds * 1000 + nanoseconds / 1e6;
  },
});
const key = (name: string): Uint8Array => Buffer.from(name);
let random = owner * 7919;
const next = (limit: number): number => {
  random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
  return (random >> 8) % limit;
};

for (let round = 1; limit === 0 || round <= limit; round += 1) {
  dictionary.increment(key('count'), 1, 0);
  const name = next(50);
  const size = next(2000);
  // Each value says by its bytes what it has to be: a mixture of two would be seen.
  dictionary.set(key(`value ${name}`), new Uint8Array(size + 1).fill(size & 0xff), { ttlMs: next(2) * 5 });
  const found = dictionary.get(key(`value ${next(50)}`))?.value;
  if (found instanceof Uint8Array && !found.every((byte) => byte === ((found.length - 1) & 0xff))) {
    throw new Error('a value is a mixture of two');
  }
  dictionary.lists.push(key('list'), next(2) === 0 ? 'first' : 'last', next(1000), 1000);
  if (next(2) === 0) dictionary.lists.pop(key('list'), 'last');
  if (next(200) === 0) dictionary.delete(key('list'));
  if (next(500) === 0) dictionary.flushExpired(10);
  Atomics.add(done, 0, 1);
  Atomics.notify(done, 0);
}
parentPort?.postMessage('done');
