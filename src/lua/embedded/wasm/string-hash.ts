/**
 * The hash of strings in the embedded Lua. Lua 5.1 looks at no more than 32 places of a string that is longer than that, always at
 * the same ones: a client can send any number of texts that differ elsewhere. All of them lie in one list, through which each new one
 * has to go, so ten times the texts take a hundred times as long. Here up to 1024 places count, which are all of a text that
 * comes in large numbers.
 */

import { unusable } from './sections.js';

/** `if (l > l >> 5)` and what both are kept in: the test before the first step of the loop. Steps are `(l >> 5) + 1` long. */
const lengthOfSteps = [0x20, 2, 0x20, 2, 0x41, 5, 0x76, 0x22, 5, 0x4b, 0x04, 0x40];
const SHIFT_AT = lengthOfSteps.indexOf(0x41) + 1;
/** Saved boots and images have strings with such hashes. */
export const HASH_SHIFT = 10;

/** The function that makes strings, with a hash of more places. */
export function withLongHash(bodies: readonly Uint8Array[]): Uint8Array[] {
  const pattern = Buffer.from(lengthOfSteps);
  let found = 0;
  const changed = bodies.map((body) => {
    const at = Buffer.from(body.buffer, body.byteOffset, body.length).indexOf(pattern);
    if (at < 0) return body;
    found += 1;
    const copy = Uint8Array.from(body);
    copy[at + SHIFT_AT] = HASH_SHIFT;
    return copy;
  });
  if (found !== 1) throw unusable('the function that makes strings was not found');
  return changed;
}
