/** Frames made from their number: both sides of a ring know what the n-th one holds. */
import type { Frame } from '../../../src/channel/ring.js';

/** A number that looks like chance and is the same each time. */
function mixed(n: number): number {
  let x = (n + 1) * 0x9e3779b1;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Where the words of a frame come from. */
export function wordsOf(n: number): { type: number; id: number; argument: number } {
  return { type: mixed(n) & 0xffff, id: n, argument: mixed(n * 3) | 0 };
}

export function payloadOf(n: number, maxBytes: number): Uint8Array {
  const bytes = new Uint8Array(mixed(n * 7) % (maxBytes + 1));
  const seed = mixed(n * 5);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (seed + at * 31) & 255;
  return bytes;
}

/** What is wrong with the n-th frame that came; undefined when it is right. */
export function faultIn(frame: Frame, n: number, maxBytes: number): string | undefined {
  const { type, id, argument } = wordsOf(n);
  if (frame.type !== type || frame.id !== id || frame.argument !== argument) {
    return `frame ${n} has the words ${frame.type}, ${frame.id}, ${frame.argument}`;
  }
  const payload = payloadOf(n, maxBytes);
  if (frame.payload.length !== payload.length) return `frame ${n} has ${frame.payload.length} bytes`;
  for (let at = 0; at < payload.length; at++) if (frame.payload[at] !== payload[at]) return `frame ${n}, byte ${at}`;
  return undefined;
}
