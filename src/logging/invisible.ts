/**
 * Characters that nobody sees, or that change what is seen: control characters (C0, DEL, C1), line and paragraph separators,
 * and those that turn the direction of text around. In a log they could forge a line, or drive a terminal. Pure.
 */

/** Finds one, wherever it is. */
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

function isInvisible(unit: number): boolean {
  if (unit < 0x300) return unit < 0x20 || (unit >= 0x7f && unit <= 0x9f);
  if (unit < 0x2000) return unit === 0x061c;
  if (unit > 0x2069) return false;
  return unit === 0x200e || unit === 0x200f || (unit >= 0x2028 && unit <= 0x202e) || unit >= 0x2066;
}

export function hasInvisible(text: string): boolean {
  return INVISIBLE.test(text);
}

/**
 * The text with another text in the place of some characters. No callback of a pattern: those cost the front's thread half a
 * second for a text of 1 MiB.
 * @param replacementOf undefined: the character stays
 */
export function replaceUnits(text: string, replacementOf: (unit: number) => string | undefined): string {
  let result = '';
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const replacement = replacementOf(text.charCodeAt(at));
    if (replacement === undefined) continue;
    result += text.slice(from, at) + replacement;
    from = at + 1;
  }
  return result + text.slice(from);
}

function hex(unit: number, digits: number): string {
  return unit.toString(16).padStart(digits, '0');
}

/** Text for a terminal or a file: a line break goes on in an indented line, the rest becomes `\xNN` or `\uNNNN`. */
export function visible(text: string): string {
  if (!hasInvisible(text)) return text;
  const lines = text.includes('\r') ? text.replaceAll('\r\n', '\n') : text;
  return replaceUnits(lines, (unit) => {
    if (unit === 0x0a || unit === 0x0d) return '\n    ';
    if (unit === 0x09 || !isInvisible(unit)) return undefined;
    return unit < 0x100 ? `\\x${hex(unit, 2)}` : `\\u${hex(unit, 4)}`;
  });
}

/** The same for what `JSON.stringify` gave, which leaves some of them as they are. It stays the same JSON. */
export function visibleJson(json: string): string {
  if (!hasInvisible(json)) return json;
  return replaceUnits(json, (unit) => (isInvisible(unit) ? `\\u${hex(unit, 4)}` : undefined));
}

/** For fields between spaces or quotes: every invisible character, and what `isSpecial` names, as the bytes it has in UTF-8. */
export function hexed(text: string, isSpecial: (unit: number) => boolean): string {
  return replaceUnits(text, (unit) => (isInvisible(unit) || isSpecial(unit) ? hexOfUtf8(unit) : undefined));
}

/** One line for a terminal: every invisible character as the bytes it has in UTF-8. */
export function visibleLine(text: string): string {
  return hasInvisible(text) ? hexed(text, () => false) : text;
}

/** None of these characters lies outside of the basic plane. */
function hexOfUtf8(unit: number): string {
  if (unit < 0x80) return `\\x${hex(unit, 2)}`;
  const last = `\\x${hex(0x80 | (unit & 0x3f), 2)}`;
  if (unit < 0x800) return `\\x${hex(0xc0 | (unit >> 6), 2)}${last}`;
  return `\\x${hex(0xe0 | (unit >> 12), 2)}\\x${hex(0x80 | ((unit >> 6) & 0x3f), 2)}${last}`;
}

/** Bytes that are no UTF-8: what is not ASCII, and what `isSpecial` names, as `\xNN`. */
export function hexedBytes(bytes: string, isSpecial: (unit: number) => boolean): string {
  return replaceUnits(bytes, (unit) =>
    unit < 0x20 || unit > 0x7e || isSpecial(unit) ? `\\x${hex(unit, 2)}` : undefined,
  );
}
