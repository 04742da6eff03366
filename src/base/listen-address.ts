/** Listen addresses: from text as it is written in a configuration, and back. Pure. */
/** Where the server listens. `host` is `''` for all interfaces (IPv6 and IPv4); `port` 0 takes any free port. */
export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** `name`: what the service manager that passed it calls it. */
  | { readonly kind: 'fd'; readonly fd: number; readonly name?: string };

/** What a configuration may say of it: also the sockets that a service manager passes, those of a name or all. */
export type ListenSetting = ListenAddress | { readonly kind: 'systemd'; readonly name: string | undefined };

/** Why a text is no address, and what to write instead. */
export interface AddressFault {
  readonly reason: string;
  readonly remedy: string;
}

/** Bytes of `sockaddr_un.sun_path` on Linux without the closing NUL; FreeBSD and macOS have 103. */
const SOCKET_PATH_BYTES = 107;

const EXAMPLES = 'Write "/path.sock", "127.0.0.1:9000", ":9000", "[::1]:9000", "fd:0" or "systemd".';

/** What systemd allows as FileDescriptorName. */
const SOCKET_NAME = /^[\x20-\x39\x3b-\x7e]{1,255}$/;

function parsePort(text: string): number | undefined {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  return port >= 0 && port <= 65_535 ? port : undefined;
}

function isHost(host: string): boolean {
  if (/^[0-9.]+$/.test(host)) {
    const parts = host.split('.');
    return parts.length === 4 && parts.every((part) => /^[0-9]{1,3}$/.test(part) && Number(part) <= 255);
  }
  return /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(host);
}

function parseTcp(text: string): ListenAddress | AddressFault {
  const colon = text.lastIndexOf(':');
  const written = text.slice(0, colon);
  const port = parsePort(text.slice(colon + 1));
  if (port === undefined) return { reason: 'the port is no number from 0 to 65535', remedy: EXAMPLES };
  if (written === '' || written === '*') return { kind: 'tcp', host: '', port };
  const bracketed = /^\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?)\]$/.exec(written)?.[1];
  if (bracketed !== undefined) return { kind: 'tcp', host: bracketed, port };
  if (isHost(written)) return { kind: 'tcp', host: written, port };
  const remedy = /^[0-9A-Fa-f:]+$/.test(written)
    ? `Put an IPv6 address into brackets: "[${written}]:${port}".`
    : EXAMPLES;
  return { reason: `"${written}" is neither a host name nor an address`, remedy };
}

function parseUnix(name: string, absolute: (name: string) => string): ListenAddress | AddressFault {
  if (name === '' || name.includes('\0')) return { reason: 'the name of the socket is missing', remedy: EXAMPLES };
  const path = absolute(name);
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES) {
    return {
      reason: `the path ${path} has ${bytes} bytes; the system allows ${SOCKET_PATH_BYTES}`,
      remedy: 'Use a shorter path, for instance in /run.',
    };
  }
  return { kind: 'unix', path };
}

/** Parses one address. `absolute` completes a relative file name. */
export function parseListenAddress(text: string, absolute: (name: string) => string): ListenSetting | AddressFault {
  if (text.startsWith('unix:')) return parseUnix(text.slice('unix:'.length), absolute);
  if (text.startsWith('fd:')) {
    const digits = text.slice('fd:'.length);
    if (/^[0-9]{1,6}$/.test(digits)) return { kind: 'fd', fd: Number(digits) };
    return { reason: `"${digits}" is no number of a file descriptor`, remedy: 'Write "fd:0" for standard input.' };
  }
  if (text === 'systemd') return { kind: 'systemd', name: undefined };
  if (text.startsWith('systemd:')) {
    const name = text.slice('systemd:'.length);
    if (SOCKET_NAME.test(name)) return { kind: 'systemd', name };
    return { reason: `"${name}" is no name of a socket`, remedy: 'Write its FileDescriptorName: "systemd:NAME".' };
  }
  if (/^[0-9]+$/.test(text)) {
    return {
      reason: 'an address needs more than a number',
      remedy: `Write "127.0.0.1:${text}" for this machine only, or ":${text}" for all interfaces.`,
    };
  }
  const isPath = /^\.{0,2}\//.test(text) || !text.includes(':');
  return isPath ? parseUnix(text, absolute) : parseTcp(text);
}

/** Tells listeners apart: several sockets that a service manager passes may have one name. */
export function listenerKey(address: ListenAddress): string {
  return address.kind === 'fd' ? `fd:${address.fd}` : formatListenAddress(address);
}

/** The address as text that `parseListenAddress` understands. */
export function formatListenAddress(address: ListenSetting): string {
  switch (address.kind) {
    case 'unix':
      return address.path.startsWith('/') ? address.path : `unix:${address.path}`;
    case 'fd':
      return address.name === undefined ? `fd:${address.fd}` : `systemd:${address.name}`;
    case 'systemd':
      return address.name === undefined ? 'systemd' : `systemd:${address.name}`;
    case 'tcp':
      return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
  }
}
