/** The corpus of `npm run fuzz`, and a few more inputs made of it, always the same. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allocatedBytes } from './allocations.js';
import { readCorpus } from './corpus.js';
import { mutate, shrink } from './mutate.js';
import { Random } from './random.js';
import { TARGETS } from './targets.js';

const SEED = 4;
const RUNS = 500;

describe('whatever the bytes are', () => {
  for (const target of TARGETS) {
    it(`holds what must hold of ${target.name}`, () => {
      const kept = readCorpus(target.name);
      assert.ok(kept.length > 0, 'there is no corpus: run npm run fuzz -- --save');
      const run = (bytes: Uint8Array, origin: string): void => {
        try {
          target.run(bytes);
        } catch (error) {
          const hex = Buffer.from(bytes).toString('hex');
          throw new Error(`${origin}: ${error instanceof Error ? error.stack : String(error)}\n  input: ${hex}`);
        }
      };
      for (const { file, bytes } of kept) run(bytes, file);
      const inputs = [...kept.map(({ bytes }) => bytes), ...target.seeds];
      const random = new Random(SEED);
      for (let n = 0; n < RUNS; n += 1) run(mutate(random, inputs, target.words), `run ${n} of seed ${SEED}`);
    });
  }
});

describe('the fuzzer itself', () => {
  it('makes the same inputs of the same seed, and others of another', () => {
    const inputs = [Buffer.from('some bytes'), Buffer.from('others')];
    const made = (seed: number): string[] => {
      const random = new Random(seed);
      return Array.from({ length: 50 }, () => mutate(random, inputs, inputs).toString('hex'));
    };
    assert.deepEqual(made(1), made(1));
    assert.notDeepEqual(made(1), made(2));
    assert.ok(new Set(made(1)).size > 40);
  });

  it('makes an input that fails as small as it can', () => {
    const holds = (bytes: Uint8Array): boolean => bytes.includes(7) && bytes.includes(9);
    const input = Buffer.from(Array.from({ length: 300 }, (_, at) => at % 11));
    assert.deepEqual([...shrink(input, holds)].sort(), [7, 9]);
  });

  it('sees what is allocated, and leaves everything as it was', () => {
    const before = Uint8Array;
    assert.equal(
      allocatedBytes(() => {
        new Uint8Array(1000).fill(1);
        Buffer.allocUnsafe(500);
        Buffer.alloc(20);
        new Uint8Array([1, 2, 3]).subarray(1);
      }),
      1520,
    );
    assert.equal(Uint8Array, before);
    assert.equal(
      allocatedBytes(() => assert.ok(Buffer.from('x') instanceof Uint8Array)),
      0,
    );
  });
});
