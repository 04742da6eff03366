/** What may stand in a Lua source file before Lua, and what may not stand there at all. */

const NEWLINE = 0x0a;
const HASH = 0x23;
const ESCAPE_BYTE = 0x1b;
const byteOrderMark = [0xef, 0xbb, 0xbf];

/**
 * The text without a UTF-8 byte order mark and without a first line that starts with `#`. The line's end stays, so that
 * line numbers are right.
 */
export function withoutFirstLine(source: Uint8Array): Uint8Array {
  const text = byteOrderMark.every((byte, at) => source[at] === byte) ? source.subarray(3) : source;
  if (text[0] !== HASH) return text;
  const end = text.indexOf(NEWLINE);
  // The line's end stays, so that lines keep their numbers. A precompiled chunk begins with its first byte.
  return text.subarray(end < 0 ? text.length : text[end + 1] === ESCAPE_BYTE ? end + 1 : end);
}

/** Whether Lua would take this for a precompiled chunk. */
export function isBytecode(source: Uint8Array): boolean {
  return source[0] === ESCAPE_BYTE;
}

/** Lua does not verify bytecode: a forged chunk can do anything to its state. */
export const bytecodeRefusal = 'precompiled Lua chunks are not loaded; load the source instead';
