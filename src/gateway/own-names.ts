/**
 * The names under which the gateway answers. A page of another site can have its own name lead to this machine (DNS
 * rebinding), and would read here what its visitor's browser fetches for it: so names that are not this machine's are
 * refused. Addresses cannot be rebound.
 */
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import { hostname } from 'node:os';

/** `host` or `host:port`; an IPv6 address stands in brackets. */
const AUTHORITY = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/;

/**
 * Whether a request is meant for this server.
 * @param host what the gateway listens on
 */
export function isForThisServer(request: IncomingMessage, host: string): boolean {
  const names = [...hostsOf(request), ...authorityOf(request.url ?? '')];
  return names.every((name) => isOwnName(name, host));
}

/** Whether there are several `Host` headers: servers differ in which they take (RFC 9112, 3.2). */
export function hasSeveralHosts(request: IncomingMessage): boolean {
  return hostsOf(request).length > 1;
}

function hostsOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'host');
}

/** The host of a whole URL, as a proxy is asked. */
function authorityOf(target: string): string[] {
  const authority = /^https?:\/\/([^/?#]*)/i.exec(target)?.[1];
  return authority === undefined ? [] : [authority];
}

function isOwnName(authority: string, host: string): boolean {
  const [, v6, name = ''] = AUTHORITY.exec(authority) ?? [];
  if (v6 !== undefined) return isIPv6(v6);
  const lower = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  const own = hostname().toLowerCase();
  return (
    lower === '' ||
    isIPv4(lower) ||
    lower === 'localhost' ||
    lower.endsWith('.localhost') ||
    [host.toLowerCase(), own, `${own}.local`].includes(lower)
  );
}
