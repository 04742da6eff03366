/** A thousand requests that wait at a time (issue 13): what they hold is given back, and one more is told why it may not wait. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { IO } from '../support/server.js';
import { manyWaiting } from '../torture/waiting.js';

it('a thousand requests that wait leave nothing behind, and one more gets 503 with the reason', async (t) => {
  const { failures, summary } = await manyWaiting(t, 1_000, { io: IO });
  t.diagnostic(summary);
  assert.deepEqual(failures, []);
});
