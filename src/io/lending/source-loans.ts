/**
 * Which connections of one data source are lent to workers, and which come back. Lent connections count in `connections`;
 * operations that wait in the I/O thread get them back. Runs in the I/O thread.
 *
 * - A worker that asks gets a connection that nobody needs, or a new one where there may be more.
 * - Where there is none, and another worker has at least two more, one of that worker's comes back for it.
 * - While operations wait in the I/O thread, what is lent and unused comes back. Of what is in use one comes back for every
 *   `PATIENCE_MS` that they wait, and at once when the I/O thread has none left.
 * - What was not used between two looks comes back, so that it is closed when nobody needs it (`idle`).
 */
import type { Lendable, Lending, LendingCounts, Loan, LoanTaker } from '../source.js';

/** Operations that wait for less are served by connections that are not lent. */
const PATIENCE_MS = 10;
/** After a connection has come back for those who wait, none is lent for so long. */
const PAUSE_MS = 100;
/** The same after attempts in vain, each of which doubles it. */
const LONGEST_PAUSE_MS = 60_000;
const LOOK_MS = 10_000;
/** A connection that is lent for so long comes back, so that its pool sees how old it is. */
const LONGEST_MS = 600_000;

export interface SourceLoansParts {
  /**
   * Gets a connection: one that is unused, or a new one where there may be more.
   * @returns false when there is none, and neither is called
   */
  take(got: (connection: Lendable) => void, failed: () => void): boolean;
  /** Gives back what `take` gave and nobody was lent. */
  giveUp(connection: Lendable): void;
  /** Operations that wait in the I/O thread. */
  readonly waiting: number;
  /** Connections that are open and not lent. */
  readonly own: number;
}

interface Entry {
  readonly loan: Loan;
  readonly sinceMs: number;
  seenUses: number;
  isWanted: boolean;
}

export class SourceLoans implements Lending {
  counts: LendingCounts = { inWorkers: () => 0, tell: () => {} };
  readonly #parts: SourceLoansParts;
  readonly #loans = new Set<Entry>();
  /** Workers that have asked, and for which one is to come back. */
  readonly #asking = new Set<LoanTaker>();
  #taking = 0;
  #pausedUntilMs = 0;
  #failures = 0;
  #patience: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(parts: SourceLoansParts) {
    this.#parts = parts;
  }

  /** Connections that are lent. */
  get count(): number {
    return this.#loans.size;
  }

  /** Of them those on which nothing is under way. */
  get unused(): number {
    let count = 0;
    for (const { loan } of this.#loans) if (!loan.isUsed) count += 1;
    return count;
  }

  ask(borrower: LoanTaker): void {
    if (this.#isClosed || performance.now() < this.#pausedUntilMs || this.#taking > 0) return;
    if (this.#parts.waiting > 0 && this.#parts.own <= 1) return;
    if (this.#tryLend(borrower)) return;
    const most = this.#mostOf();
    if (most === undefined || most.of === borrower || most.count <= this.#countOf(borrower) + 1) return;
    this.#asking.add(borrower);
    this.#recallFrom(most.of);
  }

  forget(borrower: LoanTaker): void {
    this.#asking.delete(borrower);
  }

  /** Operations wait in the I/O thread: connections come back for them. */
  noteWaiting(): void {
    const { waiting, own } = this.#parts;
    this.counts.tell(waiting);
    if (waiting === 0 || this.#loans.size === 0) return;
    const nowMs = performance.now();
    let missing = waiting;
    let left = own;
    for (const { loan, sinceMs } of [...this.#loans]) {
      // What was lent just now has not been heard of by its worker: it takes what would else wait here.
      if (missing === 0 || (left > 0 && nowMs - sinceMs < PATIENCE_MS) || !loan.tryTake()) continue;
      missing -= 1;
      left += 1;
    }
    this.#pause();
    if (missing === 0) return;
    if (left === 0) this.#recallOne();
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      if (this.#parts.waiting === 0) return;
      this.#recallOne();
      this.noteWaiting();
    }, PATIENCE_MS);
  }

  /** All come back: no further ones are lent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#patience);
    clearInterval(this.#look);
    this.#asking.clear();
    for (const entry of [...this.#loans]) this.#recall(entry);
  }

  #pause(pauseMs = PAUSE_MS): void {
    this.#pausedUntilMs = performance.now() + pauseMs;
  }

  #tryLend(borrower: LoanTaker): boolean {
    this.#taking += 1;
    const isTaken = this.#parts.take(
      (connection) => {
        this.#taking -= 1;
        if (this.#isClosed || !this.#lend(connection, borrower)) this.#parts.giveUp(connection);
      },
      () => {
        this.#taking -= 1;
        this.#failures += 1;
        this.#pause(Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** this.#failures));
      },
    );
    if (!isTaken) this.#taking -= 1;
    return isTaken;
  }

  #lend(connection: Lendable, borrower: LoanTaker): boolean {
    let entry: Entry | undefined;
    const loan = borrower.lend(connection, () => {
      if (entry !== undefined) this.#loans.delete(entry);
      // Whoever it came back for is asked once the pool has it.
      setImmediate(() => this.#serveAsking());
    });
    if (loan === undefined) return false;
    entry = { loan, sinceMs: performance.now(), seenUses: loan.uses - 1, isWanted: false };
    this.#loans.add(entry);
    this.#failures = 0;
    if (this.#parts.waiting > 0) this.noteWaiting();
    this.#look ??= setInterval(() => this.#lookAtAll(), LOOK_MS).unref();
    return true;
  }

  #serveAsking(): void {
    for (const borrower of this.#asking) {
      this.#asking.delete(borrower);
      if (this.#isClosed || this.#parts.waiting > 0 || this.#taking > 0) return;
      if (!this.#tryLend(borrower)) return;
    }
  }

  #countOf(borrower: LoanTaker): number {
    let count = 0;
    for (const { loan, isWanted } of this.#loans) if (loan.borrower === borrower && !isWanted) count += 1;
    return count;
  }

  #mostOf(): { readonly of: LoanTaker; readonly count: number } | undefined {
    let most: { readonly of: LoanTaker; readonly count: number } | undefined;
    for (const of of new Set([...this.#loans].map(({ loan }) => loan.borrower))) {
      const count = this.#countOf(of);
      if (count > (most?.count ?? 0)) most = { of, count };
    }
    return most;
  }

  #recallOne(): void {
    const most = this.#mostOf();
    if (most !== undefined) this.#recallFrom(most.of);
  }

  /** One that is unused comes back, or else the one that has been lent the longest when it is unused. */
  #recallFrom(borrower: LoanTaker): void {
    const own = [...this.#loans].filter(({ loan, isWanted }) => loan.borrower === borrower && !isWanted);
    if (own.some(({ loan }) => loan.tryTake())) return;
    const [first] = own;
    if (first !== undefined) this.#recall(first);
  }

  #recall(entry: Entry): void {
    if (entry.loan.tryTake()) return;
    entry.isWanted = true;
    entry.loan.want();
    // It may have become unused between the two.
    entry.loan.tryTake();
  }

  #lookAtAll(): void {
    const nowMs = performance.now();
    for (const entry of [...this.#loans]) {
      const { loan, sinceMs, seenUses } = entry;
      if (nowMs - sinceMs >= LONGEST_MS) this.#recall(entry);
      else if (loan.uses === seenUses) loan.tryTake();
      entry.seenUses = loan.uses;
    }
    if (this.#loans.size > 0 || this.#look === undefined) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }
}
