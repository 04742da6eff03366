/**
 * How much of the C stack is left where native Lua has called its host. LuaJIT counts neither nested calls of C functions nor
 * coroutines that resume each other, and past the end of the stack the process ends.
 */

import { C_STACK_BYTES, type Ffi } from '../../base/ffi.js';

/**
 * What has to be left where another coroutine begins, or where `string.gsub` nests further. A coroutine of LuaJIT takes less than
 * 2 MiB until its own stack is full, by anything but `string.gsub` with functions.
 */
const RESERVE_BYTES = 8 << 20;

export class CStack {
  readonly #visit: (() => void) | undefined;
  readonly #unregister: () => void = () => {};
  #address = 0;
  /** The address that a call has which no Lua code has made. */
  readonly #topAddress: number = 0;

  /** Is made where no Lua runs. */
  constructor(ffi: Ffi) {
    const objects = findObjects(ffi);
    if (objects === undefined) return;
    // The call hands its callback a record that lies on the C stack.
    const callback = ffi.register(
      (record: number): number => {
        this.#address = record;
        return 1; // no further ones
      },
      ffi.pointer(ffi.proto('int', ['uintptr_t', 'size_t', 'uintptr_t'])),
    );
    const address = Number(ffi.address(callback));
    this.#visit = () => void objects(address, 0);
    this.#unregister = () => ffi.unregister(callback);
    this.#visit();
    this.#topAddress = this.#address;
  }

  /** Whether C code may nest further. Always where the system does not tell; other limits hold there. */
  get hasRoom(): boolean {
    if (this.#visit === undefined) return true;
    this.#visit();
    return C_STACK_BYTES - (this.#topAddress - this.#address) >= RESERVE_BYTES;
  }

  /** Gives its callback back. */
  close(): void {
    this.#unregister();
  }
}

/** `dl_iterate_phdr`, which glibc, musl and FreeBSD have. */
function findObjects(ffi: Ffi): ((callback: number, data: number) => number) | undefined {
  try {
    return ffi.load(null).func('dl_iterate_phdr', 'int', ['uintptr_t', 'uintptr_t']);
  } catch {
    return undefined;
  }
}
