/** Locks on files that end with whoever holds them (flock(2)). */
import { Errno, errorNumber, libc, systemError } from './libc.js';

const LOCK_EX = 2;
const LOCK_NB = 4;

const flock = libc.func('int flock(int, int)');

/**
 * Locks an open file until its descriptor is closed.
 * @returns whether it is locked now; false: somebody else has it
 * @throws the system's error where files cannot be locked
 */
export function lockFile(fd: number): boolean {
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const number = errorNumber();
  if (number === Errno.EAGAIN) return false;
  throw systemError('flock', number);
}
