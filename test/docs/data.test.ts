/** docs/data.md does what it says. */
import { it } from 'node:test';
import { Walk } from './support/walk.js';

it('what docs/data.md stores is what it shows', async (t) => {
  await new Walk(t).document('docs/data.md');
});
