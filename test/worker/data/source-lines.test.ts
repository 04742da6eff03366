/** What waits in a worker for lent connections of a data source, and what of it goes on to the I/O thread. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createLoanWords,
  createWaitingWords,
  LoanState,
  LoanWords,
  WaitingCounts,
} from '../../../src/io/loan-words.js';
import type { Line } from '../../../src/worker/data/line.js';
import { SourceLines } from '../../../src/worker/data/source-lines.js';
import type { Task } from '../../../src/worker/data/task.js';

const PLACE = 3;
const LIMITS = {
  name: 'main',
  connections: 1,
  queue: 2,
  waitMs: 60_000,
  queryMs: 60_000,
  maxResultBytes: 1,
  place: PLACE,
};

const task = (token: number): Task => ({ token, run: 1, script: 1, limitMs: 0, dueMs: 0 }) as unknown as Task;

describe('tasks that wait for a connection of a worker', () => {
  it('count as waiting there no more when the I/O thread is given them: it would refuse one as one too many', () => {
    const words = new LoanWords(createLoanWords());
    const counts = new WaitingCounts(createWaitingWords());
    words.set(0, LoanState.USED);
    const posted: string[] = [];
    const lines = new SourceLines({
      limits: LIMITS,
      words,
      counts,
      nowMs: () => 0,
      tasks: { done: () => {}, failed: () => assert.fail('none is refused') },
      borrow: () => {},
      planLook: () => {},
      post: ({ token }) => void posted.push(`${token}, ${counts.inWorkers(PLACE)} wait in workers`),
    });
    const line = { isGone: false, hasRoom: false, look: () => Number.POSITIVE_INFINITY };
    lines.add(line as unknown as Line);
    for (const token of [1, 2]) assert.ok(lines.start(task(token)));
    assert.equal(counts.inWorkers(PLACE), 2);
    line.isGone = true;
    lines.changed(line as unknown as Line);
    assert.deepEqual(posted, ['1, 0 wait in workers', '2, 0 wait in workers']);
  });
});
