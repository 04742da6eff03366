/** What errors of socket calls mean, for both who serve connections: the front and the workers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Errno } from '../../src/linux/errno.js';
import { acceptNow, FAILED, NEXT_ONE, readNow, sendNow, TRY_LATER } from '../../src/linux/socket-calls.js';

/** Calls that give these results one after the other: counts, or the names of errors. */
function calls(...results: readonly (number | keyof typeof Errno)[]) {
  const left = [...results];
  let number = 0;
  const next = (): number => {
    const result = left.shift() ?? assert.fail('called once too often');
    if (typeof result === 'number') return result;
    number = Errno[result];
    return -1;
  };
  return { read: next, send: next, accept: next, errorNumber: () => number };
}

const BYTES = Buffer.from('bytes');

describe('reading and sending on a socket', () => {
  it('goes on after a signal', () => {
    assert.equal(readNow(calls('EINTR', 'EINTR', 3), 5, BYTES), 3);
    assert.equal(sendNow(calls('EINTR', 3), 5, BYTES), 3);
  });

  it('tells what can be done later from what cannot be done at all', () => {
    assert.equal(readNow(calls('EAGAIN'), 5, BYTES), TRY_LATER);
    assert.equal(readNow(calls('EINTR', 'ECONNABORTED'), 5, BYTES), FAILED);
    assert.equal(sendNow(calls('EAGAIN'), 5, BYTES), 0, 'nothing was sent, and the rest waits');
    assert.equal(sendNow(calls('EPROTO'), 5, BYTES), FAILED);
  });

  it('tells the end of what is sent from nothing to read', () => {
    assert.equal(readNow(calls(0), 5, BYTES), 0);
  });
});

describe('accepting a connection', () => {
  it('gives its descriptor', () => {
    assert.equal(acceptNow(calls(17), 5), 17);
  });

  it('tells that none waits from one that is broken, after which the next may be sound', () => {
    assert.equal(acceptNow(calls('EAGAIN'), 5), TRY_LATER);
    for (const error of ['EINTR', 'ECONNABORTED', 'ENETDOWN'] as const) {
      assert.equal(acceptNow(calls(error), 5), NEXT_ONE, error);
    }
  });

  it('has failed when the next one would fail as well', () => {
    for (const error of ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'] as const) {
      assert.equal(acceptNow(calls(error), 5), FAILED, error);
    }
  });
});
