/**
 * What a script takes for its own and the system gives to the whole process or thread: the working directory, and how signals are
 * met by the programs that it starts.
 */

import { isMainThread } from 'node:worker_threads';
import type { Ffi } from '../../base/ffi.js';

const isLinux = process.platform === 'linux';

/** `CLONE_FS` of unshare(2), the same on all architectures. */
const CLONE_FS = 0x200;
/** Signals that Node.js ignores, and that programs would inherit as ignored: SIGPIPE and SIGXFSZ of signal(7) on Linux. */
const IGNORED_SIGNALS = [13, 25] as const;

/**
 * Gives this thread a working directory of its own, if it is a worker's and the system allows that.
 * @returns what changes it, unless it is there already; undefined where the directory is that of the whole process
 */
export function ownWorkingDirectory(ffi: Ffi): ((directory: string) => void) | undefined {
  if (!isLinux || isMainThread) return undefined;
  const system = ffi.load(null);
  if (system.func('int unshare(int)')(CLONE_FS) !== 0) return undefined;
  const chdir = system.func('int chdir(const char*)');
  return (directory) => {
    // The script may have changed it since; where its folder is gone it must not be in that of another script.
    if (chdir(Buffer.from(`${directory}\0`, 'latin1')) !== 0) chdir('/');
  };
}

/** Lets programs that scripts start have signals that do what they usually do: a handler, unlike "ignore", is not inherited. */
export function passOnUsualSignals(ffi: Ffi): void {
  if (!isLinux) return;
  const system = ffi.load(null);
  const signal = system.func('uintptr_t signal(int, uintptr_t)');
  // A function of the C library that takes a number and does nothing with it: calls fail with EPIPE and EFBIG as before.
  const doNothing = Number(ffi.address(system.symbol('abs')));
  for (const number of IGNORED_SIGNALS) signal(number, doNothing);
}
