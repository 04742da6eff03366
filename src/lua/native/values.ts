/** Reads values that `native-host.lua` has written down as text (`flatten`). */

import type { ByteString, LuaValue } from '../state.js';

/**
 * `b0` and `b1` are booleans, `n…;` a number, `s…:` a string after its length, `a…:` a list and `r…:` a record after
 * their counts, `u` is what has no value outside of Lua.
 */
export function readFlattened(text: ByteString): LuaValue {
  let at = 0;
  const until = (mark: string): string => {
    const end = text.indexOf(mark, at);
    if (end < 0) throw new Error('a flattened value ends too early');
    const part = text.slice(at, end);
    at = end + 1;
    return part;
  };
  const value = (): LuaValue => {
    const kind = text[at];
    at += 1;
    switch (kind) {
      case 'b':
        at += 1;
        return text[at - 1] === '1';
      case 'n':
        return readNumber(until(';'));
      case 's': {
        const length = Number(until(':'));
        at += length;
        return text.slice(at - length, at);
      }
      case 'a':
        return Array.from({ length: Number(until(':')) }, value);
      case 'r': {
        const fields: Record<string, LuaValue> = Object.create(null);
        for (let left = Number(until(':')); left > 0; left -= 1) {
          const name = String(value());
          fields[name] = value();
        }
        return fields;
      }
      default:
        return undefined;
    }
  };
  return value();
}

/** C writes infinities and what is no number in its own way. */
function readNumber(text: string): number {
  if (text.includes('nan')) return Number.NaN;
  if (text.includes('inf')) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}
