/** A request as a script asks for it: checked, so that nothing but what it says can be sent. Pure. */
import type { catalogue } from '../../base/errors.js';
import { DataError } from '../protocol.js';
import type { HttpSettings } from '../sources.js';
import { Bytes, type Value, type ValueMap, ValueReader } from '../values.js';

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Names and values in turn; each character is one byte. */
  readonly headers: readonly string[];
  readonly body: Buffer | undefined;
  /** All of it may take so long. */
  readonly totalMs: number;
  /** The longest time in which nothing comes. */
  readonly answerMs: number;
  /** Redirects that may still be followed. */
  readonly redirects: number;
  readonly maxBodyBytes: number;
}

/** RFC 9110, 5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]{1,64}$/;
const MOST_URL_BYTES = 16 * 1024;
const MOST_HEADERS = 100;
const MOST_HEADER_BYTES = 64 * 1024;
const MOST_REDIRECTS = 20;
/** Headers that belong to the connection or say how a body is sent: who sets them may smuggle a request. */
const OF_CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Methods whose requests may be sent twice (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);
const WITHOUT_BODY = new Set(['GET', 'HEAD']);

/** Whether sending it twice does the same as once. */
export function isIdempotent({ method }: HttpRequest): boolean {
  return IDEMPOTENT.has(method);
}

type HttpCode = Extract<keyof typeof catalogue, `LUAFCGID_HTTP_${string}`>;

/** An error about a server. It names the host and the port. It leaves out path and query, since a query may have secrets. */
export function httpFault(
  code: HttpCode,
  url: URL | string,
  values: Readonly<Record<string, unknown>> = {},
  retry = false,
  cause?: unknown,
): DataError {
  return new DataError(code, { server: typeof url === 'string' ? url : serverOf(url), ...values }, { retry }, cause);
}

export function wrongArgument(reason: string): DataError {
  return new DataError('LUAFCGID_HTTP_ARGUMENT', { reason });
}

/** The port of a URL, also when it is that of its scheme. */
export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** Name and port of the server. */
export function serverOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}

/** @param text as bytes @throws DataError when it is no address of a web server */
export function parseUrl(text: string, base?: URL): URL {
  if (text.length > MOST_URL_BYTES) throw wrongArgument(`the URL has more than ${MOST_URL_BYTES} bytes`);
  // The parser of URLs removes line ends and tabs wherever they are.
  if (hasControl(text) || /[ \t]/.test(text))
    throw wrongArgument('the URL has a space or control character: encode it (luafcgid.urlencode)');
  let url: URL;
  try {
    url = new URL(Buffer.from(text, 'latin1').toString('utf8'), base);
  } catch {
    throw wrongArgument(`no URL: ${JSON.stringify(text.slice(0, 100))}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw wrongArgument(`the URL is no http:// or https:// but ${url.protocol}`);
  if (url.username !== '' || url.password !== '') {
    throw wrongArgument('the URL has a name or password: send them in the header Authorization');
  }
  url.hash = '';
  // A name with a dot at its end is the same name.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  return url;
}

/** Reads what a script has posted: a MAP. @throws DataError that says what is wrong with it */
export function readRequest(body: Uint8Array, settings: HttpSettings, limitMs: number): HttpRequest {
  const map = new ValueReader(body).read() as ValueMap;
  const url = map.get('url');
  if (!Buffer.isBuffer(url)) throw wrongArgument('url is missing');
  const method = (textOf(map.get('method')) ?? 'GET').toUpperCase();
  if (!TOKEN.test(method) || method === 'CONNECT' || method === 'TRACE') {
    throw wrongArgument(`the method ${JSON.stringify(method.slice(0, 40))} cannot be sent`);
  }
  const content = bytesOf(map.get('body'));
  if (content !== undefined && WITHOUT_BODY.has(method)) throw wrongArgument(`${method} has no body`);
  if (content !== undefined && content.length > settings.maxBodyBytes) {
    throw httpFault('LUAFCGID_HTTP_SIZE', 'this one', { what: 'the body to send', limit: settings.maxBodyBytes });
  }
  const totalMs = milliseconds(map, 'timeout', settings.totalMs);
  return {
    method,
    url: parseUrl(url.toString('latin1')),
    headers: readHeaders(map.get('headers')),
    body: content,
    totalMs: limitMs > 0 ? Math.min(limitMs, totalMs) : totalMs,
    answerMs: milliseconds(map, 'answertimeout', settings.answerMs),
    redirects: whole(map, 'redirects', 0, MOST_REDIRECTS),
    maxBodyBytes: whole(map, 'maxbody', settings.maxBodyBytes, settings.maxBodyBytes),
  };
}

function readHeaders(value: Value): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrongArgument('headers are no table');
  if (value.length > 2 * MOST_HEADERS) throw wrongArgument(`there are more than ${MOST_HEADERS} headers`);
  let sizeBytes = 0;
  return (value as readonly Value[]).map((member, at) => {
    const text = textOf(member) ?? '';
    sizeBytes += text.length;
    if (sizeBytes > MOST_HEADER_BYTES) throw wrongArgument(`the headers have more than ${MOST_HEADER_BYTES} bytes`);
    if (at % 2 === 0) {
      if (!TOKEN.test(text)) throw wrongArgument(`no name of a header: ${JSON.stringify(text.slice(0, 40))}`);
      if (OF_CONNECTION.has(text.toLowerCase())) throw wrongArgument(`the header ${text} is set by the server itself`);
    } else if (hasControl(text)) {
      const name = textOf((value as readonly Value[])[at - 1]);
      throw wrongArgument(`the header ${name} has a line end or control character`);
    }
    return text;
  });
}

/** Whether there is a control character other than a tab. */
function hasControl(bytes: string): boolean {
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes.charCodeAt(at);
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return true;
  }
  return false;
}

function textOf(value: Value): string | undefined {
  return Buffer.isBuffer(value) ? value.toString('latin1') : undefined;
}

function bytesOf(value: Value): Buffer | undefined {
  if (value instanceof Bytes) return value.value;
  return Buffer.isBuffer(value) ? value : undefined;
}

/** What the script asks for may be less than the setting, not more. */
function milliseconds(map: ValueMap, name: string, mostMs: number): number {
  const seconds = map.get(name);
  if (seconds === undefined) return mostMs;
  if (typeof seconds === 'number' && seconds > 0 && seconds * 1000 <= mostMs) return seconds * 1000;
  throw wrongArgument(
    `${name} is ${String(seconds)}: the setting http allows more than 0 and at most ${mostMs / 1000} seconds`,
  );
}

function whole(map: ValueMap, name: string, otherwise: number, most: number): number {
  const number = map.get(name);
  if (number === undefined) return otherwise;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= most) return number;
  throw wrongArgument(`${name} is ${String(number)}: a whole number from 0 to ${most} is allowed`);
}
