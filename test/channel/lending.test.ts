/** The gate between a worker at a lent connection and the front that wants it back: step by step, and two threads at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Borrower, createLoans, Lender, MAX_LENT_BYTES } from '../../src/channel/lending.js';
import { FromWorker } from '../../src/channel/messages.js';
import { guarded } from '../support/cleanup.js';
import { COUNTS, type LoansThreadData, Mark } from './support/lending-marks.js';

function ends(): { readonly borrower: Borrower; readonly lender: Lender } {
  const shared = createLoans();
  return { borrower: new Borrower(shared), lender: new Lender(shared) };
}

describe('the gate of lent connections', () => {
  it('lets in the worker or the front, never both', () => {
    const { borrower, lender } = ends();
    assert.ok(borrower.begin(5));
    assert.equal(lender.hold(), false);
    borrower.leave();
    assert.ok(lender.hold());
    assert.equal(borrower.begin(5), false);
    lender.release();
    assert.ok(borrower.begin(5));
  });

  it('is not held while something that the worker told is unheard', () => {
    const { borrower, lender } = ends();
    assert.ok(borrower.begin(5));
    borrower.post(FromWorker.RETURNED);
    borrower.leave();
    assert.equal(lender.hold(), false);
    assert.ok(borrower.begin(5), 'who could not hold it has left it open');
    borrower.leave();
    lender.acknowledge();
    assert.ok(lender.hold());
  });

  it('lets the front take over what runs, whole, and the worker find that out', () => {
    const { borrower, lender } = ends();
    assert.equal(lender.takeOver(), undefined);
    assert.ok(borrower.begin(5));
    assert.equal(lender.takeOver(), undefined, 'nothing runs before all of it is read');
    borrower.bytes.set(Buffer.from('request'));
    borrower.run(77, 3, 7);
    assert.ok(lender.isRunning);
    const lent = lender.takeOver();
    assert.deepEqual(
      { ...lent, bytes: Buffer.from(lent?.bytes ?? []).toString() },
      { descriptor: 5, request: 77, state: 3, bytes: 'request' },
    );
    assert.equal(borrower.claim(), false);
    assert.equal(borrower.begin(6), false);
    lender.release();
    assert.ok(borrower.begin(6));
  });

  it('leaves what the front has taken over as it is, although the worker goes on', () => {
    const { borrower, lender } = ends();
    assert.ok(borrower.begin(5));
    borrower.run(1, 2, 3);
    // The front is between moving the gate and reading what it has taken.
    const { compareExchange } = Atomics;
    try {
      Atomics.compareExchange = ((words: Int32Array, at: number, from: number, to: number) => {
        const was = compareExchange(words, at, from, to);
        Atomics.compareExchange = compareExchange;
        assert.equal(borrower.claim(), false);
        assert.equal(borrower.begin(9), false);
        return was;
      }) as typeof Atomics.compareExchange;
      assert.equal(lender.takeOver()?.descriptor, 5);
    } finally {
      Atomics.compareExchange = compareExchange;
    }
  });

  it('does not have the front take over the next request in the place of the one that it has found', () => {
    const { borrower, lender } = ends();
    assert.ok(borrower.begin(5));
    borrower.run(1, 2, 3);
    const { compareExchange } = Atomics;
    try {
      // Between the look whether all is heard and the move of the gate.
      Atomics.compareExchange = ((words: Int32Array, at: number, from: number, to: number) => {
        Atomics.compareExchange = compareExchange;
        assert.ok(borrower.claim());
        borrower.post(FromWorker.RETURNED);
        borrower.leave();
        assert.ok(borrower.begin(6));
        borrower.run(2, 2, 3);
        return compareExchange(words, at, from, to);
      }) as typeof Atomics.compareExchange;
      assert.equal(lender.takeOver(), undefined);
    } finally {
      Atomics.compareExchange = compareExchange;
    }
    assert.equal(lender.takeOver(), undefined, 'what it told is not heard');
    lender.acknowledge();
    assert.equal(lender.takeOver()?.request, 2);
  });

  it('is shut for ever, and says where the worker was', () => {
    const { borrower, lender } = ends();
    assert.equal(lender.shut(), undefined);
    assert.equal(borrower.begin(5), false);
    assert.ok(borrower.isShut);
    lender.release();
    assert.equal(borrower.begin(5), false);

    for (const go of [
      (_: Borrower) => {},
      (each: Borrower) => each.run(1, 2, 3),
      (each: Borrower) => {
        each.run(1, 2, 3);
        each.claim();
      },
    ]) {
      const other = ends();
      assert.ok(other.borrower.begin(7));
      go(other.borrower);
      assert.equal(other.lender.shut(), 7);
      other.borrower.leave();
      assert.ok(other.borrower.isShut);
      assert.equal(other.borrower.begin(8), false);
      assert.equal(other.lender.shut(), undefined);
    }
  });

  it('tells of connections that were taken back, of names and of uses', () => {
    const { borrower, lender } = ends();
    const { recalls, routesEpoch } = borrower;
    lender.noteLent(3, false);
    assert.deepEqual([borrower.lent, borrower.recalls === recalls], [3, true]);
    lender.noteLent(2, true);
    assert.deepEqual([borrower.lent, borrower.recalls === recalls], [2, false]);
    lender.invalidateRoutes();
    assert.notEqual(borrower.routesEpoch, routesEpoch);
    borrower.noteUse(12);
    assert.deepEqual([lender.takeUse(11), lender.takeUse(12), lender.takeUse(12)], [false, true, false]);
    assert.equal(borrower.bytes.length, MAX_LENT_BYTES);
  });

  it('has a wish last until it is taken back, whoever is inside meanwhile', () => {
    const { borrower, lender } = ends();
    lender.isWanted = true;
    assert.ok(lender.hold());
    lender.release();
    assert.ok(borrower.isWanted && lender.isWanted);
    lender.isWanted = false;
    assert.equal(borrower.isWanted, false);
  });

  it('wakes a worker that waits while the front holds it, when it is released or shut', (t) => {
    for (const end of ['release', 'shut'] as const) {
      const { borrower, lender } = ends();
      const calls: string[] = [];
      t.mock.method(Atomics, 'wait', (words: Int32Array, index: number, expected: number) => {
        calls.push(words[index] === expected ? 'sleeps' : 'does not sleep');
        // The front comes to it while the worker sleeps.
        if (lender.isHeld) lender[end]();
        return 'ok';
      });
      t.mock.method(Atomics, 'notify', () => calls.push('woken'));
      assert.ok(lender.hold());
      borrower.waitForGate();
      borrower.waitForGate();
      assert.deepEqual(calls, ['sleeps', 'woken', 'does not sleep'], end);
      t.mock.restoreAll();
    }
  });

  it('has the worker ask once to be watched, and again after that has ended', () => {
    const { borrower, lender } = ends();
    assert.deepEqual([borrower.askToWatch(), borrower.askToWatch(), lender.isWatched], [true, false, true]);
    lender.stopWatching();
    assert.deepEqual([lender.isWatched, borrower.askToWatch()], [false, true]);
  });

  it('goes on being watched when a request has begun just before the watch ends', () => {
    const { borrower, lender } = ends();
    assert.ok(borrower.askToWatch());
    assert.ok(borrower.begin(5));
    borrower.run(1, 2, 3);
    assert.equal(borrower.askToWatch(), false);
    lender.stopWatching();
    assert.ok(lender.isWatched, 'it counts on that');
  });
});

/** How often the front has the gate at least, by each way to it, and how many requests the worker answers: few on a busy machine. */
const TIMES_EACH = 5;
const LEAST_ANSWERED = 20_000;
/** Only ends a test that would hang. */
const GUARD_MS = 90_000;

describe('two threads at one gate', () => {
  it('are never both inside, take over only what is of one piece, and leave nothing told unheard', async (t) => {
    const shared = new SharedArrayBuffer(64);
    const marks = new Int32Array(shared);
    const loans = createLoans();
    const lender = new Lender(loans);
    const data: LoansThreadData = { loans, shared };
    const thread = new Worker(new URL('./support/lending-thread.js', import.meta.url), { workerData: data });
    t.after(async () => {
      await thread.terminate();
    });
    const faults: string[] = [];
    let [heard, held, tookOver] = [0, 0, 0];
    const isInside = (): void => {
      if (Atomics.add(marks, Mark.INSIDE, 1) !== 0) Atomics.add(marks, Mark.CLASHES, 1);
      if (Atomics.load(marks, Mark.SAID) !== heard) faults.push('the gate is held, and something told is unheard');
      if (marks[Mark.PLAIN] !== marks[Mark.PLAIN_AGAIN]) faults.push('the worker was in the middle of something');
      Atomics.sub(marks, Mark.INSIDE, 1);
    };
    const guardMs = performance.now() + GUARD_MS;
    for (let round = 0; Atomics.load(marks, Mark.IS_OVER) === 0; round += 1) {
      const hasSeenAll =
        Math.min(held, tookOver) >= TIMES_EACH && Atomics.load(marks, COUNTS.answered) >= LEAST_ANSWERED;
      if (hasSeenAll || performance.now() > guardMs) Atomics.store(marks, Mark.IS_OVER, 1);
      for (; heard < Atomics.load(marks, Mark.SAID); heard += 1) lender.acknowledge();
      if (round % 3 === 0) {
        const lent = lender.takeOver();
        if (lent === undefined) continue;
        tookOver += 1;
        const { bytes, request } = lent;
        if (bytes.length !== 1 + (request % 16) || bytes.some((byte) => byte !== (request & 0xff))) {
          faults.push(`request ${request} has ${Buffer.from(bytes).toString('hex')}`);
        }
        if (lent.descriptor !== lent.state) faults.push(`descriptor ${lent.descriptor}, begun as ${lent.state}`);
        isInside();
        lender.release();
        continue;
      }
      if (round % 5 === 0) lender.isWanted = round % 2 === 0;
      if (!lender.hold()) continue;
      held += 1;
      isInside();
      lender.release();
      if (round % 64 === 0) lender.stopWatching();
    }
    lender.isWanted = false;
    const hasEnded = guarded(
      new Promise<void>((resolve) => {
        if (Atomics.load(marks, Mark.HAS_ENDED) === 1) resolve();
        thread.once('exit', () => resolve());
      }),
      GUARD_MS,
      () => 'the thread does not end',
    );
    await hasEnded;
    assert.deepEqual(faults.slice(0, 5), []);
    assert.equal(Atomics.load(marks, Mark.CLASHES), 0);
    // A request that was taken over last may not have been found so before the end.
    const [begun = 0, answered = 0, lost = 0] = [COUNTS.begun, COUNTS.answered, COUNTS.lost].map((at) => marks[at]);
    assert.equal(answered + lost, begun, 'each was answered by the one or the other');
    assert.equal(lost, tookOver);
    const isEnough = Math.min(held, tookOver) >= TIMES_EACH && answered >= LEAST_ANSWERED;
    assert.ok(isEnough, `${held} held, ${tookOver} taken over, ${answered} answered`);
  });
});
