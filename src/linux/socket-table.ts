/** Where an inherited socket is bound, from the kernel's tables (proc_net(5)). Needs no FFI. */
import { readFileSync, readlinkSync } from 'node:fs';
import type { ListenAddress } from '../base/listen-address.js';

/** A line of /proc/net/unix: the inode and the path come last. */
const UNIX_LINE = /^\S+: \S+ \S+ \S+ \S+ \S+ +(\d+) (.+)$/;
/** Columns of a line of /proc/net/tcp and tcp6. */
const TCP_LOCAL = 1;
const TCP_INODE = 9;

/** The address of a listening socket; undefined for anything else, and where there is no /proc. */
export function addressOfSocket(fd: number): ListenAddress | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    return inode === undefined
      ? undefined
      : (unixAddress(inode) ?? tcpAddress('tcp', inode) ?? tcpAddress('tcp6', inode));
  } catch {
    return undefined;
  }
}

function unixAddress(inode: string): ListenAddress | undefined {
  for (const line of linesOf('unix')) {
    const [, found, path] = UNIX_LINE.exec(line) ?? [];
    if (found === inode && path !== undefined) return { kind: 'unix', path };
  }
  return undefined;
}

function tcpAddress(table: 'tcp' | 'tcp6', inode: string): ListenAddress | undefined {
  for (const line of linesOf(table)) {
    const columns = line.trim().split(/ +/);
    if (columns[TCP_INODE] !== inode) continue;
    const [host = '', port = ''] = (columns[TCP_LOCAL] as string).split(':');
    return { kind: 'tcp', host: table === 'tcp' ? ipv4(host) : ipv6(host), port: Number.parseInt(port, 16) };
  }
  return undefined;
}

function linesOf(table: string): string[] {
  try {
    return readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

/** The kernel prints each word of an address as a number of this machine. */
function bytesOf(hex: string): number[] {
  const words = Uint32Array.from(hex.match(/.{8}/g) ?? [], (word) => Number.parseInt(word, 16));
  return [...new Uint8Array(words.buffer)];
}

function ipv4(hex: string): string {
  return bytesOf(hex).join('.');
}

function ipv6(hex: string): string {
  const groups = Buffer.from(bytesOf(hex)).toString('hex').match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
