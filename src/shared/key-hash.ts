/**
 * A keyed hash of bytes (HalfSipHash-1-3, Aumasson and Bernstein). Clients choose keys, such as addresses and names of
 * users: without knowing the two secret words nobody can choose many that fall into one place.
 */

const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

/** A whole number of 32 bits, with its sign. */
export function hashKey(key: Uint8Array, secret0: number, secret1: number): number {
  let v0 = secret0;
  let v1 = secret1;
  let v2 = 0x6c796765 ^ secret0;
  let v3 = 0x74656462 ^ secret1;
  const { length } = key;
  const words = (length >> 2) + 1;
  // One round for each word of the key, the last of which has the length; then three more.
  for (let at = 0; at < words + 3; at += 1) {
    let word = 0;
    if (at < words - 1) {
      const from = at * 4;
      word =
        (key[from] as number) |
        ((key[from + 1] as number) << 8) |
        ((key[from + 2] as number) << 16) |
        ((key[from + 3] as number) << 24);
    } else if (at === words - 1) {
      word = length << 24;
      for (let byte = at * 4; byte < length; byte += 1) word |= (key[byte] as number) << ((byte & 3) * 8);
    } else if (at === words) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}
