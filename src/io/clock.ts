/** The clock of the I/O thread, for what is pure and takes one. */
import type { Clock } from './pool/pool.js';

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
