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
  /** Between `start` and `end`, which `findRoom` sets, lines may be written: nobody reads there before `commit`. */
  readonly data: Buffer;
  start = 0;
  end = 0;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, 2);
    this.data = Buffer.from(shared, HEAD_BYTES, DATA_BYTES);
  }

  /** Finds the room in one piece behind the lines that are there. */
  findRoom(): void {
    this.start = (Atomics.load(this.#words, WRITTEN) >>> 0) % DATA_BYTES;
    this.end = Math.min(DATA_BYTES, this.start + DATA_BYTES - waitingIn(this.#words));
  }

  /**
   * The bytes from `start` on are lines.
   * @returns whether the reader should look soon: more than half is full since these
   */
  commit(bytes: number): boolean {
    const before = waitingIn(this.#words);
    Atomics.store(this.#words, WRITTEN, (Atomics.load(this.#words, WRITTEN) + bytes) | 0);
    return before <= DATA_BYTES / 2 && before + bytes > DATA_BYTES / 2;
  }

  /** Whether there is room for this line, whatever characters are in it. */
  hasRoomFor(line: string): boolean {
    return waitingIn(this.#words) + mostBytesOf(line) <= DATA_BYTES;
  }

  /**
   * Writes a line that there is room for.
   * @returns as `commit`
   */
  write(line: string): boolean {
    this.findRoom();
    const at = this.start;
    const isWhole = at + mostBytesOf(line) <= DATA_BYTES;
    return this.commit(isWhole ? this.data.write(line, at) : this.#writeAround(line, at));
  }

  /** The line may go on at the begin of the memory. */
  #writeAround(line: string, at: number): number {
    const bytes = Buffer.from(line);
    const first = bytes.subarray(0, DATA_BYTES - at);
    this.data.set(first, at);
    if (first.length < bytes.length) this.data.set(bytes.subarray(first.length), 0);
    return bytes.length;
  }
}

/** No character takes more than three bytes of UTF-8 for each unit of its string. */
function mostBytesOf(line: string): number {
  return 3 * line.length;
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

  /** Bytes of whole lines that are there. */
  get waitingBytes(): number {
    return waitingIn(this.#words);
  }

  /** Takes all whole lines that are there. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.waitingBytes);
    this.takeInto(taken, 0, taken.length);
    return taken;
  }

  /** Takes so many of the `waitingBytes`. @param target has room for them from `start` on */
  takeInto(target: Uint8Array, start: number, bytes: number): void {
    const read = Atomics.load(this.#words, READ);
    const at = (read >>> 0) % DATA_BYTES;
    const first = this.#data.subarray(at, Math.min(DATA_BYTES, at + bytes));
    target.set(first, start);
    if (first.length < bytes) target.set(this.#data.subarray(0, bytes - first.length), start + first.length);
    Atomics.store(this.#words, READ, (read + bytes) | 0);
  }
}
