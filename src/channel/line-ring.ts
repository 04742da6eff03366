/**
 * Lines of a log on their way from one thread to another, as bytes in shared memory. One thread writes, one reads. Nobody
 * is woken: the reader looks now and then, and the writer says when it should look sooner.
 *
 * Two words count the bytes that were written and read, modulo 2^32. A line is there as soon as the first word says so:
 * what a thread that ends has written in part is never seen.
 */

/** A power of two, so that a place in it stays the same when the counts begin anew. */
const DATA_BYTES = 256 * 1024;
const HEAD_BYTES = 8;
const WRITTEN = 0;
const READ = 1;

export function createLineRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_BYTES + DATA_BYTES);
}

/** The bytes that wait. */
function waitingIn(words: Int32Array): number {
  return (Atomics.load(words, WRITTEN) - Atomics.load(words, READ)) >>> 0;
}

export class LineRingWriter {
  readonly #words: Int32Array;
  readonly #data: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, 2);
    this.#data = new Uint8Array(shared, HEAD_BYTES, DATA_BYTES);
  }

  hasRoom(bytes: number): boolean {
    return waitingIn(this.#words) + bytes <= DATA_BYTES;
  }

  /**
   * Writes a line that there is room for.
   * @returns whether the reader should look soon: more than half is full since this line
   */
  write(line: Uint8Array): boolean {
    const before = waitingIn(this.#words);
    const written = Atomics.load(this.#words, WRITTEN);
    const at = (written >>> 0) % DATA_BYTES;
    const first = line.subarray(0, DATA_BYTES - at);
    this.#data.set(first, at);
    if (first.length < line.length) this.#data.set(line.subarray(first.length), 0);
    Atomics.store(this.#words, WRITTEN, (written + line.length) | 0);
    return before <= DATA_BYTES / 2 && before + line.length > DATA_BYTES / 2;
  }
}

export class LineRingReader {
  readonly #words: Int32Array;
  readonly #data: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, 2);
    this.#data = new Uint8Array(shared, HEAD_BYTES, DATA_BYTES);
  }

  get isEmpty(): boolean {
    return waitingIn(this.#words) === 0;
  }

  get isHalfFull(): boolean {
    return waitingIn(this.#words) > DATA_BYTES / 2;
  }

  /** Takes all whole lines that are there. */
  take(): Uint8Array {
    const bytes = waitingIn(this.#words);
    const read = Atomics.load(this.#words, READ);
    const at = (read >>> 0) % DATA_BYTES;
    const taken = new Uint8Array(bytes);
    const first = this.#data.subarray(at, Math.min(DATA_BYTES, at + bytes));
    taken.set(first, 0);
    if (first.length < bytes) taken.set(this.#data.subarray(0, bytes - first.length), first.length);
    Atomics.store(this.#words, READ, (read + bytes) | 0);
    return taken;
  }
}
