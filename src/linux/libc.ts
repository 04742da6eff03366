/**
 * The C library of a Linux system, called through FFI. This folder is loaded only where it is used (`io`): everywhere
 * else the server runs without it.
 */
import type { LibraryHandle } from 'koffi';
import { loadFfi } from '../base/ffi.js';

const koffi = loadFfi();

export { Errno } from './errno.js';

/** glibc and musl, by the names that are there without development packages. */
const NAMES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1', 'libc.so'];

function loadLibc(): LibraryHandle {
  let reason: unknown;
  for (const name of NAMES) {
    try {
      return koffi.load(name);
    } catch (error) {
      reason ??= error;
    }
  }
  throw reason;
}

export const libc = loadLibc();

/** The error number of this thread's last call that failed (errno.h). */
export function errorNumber(): number {
  return koffi.errno();
}

/** Name and text of an error number, as other errors of Node.js have them. */
export function systemError(call: string, number: number): NodeJS.ErrnoException {
  const code = NAMES_OF_ERRORS.get(number) ?? `errno ${number}`;
  return Object.assign(new Error(`${call} ${code}`), { code, errno: number, syscall: call });
}

/** Some numbers have two names: the first in alphabetical order is the usual one (EAGAIN, EDEADLK, ENOTSUP). */
const NAMES_OF_ERRORS = new Map(
  Object.entries(koffi.os.errno)
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .map(([name, number]) => [number, name]),
);
