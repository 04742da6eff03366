/**
 * The heap of the embedded Lua's C library (emmalloc): a row of regions, each with its size in its first and its last word.
 * The file of the engine is pinned (`checkEmbeddedModule`), so the layout is too.
 */

const WORD_BYTES = 4;
/** Set in the last word of a region that is free. */
const FREE_BIT = 1;
const LEAST_REGION_BYTES = 12;
/** A free region begins with so many bytes of the allocator's own: its size and its neighbours in a list. */
const FREE_HEAD_BYTES = 12;
const PAGE_BYTES = 4096;
const emptyPage = new Uint8Array(PAGE_BYTES);

/**
 * Sets the free memory of a heap to zero, page by page: pages that are zero take no room in an image. Does nothing when the
 * regions do not fill the heap exactly.
 */
export function clearFreeMemory(memory: Uint8Array, words: DataView, start: number, end: number): void {
  const free: { readonly from: number; readonly to: number }[] = [];
  let at = start;
  while (at < end) {
    const bytes = words.getUint32(at, true);
    const next = at + bytes;
    if (bytes < LEAST_REGION_BYTES || bytes % WORD_BYTES !== 0 || next > end) return;
    const last = words.getUint32(next - WORD_BYTES, true);
    if ((last & ~FREE_BIT) !== bytes) return;
    if ((last & FREE_BIT) !== 0) free.push({ from: at + FREE_HEAD_BYTES, to: next - WORD_BYTES });
    at = next;
  }
  for (const { from, to } of free) {
    for (let page = Math.ceil(from / PAGE_BYTES) * PAGE_BYTES; page + PAGE_BYTES <= to; page += PAGE_BYTES) {
      const bytes = memory.subarray(page, page + PAGE_BYTES);
      if (Buffer.compare(bytes, emptyPage) !== 0) bytes.fill(0);
    }
  }
}
