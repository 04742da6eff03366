/**
 * No pattern takes time by the square of what a client sends, such as one that looks for the spaces at a text's end from each of
 * its places on (reports A2, the same in other parsers). Work inside of a pattern is counted by nobody, so the source is searched
 * for their usual shapes.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from './source-tree.js';

/** A shape in the patterns of Lua or JavaScript, an example of it, and what to write instead. */
const SHAPES: readonly { readonly shape: RegExp; readonly example: string; readonly instead: string }[] = [
  {
    shape: /\.-\)?%s[*+]\)?\$/,
    example: '^%s*(.-)%s*$',
    instead: 'match(value, "^(.*%S)") or ""',
  },
  {
    shape: /\.[*+]\?\)?(?:\\s|\[ \\t\])[*+]\)?\$/,
    example: '^(.*?)[ \\t]*$',
    instead: 'a loop from the end, or trimEnd()',
  },
  {
    shape: /%d\+(?:%\.)?\??%d[*+]/,
    example: '^%d+%.?%d*$',
    instead: 'the pattern behind a limit of the length, and an entry below',
  },
];

/** Files with such a pattern whose text is bounded before. */
const REVIEWED: Readonly<Record<string, string>> = { 'lua/library/validate.lua': 'numbers of at most 40 characters' };

const SOURCE = join(ROOT, 'src');
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(ts|lua)$/.test(file));

/** The lines of code that have a shape; comments may name one. */
function findings(shape: RegExp): string[] {
  return files
    .flatMap((file) =>
      readFileSync(join(SOURCE, file), 'utf8')
        .split('\n')
        .map((line, index) => ({ file, line, place: `${file}:${index + 1}` })),
    )
    .filter(({ line }) => !/^\s*(--|\/\/|\*|\/\*\*)/.test(line) && shape.test(line))
    .filter(({ file }) => !(file in REVIEWED))
    .map(({ place }) => place);
}

describe('patterns that read what clients send', () => {
  for (const { shape, example, instead } of SHAPES) {
    it(`none is like ${example}: ${instead}`, () => {
      assert.match(example, shape);
      assert.deepEqual(findings(shape), []);
    });
  }
});
