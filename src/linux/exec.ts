/** Another program in the place of this one, in the same process (execve(2)). */
import { constants } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { errorNumber, libc, systemError } from './libc.js';

const SIG_DFL = 0;
const SIG_IGN = 1;
const F_SETFD = 2;
const F_DUPFD_CLOEXEC = 1030;
const SIG_SETMASK = 2;
/** `sigset_t`, with room to spare. */
const SIGNAL_SET_BYTES = 256;
/** ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF, and the size of `struct itimerval`. */
const INTERVAL_TIMERS = [0, 1, 2];
const ITIMERVAL_BYTES = 32;

const execve = libc.func('int execve(const char*, const char**, const char**)');
const fcntl = libc.func('int fcntl(int, int, int)');
const sigemptyset = libc.func('int sigemptyset(void*)');
const setDisposition = libc.func('void* signal(int, size_t)');
const setitimer = libc.func('int setitimer(int, const void*, void*)');
const sigprocmask = libc.func('int pthread_sigmask(int, const void*, void*)');

/** Another descriptor of the same open file, which programs that are started do not get. @throws the system's error */
export function duplicate(fd: number): number {
  const copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw systemError('fcntl', errorNumber());
  return copy;
}

/**
 * Lets signals have the effect that fits what comes next, another program: one that asks to stop ends the process, and one
 * that asks to reload has none, since the other program reads its configuration. A handler would be forgotten with this one.
 */
export async function leaveSignals(): Promise<void> {
  setDisposition(constants.signals.SIGTERM, SIG_DFL);
  setDisposition(constants.signals.SIGINT, SIG_DFL);
  setDisposition(constants.signals.SIGHUP, SIG_IGN);
  // Handlers of signals that have come before run when the event loop looks for events. It has done so between two of these.
  await setImmediate();
  await setImmediate();
}

/**
 * Ends this program and all of its threads, and starts another one with the same process number. Does not return.
 * @param keep descriptors, besides the standard ones, that the new program finds open
 * @throws the system's error when it cannot be started; descriptors of `keep` are inheritable then
 */
export function replaceProgram(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  keep: readonly number[],
): never {
  // Node.js has the standard ones closed, too.
  for (const fd of [0, 1, 2, ...keep]) fcntl(fd, F_SETFD, 0);
  // What this thread has blocked would stay blocked.
  const none = Buffer.alloc(SIGNAL_SET_BYTES);
  sigemptyset(none);
  sigprocmask(SIG_SETMASK, none, null);
  // Timers go on in the new program, which has no handler for their signals: one that a profiler of LuaJIT has left would end it.
  for (const timer of INTERVAL_TIMERS) setitimer(timer, Buffer.alloc(ITIMERVAL_BYTES), null);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  execve(file, [file, ...args, null], [...variables, null]);
  throw systemError('execve', errorNumber());
}
