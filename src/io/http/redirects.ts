/** What a redirect means for a request (RFC 9110, 15.4). Pure. */
import { DataError } from '../protocol.js';
import type { HttpRequest } from './request.js';
import { httpFault, parseUrl } from './request.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Headers that are for one server only. */
const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization']);
const OF_BODY = /^content-/;

/**
 * The request that a redirect asks for; undefined when the answer is none.
 * @throws DataError when it leads to a place that no request can be made to, or back to a connection without encryption
 */
export function redirected(
  request: HttpRequest,
  status: number,
  location: string | undefined,
): HttpRequest | undefined {
  if (!REDIRECTS.has(status) || location === undefined) return undefined;
  const url = targetOf(request, location);
  if (request.url.protocol === 'https:' && url.protocol !== 'https:') {
    throw httpFault('LUAFCGID_HTTP_REDIRECT', request.url, { reason: `it leads from https to ${url.origin}` });
  }
  const { method } = request;
  const becomesGet = (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST');
  const isElsewhere = url.origin !== request.url.origin;
  const headers: string[] = [];
  for (let at = 0; at < request.headers.length; at += 2) {
    const [name, value] = [request.headers[at] as string, request.headers[at + 1] as string];
    const lower = name.toLowerCase();
    if ((isElsewhere && CREDENTIALS.has(lower)) || (becomesGet && OF_BODY.test(lower))) continue;
    headers.push(name, value);
  }
  return {
    ...request,
    url,
    headers,
    method: becomesGet ? 'GET' : method,
    body: becomesGet ? undefined : request.body,
    redirects: request.redirects - 1,
  };
}

function targetOf(request: HttpRequest, location: string): URL {
  try {
    return parseUrl(location, request.url);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw httpFault('LUAFCGID_HTTP_REDIRECT', request.url, { reason: String(error.values.reason) });
  }
}
