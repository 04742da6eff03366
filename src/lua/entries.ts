/** The functions that `prelude.lua` returns for the engine to call. */
export const entryNames = [
  'onerror',
  'report',
  'traceback',
  'init',
  'handler',
  'serve',
  'abandon',
  'forget',
  'has',
  'call',
  'collect',
  'globals',
] as const;

export type EntryName = (typeof entryNames)[number];

/** A number for each of them. */
export type Entries = Readonly<Record<EntryName, number>>;

/** The Lua files that both kinds of engine load, in the order in which `prelude.lua` takes them; it comes first itself. */
export const commonLuaFiles = [
  'prelude.lua',
  'env.lua',
  'exit.lua',
  'streams.lua',
  'files.lua',
  'sources.lua',
  'luafcgid.lua',
  'form.lua',
  'cookie.lua',
  'request.lua',
] as const;
