/** The functions that `prelude.lua` returns for the engine to call. */
export const entryNames = [
  'onerror',
  'init',
  'has',
  'call',
  'serve',
  'abandon',
  'forget',
  'collect',
  'globals',
] as const;

export type EntryName = (typeof entryNames)[number];

/** References to them in the Lua registry. */
export type Entries = Readonly<Record<EntryName, number>>;
