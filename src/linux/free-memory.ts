/** Memory that the C library keeps although the program has freed it (malloc_trim(3)). */
import { libc } from './libc.js';

/** Of glibc only. */
function findTrim(): ((padBytes: number) => number) | undefined {
  try {
    return libc.func('int malloc_trim(size_t)');
  } catch {
    return undefined;
  }
}

const trim = findTrim();

/** Gives back to the system what threads that have ended have left in the C library's heaps. Takes some milliseconds. */
export function releaseFreeMemory(): void {
  trim?.(0);
}
