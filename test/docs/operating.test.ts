import { it } from 'node:test';
import { Walk } from './support/walk.js';

it('what docs/operating.md shows is what the command prints', async (t) => {
  await new Walk(t).document('docs/operating.md');
});
