/** How calls of Lua's C functions end, in all versions. */

import type { LuaErrorKind } from './lua-error.js';

/** Results of `lua_pcall` and `luaL_loadbuffer`, in all versions. */
export const luaStatus = { ok: 0, runtime: 2, syntax: 3, memory: 4, handler: 5 } as const;

/** The errors among them. */
export const errorKinds: Readonly<Record<number, LuaErrorKind>> = {
  [luaStatus.runtime]: 'runtime',
  [luaStatus.syntax]: 'syntax',
  [luaStatus.memory]: 'memory',
  [luaStatus.handler]: 'runtime',
};
