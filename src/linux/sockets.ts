/** Stream sockets through the system's calls (socket(7), unix(7), tcp(7)); all of them close on exec and never block. */
import { errorNumber, libc, systemError } from './libc.js';
import { encodeSocketAddress, type SocketAddress } from './socket-address.js';
import type { SocketCalls } from './socket-calls.js';

export * from './socket-calls.js';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const F_DUPFD_CLOEXEC = 1030;
/** _SC_OPEN_MAX, with glibc and with musl: the limit of open files, as it is now. */
const OPEN_MAX = 4;

/** Enough for the longest socket address. */
const ADDRESS_BYTES = 128;

const c = {
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, const void*, uint32_t)'),
  listen: libc.func('int listen(int, int)'),
  accept: libc.func('int accept4(int, void*, void*, int)'),
  setOption: libc.func('int setsockopt(int, int, int, const void*, uint32_t)'),
  getName: libc.func('int getsockname(int, void*, void*)'),
  read: libc.func('int64_t read(int, void*, size_t)'),
  send: libc.func('int64_t send(int, const void*, size_t, int)'),
  shutdown: libc.func('int shutdown(int, int)'),
  close: libc.func('int close(int)'),
  control: libc.func('int fcntl(int, int, int)'),
  interfaceIndex: libc.func('uint32_t if_nametoindex(const char*)'),
  systemValue: libc.func('int64_t sysconf(int)'),
  poll: libc.func('int ppoll(void*, unsigned long, const void*, const void*)'),
};

const one = Buffer.from(new Int32Array([1]).buffer);
const zero = Buffer.from(new Int32Array([0]).buffer);
const addressBytes = Buffer.alloc(ADDRESS_BYTES);
const addressLength = new Int32Array(1);

const POLLIN = 1;
/** `struct pollfd`: the descriptor, and two short words for what is wanted and what there is. */
const polled = new Int32Array(2);
const wanted = new Int16Array(polled.buffer, 4, 1);
/** `struct timespec`: seconds and nanoseconds. */
const pollTime = new BigInt64Array(2);

function waitForInput(fd: number, timeoutUs: number): boolean {
  polled.fill(0);
  polled[0] = fd;
  wanted[0] = POLLIN;
  pollTime[1] = BigInt(timeoutUs * 1000);
  return c.poll(polled, 1, pollTime, null) > 0;
}

export const kernelSockets: SocketCalls = {
  accept(listener, wantsPeer) {
    if (!wantsPeer) return c.accept(listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    addressLength[0] = ADDRESS_BYTES;
    return c.accept(listener, addressBytes, addressLength, SOCK_NONBLOCK | SOCK_CLOEXEC);
  },
  peer: () => addressBytes.subarray(0, addressLength[0]),
  read: (fd, into) => c.read(fd, into, into.length),
  send: (fd, bytes) => c.send(fd, bytes, bytes.length, MSG_NOSIGNAL),
  endSending: (fd) => void c.shutdown(fd, SHUT_WR),
  close: (fd) => void c.close(fd),
  setNoDelay: (fd) => void c.setOption(fd, IPPROTO_TCP, TCP_NODELAY, one, one.length),
  nextDescriptor(fd) {
    const next: number = c.control(fd, F_DUPFD_CLOEXEC, 0);
    if (next >= 0) c.close(next);
    return next;
  },
  descriptorLimit: () => Number(c.systemValue(OPEN_MAX)),
  waitForInput,
  errorNumber,
};

/**
 * A socket that listens at an address.
 * @throws the system's error
 */
export function listenAt(address: SocketAddress, backlog: number): number {
  const family = address.family === 'unix' ? AF_UNIX : address.family === 'ipv4' ? AF_INET : AF_INET6;
  const fd = c.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket', errorNumber());
  try {
    if (address.family !== 'unix') check('setsockopt', c.setOption(fd, SOL_SOCKET, SO_REUSEADDR, one, one.length));
    // So that "all interfaces" means those of IPv4 too, whatever the system's default is.
    if (address.family === 'ipv6') check('setsockopt', c.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, zero, zero.length));
    const bytes = encodeSocketAddress(address);
    check('bind', c.bind(fd, bytes, bytes.length));
    check('listen', c.listen(fd, backlog));
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

/** Prepares a listening socket that was inherited. @throws the system's error when it is none */
export function listenOn(fd: number, backlog: number): void {
  const flags = c.control(fd, F_GETFL, 0);
  check('fcntl', flags);
  check('fcntl', c.control(fd, F_SETFL, flags | O_NONBLOCK));
  check('listen', c.listen(fd, backlog));
}

/** Where a socket is bound, as bytes of the system (socket-address.ts reads them). */
export function boundAddress(fd: number): Buffer {
  addressLength[0] = ADDRESS_BYTES;
  check('getsockname', c.getName(fd, addressBytes, addressLength));
  return Buffer.from(addressBytes.subarray(0, addressLength[0]));
}

/** The index of a network interface; @throws the system's error when there is none of this name */
export function interfaceIndex(name: string): number {
  const index: number = c.interfaceIndex(name);
  if (index === 0) throw systemError('if_nametoindex', errorNumber());
  return index;
}

function check(call: string, result: number): void {
  if (result < 0) throw systemError(call, errorNumber());
}
