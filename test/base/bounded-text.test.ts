/** Work on texts of any length. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cutEnd, replaceEach } from '../../src/base/bounded-text.js';

describe('replaceEach', () => {
  it('gives what replace gives, whatever the length', () => {
    for (const length of [0, 1, 16383, 16384, 16385, 40_000, 100_000]) {
      const text = 'a<b>'.repeat(length / 4 + 1).slice(0, length);
      const coded = (character: string) => `&${character.charCodeAt(0)};`;
      assert.equal(replaceEach(text, /[<>]/g, coded), text.replace(/[<>]/g, coded));
    }
  });

  it('does not cut a character in two', () => {
    for (const shift of [0, 1]) {
      const text = 'x'.repeat(shift) + '\u{1f600}'.repeat(30_000);
      assert.equal(
        replaceEach(text, /\p{Emoji_Presentation}/gu, () => 'e'),
        'x'.repeat(shift) + 'e'.repeat(30_000),
      );
    }
  });

  it('calls the pattern function with pieces only (attacks F1)', () => {
    let longest = 0;
    const pattern = /x/g;
    pattern[Symbol.replace] = (text: string) => {
      longest = Math.max(longest, text.length);
      return '';
    };
    replaceEach('x'.repeat(1_000_000), pattern, () => '');
    assert.ok(longest > 0 && longest <= 16_385, String(longest));
  });
});

describe('cutEnd', () => {
  it('tells how much is missing', () => {
    assert.equal(cutEnd('abc', 3), 'abc');
    assert.equal(cutEnd('abcdef', 3), 'abc...(+3)');
  });
});
