/** Values of a configuration as one would write them in Lua: for messages, the sample and the documents. */
import type { ByteString, LuaValue } from '../lua/state.js';

/** Decodes UTF-8, as file names of the host and messages need it; undefined when the bytes are something else. */
export function decodeText(bytes: ByteString): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return undefined;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\r': '\\r', '\n': '\\n', '\t': '\\t', '"': '\\"', '\\': '\\\\' };

function quote(bytes: ByteString): string {
  const text = decodeText(bytes) ?? bytes;
  const escaped = text.replace(/["\\]|\p{Cc}/gu, (c) => {
    if (c >= '\x80') return c;
    return ESCAPES[c] ?? `\\${String(c.charCodeAt(0)).padStart(3, '0')}`;
  });
  return `"${escaped}"`;
}

/** The whole value in Lua syntax; numbers with all their digits. */
export function luaLiteral(value: LuaValue): string {
  if (value === undefined) return 'nil';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (isList(value)) return value.length === 0 ? '{}' : `{ ${Array.from(value, luaLiteral).join(', ')} }`;
  const fields = Object.entries(value).map(([key, field]) => `[${quote(key)}] = ${luaLiteral(field)}`);
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}

/** The same for a message: at most about 100 characters. */
export function shortLiteral(value: LuaValue): string {
  const literal = luaLiteral(value);
  return literal.length <= 100 ? literal : `${literal.slice(0, 90)}...`;
}

/** Narrows a Lua table to a list. (`Array.isArray` alone does not narrow read-only arrays.) */
export function isList(value: LuaValue): value is readonly LuaValue[] {
  return Array.isArray(value);
}

const UNITS = [
  [1024 ** 3, 'GiB', '1024 * 1024 * 1024'],
  [1024 ** 2, 'MiB', '1024 * 1024'],
  [1024, 'KiB', '1024'],
] as const;

/** `1 MiB` for 1048576; undefined for what is not a multiple of 1 KiB. */
export function bytesText(bytes: number): string | undefined {
  const unit = UNITS.find(([size]) => bytes >= size && bytes % size === 0);
  return unit && `${bytes / unit[0]} ${unit[1]}`;
}

/** `64 * 1024` for 65536, as a person would write it in Lua. */
export function bytesExpression(bytes: number): string {
  const unit = UNITS.find(([size]) => bytes >= size && bytes % size === 0);
  if (!unit) return String(bytes);
  return bytes === unit[0] ? unit[2] : `${bytes / unit[0]} * ${unit[2]}`;
}
