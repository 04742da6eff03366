/**
 * Counts what a parser does with bytes and characters, for tests that say how it grows with its input. Time would say that,
 * too, but not on every machine on every day.
 */

/** Replaces a method until the work is done. */
function patched<T extends object, K extends keyof T>(owner: T, name: K, make: (plain: T[K]) => T[K]): () => void {
  const plain = owner[name];
  owner[name] = make(plain);
  return () => {
    owner[name] = plain;
  };
}

/**
 * Bytes that were copied, decoded or searched, and characters that were looked at or cut out, by the usual methods of buffers
 * and strings while the work ran.
 */
export function bytesTouched(work: () => void): number {
  let count = 0;
  const undo = [
    patched(Buffer, 'concat', (plain) => (list, length) => {
      for (const { length: bytes } of list) count += bytes;
      return plain.call(Buffer, list, length);
    }),
    patched(
      Uint8Array.prototype,
      'set',
      (plain) =>
        function set(this: Uint8Array, source, offset) {
          count += source.length;
          plain.call(this, source, offset);
        },
    ),
    patched(
      Buffer.prototype,
      'toString',
      (plain) =>
        function decode(this: Buffer, encoding?: BufferEncoding, start?: number, end?: number) {
          const text = plain.call(this, encoding, start, end);
          count += text.length;
          return text;
        },
    ),
    patched(
      Buffer.prototype,
      'indexOf',
      (plain) =>
        function indexOf(this: Buffer, value, offset, encoding) {
          const at = plain.call(this, value, offset, encoding);
          count += (at < 0 ? this.length : at) - Number(offset ?? 0) + 1;
          return at;
        } as Buffer['indexOf'],
    ),
    patched(
      String.prototype,
      'charCodeAt',
      (plain) =>
        function charCodeAt(this: string, at) {
          count += 1;
          return plain.call(this, at);
        },
    ),
    patched(
      String.prototype,
      'slice',
      (plain) =>
        function slice(this: string, start, end) {
          const text = plain.call(this, start, end);
          count += text.length;
          return text;
        },
    ),
  ];
  try {
    work();
  } finally {
    for (const step of undo.reverse()) step();
  }
  return count;
}

/** Bytes that say how often they were looked at by their index. */
export function countedBytes(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly looks: () => number } {
  let count = 0;
  const watched = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) count += 1;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { bytes: watched, looks: () => count };
}
