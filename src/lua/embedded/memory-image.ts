/** A copy of a machine's memory, from which machines are made. */

/** Granularity in which untouched memory is told apart: a page of the operating system. */
const pageBytes = 4096;
const emptyPage = Buffer.alloc(pageBytes);

/** What an image consists of; can be cloned between threads. */
export interface ImageParts {
  /** The parts that are not all zero, in order. Leaving the others alone keeps their pages unused. */
  readonly runs: readonly { readonly start: number; readonly bytes: Uint8Array }[];
}

/** Copies what a machine's memory holds, which is whole pages. */
export function copyMemory(memory: Uint8Array): ImageParts {
  const runs: { start: number; bytes: Uint8Array }[] = [];
  let start = -1;
  for (let at = 0; at <= memory.length; at += pageBytes) {
    const isUsed = at < memory.length && !emptyPage.equals(memory.subarray(at, at + pageBytes));
    if (isUsed && start < 0) start = at;
    if (!isUsed && start >= 0) {
      // A plain array of its own: a Buffer would be a view of the memory.
      runs.push({ start, bytes: new Uint8Array(memory.subarray(start, at)) });
      start = -1;
    }
  }
  return { runs };
}

export class MemoryImage {
  readonly #parts: ImageParts;
  /** Bytes from the start of the memory that the image describes; beyond is zero. */
  readonly length: number;

  constructor(parts: ImageParts) {
    this.#parts = parts;
    const last = parts.runs.at(-1);
    this.length = last === undefined ? 0 : last.start + last.bytes.length;
  }

  /** Fills a new machine's memory, which is at least `length` bytes. */
  writeTo(memory: Uint8Array): void {
    for (const { start, bytes } of this.#parts.runs) memory.set(bytes, start);
  }

  /** Makes a used machine's memory like a new one's: nothing of its former state is left, neither in the heap nor on the C stack. */
  restore(memory: Uint8Array): void {
    let from = 0;
    for (const { start, bytes } of this.#parts.runs) {
      clear(memory, from, start);
      memory.set(bytes, start);
      from = start + bytes.length;
    }
    clear(memory, from, memory.length);
  }
}

/** Sets whole pages to zero, those that are not zero already: to write into the others would make the system provide them. */
function clear(memory: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to; at += pageBytes) {
    const page = memory.subarray(at, at + pageBytes);
    if (!emptyPage.equals(page)) page.fill(0);
  }
}
