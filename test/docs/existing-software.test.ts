/** docs/existing-software.md does what it says. */
import { it } from 'node:test';
import { Walk } from './support/walk.js';

it('existing software runs as docs/existing-software.md shows it', async (t) => {
  await new Walk(t).document('docs/existing-software.md');
});
