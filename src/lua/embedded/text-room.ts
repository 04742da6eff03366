/** Room for texts that are made of what lies in Lua's memory. Such a text may be many times as large as what it is made of. */

/** Thrown when a text becomes larger than its state's memory may be: then Lua has to make it, which its limit and watchdog stop. */
export const tooLarge = new Error('the text is larger than the memory of the state may be');

/** A larger buffer is not kept for the next text. */
export const LARGEST_KEPT_BYTES = 1 << 20;
export const USUAL_BYTES = 1 << 16;

/** A buffer with the first `at` bytes of `out`, and room for so many more. @throws tooLarge */
export function enlarged(out: Buffer, at: number, bytes: number, mostBytes: number): Buffer<ArrayBuffer> {
  const needed = at + bytes;
  if (needed > mostBytes) throw tooLarge;
  const larger = Buffer.allocUnsafeSlow(Math.max(Math.min(out.length * 2, mostBytes), needed));
  out.copy(larger, 0, 0, at);
  return larger;
}
