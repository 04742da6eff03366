/** Socket addresses as the kernel has them (`struct sockaddr`), to bytes and back. Pure. */
import { endianness } from 'node:os';

/** `address` in numbers. `scope`: index of the interface of a link-local IPv6 address. */
export type SocketAddress =
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'ipv4'; readonly address: string; readonly port: number }
  | { readonly family: 'ipv6'; readonly address: string; readonly port: number; readonly scope?: number };

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;

const isLittleEndian = endianness() === 'LE';

function withFamily(bytes: number, family: number): Buffer {
  const out = Buffer.alloc(bytes);
  if (isLittleEndian) out.writeUInt16LE(family, 0);
  else out.writeUInt16BE(family, 0);
  return out;
}

export function encodeSocketAddress(address: SocketAddress): Buffer {
  if (address.family === 'unix') {
    const path = Buffer.from(address.path);
    const out = withFamily(2 + path.length + 1, AF_UNIX);
    path.copy(out, 2);
    return out;
  }
  if (address.family === 'ipv4') {
    const out = withFamily(IPV4_BYTES, AF_INET);
    out.writeUInt16BE(address.port, 2);
    out.set(address.address.split('.').map(Number), 4);
    return out;
  }
  const out = withFamily(IPV6_BYTES, AF_INET6);
  out.writeUInt16BE(address.port, 2);
  for (const [at, group] of groupsOf(address.address).entries()) out.writeUInt16BE(group, 8 + 2 * at);
  if (isLittleEndian) out.writeUInt32LE(address.scope ?? 0, 24);
  else out.writeUInt32BE(address.scope ?? 0, 24);
  return out;
}

/** The eight groups of an IPv6 address in text (RFC 4291, section 2.2), which is known to be valid. */
function groupsOf(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const plain = dotted === null ? text : `${dotted[1]}${pair(dotted[2], dotted[3])}:${pair(dotted[4], dotted[5])}`;
  const [head = '', tail] = plain.split('::');
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = parse(head);
  if (tail === undefined) return before;
  const after = parse(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function pair(high = '0', low = '0'): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}

/** The address in bytes of the system; undefined for families that are none of these. */
export function decodeSocketAddress(bytes: Buffer): SocketAddress | undefined {
  const family = isLittleEndian ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
  if (family === AF_UNIX) return { family: 'unix', path: bytes.toString('utf8', 2).replace(/\0.*$/s, '') };
  if (family === AF_INET) {
    return { family: 'ipv4', address: [...bytes.subarray(4, 8)].join('.'), port: bytes.readUInt16BE(2) };
  }
  if (family !== AF_INET6) return undefined;
  const scope = isLittleEndian ? bytes.readUInt32LE(24) : bytes.readUInt32BE(24);
  const address = textOf(bytes.subarray(8, 24));
  return { family: 'ipv6', address, port: bytes.readUInt16BE(2), ...(scope !== 0 && { scope }) };
}

/** An IPv6 address as text, in its canonical form (RFC 5952). */
function textOf(address: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(2 * at).toString(16));
  const plain = groups.join(':');
  if (plain.startsWith('0:0:0:0:0:ffff:')) return `::ffff:${[...address.subarray(12)].join('.')}`;
  // Addresses of the web are written in that form (URL Standard, 3.5).
  return new URL(`http://[${plain}]/`).hostname.slice(1, -1);
}
