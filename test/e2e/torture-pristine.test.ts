/** A short run of `npm run torture` where each request has a pristine state. The driver of the front takes no part in that. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { IO } from '../support/server.js';
import { torture } from '../torture/run.js';

it('everything bad together costs no good request, also where each request has a pristine state (issue 16)', async (t) => {
  const { failures, summary } = await torture({
    seconds: 3,
    seed: 2,
    engine: 'embedded',
    io: IO,
    isolation: 'request',
  });
  t.diagnostic(summary);
  assert.deepEqual(failures, []);
});
