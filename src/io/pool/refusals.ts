/** The error that an operation gets instead of a connection. Pure. */
import { DataError } from '../protocol.js';
import type { PoolRefusal } from './pool.js';

/** How many connections are in use, for messages. */
export function useOf({ busy, opening }: PoolRefusal & { why: 'timeout' }, connections: number): string {
  if (busy === connections) return `all ${connections} are in use`;
  return `${busy} of ${connections} are in use${opening > 0 ? `, ${opening} are being opened` : ''}`;
}

/** @param source its name and limits */
export function refusalError(
  source: { readonly name: string; readonly connections: number; readonly queue: number },
  refusal: PoolRefusal,
): Error {
  const { name, connections, queue } = source;
  switch (refusal.why) {
    case 'full':
      return new DataError('LUAFCGID_DATA_QUEUE', { source: name, queue }, { retry: true });
    case 'timeout':
      return new DataError(
        'LUAFCGID_DATA_WAIT',
        { source: name, seconds: refusal.waitedMs / 1000, use: useOf(refusal, connections) },
        { retry: true },
      );
    case 'down': {
      if (refusal.isFresh) return refusal.error;
      const reason = refusal.error instanceof DataError ? String(refusal.error.values.reason) : refusal.error.message;
      return new DataError(
        'LUAFCGID_DATA_DOWN',
        { source: name, reason, seconds: (refusal.retryMs / 1000).toFixed(1) },
        { retry: true },
        refusal.error,
      );
    }
    case 'closed':
      return new DataError('LUAFCGID_DATA_SOURCE', { source: name });
  }
}
