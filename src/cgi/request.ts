/** What the CGI parameters of a request mean for the server (RFC 3875, section 4.1, and what web servers make of it). */
import { toShortText } from '../base/bounded-text.js';
import { LuafcgidError } from '../base/errors.js';
import { encodeParams, forEachPair } from '../fcgi/session.js';

export interface CgiRequest {
  readonly method: string;
  /** The script's absolute path as the web server named it, one character per byte. */
  readonly scriptPath: string;
  /** Undefined when the web server does not know: the body then ends with its stream. */
  readonly contentLength: number | undefined;
  /** The same of the file that a Filter is given. */
  readonly dataLength: number | undefined;
  /** The parameters as the script may see them, encoded. */
  readonly params: Uint8Array;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PROXY_URL = Buffer.from('proxy:');
const NOT_SERVED = new Set(['CONNECT', 'TRACE']);

/** The parameters that the server itself looks at. */
const WANTED = [
  'CONTENT_LENGTH',
  'DOCUMENT_ROOT',
  'FCGI_DATA_LENGTH',
  'HTTP_PROXY',
  'QUERY_STRING',
  'REQUEST_METHOD',
  'SCRIPT_FILENAME',
  'SCRIPT_NAME',
] as const;
type Wanted = (typeof WANTED)[number];

interface WantedName {
  readonly name: Wanted;
  readonly bytes: Uint8Array;
}

/** By length: most parameters are told apart from these without a look at their names. */
const WANTED_BY_LENGTH: readonly (readonly WantedName[])[] = Array.from({ length: 17 }, (_, length) =>
  WANTED.filter((name) => name.length === length).map((name) => ({ name, bytes: Buffer.from(name) })),
);

/** Where the values lie: strings are only made of those that are needed. */
class Places {
  readonly #bytes: Buffer;
  readonly #places: Partial<Record<Wanted, readonly [start: number, end: number]>> = {};

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  note(nameStart: number, valueStart: number, valueEnd: number): void {
    const candidates = WANTED_BY_LENGTH[valueStart - nameStart];
    if (candidates === undefined) return;
    for (const { name, bytes } of candidates) {
      if (isAt(this.#bytes, nameStart, bytes)) this.#places[name] = [nameStart, valueEnd];
    }
  }

  has(name: Wanted): boolean {
    return this.#places[name] !== undefined;
  }

  startsWith(name: Wanted, start: Uint8Array): boolean {
    const place = this.#places[name];
    return place !== undefined && isAt(this.#bytes, place[0] + name.length, start);
  }

  /** The value, one character per byte; empty when there is none. */
  value(name: Wanted): string {
    const place = this.#places[name];
    return place === undefined ? '' : this.#bytes.toString('latin1', place[0] + name.length, place[1]);
  }
}

function isAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

/** What is known of a request by its role. */
export interface RoleRequest {
  /** The script that answers it, whatever the web server names; undefined: the one that it names. */
  readonly script?: string | undefined;
  /** It has no body, whatever CONTENT_LENGTH says. */
  readonly isBodiless?: boolean;
}

/**
 * Reads the parameters of a request.
 * @throws LuafcgidError with the status of the answer (404, 405), or of status 0 when the pairs are malformed
 */
export function parseRequest(params: Uint8Array, { script, isBodiless }: RoleRequest = {}): CgiRequest {
  const bytes = Buffer.from(params.buffer, params.byteOffset, params.length);
  const places = new Places(bytes);
  forEachPair(params, (nameStart, valueStart, valueEnd) => places.note(nameStart, valueStart, valueEnd));
  const method = places.value('REQUEST_METHOD') || 'GET';
  if (method !== 'GET' && (!TOKEN.test(method) || NOT_SERVED.has(method))) {
    throw new LuafcgidError('LUAFCGID_REQUEST_METHOD', { method: asText(method) });
  }
  const scriptPath = script ?? scriptPathOf(places);
  const lengthText = places.value('CONTENT_LENGTH');
  const contentLength = contentLengthOf(lengthText);
  // Caddy says -1 for a body of unknown length.
  const hasSenselessLength = lengthText !== '' && contentLength === undefined;
  const isProxyUrl = script === undefined && places.startsWith('SCRIPT_FILENAME', PROXY_URL);
  const isForScripts = !places.has('HTTP_PROXY') && !hasSenselessLength && !isProxyUrl;
  return {
    method,
    scriptPath,
    contentLength: isBodiless ? 0 : contentLength,
    dataLength: contentLengthOf(places.value('FCGI_DATA_LENGTH')),
    params: isForScripts ? params : changed(bytes, hasSenselessLength, isProxyUrl ? scriptPath : undefined),
  };
}

function scriptPathOf(places: Places): string {
  let path = places.value('SCRIPT_FILENAME');
  if (path === '') {
    const name = places.value('SCRIPT_NAME');
    if (name === '') throw new LuafcgidError('LUAFCGID_REQUEST_NO_SCRIPT');
    path = places.value('DOCUMENT_ROOT') + name;
  }
  if (path.startsWith('proxy:')) path = withoutProxyUrl(path, places.value('QUERY_STRING'));
  if (path.includes('/..')) path = withoutDotSegments(path, places);
  if (!path.startsWith('/')) throw new LuafcgidError('LUAFCGID_REQUEST_RELATIVE_SCRIPT', { path: asText(path) });
  if (path.includes('\0')) throw new LuafcgidError('LUAFCGID_REQUEST_NUL', { path: asText(path) });
  return path;
}

/**
 * Most web servers resolve "." and ".." in a URL before they name a file. HAProxy passes them on, so a client could name
 * any file of the machine. ".." is resolved here as it is in a URL, whatever links there are; what would lead out of the
 * document root is refused.
 */
function withoutDotSegments(path: string, places: Places): string {
  const root = withoutEndSlashes(places.value('DOCUMENT_ROOT'));
  const belowRoot = path.startsWith(`${root}/`) ? path.slice(root.length) : '';
  if (climbsOut(belowRoot) || climbsOut(places.value('SCRIPT_NAME'))) {
    throw new LuafcgidError('LUAFCGID_REQUEST_TRAVERSAL', { path: asText(path) });
  }
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  return `${path.startsWith('/') ? '/' : ''}${kept.join('/')}${path.endsWith('/') ? '/' : ''}`;
}

/** Not by a pattern: that would try each slash of a long run as the first of the last ones. */
function withoutEndSlashes(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === '/') end -= 1;
  return path.slice(0, end);
}

/** Whether a path leads above where it starts, at any of its segments. */
function climbsOut(path: string): boolean {
  let depth = 0;
  for (const segment of path.split('/')) {
    if (segment === '..') depth -= 1;
    else if (segment !== '' && segment !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}

/** Bytes as they may stand in a message. */
function asText(bytes: string): string {
  return toShortText(bytes).replaceAll('\0', '\\0');
}

/**
 * Apache's mod_proxy_fcgi names the script as a URL: `proxy:fcgi://host:port/srv/x.lua?query`. Only a suffix that is
 * exactly the query is cut: cutting at any "?" would let `admin.lua?x.lua`, or `admin.lua?` without a query, pass rules
 * made for other names.
 */
function withoutProxyUrl(path: string, query: string): string {
  const authority = path.indexOf('://');
  const slash = authority < 0 ? -1 : path.indexOf('/', authority + 3);
  if (slash < 0) return path;
  const file = path.slice(slash);
  return query !== '' && file.endsWith(`?${query}`) ? file.slice(0, -query.length - 1) : file;
}

/** An absent, empty or senseless length is no length: the end of the stream then tells. */
function contentLengthOf(text: string): number | undefined {
  if (text === '' || !/^[0-9]{1,15}$/.test(text)) return undefined;
  return Number(text);
}

/**
 * The parameters without what would mislead a script. A client's Proxy header must not look like the HTTP_PROXY variable
 * that libraries obey (CVE-2016-5385).
 * @param hasSenselessLength CONTENT_LENGTH is left out
 * @param scriptPath stands as SCRIPT_FILENAME; undefined: that of the web server stays
 */
function changed(bytes: Buffer, hasSenselessLength: boolean, scriptPath: string | undefined): Buffer {
  const kept: Buffer[] = [];
  let pairStart = 0;
  forEachPair(bytes, (nameStart, valueStart, valueEnd) => {
    const name = bytes.toString('latin1', nameStart, valueStart);
    if (name === 'SCRIPT_FILENAME' && scriptPath !== undefined) kept.push(encodeParams([[name, scriptPath]]));
    else if (name !== 'HTTP_PROXY' && !(name === 'CONTENT_LENGTH' && hasSenselessLength))
      kept.push(bytes.subarray(pairStart, valueEnd));
    pairStart = valueEnd;
  });
  return Buffer.concat(kept);
}
