/** What a worker has to know of a data source whose connections it uses by itself. Pure. */
import { placeOfSource } from './loan-words.js';
import type { IoSource, ResolvedSource } from './sources.js';

export type LentLimits = Pick<
  ResolvedSource,
  'name' | 'connections' | 'queue' | 'waitMs' | 'queryMs' | 'maxResultBytes'
> & {
  /** Its place in `WaitingCounts`. */
  readonly place: number;
};

/** Undefined where no connections are lent: encrypted ones have keys that another thread has not. */
export function limitsOf(id: number, source: IoSource): LentLimits | undefined {
  if ((source.kind !== 'redis' && source.kind !== 'postgres') || source.tls.mode !== 'off') return undefined;
  const { name, connections, queue, waitMs, queryMs, maxResultBytes } = source;
  return { name, connections, queue, waitMs, queryMs, maxResultBytes, place: placeOfSource(id) };
}
