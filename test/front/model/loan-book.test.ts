/** What the front knows about the connections that are lent to one worker. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLoans, Lender } from '../../../src/channel/lending.js';
import { LoanBook } from '../../../src/front/model/loan-book.js';

describe('a worker whose lent connections were never served', () => {
  it('is lent none for a while, which doubles each time up to some seconds, until it is free', () => {
    const book = new LoanBook(new Lender(createLoans()));
    const pauses: number[] = [];
    for (let times = 0; times < 8; times += 1) {
      book.pause(1000);
      pauses.push(book.pausedUntilMs - 1000);
    }
    assert.deepEqual(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 6400]);
    book.noteFree();
    assert.equal(book.pausedUntilMs, 0);
    book.pause(1000);
    assert.equal(book.pausedUntilMs, 1100);
  });
});
