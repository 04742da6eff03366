/**
 * A worker that connections are lent to: its slots, and the descriptors that it was given. Each loan has a descriptor of its
 * own, a copy of the I/O thread's, so that neither thread closes what the other uses. Runs in the I/O thread.
 */
import { LoanState, LoanWords, placeOfSource, SLOTS, type LoanState as State } from '../loan-words.js';
import { Return } from '../protocol.js';
import type { Lendable, Loan, LoanTaker } from '../source.js';

/** The system's calls for descriptors, see `linux/descriptors.ts`. */
export interface DescriptorCalls {
  /** @throws the system's error */
  readonly duplicateDescriptor: (fd: number) => number;
  readonly endSocket: (fd: number) => void;
  readonly closeDescriptor: (fd: number) => void;
}

interface Slot {
  /** The worker's descriptor. */
  readonly descriptor: number;
  /** Undefined when the connection has come back, and the worker has only its descriptor still. */
  loan: SlotLoan | undefined;
}

class SlotLoan implements Loan {
  readonly slot: number;
  readonly borrower: LoanTaker;
  readonly connection: Lendable;
  /** It has come back. */
  readonly over: () => void;
  readonly #words: LoanWords;

  constructor(slot: number, borrower: LoanTaker, connection: Lendable, over: () => void, words: LoanWords) {
    this.slot = slot;
    this.borrower = borrower;
    this.connection = connection;
    this.over = over;
    this.#words = words;
  }

  get isUsed(): boolean {
    const state: State = this.#words.stateOf(this.slot);
    return state === LoanState.USED || state === LoanState.WANTED;
  }

  get uses(): number {
    return this.#words.usesOf(this.slot);
  }

  tryTake(): boolean {
    if (!this.#words.move(this.slot, LoanState.IDLE, LoanState.TAKEN)) return false;
    this.end(Return.FIT, '');
    return true;
  }

  want(): void {
    this.#words.move(this.slot, LoanState.USED, LoanState.WANTED);
  }

  end(how: Return, reason: string): void {
    this.over();
    this.connection.comeBack(how, reason);
  }
}

export class Borrower {
  readonly words: LoanWords;
  readonly #calls: DescriptorCalls;
  /** Tells the worker; false: there is no room for that now. */
  readonly #tell: (slot: number, source: number, descriptor: number) => boolean;
  readonly #slots: (Slot | undefined)[] = [];
  /** One for each data source. */
  readonly #takers = new Map<number, LoanTaker>();
  #isOver = false;

  constructor(
    words: SharedArrayBuffer,
    calls: DescriptorCalls,
    tell: (slot: number, source: number, descriptor: number) => boolean,
  ) {
    this.words = new LoanWords(words);
    this.#calls = calls;
    this.#tell = tell;
  }

  /** This worker as a source sees it. */
  takerFor(source: number): LoanTaker {
    let taker = this.#takers.get(source);
    if (taker === undefined) {
      const { words } = this;
      taker = {
        lend: (connection, over) => this.#lend(source, connection, over),
        get waiting() {
          return words.waitingAt(placeOfSource(source));
        },
      };
      this.#takers.set(source, taker);
    }
    return taker;
  }

  get takers(): Iterable<LoanTaker> {
    return this.#takers.values();
  }

  /** The worker has given a connection back, and closed its descriptor. */
  returned(slot: number, how: Return, reason: string): void {
    const loan = this.#slots[slot]?.loan;
    this.#slots[slot] = undefined;
    loan?.end(how, reason);
  }

  /** What runs there is to be broken off. */
  cancel(slot: number): void {
    this.#slots[slot]?.loan?.connection.cancel();
  }

  /** The worker is gone, or is listened to no more. @param hasEnded its thread uses no descriptor any more */
  end(hasEnded: boolean): void {
    this.#isOver = true;
    for (const [number, slot] of this.#slots.entries()) {
      if (slot === undefined) continue;
      const { loan, descriptor } = slot;
      slot.loan = undefined;
      if (loan !== undefined && !loan.tryTake()) {
        // A worker that has closed its descriptor has said so, but that was not read yet. Nothing is under way then.
        if (this.words.stateOf(number) !== LoanState.FREE) {
          loan.connection.cancel();
          // Ends what the thread may still do with its descriptor, too. By this thread's own one: the other may be closed by now, and
          // its number a descriptor of somebody else.
          this.#calls.endSocket(loan.connection.descriptor);
        }
        loan.end(Return.UNFIT, '');
      }
      // The thread may have closed it itself, and the number may be another's by now.
      if (hasEnded && this.words.stateOf(number) !== LoanState.FREE) this.#calls.closeDescriptor(descriptor);
      if (hasEnded) this.#slots[number] = undefined;
    }
  }

  #lend(source: number, connection: Lendable, over: () => void): Loan | undefined {
    const number = this.#freeSlot();
    if (this.#isOver || number === undefined) return undefined;
    let descriptor: number;
    try {
      descriptor = this.#calls.duplicateDescriptor(connection.descriptor);
    } catch {
      // The process may open no more: all goes on without.
      return undefined;
    }
    // A connection that has come back may be lent to another worker while this one has its descriptor still.
    const cameBack = (): void => {
      const slot = this.#slots[number];
      if (slot?.loan === loan) slot.loan = undefined;
      over();
    };
    const loan: SlotLoan = new SlotLoan(number, this.takerFor(source), connection, cameBack, this.words);
    this.words.set(number, LoanState.IDLE);
    if (!this.#tell(number, source, descriptor)) {
      this.words.set(number, LoanState.FREE);
      this.#calls.closeDescriptor(descriptor);
      return undefined;
    }
    this.#slots[number] = { descriptor, loan };
    return loan;
  }

  #freeSlot(): number | undefined {
    for (let number = 0; number < SLOTS; number += 1) {
      const slot = this.#slots[number];
      if (slot?.loan !== undefined || this.words.stateOf(number) !== LoanState.FREE) continue;
      return number;
    }
    return undefined;
  }
}
