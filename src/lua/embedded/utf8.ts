/** Whether bytes are UTF-8 (RFC 3629): no surrogates, nothing beyond U+10FFFF, nothing longer than it has to be. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const first = bytes[at] as number;
    if (first < 0x80) {
      at += 1;
      continue;
    }
    const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || at + length > end) return false;
    const second = bytes[at + 1] as number;
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (let next = at + 2; next < at + length; next += 1) {
      if (((bytes[next] as number) & 0xc0) !== 0x80) return false;
    }
    at += length;
  }
  return true;
}
