/** docs/migrating-from-luafcgid.md: its steps work, and its table has every setting of the C daemon. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { OptionRow } from '../../src/config/option.js';
import { optionNames, options } from '../../src/config/schema.js';
import { ROOT } from '../support/server.js';
import { Walk } from './support/walk.js';

it('the steps of a migration work as they are shown', async (t) => {
  await new Walk(t).document('docs/migrating-from-luafcgid.md');
});

it('the table has every setting of the C daemon, and says which only give a notice', () => {
  const text = readFileSync(join(ROOT, 'docs/migrating-from-luafcgid.md'), 'utf8');
  const table = new Map([...text.matchAll(/^\| `(\w+)` +\| (.*?) +\|$/gm)].map(([, name, says]) => [name, says]));
  const fromC = optionNames.filter((name) => 'fromC' in options[name]);
  assert.deepEqual([...table.keys()].sort(), [...fromC].sort());
  for (const name of fromC) {
    const row: OptionRow = options[name];
    assert.match(
      table.get(name) ?? '',
      row.notice ? /^accepted, with a notice/ : /^(?:honoured|accepted, no effect)/,
      name,
    );
  }
});
