/** A copy of a machine's memory, from which machines are made. */

/** Granularity in which untouched memory is told apart: a page of the operating system. */
const pageBytes = 4096;
const emptyPage = Buffer.alloc(pageBytes);

/** What an image consists of; can be cloned between threads. */
export interface ImageParts {
  /** The parts that are not all zero, in order. Leaving the others alone keeps their pages unused. */
  readonly runs: readonly { readonly start: number; readonly bytes: Uint8Array }[];
  /** Where the C stack ends. What lies below it and is not in the image is stack, and never restored. */
  readonly heapStart: number;
}

/** Copies what a machine's memory holds, which is whole pages. */
export function copyMemory(memory: Uint8Array, heapStart: number): ImageParts {
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
  return { runs, heapStart };
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

  /** Makes a used machine's memory like a new one's: nothing of its former state is left in the heap. */
  restore(memory: Uint8Array): void {
    let from = this.#parts.heapStart;
    for (const { start, bytes } of this.#parts.runs) {
      if (start > from) memory.fill(0, from, start);
      memory.set(bytes, start);
      from = Math.max(from, start + bytes.length);
    }
    memory.fill(0, from);
  }
}
