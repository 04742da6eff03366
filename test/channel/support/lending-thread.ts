/** A worker's end of the loans, in a thread of its own: goes to its connection again and again until told to end. */
import { workerData } from 'node:worker_threads';
import { Borrower } from '../../../src/channel/lending.js';
import { FromWorker } from '../../../src/channel/messages.js';
import { COUNTS, type LoansThreadData, Mark } from './lending-marks.js';

const { loans, shared } = workerData as LoansThreadData;
const borrower = new Borrower(loans);
const marks = new Int32Array(shared);

/** Only one of the two is ever in here. */
function inside(): void {
  if (Atomics.add(marks, Mark.INSIDE, 1) !== 0) Atomics.add(marks, Mark.CLASHES, 1);
  // What the other one reads while it holds the gate.
  marks[Mark.PLAIN] = (marks[Mark.PLAIN] as number) + 1;
  marks[Mark.PLAIN_AGAIN] = (marks[Mark.PLAIN_AGAIN] as number) + 1;
  Atomics.sub(marks, Mark.INSIDE, 1);
}

/** Says something about the connection, which the front hears by counting. */
function tell(): void {
  borrower.post(FromWorker.RETURNED);
  Atomics.add(marks, Mark.SAID, 1);
}

let requests = 0;
for (let round = 0; Atomics.load(marks, Mark.IS_OVER) === 0; round += 1) {
  // A wish is heeded, as the lane does: who sleeps on it is woken by its end.
  while (borrower.isWanted && Atomics.load(marks, Mark.IS_OVER) === 0) borrower.waitForGate();
  const descriptor = 1 + (round % 5_000);
  if (!borrower.begin(descriptor)) continue;
  inside();
  if (round % 7 === 0) {
    tell();
    borrower.leave();
    continue;
  }
  // The same number in all words, and in the bytes: what is taken over has to be of one piece.
  requests += 1;
  borrower.bytes.fill(requests & 0xff, 0, 16);
  borrower.run(requests, descriptor, 1 + (requests % 16));
  if (borrower.askToWatch()) Atomics.add(marks, Mark.RINGS, 1);
  Atomics.store(marks, COUNTS.begun, requests);
  for (let spin = round % 50; spin > 0; spin -= 1) Atomics.load(marks, Mark.IS_OVER);
  if (!borrower.claim()) {
    Atomics.add(marks, COUNTS.lost, 1);
    continue;
  }
  inside();
  if (round % 5 === 0) tell();
  borrower.noteUse(descriptor);
  Atomics.add(marks, COUNTS.answered, 1);
  borrower.leave();
}
Atomics.store(marks, Mark.HAS_ENDED, 1);
Atomics.notify(marks, Mark.HAS_ENDED);
