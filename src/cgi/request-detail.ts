/** What an error page shows of the request: its address, and the headers that the client has sent. */
import type { ByteString } from '../base/byte-string.js';
import { decodeParams } from '../fcgi/session.js';
import { HIDDEN, isSecretName, withoutSecrets } from './secrets.js';

export interface RequestDetail {
  readonly method: ByteString;
  readonly url: ByteString;
  readonly headers: readonly (readonly [name: string, value: ByteString])[];
}

const MOST_HEADERS = 60;
const MOST_VALUE_CHARS = 300;

/** @param params name-value pairs, well-formed */
export function describeRequest(params: Uint8Array): RequestDetail {
  const values = decodeParams(params);
  const value = (name: string): string => values.get(name) ?? '';
  const query = value('QUERY_STRING');
  const path = value('REQUEST_URI') || `${value('SCRIPT_NAME')}${value('PATH_INFO')}`;
  const url = query === '' || path.includes('?') ? path : `${path}?${query}`;
  const headers: [string, ByteString][] = [];
  for (const [name, text] of values) {
    const isHeader = name.startsWith('HTTP_') || name === 'CONTENT_TYPE' || name === 'CONTENT_LENGTH';
    if (!isHeader || text === '' || headers.length >= MOST_HEADERS) continue;
    const header = headerName(name.replace('HTTP_', ''));
    headers.push([header, isSecretName(header) ? HIDDEN : cut(withoutSecrets(text))]);
  }
  headers.sort(([left], [right]) => (left < right ? -1 : 1));
  return { method: cut(value('REQUEST_METHOD')), url: withoutSecrets(url), headers };
}

/** `USER_AGENT` as `User-Agent`. */
function headerName(name: string): string {
  const words = name.slice(0, MOST_VALUE_CHARS).toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('-');
}

function cut(text: ByteString): ByteString {
  return text.length > MOST_VALUE_CHARS ? `${text.slice(0, MOST_VALUE_CHARS)}...` : text;
}
