/** Where a log goes, as a configuration names it. */

/** Facilities of syslog by their names, with their numbers (RFC 5424, 6.2.1). */
export const FACILITIES = {
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

export type Facility = keyof typeof FACILITIES;

export type LogTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdout' }
  /** `socket`: the datagram socket that the system's log service listens on. */
  | { readonly kind: 'syslog'; readonly facility: Facility; readonly socket: string };

export const LOG_SOCKET = '/dev/log';

/**
 * Reads `"file"`, `"-"`, `"syslog"`, `"syslog:facility"` or `"syslog:facility:/socket"`.
 * @param absolute makes a relative file name absolute
 * @returns the target, or why there is none
 */
export function parseLogTarget(text: string, absolute: (name: string) => string): LogTarget | { reason: string } {
  if (text === '-') return { kind: 'stdout' };
  if (text !== 'syslog' && !text.startsWith('syslog:')) return { kind: 'file', path: absolute(text) };
  const [, facility = 'daemon', ...rest] = text.split(':');
  const socket = rest.length === 0 ? LOG_SOCKET : rest.join(':');
  if (!isFacility(facility)) {
    return { reason: `"${facility}" is no facility; there are ${Object.keys(FACILITIES).join(', ')}` };
  }
  if (!socket.startsWith('/')) return { reason: `the socket "${socket}" is no absolute path` };
  return { kind: 'syslog', facility, socket };
}

function isFacility(name: string): name is Facility {
  return Object.hasOwn(FACILITIES, name);
}

/** For messages. */
export function formatLogTarget(target: LogTarget): string {
  if (target.kind === 'file') return target.path;
  return target.kind === 'stdout' ? 'standard output' : `syslog at ${target.socket}`;
}
