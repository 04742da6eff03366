/** Which servers and which addresses the HTTP client may reach. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import type { HttpSettings } from '../sources.js';

/** A network: its first bits, and how many of them count. */
interface Network {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** IPv4 addresses that are not of the public Internet (the special-purpose registry of RFC 6890, and multicast). */
const NOT_PUBLIC_4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
].map(parseNetwork);

/** All of global unicast is public but for these: IETF protocols with Teredo, documentation, 6to4. */
const GLOBAL_UNICAST = parseNetwork('2000::/3');
const NOT_PUBLIC_6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'].map(parseNetwork);
/** Addresses that stand for an IPv4 address, which is in their last four bytes: mapped ones, and those of NAT64. */
const EMBEDDING_4 = ['::ffff:0:0/96', '64:ff9b::/96'].map(parseNetwork);
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map(parseNetwork);

/** A host as resolvers and sockets take it: in a URL an IPv6 address stands in brackets. */
export function withoutBrackets(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

/** The bytes of an IP address: 4 or 16, or undefined when it is none. An IPv4-mapped address has 4. */
export function addressBytes(address: string): readonly number[] | undefined {
  const isFour = isIPv4(address);
  if (isFour) return address.split('.').map(Number);
  // A zone names an interface of this machine.
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return undefined;
  const bytes = bytesOf6(plain);
  const embedding = EMBEDDING_4.find((network) => contains(network, bytes));
  return embedding === undefined ? bytes : bytes.slice(12);
}

function bytesOf6(address: string): readonly number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text =
    dotted === null ? address : `${dotted[1]}${hexPair(dotted[2], dotted[3])}:${hexPair(dotted[4], dotted[5])}`;
  const [left = '', right] = text.split('::');
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [first, last] = [groups(left), groups(right)];
  const zeros = new Array<number>(8 - first.length - last.length).fill(0);
  return [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff]);
}

function hexPair(high = '0', low = '0'): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}

function parseNetwork(text: string): Network {
  const [address = '', prefix] = text.split('/');
  const bytes = isIPv4(address) ? address.split('.').map(Number) : bytesOf6(address);
  return { bytes, bits: prefix === undefined ? bytes.length * 8 : Number(prefix) };
}

function contains({ bytes: network, bits }: Network, bytes: readonly number[]): boolean {
  if (network.length !== bytes.length) return false;
  for (let at = 0, left = bits; left > 0; at += 1, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((network[at] as number) & mask) !== ((bytes[at] as number) & mask)) return false;
  }
  return true;
}

function isPublic(bytes: readonly number[]): boolean {
  if (bytes.length === 4) return !NOT_PUBLIC_4.some((network) => contains(network, bytes));
  return contains(GLOBAL_UNICAST, bytes) && !NOT_PUBLIC_6.some((network) => contains(network, bytes));
}

/** The servers that the setting `http` allows. */
export class Permissions {
  readonly #allow: ReadonlySet<string>;
  readonly #networks: readonly Network[];

  constructor({ allow, networks }: Pick<HttpSettings, 'allow' | 'networks'>) {
    this.#allow = new Set(allow);
    this.#networks = networks.map(parseNetwork);
  }

  /** Whether requests to a server may be made. @param host as a URL has it, in small letters; IPv6 in brackets */
  allowsServer(host: string, port: number): boolean {
    if (this.#allow.has(`${host}:${port}`) || this.#allow.has(`*:${port}`)) return true;
    if (addressBytes(withoutBrackets(host)) !== undefined) return false;
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      if (this.#allow.has(`*${host.slice(dot)}:${port}`)) return true;
    }
    return false;
  }

  /**
   * Whether a server may be connected to at this address. Public ones may, and networks that the setting names; the address that
   * the setting allows as such; loopback for the name localhost.
   */
  allowsAddress(host: string, port: number, address: string): boolean {
    const bytes = addressBytes(address);
    if (bytes === undefined) return false;
    if (isPublic(bytes) || this.#networks.some((network) => contains(network, bytes))) return true;
    if (!this.#allow.has(`${host}:${port}`)) return false;
    const own = addressBytes(withoutBrackets(host));
    if (own !== undefined) return own.length === bytes.length && own.every((byte, at) => byte === bytes[at]);
    return host === 'localhost' && LOOPBACK.some((network) => contains(network, bytes));
  }
}
