/**
 * Hundreds of requests wait at the same time (issue 13). What they hold is given back, and one more gets an error that says why.
 * `npm run torture -- --mode waiting` has ten thousand.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { IO } from '../support/server.js';
import { manyWaiting } from '../torture/waiting.js';

it('hundreds of requests that wait leave nothing behind, and one more gets 503 with the reason', async (t) => {
  const { failures, summary } = await manyWaiting(t, 300, { io: IO });
  t.diagnostic(summary);
  assert.deepEqual(failures, []);
});
