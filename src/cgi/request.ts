/** What the CGI parameters of a request mean for the server (RFC 3875, section 4.1, and what web servers make of it). */
import { toText } from '../byte-string.js';
import { LuafcgidError } from '../errors.js';
import { forEachPair } from '../fcgi/session.js';

export interface CgiRequest {
  readonly method: string;
  /** The script's absolute path as the web server named it, one character per byte. */
  readonly scriptPath: string;
  /** Undefined when the web server does not know: the body then ends with its stream. */
  readonly contentLength: number | undefined;
  /** The parameters as the script may see them, encoded. */
  readonly params: Uint8Array;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_SERVED = new Set(['CONNECT', 'TRACE']);

/** Names the server itself looks at. Their lengths are compared first: most parameters are none of these. */
const WANTED = new Set([
  'CONTENT_LENGTH',
  'DOCUMENT_ROOT',
  'HTTP_PROXY',
  'QUERY_STRING',
  'REQUEST_METHOD',
  'SCRIPT_FILENAME',
  'SCRIPT_NAME',
]);
const WANTED_LENGTHS = new Set([...WANTED].map((name) => name.length));

/**
 * Reads the parameters of a request.
 * @throws LuafcgidError with the status of the answer (404, 405), or of status 0 when the pairs are malformed
 */
export function parseRequest(params: Uint8Array): CgiRequest {
  const bytes = Buffer.from(params.buffer, params.byteOffset, params.length);
  const found: Record<string, string> = {};
  forEachPair(params, (nameStart, valueStart, valueEnd) => {
    if (!WANTED_LENGTHS.has(valueStart - nameStart)) return;
    const name = bytes.toString('latin1', nameStart, valueStart);
    if (WANTED.has(name)) found[name] = bytes.toString('latin1', valueStart, valueEnd);
  });
  const method = found.REQUEST_METHOD || 'GET';
  if (!TOKEN.test(method) || NOT_SERVED.has(method)) {
    throw new LuafcgidError('LUAFCGID_REQUEST_METHOD', { method: asText(method) });
  }
  return {
    method,
    scriptPath: scriptPathOf(found),
    contentLength: contentLengthOf(found.CONTENT_LENGTH),
    params: found.HTTP_PROXY === undefined ? params : withoutProxy(bytes),
  };
}

function scriptPathOf(found: Readonly<Record<string, string>>): string {
  let path = found.SCRIPT_FILENAME;
  if (!path) {
    if (!found.SCRIPT_NAME) throw new LuafcgidError('LUAFCGID_REQUEST_NO_SCRIPT');
    path = (found.DOCUMENT_ROOT ?? '') + found.SCRIPT_NAME;
  }
  path = withoutProxyUrl(path, found.QUERY_STRING ?? '');
  if (!path.startsWith('/')) throw new LuafcgidError('LUAFCGID_REQUEST_RELATIVE_SCRIPT', { path: asText(path) });
  if (path.includes('\0')) throw new LuafcgidError('LUAFCGID_REQUEST_NUL', { path: asText(path) });
  return path;
}

/** Bytes as they may stand in a message. */
function asText(bytes: string): string {
  return toText(bytes).replaceAll('\0', '\\0');
}

/**
 * Apache's mod_proxy_fcgi names the script as a URL: `proxy:fcgi://host:port/srv/x.lua?query`. Only a suffix that is
 * exactly the query is cut: cutting at any "?" would let `admin.lua?x.lua`, or `admin.lua?` without a query, pass rules
 * made for other names.
 */
function withoutProxyUrl(path: string, query: string): string {
  if (!path.startsWith('proxy:')) return path;
  const authority = path.indexOf('://');
  const slash = authority < 0 ? -1 : path.indexOf('/', authority + 3);
  if (slash < 0) return path;
  const file = path.slice(slash);
  return query !== '' && file.endsWith(`?${query}`) ? file.slice(0, -query.length - 1) : file;
}

/** An absent, empty or senseless length is no length: the end of the stream then tells. */
function contentLengthOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) return undefined;
  return Number(text);
}

/** A client's Proxy header must not look like the HTTP_PROXY variable that libraries obey (CVE-2016-5385). */
function withoutProxy(bytes: Buffer): Uint8Array {
  const kept: Buffer[] = [];
  let pairStart = 0;
  forEachPair(bytes, (nameStart, valueStart, valueEnd) => {
    if (bytes.toString('latin1', nameStart, valueStart) !== 'HTTP_PROXY')
      kept.push(bytes.subarray(pairStart, valueEnd));
    pairStart = valueEnd;
  });
  return Buffer.concat(kept);
}
