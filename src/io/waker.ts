/** Wakes a worker, in its ring or in its epoll instance. The I/O thread does, and the main thread when the I/O thread has died. */
import { Lender } from '../channel/lending.js';
import type { Parker } from '../channel/park.js';
import { RingWriter } from '../channel/ring.js';
import type { ParkedAt } from './channel.js';

/** Only where waking is done by the kernel's calls is FFI loaded for it. */
export async function createWaker({ ring, loans, usesFutex }: ParkedAt): Promise<() => void> {
  let parker: Parker | undefined;
  let ringEventfd: ((descriptor: number) => void) | undefined;
  if (usesFutex) {
    parker = (await import('../linux/futex.js')).futexSleeper();
    ({ ringEventfd } = await import('../linux/eventfd.js'));
  }
  // Nothing is ever written by it: it only knows how the ring's reader is woken.
  const writer = new RingWriter(ring, parker);
  const lender = loans === undefined ? undefined : new Lender(loans);
  return () => writer.wakeReader(() => ringEventfd?.(lender?.bell ?? 0));
}
