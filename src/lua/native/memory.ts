/** Memory that JavaScript and native code both see. Its address stays the same as long as it is referenced here. */

import type { Ffi } from '../../base/ffi.js';

export class NativeMemory {
  readonly bytes: Buffer;
  readonly address: number;

  constructor(ffi: Ffi, size: number) {
    // An ArrayBuffer of its own: never moved, and not a part of the pool that small buffers share.
    this.bytes = Buffer.from(new ArrayBuffer(size));
    this.address = Number(ffi.address(this.bytes));
  }
}

/** A memory that is replaced by a larger one when it has to be. */
export class GrowingMemory {
  readonly #ffi: Ffi;
  #memory: NativeMemory;

  constructor(ffi: Ffi, size: number) {
    this.#ffi = ffi;
    this.#memory = new NativeMemory(ffi, size);
  }

  get bytes(): Buffer {
    return this.#memory.bytes;
  }

  get address(): number {
    return this.#memory.address;
  }

  /** Makes room for so many bytes; what was there may be lost. */
  reserve(size: number): void {
    if (size <= this.#memory.bytes.length) return;
    this.#memory = new NativeMemory(this.#ffi, 2 ** Math.ceil(Math.log2(size)));
  }
}
