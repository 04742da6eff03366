/** docs/architecture.md leads through the code that there is. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../support/server.js';

const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
const named = new Set(
  [...text.matchAll(/`((?:src|test|bench|scripts|examples)(?:\/[\w./-]*)?)`/g)].map(([, path]) => path as string),
);

describe('docs/architecture.md', () => {
  it('names files and folders that exist', () => {
    assert.deepEqual(
      [...named].filter((path) => !existsSync(join(ROOT, path))),
      [],
    );
  });

  it('leads through every folder of the source, and every file at its top', () => {
    const entries = readdirSync(join(ROOT, 'src')).map((name) => `src/${name}`);
    assert.deepEqual(
      entries.filter((entry) => ![...named].some((path) => path === entry || path.startsWith(`${entry}/`))),
      [],
      'these are missing in the tour',
    );
  });

  it('names the tests and what else there is', () => {
    for (const path of ['test/support', 'test/e2e', 'test/docs', 'bench']) assert.ok(named.has(path), path);
  });
});
