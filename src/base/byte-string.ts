/**
 * Byte strings: JavaScript strings in which each character is one byte, 0 to 255. Paths, parameters, headers and all that
 * Lua has are bytes and need not be UTF-8; as byte strings they can be compared, cut and kept without loss.
 */
export type ByteString = string;

/** The bytes of a text, in UTF-8. */
export function toByteString(text: string): ByteString {
  return Buffer.from(text).toString('latin1');
}

/** The text that the bytes are in UTF-8, for people to read: what is no UTF-8 becomes U+FFFD. */
export function toText(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString();
}
