/** What readers and writers of JSON (RFC 8259) share: numbers, and strings with escapes. */

/** Thrown where a text is no JSON, or one that a reader leaves to json-decode.lua. */
export const noJson = new Error('no JSON');

/** Most levels of arrays and objects that are read. */
export const DEEPEST_JSON = 1000;

/** By byte: whether a string goes on with it, without an escape. */
export const isPlainByte = new Uint8Array(256).fill(1);
isPlainByte.fill(0, 0, 32);
isPlainByte[0x22] = 0;
isPlainByte[0x5c] = 0;

/** By byte of a string that is written: 0 where it stays, 1 for `\u00XX`, else the letter of its escape. */
export const jsonEscape = new Uint8Array(256);
jsonEscape.fill(1, 0, 32);
jsonEscape[127] = 1;
/** By letter of an escape that is read: the byte that it means, or 0. */
const escapedByte = new Uint8Array(256);
escapedByte[0x2f] = 0x2f;
for (const [character, letter] of Object.entries({
  '"': '"',
  '\\': '\\',
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
})) {
  jsonEscape[character.charCodeAt(0)] = letter.charCodeAt(0);
  escapedByte[letter.charCodeAt(0)] = character.charCodeAt(0);
}

/** Below this number, and up to this power of ten, one division or multiplication of its digits gives the nearest double. */
const EXACT_LIMIT = 2 ** 53;
const EXACT_POWER = 22;
const powersOfTen = Array.from({ length: EXACT_POWER + 1 }, (_, power) => 10 ** power);

/** Reads numbers. The fields are those of the last one. */
export class JsonNumber {
  /** The place after it. */
  end = 0;
  /** Whether it has neither a fraction nor an exponent. */
  isWhole = true;

  /** The value of the number that begins at `start`. @throws noJson where none does */
  read(bytes: Buffer, start: number, end: number): number {
    const isNegative = bytes[start] === 0x2d;
    const first = isNegative ? start + 1 : start;
    let at = first;
    let digits = 0;
    for (; at < end; at += 1) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      digits = digits * 10 + digit;
    }
    const digitCount = at - first;
    if (digitCount === 0 || (digitCount > 1 && bytes[first] === 48)) throw noJson;
    let power = 0;
    this.isWhole = true;
    if (at < end && bytes[at] === 0x2e) {
      this.isWhole = false;
      const fraction = at + 1;
      for (at = fraction; at < end; at += 1) {
        const digit = (bytes[at] as number) - 48;
        if (digit < 0 || digit > 9) break;
        digits = digits * 10 + digit;
      }
      if (at === fraction) throw noJson;
      power = fraction - at;
    }
    if (at < end && ((bytes[at] as number) | 0x20) === 0x65) {
      this.isWhole = false;
      at += 1;
      const isMinus = bytes[at] === 0x2d;
      if (at < end && (isMinus || bytes[at] === 0x2b)) at += 1;
      const exponent = at;
      let value = 0;
      for (; at < end; at += 1) {
        const digit = (bytes[at] as number) - 48;
        if (digit < 0 || digit > 9) break;
        value = value * 10 + digit;
      }
      if (at === exponent) throw noJson;
      power += isMinus ? -value : value;
    }
    this.end = at;
    if (digits >= EXACT_LIMIT || power > EXACT_POWER || power < -EXACT_POWER) {
      return Number(bytes.toString('latin1', start, at));
    }
    if (power < 0) digits /= powersOfTen[-power] as number;
    else if (power > 0) digits *= powersOfTen[power] as number;
    return isNegative ? -digits : digits;
  }
}

function hex(bytes: Uint8Array, at: number): number {
  let code = 0;
  for (let digit = at; digit < at + 4; digit += 1) {
    const byte = bytes[digit] as number;
    const value =
      byte >= 48 && byte <= 57 ? byte - 48 : (byte | 0x20) >= 97 && (byte | 0x20) <= 102 ? (byte | 0x20) - 87 : -1;
    if (value < 0) throw noJson;
    code = code * 16 + value;
  }
  return code;
}

/** Where the string ends that goes on at `at`: the place of its quote. @throws noJson without one before `end` */
export function endOfString(bytes: Uint8Array, at: number, end: number): number {
  let to = at;
  while (to < end && bytes[to] !== 0x22) to += bytes[to] === 0x5c ? 2 : 1;
  if (to >= end) throw noJson;
  return to;
}

/** Writes what the part of a string from `from` to `end` means into `room`, which has to be as large; gives its length. */
export function unescapeJson(bytes: Uint8Array, from: number, end: number, room: Uint8Array): number {
  let at = from;
  let to = 0;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte !== 0x5c) {
      if (byte < 32) throw noJson;
      room[to++] = byte;
      at += 1;
      continue;
    }
    const letter = bytes[at + 1] as number;
    if (letter !== 0x75) {
      const meant = escapedByte[letter] as number;
      if (meant === 0) throw noJson;
      room[to++] = meant;
      at += 2;
      continue;
    }
    let code = hex(bytes, at + 2);
    at += 6;
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code < 0xdc00 && bytes[at] === 0x5c && bytes[at + 1] === 0x75 ? hex(bytes, at + 2) : 0;
      if (low < 0xdc00 || low > 0xdfff) throw noJson;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
    to = writeUtf8(room, to, code);
  }
  return to;
}

function writeUtf8(room: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    room[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    room[at] = 0xc0 | (code >> 6);
    room[at + 1] = 0x80 | (code & 63);
    return at + 2;
  }
  if (code < 0x10000) {
    room[at] = 0xe0 | (code >> 12);
    room[at + 1] = 0x80 | ((code >> 6) & 63);
    room[at + 2] = 0x80 | (code & 63);
    return at + 3;
  }
  room[at] = 0xf0 | (code >> 18);
  room[at + 1] = 0x80 | ((code >> 12) & 63);
  room[at + 2] = 0x80 | ((code >> 6) & 63);
  room[at + 3] = 0x80 | (code & 63);
  return at + 4;
}
