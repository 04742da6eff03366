/** Constants of numbers are written in one way, so that a name tells at its use that nothing changes it (issue 10, 2). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sourceFiles } from './source-tree.js';

/** A constant of a module that is a number. What is counted from others by a function is a value like any other. */
const NUMBER = /^(?:export )?const (\w+)(?:: \w+)? = [-(]?\d[\w.]*(?: [-+*/<|%]+ [\w.]+)*;/gm;

describe('constants of the source', () => {
  it('that are numbers have upper-case names', () => {
    const wrong = sourceFiles().flatMap(({ name, text }) =>
      [...text.matchAll(NUMBER)]
        .map(([, constant = '']) => constant)
        .filter((constant) => /[a-z]/.test(constant))
        .map((constant) => `${name}: ${constant}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('are found by the pattern', () => {
    const found = [...'const MOST = 3;\nexport const pageBytes = 64 * 1024;\nconst two = () => 2;\n'.matchAll(NUMBER)];
    assert.deepEqual(
      found.map(([, constant]) => constant),
      ['MOST', 'pageBytes'],
    );
  });
});
