/**
 * The heap of the embedded Lua's C library (emmalloc): a row of regions, each with its size in its first and its last word.
 * The file of the engine is pinned (`checkEmbeddedModule`), so the layout is too.
 */

const wordBytes = 4;
/** Set in the last word of a region that is free. */
const freeBit = 1;
const leastRegionBytes = 12;
/** A free region begins with so many bytes of the allocator's own: its size and its neighbours in a list. */
const freeHeadBytes = 12;
const pageBytes = 4096;
const emptyPage = new Uint8Array(pageBytes);

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
    if (bytes < leastRegionBytes || bytes % wordBytes !== 0 || next > end) return;
    const last = words.getUint32(next - wordBytes, true);
    if ((last & ~freeBit) !== bytes) return;
    if ((last & freeBit) !== 0) free.push({ from: at + freeHeadBytes, to: next - wordBytes });
    at = next;
  }
  for (const { from, to } of free) {
    for (let page = Math.ceil(from / pageBytes) * pageBytes; page + pageBytes <= to; page += pageBytes) {
      const bytes = memory.subarray(page, page + pageBytes);
      if (Buffer.compare(bytes, emptyPage) !== 0) bytes.fill(0);
    }
  }
}
