/** Values that cross between JavaScript and Lua. */

import type { ByteString } from '../base/byte-string.js';

/** A value that can be handed to Lua, or taken from its globals. Tables come back as arrays (also empty ones) or records. */
export type LuaValue =
  | undefined
  | boolean
  | number
  | ByteString
  | readonly LuaValue[]
  | { readonly [key: string]: LuaValue };
