/** Reading and writing the few parts of the WebAssembly binary format that the embedded engine needs. */

/** Section numbers of the binary format. */
export const section = {
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  export: 7,
  element: 9,
  code: 10,
  data: 11,
} as const;

/** The eight bytes every module starts with: magic number and version 1. */
export const preamble = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

export interface Section {
  readonly id: number;
  readonly body: Uint8Array;
}

/** An unsigned number in LEB128, the format's variable-length encoding. */
export function leb128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** Reads a module's parts in order. Knows nothing of their meaning. */
export class WasmReader {
  readonly #bytes: Uint8Array;
  position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = bytes;
    this.position = position;
  }

  get atEnd(): boolean {
    return this.position >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.position];
    if (value === undefined) throw new Error('WebAssembly module ends too early');
    this.position += 1;
    return value;
  }

  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.position, this.position + length);
    if (taken.length !== length) throw new Error('WebAssembly module ends too early');
    this.position += length;
    return taken;
  }

  name(): string {
    return Buffer.from(this.take(this.number())).toString();
  }
}

/** The sections of a module, in order. */
export function readSections(module: Uint8Array): Section[] {
  if (!preamble.every((byte, at) => module[at] === byte)) throw new Error('not a WebAssembly module');
  const reader = new WasmReader(module, preamble.length);
  const sections: Section[] = [];
  while (!reader.atEnd) {
    const id = reader.byte();
    sections.push({ id, body: reader.take(reader.number()) });
  }
  return sections;
}

/** Puts a module together from its sections. */
export function writeModule(sections: readonly Section[]): Buffer {
  const parts: Uint8Array[] = [preamble];
  for (const { id, body } of sections) parts.push(Uint8Array.of(id, ...leb128(body.length)), body);
  return Buffer.concat(parts);
}

/** A vector of the format: its count and then its elements. */
export function vector(elements: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Uint8Array.from(leb128(elements.length)), ...elements]);
}

/** A name of the format: its length in bytes and then the bytes. */
export function encodeName(name: string): Uint8Array {
  const bytes = Buffer.from(name);
  return Buffer.concat([Uint8Array.from(leb128(bytes.length)), bytes]);
}
