/** A counter of the kernel that wakes whoever polls its descriptor (eventfd(2)): a bell between threads. */
import { errorNumber, libc, systemError } from './libc.js';

const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

const eventfd = libc.func('int eventfd(uint32_t, int)');
const write = libc.func('int64_t write(int, const void*, size_t)');
const read = libc.func('int64_t read(int, void*, size_t)');
const close = libc.func('int close(int)');

/** The counter's unit of writing: eight bytes, here the number one, in the machine's order. */
const ONE = Buffer.from(new BigUint64Array([1n]).buffer);
const count = Buffer.alloc(8);

/** Makes a bell; its descriptor is valid in all threads of this process. */
export function createEventfd(): number {
  const fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw systemError('eventfd', errorNumber());
  return fd;
}

/** Rings. It cannot be missed: the descriptor stays readable until `clearEventfd`. */
export function ringEventfd(fd: number): void {
  write(fd, ONE, ONE.length);
}

/** Stops the ringing. To be called before looking for what it was about. */
export function clearEventfd(fd: number): void {
  read(fd, count, count.length);
}

export function closeEventfd(fd: number): void {
  close(fd);
}
