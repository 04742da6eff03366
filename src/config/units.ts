/** Units that the option table counts in. */
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const DAY_SECONDS = 24 * 60 * 60;

/** A number of bytes that is at most `most`, and a part of what there is; in whole mebibytes, at least 2. */
export function wholeMebibytes(most: number, part: number): number {
  return Math.min(most, Math.max(2 * MIB, Math.floor(part / MIB) * MIB));
}
