/** A copy of a machine's memory, from which machines are made, or to which a used machine goes back. */

/** Granularity in which untouched memory is told apart: a page of the operating system. */
const PAGE_BYTES = 4096;
const emptyPage = Buffer.alloc(PAGE_BYTES);

/** What an image consists of; can be cloned between threads. */
export interface ImageParts {
  /** The parts that are not all zero, in order. Leaving the others alone keeps their pages unused. */
  readonly runs: readonly { readonly start: number; readonly bytes: Uint8Array }[];
}

/** The place of a machine's C stack, which grows downwards from `top`. */
export interface StackPlace {
  readonly bottom: number;
  readonly top: number;
}

/**
 * A frame of the C stack is smaller than this and leaves more than zeros: where so many bytes in a row are zero, nothing
 * further down was ever used.
 */
const UNUSED_STACK_BYTES = 16 * 1024;

/** Copies what a machine's memory holds, which is whole pages. */
export function copyMemory(memory: Uint8Array): ImageParts {
  const runs: { start: number; bytes: Uint8Array }[] = [];
  let start = -1;
  for (let at = 0; at <= memory.length; at += PAGE_BYTES) {
    const isUsed = at < memory.length && !emptyPage.equals(memory.subarray(at, at + PAGE_BYTES));
    if (isUsed && start < 0) start = at;
    if (!isUsed && start >= 0) {
      // A plain array of its own: a Buffer would be a view of the memory.
      runs.push({ start, bytes: new Uint8Array(memory.subarray(start, at)) });
      start = -1;
    }
  }
  return { runs };
}

/**
 * The same for a machine that has gone on from another image. Pages that are still as they were there are not copied: the
 * parts refer to those of `origin`.
 */
export function copyChanges(memory: Uint8Array, origin: ImageParts): ImageParts & { readonly copiedBytes: number } {
  const runs: { start: number; bytes: Uint8Array }[] = [];
  const originRuns = origin.runs[Symbol.iterator]();
  let run = originRuns.next().value;
  let copiedBytes = 0;
  let from = 0;
  /** The array that holds the pages from `from` on, and where in the memory it begins; undefined: they are zero. */
  let source: { readonly start: number; readonly bytes: Uint8Array } | undefined;
  const endRun = (at: number): void => {
    if (source === undefined || at === from) return;
    const isOrigin = source.bytes.buffer !== memory.buffer;
    const piece = source.bytes.subarray(from - source.start, at - source.start);
    if (!isOrigin) copiedBytes += piece.length;
    runs.push({ start: from, bytes: isOrigin ? piece : new Uint8Array(piece) });
  };
  const own = { start: 0, bytes: memory };
  for (let at = 0; at < memory.length; at += PAGE_BYTES) {
    const page = memory.subarray(at, at + PAGE_BYTES);
    while (run !== undefined && at >= run.start + run.bytes.length) run = originRuns.next().value;
    const offset = run === undefined || at < run.start ? -1 : at - run.start;
    const isAsBefore =
      run !== undefined && offset >= 0 && equals(run.bytes.subarray(offset, offset + PAGE_BYTES), page);
    const next = isAsBefore ? run : emptyPage.equals(page) ? undefined : own;
    if (next === source) continue;
    endRun(at);
    source = next;
    from = at;
  }
  endRun(memory.length);
  return { runs, copiedBytes };
}

function equals(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

export class MemoryImage {
  readonly parts: ImageParts;
  /** Bytes from the start of the memory that the image describes; beyond is zero. */
  readonly length: number;

  constructor(parts: ImageParts) {
    this.parts = parts;
    const last = parts.runs.at(-1);
    this.length = last === undefined ? 0 : last.start + last.bytes.length;
  }

  /** Fills a new machine's memory, which is at least `length` bytes. */
  writeTo(memory: Uint8Array): void {
    for (const { start, bytes } of this.parts.runs) memory.set(bytes, start);
  }

  /** Makes a used machine's memory like a new one's: nothing of its former state is left, neither in the heap nor on the C stack. */
  restore(memory: Uint8Array): void {
    let from = 0;
    for (const { start, bytes } of this.parts.runs) {
      clear(memory, from, start);
      memory.set(bytes, start);
      from = start + bytes.length;
    }
    clear(memory, from, memory.length);
  }

  /**
   * Makes the memory of a machine that has gone on from this image what it was. Copying all pages takes less time than
   * comparing them to find those that have changed.
   * @param end where the used part of the memory ends
   */
  rewind(memory: Uint8Array, stack: StackPlace, end: number): void {
    clearStack(memory, stack);
    let from = 0;
    for (const { start, bytes } of this.parts.runs) {
      if (from < start) clearAround(memory, from, start, stack);
      memory.set(bytes, start);
      from = start + bytes.length;
    }
    clear(memory, from, Math.min(memory.length, Math.ceil(end / PAGE_BYTES) * PAGE_BYTES));
  }
}

/** Clears what of a part of the memory is not the C stack. */
function clearAround(memory: Uint8Array, from: number, to: number, { bottom, top }: StackPlace): void {
  clear(memory, from, Math.min(to, Math.ceil(bottom / PAGE_BYTES) * PAGE_BYTES));
  clear(memory, Math.max(from, Math.floor(top / PAGE_BYTES) * PAGE_BYTES), to);
}

/** Sets what was used of a C stack to zero, when nothing on it is in use any more. */
export function clearStack(memory: Uint8Array, { bottom, top }: StackPlace): void {
  let unused = 0;
  for (let end = top; end > bottom && unused < UNUSED_STACK_BYTES; ) {
    const start = Math.max(bottom, (Math.ceil(end / PAGE_BYTES) - 1) * PAGE_BYTES);
    const page = memory.subarray(start, end);
    if (equals(page, emptyPage.subarray(0, page.length))) unused += page.length;
    else {
      page.fill(0);
      unused = 0;
    }
    end = start;
  }
}

/** Sets whole pages to zero, those that are not zero already: to write into the others would make the system provide them. */
function clear(memory: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to; at += PAGE_BYTES) {
    const page = memory.subarray(at, at + PAGE_BYTES);
    if (!emptyPage.equals(page)) page.fill(0);
  }
}
