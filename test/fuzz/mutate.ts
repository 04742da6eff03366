/** New inputs from old ones. */
import type { Random } from './random.js';

const MAX_BYTES = 2048;
/** Values at which lengths, types and ids change their meaning. */
const EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 16, 31, 32, 45, 58, 64, 126, 127, 128, 129, 254, 255];

type Step = (bytes: Buffer, random: Random, others: readonly Uint8Array[], words: readonly Uint8Array[]) => Buffer;

function insert(bytes: Buffer, at: number, piece: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
}

const STEPS: readonly Step[] = [
  // One byte: a flipped bit, an edge, any value.
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return bytes;
  },
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.pick(EDGES);
    return bytes;
  },
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  // Two bytes as a length.
  (bytes, random) => {
    if (bytes.length > 1) bytes.writeUInt16BE(random.below(2) * random.below(300), random.below(bytes.length - 1));
    return bytes;
  },
  // Less: a piece, or the end.
  (bytes, random) => {
    const from = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + random.below(24))]);
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  // More: some bytes, a word that means something here, a piece once more or of another input.
  (bytes, random) =>
    insert(bytes, random.below(bytes.length + 1), Buffer.alloc(1 + random.below(16), random.pick(EDGES))),
  (bytes, random, _others, words) => insert(bytes, random.below(bytes.length + 1), random.pick(words)),
  (bytes, random, _others, words) => Buffer.concat([bytes, random.pick(words)]),
  (bytes, random) => {
    const from = random.below(bytes.length + 1);
    return insert(bytes, random.below(bytes.length + 1), bytes.subarray(from, from + random.below(64)));
  },
  (bytes, random, others) => {
    const other = random.pick(others);
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
];

/** @param words what the target understands */
export function mutate(random: Random, inputs: readonly Uint8Array[], words: readonly Uint8Array[]): Buffer {
  let bytes = Buffer.from(random.pick(inputs));
  for (let steps = 1 + random.below(5); steps > 0; steps -= 1) {
    bytes = Buffer.from(random.pick(STEPS)(bytes, random, inputs, words).subarray(0, MAX_BYTES));
  }
  return bytes;
}

/** A smaller input that still has the property: pieces of it are left out, as long as that works. */
export function shrink(bytes: Uint8Array, stillHolds: (smaller: Uint8Array) => boolean): Uint8Array {
  let best = bytes;
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length; ) {
      const smaller = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (stillHolds(smaller)) best = smaller;
      else at += size;
    }
  }
  return best;
}
