/** docs/applications.md does what it says, from its first page to its last. */
import { it } from 'node:test';
import { Walk } from './support/walk.js';

it('an application works as docs/applications.md shows it', async (t) => {
  await new Walk(t).document('docs/applications.md');
});
