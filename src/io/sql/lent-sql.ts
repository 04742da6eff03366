/** How connections of a database are lent to workers, which send statements on them by themselves. Runs in the I/O thread. */
import { SourceLoans } from '../lending/source-loans.js';
import type { Pool } from '../pool/pool.js';
import { Return } from '../protocol.js';
import type { Lendable } from '../source.js';
import type { SqlConnection } from './sql.js';

/** Time for what makes a connection fit for others again. */
const CLEAN_MS = 5000;

/** @param lost a connection has turned out to be no more */
export function lendSql(
  pool: Pool<SqlConnection>,
  lost: (connection: SqlConnection, reason: string) => void,
): SourceLoans {
  function lendable(connection: SqlConnection): Lendable | undefined {
    const descriptor = connection.lend?.();
    if (descriptor === undefined) return undefined;
    const own: Lendable = {
      descriptor,
      cancel: () => void connection.cancel().catch(() => {}),
      comeBack: (how, reason) => void comeBack(connection, how, reason),
    };
    return own;
  }

  async function comeBack(connection: SqlConnection, how: Return, reason: string): Promise<void> {
    if (how !== Return.FIT) {
      if (how === Return.LOST) lost(connection, reason);
      else pool.discard(connection);
      return connection.destroy();
    }
    const late = setTimeout(() => connection.destroy(), CLEAN_MS);
    try {
      await connection.takeBack?.();
      pool.release(connection);
    } catch {
      pool.discard(connection);
    } finally {
      clearTimeout(late);
    }
  }

  const loans: SourceLoans = new SourceLoans({
    take: (got, failed) =>
      pool.takeToLend({
        got(connection) {
          const own = lendable(connection);
          if (own !== undefined) return got(own);
          pool.release(connection);
          failed();
        },
        failed,
      }),
    giveUp: (own) => own.comeBack(Return.FIT, ''),
    get waiting() {
      return pool.waiting;
    },
    get own() {
      return pool.open - loans.count;
    },
  });
  return loans;
}
