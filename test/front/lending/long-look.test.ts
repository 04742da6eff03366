/** Whether a worker has been at one thing for long, on a clock and a processor of the test's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLoans, Lender } from '../../../src/channel/lending.js';
import { LongLook } from '../../../src/front/lending/long-look.js';
import { LoanBook } from '../../../src/front/model/loan-book.js';

const book = (): LoanBook => new LoanBook(new Lender(createLoans()));

describe('a worker that has been at one thing for a while', () => {
  it('is at it for long when it has used the processor for that time', () => {
    let cpuMs = 500;
    const look = new LongLook({ cpuMsOf: () => cpuMs });
    const lending = book();
    assert.equal(look.isLong(lending, 100, 100.9), false);
    assert.equal(look.isLong(lending, 100, 101), false, 'it may have waited for a processor until now');
    cpuMs += 0.9;
    assert.equal(look.isLong(lending, 100, 102), false);
    cpuMs += 0.1;
    assert.equal(look.isLong(lending, 100, 103), true);
  });

  it('is not when it was at something else before', () => {
    let cpuMs = 500;
    const look = new LongLook({ cpuMsOf: () => cpuMs });
    const lending = book();
    assert.equal(look.isLong(lending, 100, 101), false);
    cpuMs += 1;
    assert.equal(look.isLong(lending, 101.5, 103), false);
    cpuMs += 1;
    assert.equal(look.isLong(lending, 101.5, 104), true);
  });

  it('is at it for long after ten times as long, whatever it does: it may sleep in a call of the system', () => {
    const look = new LongLook({ cpuMsOf: () => 500 });
    const lending = book();
    assert.equal(look.isLong(lending, 100, 109.9), false);
    assert.equal(look.isLong(lending, 100, 110), true);
  });

  it('counts by the clock where nobody knows its processor time', () => {
    for (const driver of [undefined, {}, { cpuMsOf: () => undefined }]) {
      const look = new LongLook(driver);
      assert.equal(look.isLong(book(), 100, 100.9), false);
      assert.equal(look.isLong(book(), 100, 101), true);
    }
  });
});
