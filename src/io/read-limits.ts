/** What a worker has to know of a database of SQLite that it reads by itself. Pure. */
import { placeOfSource } from './loan-words.js';
import type { IoSource, ResolvedSource } from './sources.js';

export interface ReadLimits extends Pick<ResolvedSource, 'name' | 'idleMs' | 'maxResultBytes'> {
  readonly file: string;
  /** How many workers may have a connection. */
  readonly connections: number;
  /** Its place in `OwnConnections`. */
  readonly place: number;
}

/** Undefined where workers read nothing by themselves. */
export function readLimitsOf(id: number, source: IoSource): ReadLimits | undefined {
  if (source.kind !== 'sqlite' || (source.readingWorkers ?? 0) < 1) return undefined;
  const { name, idleMs, maxResultBytes, database: file, readingWorkers: connections = 0 } = source;
  return { name, idleMs, maxResultBytes, file, connections, place: placeOfSource(id) };
}
