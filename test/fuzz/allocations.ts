/** How many bytes of buffers some work asks for: what a peer sends must not make the server take more than it sends. */

/** Runs the work; counts what it allocates by `new Uint8Array(bytes)` and by the functions of `Buffer`. */
export function allocatedBytes(work: () => void): number {
  let bytes = 0;
  const count = (size: unknown): void => {
    if (typeof size === 'number') bytes += size;
  };
  const { alloc, allocUnsafe, allocUnsafeSlow } = Buffer;
  const plain = globalThis.Uint8Array;
  const counting =
    <Size extends unknown[], Result>(make: (...args: Size) => Result) =>
    (...args: Size): Result => {
      count(args[0]);
      return make(...args);
    };
  Object.assign(Buffer, {
    alloc: counting(alloc),
    allocUnsafe: counting(allocUnsafe),
    allocUnsafeSlow: counting(allocUnsafeSlow),
  });
  globalThis.Uint8Array = new Proxy(plain, {
    construct(target, args, newTarget) {
      count(args[0]);
      return Reflect.construct(target, args, newTarget === globalThis.Uint8Array ? target : newTarget);
    },
  });
  try {
    work();
  } finally {
    Object.assign(Buffer, { alloc, allocUnsafe, allocUnsafeSlow });
    globalThis.Uint8Array = plain;
  }
  return bytes;
}
