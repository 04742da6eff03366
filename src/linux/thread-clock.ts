/** The processor time of a thread (clock_gettime(2)). */
import { endianness } from 'node:os';
import { loadFfi } from '../base/ffi.js';
import { libc } from './libc.js';

const CLOCK_THREAD_CPUTIME_ID = 3;

// `struct timespec` of the C library: two longs on the processors that the rest of this folder is for.
if (loadFfi().sizeof('long') !== 8) throw new Error('the C library of this processor has another struct timespec');

const clockGetTime = libc.func('int clock_gettime(int, void*)');
const timespec = new BigInt64Array(2);
const halves = new Int32Array(timespec.buffer);
/** Where the low half of a number lies. */
const LOW = endianness() === 'LE' ? 0 : 1;

/** Milliseconds of processor time that the calling thread has used. */
export function threadCpuMs(): number {
  clockGetTime(CLOCK_THREAD_CPUTIME_ID, timespec);
  return milliseconds();
}

/**
 * The same of another thread of this process.
 * @param thread the kernel's number of it
 * @returns undefined when there is none
 */
export function cpuMsOfThread(thread: number): number | undefined {
  // How `pthread_getcpuclockid` makes the number of a clock (include/linux/posix-timers.h: CPUCLOCK_SCHED of one thread).
  return clockGetTime((~thread << 3) | 6, timespec) === 0 ? milliseconds() : undefined;
}

function milliseconds(): number {
  // Nanoseconds are below 2^30, and nobody's thread has run for 68 years: the low halves are enough.
  return (halves[LOW] as number) * 1000 + (halves[2 + LOW] as number) / 1e6;
}
