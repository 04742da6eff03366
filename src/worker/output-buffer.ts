/** Output that is kept for a while. One buffer serves all requests of a worker, one after the other. */

const FIRST_BYTES = 16 * 1024;
/** A buffer that has grown past this goes back to its first size when it is emptied. */
const KEPT_BYTES = 256 * 1024;
/** Room before the output for what is to go out before it. */
const HEAD_ROOM_BYTES = 4 * 1024;

export class OutputBuffer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #end = HEAD_ROOM_BYTES;

  get length(): number {
    return this.#end - HEAD_ROOM_BYTES;
  }

  /** What was added: a view that is valid until the next `add`. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(HEAD_ROOM_BYTES, this.#end);
  }

  /** The same after a head, which has one character per byte. Valid until the next `add`. */
  bytesAfter(head: string): Uint8Array {
    if (head.length > HEAD_ROOM_BYTES) return Buffer.concat([Buffer.from(head, 'latin1'), this.bytes]);
    const start = HEAD_ROOM_BYTES - head.length;
    this.#bytes.write(head, start, 'latin1');
    return this.#bytes.subarray(start, this.#end);
  }

  add(bytes: Uint8Array): void {
    const needed = this.#end + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.bytes, HEAD_ROOM_BYTES);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end = needed;
  }

  clear(): void {
    this.#end = HEAD_ROOM_BYTES;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }
}
