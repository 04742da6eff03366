/** What PostgreSQL says of a statement, in the words of scripts: how many rows it changed, and its errors. Pure. */
import { DataError } from '../protocol.js';
import type { Outcome } from './sql.js';

/** The server was told to stop. */
export const CANCELED = '57014';
/** The same may succeed when it is tried again: a conflict, a deadlock, a lock that was not free. */
const RETRY = new Set(['40001', '40P01', '55P03']);

/** What the server tells of an error. */
export interface ServerFault {
  readonly message: string;
  readonly code?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

/** @param tag what the server calls what it has done, e.g. `UPDATE 3` */
export function outcomeOf(tag: string | undefined): Outcome {
  const count = /^(?:INSERT \d+|UPDATE|DELETE|MERGE|COPY|SELECT|FETCH|MOVE) (\d+)$/.exec(tag ?? '')?.[1];
  const isChange = !/^(?:SELECT|FETCH|MOVE)/.test(tag ?? '');
  return { affected: count !== undefined && isChange ? Number(count) : undefined, insertId: undefined, tag };
}

export function serverError(source: string, { message, code, detail, hint }: ServerFault): DataError {
  const more = [detail, hint].filter((text) => text !== undefined).map((text) => `; ${text}`);
  const values = { source, reason: `${message}${more.join('')}` };
  if (code === CANCELED) return new DataError('LUAFCGID_DATA_CANCELED', values, { sqlstate: code, retry: true });
  return new DataError('LUAFCGID_DATA_QUERY', values, { sqlstate: code, retry: RETRY.has(code ?? '') });
}

/** Whether a prepared statement is to be made again: its tables have changed, or the server has forgotten it. */
export function staleness(error: unknown): 'forgotten' | 'changed' | undefined {
  if (!(error instanceof DataError)) return undefined;
  if (error.sqlstate === '26000') return 'forgotten';
  return error.sqlstate === '0A000' && /cached plan/.test(error.message) ? 'changed' : undefined;
}

/** @param said what the server said before it closed the connection */
export function lostError(source: string, said: Error | undefined, reason: string): DataError {
  const told = said instanceof DataError ? String(said.values.reason) : said?.message;
  return new DataError('LUAFCGID_DATA_LOST', { source, reason: told ?? reason }, { retry: true });
}
