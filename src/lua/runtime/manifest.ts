/** The Lua files that every state loads, and where they lie. */

/** The files that both kinds of engine load, in the order in which `prelude.lua` takes them; it comes first itself. */
export const commonLuaFiles = [
  'runtime/prelude.lua',
  'runtime/env.lua',
  'runtime/exit.lua',
  'runtime/streams.lua',
  'runtime/files.lua',
  'runtime/sources.lua',
  'library/luafcgid.lua',
  'library/form.lua',
  'library/cookie.lua',
  'runtime/con.lua',
] as const;

/** The place of one of these files. */
export function luaFile(name: string): URL {
  return new URL(`../${name}`, import.meta.url);
}
