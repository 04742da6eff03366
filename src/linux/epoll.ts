/** The kernel's list of descriptors to watch (epoll(7)). Level-triggered: what is not dealt with is told again. */
import { endianness } from 'node:os';
import { Errno, errorNumber, libc, systemError } from './libc.js';

/** Bits of an event (sys/epoll.h). HANG_UP and ERROR are told whether they are asked for or not;
 * READ_HANG_UP: the peer sends no more, though what it has sent may not be read yet. EXCLUSIVE: of the lists that watch
 * a descriptor so, not all are told. */
export const EpollEvent = {
  EXCLUSIVE: 1 << 28,
  IN: 0x1,
  OUT: 0x4,
  ERROR: 0x8,
  HANG_UP: 0x10,
  READ_HANG_UP: 0x2000,
} as const;

const EPOLL_CLOEXEC = 0o2000000;
const ADD = 1;
const REMOVE = 2;
const CHANGE = 3;

/** `struct epoll_event` is packed on x86 only: elsewhere its data start at a multiple of eight. */
const DATA_AT = process.arch === 'x64' || process.arch === 'ia32' ? 4 : 8;
const EVENT_BYTES = DATA_AT + 8;

const epollCreate = libc.func('int epoll_create1(int)');
const epollControl = libc.func('int epoll_ctl(int, int, int, void*)');
const epollWait = libc.func('int epoll_wait(int, void*, int, int)');
const close = libc.func('int close(int)');

const isLittleEndian = endianness() === 'LE';

export class Epoll {
  readonly #fd: number;
  readonly #events: DataView;
  readonly #eventBytes: Buffer;
  readonly #one = Buffer.alloc(EVENT_BYTES);
  readonly #oneView = new DataView(this.#one.buffer, this.#one.byteOffset, EVENT_BYTES);

  /**
   * @param maxEvents most events of one `wait`
   * @param fd a list that another thread has made; left out: a new one
   */
  constructor(maxEvents: number, fd?: number) {
    this.#fd = fd ?? epollCreate(EPOLL_CLOEXEC);
    if (this.#fd < 0) throw systemError('epoll_create1', errorNumber());
    this.#eventBytes = Buffer.alloc(maxEvents * EVENT_BYTES);
    this.#events = new DataView(this.#eventBytes.buffer, this.#eventBytes.byteOffset, this.#eventBytes.length);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Watches a descriptor for the events in `interest`. @param mark comes with each of them @throws the system's error */
  add(fd: number, interest: number, mark = 0): void {
    this.#control(ADD, fd, interest, mark);
  }

  /** Watches it for other events from now on. */
  change(fd: number, interest: number, mark = 0): void {
    this.#control(CHANGE, fd, interest, mark);
  }

  /** Watches it no more. Closing a descriptor does the same. */
  remove(fd: number): void {
    this.#control(REMOVE, fd, 0);
  }

  /** The same, if it is watched at all: another thread may have removed it. */
  removeIfThere(fd: number): void {
    epollControl(this.#fd, REMOVE, fd, this.#one);
  }

  /**
   * Waits until something happens.
   * @param timeoutMs 0: only looks
   * @returns how many events `fdAt` and `eventsAt` give; 0 also after a signal
   */
  wait(timeoutMs: number): number {
    const count = epollWait(this.#fd, this.#eventBytes, this.#eventBytes.length / EVENT_BYTES, timeoutMs);
    if (count >= 0) return count;
    const number = errorNumber();
    if (number === Errno.EINTR) return 0;
    throw systemError('epoll_wait', number);
  }

  fdAt(index: number): number {
    return this.#events.getInt32(index * EVENT_BYTES + DATA_AT, isLittleEndian);
  }

  markAt(index: number): number {
    return this.#events.getInt32(index * EVENT_BYTES + DATA_AT + 4, isLittleEndian);
  }

  eventsAt(index: number): number {
    return this.#events.getUint32(index * EVENT_BYTES, isLittleEndian);
  }

  close(): void {
    close(this.#fd);
  }

  #control(operation: number, fd: number, interest: number, mark = 0): void {
    this.#oneView.setUint32(0, interest, isLittleEndian);
    this.#oneView.setInt32(DATA_AT, fd, isLittleEndian);
    this.#oneView.setInt32(DATA_AT + 4, mark, isLittleEndian);
    if (epollControl(this.#fd, operation, fd, this.#one) < 0) throw systemError('epoll_ctl', errorNumber());
  }
}
