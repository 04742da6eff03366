/** Sending without waiting, on sockets that may be shared with others: datagrams to a log service, bytes to a reader. */
import { errorNumber, libc, systemError } from './libc.js';
import { encodeSocketAddress } from './socket-address.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const socket = libc.func('int socket(int, int, int)');
const connect = libc.func('int connect(int, const void*, uint32_t)');
const send = libc.func('int64_t send(int, const void*, size_t, int)');
const close = libc.func('int close(int)');

/** A datagram socket that is connected to the one at `path`. @throws the system's error */
export function connectDatagram(path: string): number {
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket', errorNumber());
  const address = encodeSocketAddress({ family: 'unix', path });
  if (connect(fd, address, address.length) === 0) return fd;
  const error = systemError(`connect ${path}`, errorNumber());
  close(fd);
  throw error;
}

/**
 * Sends what goes at once, whether the descriptor blocks for others or not. Returns how many bytes that were.
 * @throws the system's error, EAGAIN when nothing goes at once
 */
export function sendAtOnce(fd: number, bytes: Uint8Array): number {
  const sent = Number(send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent < 0) throw systemError('send', errorNumber());
  return sent;
}

export function closeSocket(fd: number): void {
  close(fd);
}
