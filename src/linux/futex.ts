/**
 * Sleeping and waking by the kernel's own call (futex(2)). `Atomics.wait` and `Atomics.notify` do the same behind a lock
 * and a condition variable of the process, which costs several such calls for each time a thread sleeps.
 */
import type { Parker } from '../channel/park.js';
import { libc } from './libc.js';

/** The number of the call, by architecture; where it is not known here, `Atomics` does. */
const FUTEX: Partial<Record<NodeJS.Architecture, number>> = { x64: 202, arm64: 98, riscv64: 98, loong64: 98 };

const WAIT_PRIVATE = 128;
const WAKE_PRIVATE = 129;

/** A thread that sleeps in a call cannot be ended by `Worker.terminate`: so it comes back every so often. */
const LONGEST_MS = 1000;

/** Seconds and nanoseconds. */
const timeout = new BigInt64Array(2);
const call = libc.func('long syscall(long, const void*, int, int, const void*, void*, int)');

/** The sleeper of this machine's kernel; undefined where its call is not known. */
export function futexSleeper(): Parker | undefined {
  const number = FUTEX[process.arch];
  if (number === undefined) return undefined;
  return {
    wait(cell, expected, longestMs = LONGEST_MS) {
      const nanoseconds = BigInt(Math.ceil(Math.min(longestMs, LONGEST_MS) * 1e6));
      timeout[0] = nanoseconds / 1_000_000_000n;
      timeout[1] = nanoseconds % 1_000_000_000n;
      call(number, cell, WAIT_PRIVATE, expected, timeout, null, 0);
    },
    wake: (cell) => void call(number, cell, WAKE_PRIVATE, 1, null, null, 0),
  };
}
