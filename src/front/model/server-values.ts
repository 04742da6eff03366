/** What the server says of itself to web servers that ask. */
import type { ServerValues } from '../../fcgi/session.js';
import type { FrontOptions } from './actions.js';

/** What the server answers to GET_VALUES (FastCGI 1.0, 4.1). */
export function serverValues({ pool, connectionLimit }: FrontOptions): ServerValues {
  return { maxConnections: connectionLimit, maxRequests: pool.workers + pool.queue };
}
