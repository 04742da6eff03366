/** Ways to cut bytes, and what a decoder makes of them. */
import { type FcgiRecord, RecordDecoder } from '../../../src/fcgi/session.js';

/** A record whose content is a copy. */
export interface Taken {
  readonly type: number;
  readonly requestId: number;
  readonly content: Buffer;
}

/** Feeds the pieces to a decoder; all records and parts of records that come out. */
export function decode(pieces: readonly Uint8Array[], decoder = new RecordDecoder()): Taken[] {
  const taken: Taken[] = [];
  for (const piece of pieces) {
    const bytes = Uint8Array.from(piece);
    decoder.feed(bytes);
    for (let record: FcgiRecord | undefined = decoder.next(); record !== undefined; record = decoder.next()) {
      taken.push({ type: record.type, requestId: record.requestId, content: Buffer.from(record.content) });
    }
    // The views of a piece are given back with it.
    bytes.fill(0xab);
  }
  return taken;
}

/** The same whichever way a stream's content was cut: its parts put together up to the empty record that ends it. */
export function joined(records: readonly Taken[]): Taken[] {
  const result: Taken[] = [];
  for (const record of records) {
    const last = result.at(-1);
    const goesOn =
      last !== undefined &&
      last.type === record.type &&
      last.requestId === record.requestId &&
      record.requestId !== 0 &&
      [4, 5, 6, 7, 8].includes(record.type) &&
      last.content.length > 0 &&
      record.content.length > 0;
    if (goesOn) result[result.length - 1] = { ...last, content: Buffer.concat([last.content, record.content]) };
    else result.push(record);
  }
  return result;
}

/** Cuts at sorted offsets taken from any numbers. */
export function cutAt(bytes: Uint8Array, numbers: readonly number[]): Uint8Array[] {
  const offsets = [...new Set(numbers.map((number) => number % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const to of [...offsets, bytes.length]) {
    pieces.push(bytes.subarray(from, to));
    from = to;
  }
  return pieces;
}

export function byByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}
