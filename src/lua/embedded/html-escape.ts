/** HTML's special characters, byte for byte. */

import { HTML_ENTITIES } from '../../base/html.js';

export const LONGEST_ENTITY_BYTES = 6;

/** By byte; undefined for those that stay. */
export const entityOf: (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const entity = HTML_ENTITIES[String.fromCharCode(byte)];
  return entity === undefined ? undefined : Buffer.from(entity);
});

/** Longer texts are left to Lua, which has room for them in its own memory. */
export const LONGEST_TEXT_BYTES = 8192;

const room = Buffer.allocUnsafeSlow(LONGEST_ENTITY_BYTES * LONGEST_TEXT_BYTES);

/**
 * The text with entities for special characters, in a buffer that is used again for the next one; undefined when there
 * are none. The text has at most `LONGEST_TEXT_BYTES`.
 */
export function escapeHtmlBytes(text: Uint8Array): Uint8Array | undefined {
  let at = 0;
  while (at < text.length && entityOf[text[at] as number] === undefined) at += 1;
  if (at === text.length) return undefined;
  for (let i = 0; i < at; i += 1) room[i] = text[i] as number;
  let to = at;
  for (; at < text.length; at += 1) {
    const byte = text[at] as number;
    const entity = entityOf[byte];
    if (entity === undefined) {
      room[to] = byte;
      to += 1;
    } else {
      for (let i = 0; i < entity.length; i += 1) room[to + i] = entity[i] as number;
      to += entity.length;
    }
  }
  return room.subarray(0, to);
}
