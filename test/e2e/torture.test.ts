/** A short run of `npm run torture`: bad scripts, bad clients, reloads and a full disk together, and good requests among them. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { IO } from '../support/server.js';
import { torture } from '../torture/run.js';

it('everything bad together costs no good request, and leaves nothing behind', async (t) => {
  const { failures, summary } = await torture({ seconds: 4, seed: 1, engine: 'embedded', io: IO });
  t.diagnostic(summary);
  assert.deepEqual(failures, []);
});
