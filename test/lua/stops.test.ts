/** Scripts that are stopped at whichever instruction they happen to be, and scripts that run out of memory (attacks F3). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stopScripts } from '../torture/stops.js';
import { engineName } from './support.js';

test('hundreds of scripts are stopped at any instruction, and dozens by the memory limit, and nothing else ends', async () => {
  // Of the scripts that Lua 5.4 may not survive, `npm run torture -- --mode stops` has all.
  const spares = engineName === 'lua5.4';
  const failures = await stopScripts({ engine: engineName, stops: 240, memoryEnds: 24, seed: 1, spares });
  assert.deepEqual([...new Set(failures)], []);
});
