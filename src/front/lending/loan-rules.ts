/** Which connections may be lent, and to which workers. Pure. */
import { SHORT_MS } from '../../base/usual-time.js';
import type { LoanBook } from '../model/loan-book.js';
import type { FrontConnection } from '../model/request.js';
import type { WorkerLink } from '../model/worker-link.js';

/** Most connections lent to one worker. */
const LENT_AT_MOST = 256;

/** Whether a worker has connections on which no request waits. */
export function hasIdleLoans({ connections, lender }: LoanBook): boolean {
  return connections.size > lender.waiting.count;
}

/** Whether nothing is under way on a connection, and its last loans were not in vain. */
export function mayLend(connection: FrontConnection): boolean {
  if (!connection.isLendable) return false;
  if (connection.loanBackoff === 0) return true;
  connection.loanBackoff -= 1;
  return false;
}

/** Whether a worker may be lent one more. */
export function mayBorrow({ lending, isRetired, executing, duties }: WorkerLink, nowMs: number): boolean {
  if (lending.ringElsewhere === undefined || !duties.isEmpty) return false;
  if (isRetired || lending.isWantedForStates || lending.isGateHeld || nowMs < lending.pausedUntilMs) return false;
  if (lending.connections.size >= LENT_AT_MOST) return false;
  // The request that it runs next may be a long one.
  return (executing?.state.usualMs ?? 0) <= SHORT_MS;
}
