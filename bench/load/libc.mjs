/**
 * The few system calls that the load generator needs, called directly. A generator on `node:net` costs about as much
 * CPU per request as the server that it measures; on these calls it costs a fraction of it (README.md, "The load").
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

export const socket = libc.func('int socket(int, int, int)');
export const connect = libc.func('int connect(int, const void*, uint32_t)');
export const bind = libc.func('int bind(int, const void*, uint32_t)');
export const listen = libc.func('int listen(int, int)');
export const accept4 = libc.func('int accept4(int, void*, void*, int)');
export const read = libc.func('int64_t read(int, void*, size_t)');
export const write = libc.func('int64_t write(int, const void*, size_t)');
export const close = libc.func('int close(int)');
export const setsockopt = libc.func('int setsockopt(int, int, int, const void*, uint32_t)');
export const usleep = libc.func('int usleep(uint32_t)');
const epollCreate1 = libc.func('int epoll_create1(int)');
const epollCtl = libc.func('int epoll_ctl(int, int, int, void*)');
const epollWait = libc.func('int epoll_wait(int, void*, int, int)');

/** The error number of this thread's last failed call. */
export const errno = () => koffi.errno();

export const EAGAIN = 11;
export const EINTR = 4;
export const EINPROGRESS = 115;
export const ECONNREFUSED = 111;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const SOCK_STREAM_NONBLOCK = 1 | 0o4000;
export const SOCK_NONBLOCK = 0o4000;

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const ONE = Buffer.from([1, 0, 0, 0]);

export const EPOLLIN = 1;
export const EPOLLOUT = 4;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;

/**
 * A socket address.
 * @param {string} address path of a Unix socket, or `host:port` with a host in numbers
 * @returns {{family: number, bytes: Buffer}}
 */
export function socketAddress(address) {
  const tcp = /^([0-9.]*):([0-9]+)$/.exec(address);
  if (tcp === null) {
    const path = Buffer.from(address);
    if (path.length > 107) throw new Error(`longer than a socket path may be: ${address}`);
    const bytes = Buffer.alloc(2 + path.length + 1);
    bytes.writeUInt16LE(AF_UNIX, 0);
    path.copy(bytes, 2);
    return { family: AF_UNIX, bytes };
  }
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(Number(tcp[2]), 2);
  Buffer.from((tcp[1] || '127.0.0.1').split('.').map(Number)).copy(bytes, 4);
  return { family: AF_INET, bytes };
}

/** @param {number} fd */
export function sendAtOnce(fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, 4);
}

/** Waits for many descriptors; each is registered with a number of the caller's. */
export class Epoll {
  // struct epoll_event is packed on x86-64 only.
  static #SIZE = process.arch === 'x64' ? 12 : 16;
  static #DATA = process.arch === 'x64' ? 4 : 8;
  static #MOST = 256;
  #fd = epollCreate1(0);
  #one = Buffer.alloc(16);
  #ready = Buffer.alloc(Epoll.#MOST * 16);

  /** @param {number} fd @param {number} events @param {number} key */
  add(fd, events, key) {
    this.#control(EPOLL_CTL_ADD, fd, events, key);
  }

  /** @param {number} fd @param {number} events @param {number} key */
  change(fd, events, key) {
    this.#control(EPOLL_CTL_MOD, fd, events, key);
  }

  /** How many are ready; `key(i)` and `events(i)` tell which. @param {number} timeoutMs */
  wait(timeoutMs) {
    return epollWait(this.#fd, this.#ready, Epoll.#MOST, timeoutMs);
  }

  /** @param {number} index */
  key(index) {
    return this.#ready.readInt32LE(index * Epoll.#SIZE + Epoll.#DATA);
  }

  /** @param {number} index */
  events(index) {
    return this.#ready.readUInt32LE(index * Epoll.#SIZE);
  }

  close() {
    close(this.#fd);
  }

  /** @param {number} operation @param {number} fd @param {number} events @param {number} key */
  #control(operation, fd, events, key) {
    this.#one.writeUInt32LE(events, 0);
    this.#one.writeInt32LE(key, Epoll.#DATA);
    epollCtl(this.#fd, operation, fd, this.#one);
  }
}
