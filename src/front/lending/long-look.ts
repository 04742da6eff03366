/**
 * Whether a worker has been at one thing for so long that others must not wait behind it. A worker that waits for a processor on
 * a busy machine is left alone: who takes its connections waits for the same processors.
 */
import { LONG_MS } from '../../base/usual-time.js';
import type { LendingDriver } from '../model/actions.js';
import type { LoanBook } from '../model/loan-book.js';

/** After this time nobody asks any more why: the worker may also sleep in a call of the system. */
const LONGEST_MS = 10;

export class LongLook {
  readonly #driver: Pick<LendingDriver, 'cpuMsOf'> | undefined;

  constructor(driver: Pick<LendingDriver, 'cpuMsOf'> | undefined) {
    this.#driver = driver;
  }

  /** @param sinceMs when the worker began with it, which tells it from others. Ask again until it is over */
  isLong(lending: LoanBook, sinceMs: number, nowMs: number): boolean {
    if (nowMs - sinceMs < LONG_MS) return false;
    if (nowMs - sinceMs >= LONGEST_MS) return true;
    const cpuMs = this.#driver?.cpuMsOf?.(lending.lender);
    if (cpuMs === undefined) return true;
    if (lending.longLook?.sinceMs !== sinceMs) lending.longLook = { sinceMs, cpuMs };
    return cpuMs - lending.longLook.cpuMs >= LONG_MS;
  }
}
