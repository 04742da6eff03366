/**
 * COMMIT, which is never broken off: whether it had succeeded would not be known. Whoever waits for it is told so when the
 * answer does not come, and the log tells how it has ended. Runs in the I/O thread.
 */
import { DataError } from '../protocol.js';
import type { Log } from '../source.js';
import { type Dialect, plainStatement } from './placeholders.js';
import type { Session } from './session.js';

export interface CommitParts {
  readonly source: string;
  readonly session: Session;
  readonly dialect: Dialect;
  /** Longest time that somebody waits for it. */
  readonly limitMs: number;
  /** Whether anybody waits. */
  readonly isAwaited: () => boolean;
  readonly log: Log;
}

/** @throws DataError `LUAFCGID_DATA_COMMIT_UNKNOWN` when its outcome is not known */
export async function commit(parts: CommitParts): Promise<void> {
  const { source, session, dialect } = parts;
  const { connection } = session;
  const fault = (reason: string): DataError => new DataError('LUAFCGID_DATA_TRANSACTION', { source, reason });
  let wasSent = false;
  let tag: string | undefined;
  const sent = session.run(0, false, async () => {
    if (connection.transaction === 'failed') throw fault('it was rolled back, since a statement in it had failed');
    if (!connection.isOpen) throw fault('it was rolled back, since its connection was lost before the COMMIT');
    wasSent = true;
    ({ tag } = await connection.execute(plainStatement('commit', dialect), undefined));
  });
  try {
    await withinLimit(parts, sent);
  } catch (error) {
    if (!wasSent || !(error instanceof DataError) || error.code !== 'LUAFCGID_DATA_LOST') throw error;
    throw new DataError('LUAFCGID_DATA_COMMIT_UNKNOWN', { source, reason: String(error.values.reason) }, {}, error);
  }
  if (tag === 'ROLLBACK') throw fault('it was rolled back, since a statement in it had failed');
}

/** Waits no longer than for a query. The COMMIT goes on by itself. */
function withinLimit({ source, limitMs, isAwaited, log }: CommitParts, sent: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      reject(new DataError('LUAFCGID_DATA_LOST', { source, reason: `no answer within ${limitMs / 1000} s` }));
    }, limitMs);
    const tell = (how: string): void => {
      if (isLate || !isAwaited()) log('warn', `data source ${source}: a COMMIT that nobody waited for ${how}`);
    };
    sent.then(
      () => {
        clearTimeout(late);
        tell('has succeeded');
        resolve();
      },
      (error) => {
        clearTimeout(late);
        tell(`has failed: ${(error as Error).message}`);
        reject(error);
      },
    );
  });
}
