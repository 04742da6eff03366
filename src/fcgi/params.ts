/** Name-value pairs (section 3.4): lengths of one byte, or of four when the first has its high bit set. */
import { LuafcgidError } from '../base/errors.js';

/** Called with the places of one pair: the name is `[nameStart, valueStart)`, the value `[valueStart, valueEnd)`. */
export type PairVisitor = (nameStart: number, valueStart: number, valueEnd: number) => void;

/**
 * Walks the pairs of a complete parameter stream, in order.
 * @throws LuafcgidError `LUAFCGID_FCGI_PARAMS` when a length runs past the end
 */
export function forEachPair(bytes: Uint8Array, visit: PairVisitor): void {
  const end = bytes.length;
  let at = 0;
  while (at < end) {
    let nameBytes = bytes[at++] as number;
    if (nameBytes > 127) {
      nameBytes = longLength(bytes, at, nameBytes);
      at += 3;
    }
    if (at >= end)
      throw new LuafcgidError('LUAFCGID_FCGI_PARAMS', { detail: `a pair ends at byte ${end}, in its lengths` });
    let valueBytes = bytes[at++] as number;
    if (valueBytes > 127) {
      valueBytes = longLength(bytes, at, valueBytes);
      at += 3;
    }
    // Both lengths are below 2^31, so their sum is exact; nothing is allocated by what a peer claims (CVE-2025-23016).
    if (nameBytes + valueBytes > end - at) {
      const detail = `a pair of ${nameBytes} and ${valueBytes} bytes where ${Math.max(0, end - at)} are left`;
      throw new LuafcgidError('LUAFCGID_FCGI_PARAMS', { detail });
    }
    visit(at, at + nameBytes, at + nameBytes + valueBytes);
    at += nameBytes + valueBytes;
  }
}

/** The other three bytes of a four-byte length; past the end they count as zero, which the caller then refuses. */
function longLength(bytes: Uint8Array, at: number, first: number): number {
  return ((first & 127) << 24) | ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
}

/** Encodes pairs, each string one byte per character (latin1), in the given order. */
export function encodeParams(pairs: Iterable<readonly [name: string, value: string]>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of pairs) {
    const lengths: number[] = [];
    for (const { length } of [name, value]) {
      if (length < 128) lengths.push(length);
      else lengths.push((length >>> 24) | 128, (length >>> 16) & 255, (length >>> 8) & 255, length & 255);
    }
    parts.push(Buffer.from(lengths), Buffer.from(name, 'latin1'), Buffer.from(value, 'latin1'));
  }
  return Buffer.concat(parts);
}

/** Decodes a complete parameter stream; of a name that comes twice the last value counts. */
export function decodeParams(bytes: Uint8Array): Map<string, string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const params = new Map<string, string>();
  forEachPair(bytes, (nameStart, valueStart, valueEnd) => {
    params.set(buffer.toString('latin1', nameStart, valueStart), buffer.toString('latin1', valueStart, valueEnd));
  });
  return params;
}
