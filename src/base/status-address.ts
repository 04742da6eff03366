/** Where the status socket listens: a Unix socket, or a port that only this machine reaches. Pure. */
import { type AddressFault, formatListenAddress, type ListenAddress, parseListenAddress } from './listen-address.js';

export type StatusAddress = Extract<ListenAddress, { readonly kind: 'unix' | 'tcp' }>;

/** Whether a host, as it is written in addresses and URLs, is this machine for itself alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

/** @param absolute completes a relative file name */
export function parseStatusAddress(text: string, absolute: (name: string) => string): StatusAddress | AddressFault {
  const address = parseListenAddress(text, absolute);
  if ('reason' in address) return address;
  const remedy = 'Write a path such as "/run/luafcgid/status.sock", or a port of this machine: "127.0.0.1:9001".';
  if (address.kind !== 'unix' && address.kind !== 'tcp') {
    return { reason: `"${formatListenAddress(address)}" is neither a path nor a loopback address`, remedy };
  }
  if (address.kind === 'tcp' && !isLoopback(address.host)) {
    return { reason: 'other machines could read there what the server does', remedy };
  }
  return address;
}
