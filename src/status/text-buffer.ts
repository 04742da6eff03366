/**
 * Text that is put together from many small parts as bytes. One string of a hundred thousand parts would take several times as
 * long: the parts are objects of their own until the whole is copied, and the garbage collector visits them meanwhile.
 */

/** Parts are collected up to so many characters before they are written. */
const PIECE_CHARS = 4096;
/** Larger memory is not kept. */
const MOST_SPARE_BYTES = 16 * 2 ** 20;

/** Memory of a text that has left. */
let spare: Buffer | undefined;
/** Memory of texts that were given out, each of which can be given back once. */
const givenOut = new WeakSet<ArrayBufferLike>();

/**
 * A text is not needed any more: the next one is written where it stood. The system would have to clear every page of new memory,
 * which takes as long as the text.
 * @param text what `end` gave; nothing else is taken
 */
export function reuseText({ buffer }: Buffer): void {
  if (!givenOut.delete(buffer)) return;
  if (buffer.byteLength <= MOST_SPARE_BYTES && buffer.byteLength > (spare?.length ?? 0)) spare = Buffer.from(buffer);
}

function takeMemory(sizeBytes: number): Buffer {
  const memory = spare;
  if (memory === undefined || memory.length < sizeBytes) return Buffer.allocUnsafeSlow(sizeBytes);
  spare = undefined;
  return memory;
}

export class TextBuffer {
  #bytes: Buffer;
  #length = 0;
  #piece: string;

  /**
   * @param sizeBytes how long the text will be; more is no fault
   * @param start what it begins with
   */
  constructor(sizeBytes: number, start = '') {
    this.#bytes = takeMemory(sizeBytes);
    this.#piece = start;
  }

  add(text: string): void {
    this.#piece += text;
    if (this.#piece.length >= PIECE_CHARS) this.#write();
  }

  /** All that was added, in UTF-8. Nothing may be added afterwards. */
  end(): Buffer {
    this.#write();
    givenOut.add(this.#bytes.buffer);
    return this.#bytes.subarray(0, this.#length);
  }

  #write(): void {
    // A character of JavaScript takes at most three bytes of UTF-8.
    const neededBytes = this.#length + 3 * this.#piece.length;
    if (neededBytes > this.#bytes.length) {
      const larger = takeMemory(Math.max(2 * this.#bytes.length, neededBytes));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#length += this.#bytes.write(this.#piece, this.#length);
    this.#piece = '';
  }
}
