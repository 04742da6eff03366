/** Links between the documents lead somewhere. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../support/server.js';

const documents = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true })
    .map((file) => `docs/${file}`)
    .filter((file) => file.endsWith('.md')),
];

/** The names by which headings are linked to. */
function anchors(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('links', () => {
  for (const document of documents) {
    it(`of ${document} lead to files and headings that exist`, () => {
      const text = readFileSync(join(ROOT, document), 'utf8');
      for (const [, target, anchor] of text.matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)) {
        if (target?.includes('://')) continue;
        const file = target === '' ? join(ROOT, document) : join(ROOT, dirname(document), target as string);
        assert.ok(existsSync(file), `${document} links to ${target}`);
        if (anchor !== undefined) assert.ok(anchors(file).includes(anchor), `${target} has no heading #${anchor}`);
      }
    });
  }
});
