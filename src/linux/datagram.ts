/**
 * Datagrams to Unix sockets (unix(7)), which Node.js does not have: now and then one for the service manager, whoever that
 * is by then. A log stays connected instead (`log-socket.ts`): that it can be reached is known before the first line.
 */
import { errorNumber, libc, systemError } from './libc.js';
import { encodeSocketAddress } from './socket-address.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

const socket = libc.func('int socket(int, int, int)');
const sendTo = libc.func('int64_t sendto(int, const void*, size_t, int, const void*, uint32_t)');

/** One for all datagrams of this thread: it is connected to nobody, so nobody's end can spoil it. */
let sender = -1;

/**
 * Sends one datagram, whole or not at all. It never waits: a receiver whose queue is full is an error (EAGAIN).
 * @param path of the receiving socket; a name that begins with `@` is one of the abstract namespace
 * @throws the system's error
 */
export function sendDatagram(path: string, bytes: Uint8Array): void {
  if (sender < 0) sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (sender < 0) throw systemError('socket', errorNumber());
  const address = receiverAddress(path);
  if (sendTo(sender, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) < 0) {
    throw systemError('sendto', errorNumber());
  }
}

/** An abstract name begins with a NUL and is as long as the address says, so the closing NUL would be part of it. */
function receiverAddress(path: string): Buffer {
  if (!path.startsWith('@')) return encodeSocketAddress({ family: 'unix', path });
  return encodeSocketAddress({ family: 'unix', path: `\0${path.slice(1)}` }).subarray(0, -1);
}
