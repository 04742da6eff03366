/** A copy of a machine's memory, from which machines are made. */

/** Granularity in which untouched memory is told apart: a page of the operating system. */
const pageBytes = 4096;

interface Run {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export class MemoryImage {
  /** The parts that are not all zero, in order. Leaving the others alone keeps their pages unused. */
  readonly #runs: Run[] = [];
  /** Bytes from the start of the memory that the image describes; beyond is zero. */
  readonly length: number;
  readonly #heapStart: number;

  /** `heapStart`: where the C stack ends. What lies below it and is not in the image is stack, and never restored. */
  constructor(memory: Uint8Array, heapStart: number) {
    this.#heapStart = heapStart;
    let start = -1;
    for (let at = 0; at <= memory.length; at += pageBytes) {
      const isUsed = at < memory.length && memory.subarray(at, at + pageBytes).some((byte) => byte !== 0);
      if (isUsed && start < 0) start = at;
      if (!isUsed && start >= 0) {
        this.#runs.push({ start, bytes: memory.slice(start, at) });
        start = -1;
      }
    }
    const last = this.#runs.at(-1);
    this.length = last === undefined ? 0 : last.start + last.bytes.length;
  }

  /** Fills a new machine's memory, which is at least `length` bytes. */
  writeTo(memory: Uint8Array): void {
    for (const { start, bytes } of this.#runs) memory.set(bytes, start);
  }

  /** Makes a used machine's memory like a new one's: nothing of its former state is left in the heap. */
  restore(memory: Uint8Array): void {
    let from = this.#heapStart;
    for (const { start, bytes } of this.#runs) {
      if (start > from) memory.fill(0, from, start);
      memory.set(bytes, start);
      from = Math.max(from, start + bytes.length);
    }
    memory.fill(0, from);
  }
}
