/**
 * A client that is nothing but calls of the kernel: whatever it does is done when the call returns, so that a test and
 * a driver can take turns on one thread. Linux only.
 */
import assert from 'node:assert/strict';
import { Errno, errorNumber, libc, systemError } from '../../src/linux/libc.js';
import { encodeSocketAddress, type SocketAddress } from '../../src/linux/socket-address.js';
import { type FcgiResponse, ResponseBook } from './fcgi-responses.js';
import { RecordReader, TYPE } from './fcgi-wire.js';

const AF = { unix: 1, ipv4: 2, ipv6: 10 } as const;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const SOL_SOCKET = 1;
const SO_LINGER = 13;

const c = {
  socket: libc.func('int socket(int, int, int)'),
  connect: libc.func('int connect(int, const void*, uint32_t)'),
  receive: libc.func('int64_t recv(int, void*, size_t, int)'),
  send: libc.func('int64_t send(int, const void*, size_t, int)'),
  shutdown: libc.func('int shutdown(int, int)'),
  setOption: libc.func('int setsockopt(int, int, int, const void*, uint32_t)'),
  duplicate: libc.func('int dup(int)'),
  close: libc.func('int close(int)'),
};

/** Another descriptor of the same file, as a parent has one of what its child inherits. */
export function duplicate(fd: number): number {
  return checked('dup', c.duplicate(fd));
}

export function closeDescriptor(fd: number): void {
  c.close(fd);
}

function checked(call: string, result: number): number {
  if (result < 0) throw systemError(call, errorNumber());
  return result;
}

export class RawClient {
  /** Why reading ended: the server has sent its last byte, or the code of an error. */
  ended: string | undefined;
  receivedBytes = 0;
  readonly violations: string[] = [];
  readonly book = new ResponseBook((text) => this.violations.push(text));
  readonly #reader = new RecordReader();
  readonly #fd: number;
  #isOpen = true;

  constructor(address: SocketAddress) {
    this.#fd = checked('socket', c.socket(AF[address.family], SOCK_STREAM | SOCK_CLOEXEC, 0));
    const bytes = encodeSocketAddress(address);
    checked('connect', c.connect(this.#fd, bytes, bytes.length));
  }

  /** Sends all of it; there has to be room. */
  send(...parts: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(parts);
    if (bytes.length >= 8 && bytes[1] === TYPE.BEGIN_REQUEST) this.book.begun(bytes.readUInt16BE(2));
    assert.equal(this.trySend(bytes), bytes.length, 'the kernel has no room for what the client sends');
  }

  /** Sends what there is room for. @returns how many bytes that was */
  trySend(bytes: Uint8Array): number {
    const sent = Number(c.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (sent >= 0) return sent;
    const number = errorNumber();
    if (number === Errno.EAGAIN) return 0;
    throw systemError('send', number);
  }

  /** Reads what is there. @returns how many bytes that was */
  receive(most = 1 << 20): number {
    const into = Buffer.alloc(Math.min(most, 1 << 16));
    let total = 0;
    while (total < most && this.ended === undefined) {
      const count = Number(c.receive(this.#fd, into, Math.min(into.length, most - total), MSG_DONTWAIT));
      if (count < 0) {
        const number = errorNumber();
        if (number === Errno.EAGAIN) break;
        this.ended = systemError('recv', number).code ?? '';
      } else if (count === 0) this.ended = 'end';
      else {
        total += count;
        for (const record of this.#reader.push(Buffer.from(into.subarray(0, count)))) this.book.add(record);
      }
    }
    this.receivedBytes += total;
    return total;
  }

  /** The answer of a request, if it is there by now. */
  response(id = 1): FcgiResponse | undefined {
    this.receive();
    assert.deepEqual(this.violations, []);
    return this.book.takeResponse(id);
  }

  /** Half close: it sends nothing more, and reads on. */
  endSending(): void {
    checked('shutdown', c.shutdown(this.#fd, SHUT_WR));
  }

  /** Closes so that the server sees a reset (TCP). */
  reset(): void {
    const option = Buffer.from(new Int32Array([1, 0]).buffer);
    checked('setsockopt', c.setOption(this.#fd, SOL_SOCKET, SO_LINGER, option, option.length));
    this.close();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    c.close(this.#fd);
  }
}
