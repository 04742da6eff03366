/** Whether a request asks for the server's own status page (`statuspath`), and in which form. */
import { forEachPair } from '../fcgi/session.js';

export interface StatusQuestion {
  readonly isHead: boolean;
  readonly query: string;
  readonly accept: string;
}

const METRICS = '/metrics';
const SCRIPT_NAME = Buffer.from('SCRIPT_NAME');

/**
 * Whether SCRIPT_NAME is the path, or `/metrics` behind it.
 * @throws LuafcgidError when the pairs are malformed
 */
export function asksForStatus(params: Uint8Array, path: string): boolean {
  const bytes = Buffer.from(params.buffer, params.byteOffset, params.length);
  let found = false;
  forEachPair(params, (nameStart, valueStart, valueEnd) => {
    if (valueStart - nameStart !== SCRIPT_NAME.length) return;
    if (bytes.compare(SCRIPT_NAME, 0, SCRIPT_NAME.length, nameStart, valueStart) !== 0) return;
    const name = bytes.toString('latin1', valueStart, valueEnd);
    found = name === path || name === path + METRICS;
  });
  return found;
}

/** What a request for the status page asks for. @param params as `decodeParams` gives them */
export function statusQuestionOf(params: ReadonlyMap<string, string>): StatusQuestion {
  const isMetrics = params.get('SCRIPT_NAME')?.endsWith(METRICS) === true;
  return {
    isHead: params.get('REQUEST_METHOD') === 'HEAD',
    query: isMetrics ? 'openmetrics' : (params.get('QUERY_STRING') ?? ''),
    accept: params.get('HTTP_ACCEPT') ?? '',
  };
}
