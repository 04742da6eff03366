/** Text that is put together as bytes, in memory that is used again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reuseText, TextBuffer } from '../../src/status/text-buffer.js';

function written(...parts: readonly string[]): Buffer {
  const text = new TextBuffer(16);
  for (const part of parts) text.add(part);
  return text.end();
}

describe('a text that is put together as bytes', () => {
  it('is all that was added, in UTF-8, however long it gets', () => {
    const parts = Array.from({ length: 5_000 }, (_, at) => `line ${at} of čaj 😀\n`);
    assert.equal(written(...parts).toString(), parts.join(''));
    assert.equal(written().length, 0);
    assert.equal(new TextBuffer(16, 'head ').end().toString(), 'head ');
  });

  it('stays as it is while others are written, until its memory is given back', () => {
    const first = written('first');
    const second = written('second');
    reuseText(first);
    // Memory that is given back twice is still used by one text only.
    reuseText(first);
    const third = written('third');
    const fourth = written('fourth');
    assert.deepEqual([second, third, fourth].map(String), ['second', 'third', 'fourth']);
    assert.equal(third.buffer, first.buffer);
  });

  it('takes no memory that is not its own', () => {
    const others = Buffer.from('of the pool of small buffers');
    reuseText(others);
    written('x'.repeat(20));
    assert.equal(others.toString(), 'of the pool of small buffers');
  });
});
