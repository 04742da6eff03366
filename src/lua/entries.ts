/** The functions that the part `prelude` gives for the engine to call. */
export const entryNames = [
  'onerror',
  'report',
  'traceback',
  'init',
  'returned',
  'adapt',
  'handler',
  'settle',
  'reseed',
  'serve',
  'resume',
  'cancel',
  'where',
  'can_wait',
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
