/** Threads as the kernel knows them (gettid(2), sched_setscheduler(2)). */
import { libc } from './libc.js';

const SCHED_IDLE = 5;
/** `struct sched_param` */
const noPriority = new Int32Array([0]);

const PR_SET_NAME = 15;
const setName = libc.func('int prctl(int, str, ulong, ulong, ulong)');
const gettid = libc.func('int gettid()');
const setScheduler = libc.func('int sched_setscheduler(int, int, const void*)');

/** The kernel's number of the calling thread. */
export function currentThread(): number {
  return gettid();
}

/** Names the calling thread for `top -H` and the like: 15 bytes at most. */
export function nameThread(name: string): void {
  setName(PR_SET_NAME, name.slice(0, 15), 0, 0, 0);
}

/** Gives a thread only the processor time that nobody else wants. @returns whether that could be done */
export function makeIdle(thread: number): boolean {
  return setScheduler(thread, SCHED_IDLE, noPriority) === 0;
}
