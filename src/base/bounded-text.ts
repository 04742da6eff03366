/**
 * Work on texts whose length somebody else decides. V8 keeps all matches of `replace(/…/g, callback)`, and all parts of
 * `split`, in one array: past some 67 million entries it ends the process. So such calls are made on pieces only.
 */
import { type ByteString, toText } from './byte-string.js';

/** Characters that one call of `replace` sees. */
const PIECE_CHARS = 16 * 1024;

/**
 * `text.replace(pattern, replacementOf)` for a text of any length.
 * @param pattern matches single characters, and has the flag `g`
 */
export function replaceEach(text: string, pattern: RegExp, replacementOf: (character: string) => string): string {
  if (text.length <= PIECE_CHARS) return text.replace(pattern, replacementOf);
  let result = '';
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + PIECE_CHARS);
    // The two halves of a character outside of the basic plane stay together.
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end += 1;
    result += text.slice(at, end).replace(pattern, replacementOf);
    at = end;
  }
  return result;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** A text's beginning, with a mark that tells what is missing; the text itself when it is no longer than the limit. */
export function cutEnd(text: string, limitChars: number): string {
  if (text.length <= limitChars) return text;
  return `${text.slice(0, limitChars)}...(+${text.length - limitChars})`;
}

/** What stands where the middle of a text was left out. */
export function gapMark(leftOut: number): string {
  return ` ...(${leftOut} bytes left out)... `;
}

/** Most bytes of what somebody has named that a message shows: no path is longer (PATH_MAX). */
const SHOWN_BYTES = 4096;

/** What a client or a script has named, as a message may show it. */
export function toShortText(bytes: ByteString): string {
  return toText(cutEnd(bytes, SHOWN_BYTES));
}
