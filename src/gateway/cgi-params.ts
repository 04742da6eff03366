/** The FastCGI parameters of an HTTP request, named as nginx's `fastcgi.conf` and RFC 3875 name them. */
import type { IncomingMessage } from 'node:http';

export interface ScriptLocation {
  /** Document root, a byte string without a slash at its end. */
  readonly root: string;
  /** Path of the script below it, beginning with a slash. */
  readonly scriptName: string;
  /** What followed the script's name in the path. */
  readonly pathInfo: string;
}

export type Params = readonly (readonly [name: string, value: string])[];

/**
 * Headers that do not become `HTTP_...`: `Proxy` would become the proxy setting of many programs (httpoxy,
 * CVE-2016-5385), the body's own have a parameter each, and Transfer-Encoding is undone before the body is passed on.
 */
const NOT_PASSED = new Set(['proxy', 'content-type', 'content-length', 'transfer-encoding']);

/** All values are byte strings, one character per byte. */
export function cgiParams(request: IncomingMessage, location: ScriptLocation, serverName: string): Params {
  const { root, scriptName, pathInfo } = location;
  const { socket, headers } = request;
  const uri = request.url ?? '/';
  const params: [string, string][] = [
    ['SCRIPT_FILENAME', root + scriptName],
    ['QUERY_STRING', queryOf(uri)],
    ['REQUEST_METHOD', request.method ?? 'GET'],
  ];
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) params.push([name, String(value)]);
  };
  add('CONTENT_TYPE', headers['content-type']);
  // Of a chunked body nobody knows the length: the script reads it to its end.
  add('CONTENT_LENGTH', headers['transfer-encoding'] === undefined ? headers['content-length'] : undefined);
  add('SCRIPT_NAME', scriptName);
  if (pathInfo !== '') {
    add('PATH_INFO', pathInfo);
    add('PATH_TRANSLATED', root + pathInfo);
  }
  add('REQUEST_URI', uri);
  add('DOCUMENT_URI', scriptName + pathInfo);
  add('DOCUMENT_ROOT', root);
  add('SERVER_PROTOCOL', `HTTP/${request.httpVersion}`);
  add('REQUEST_SCHEME', 'http');
  add('GATEWAY_INTERFACE', 'CGI/1.1');
  add('SERVER_SOFTWARE', 'luafcgid-gateway');
  add('REMOTE_ADDR', socket.remoteAddress);
  add('REMOTE_PORT', socket.remotePort);
  add('SERVER_ADDR', socket.localAddress);
  add('SERVER_PORT', socket.localPort);
  add('SERVER_NAME', serverName);
  for (const [name, value] of Object.entries(headers)) {
    // As nginx: `_` and `-` become the same in a parameter's name, so a name with `_` could pass for another header.
    if (value === undefined || NOT_PASSED.has(name) || !/^[a-z0-9-]+$/.test(name)) continue;
    add(`HTTP_${name.toUpperCase().replaceAll('-', '_')}`, Array.isArray(value) ? value.join(', ') : value);
  }
  return params;
}

function queryOf(uri: string): string {
  const mark = uri.indexOf('?');
  return mark < 0 ? '' : uri.slice(mark + 1);
}
