/** IP addresses and networks (CIDR, RFC 4632), as text. */
import { isIPv4, isIPv6 } from 'node:net';

/** Whether a text is an IP address or a network, like `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([0-9A-Fa-f.:]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return bits > 0 && (prefix === undefined || Number(prefix) <= bits);
}
