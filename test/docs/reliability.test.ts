/** docs/reliability.md names tests that exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../support/server.js';

const text = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8');
/** What varies in the name of a test. */
const HOLE = /\$\{[^}]*\}/g;
/** A file, and the names of tests that follow it. */
const PLACE = /`(test\/[\w./-]+\.test\.ts)` (“[^”]+”(?:, “[^”]+”)*)/g;
const named = [...text.matchAll(PLACE)].flatMap(([, file, names]) =>
  [...(names as string).matchAll(/“([^”]+)”/g)].map(([, name]) => ({ file: file as string, name: name as string })),
);

describe('docs/reliability.md', () => {
  it('names a test for each fault', () => {
    const rows = text.split('\n').filter((line) => /^\| (?!fault)/.test(line));
    assert.ok(rows.length > 40, `only ${rows.length} rows`);
    for (const row of rows) assert.match(row, new RegExp(`\\| ${PLACE.source}`), row);
  });

  it('names tests that exist, as they are written', () => {
    const missing = named.filter(({ file, name }) => {
      const path = join(ROOT, file);
      if (!existsSync(path)) return true;
      // What varies in the name of a test is an ellipsis.
      const source = readFileSync(path, 'utf8').replaceAll(HOLE, '…').replaceAll(/\(\s+/g, '(');
      return !["'", '"', '`'].some((quote) => source.includes(`(${quote}${name.replaceAll(HOLE, '…')}${quote},`));
    });
    assert.deepEqual(missing, []);
  });
});
