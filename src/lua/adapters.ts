/** Interfaces, other than `main(env, con)`, that scripts may be written for: by adapters of the library. */

import type { ByteString } from '../base/byte-string.js';

/** Whether the adapter runs the script by itself, once or for each request, or takes what its main chunk has left. */
const adapters = {
  wsapi: 'takes',
  luafcgid2: 'runs',
  mod_lua: 'runs',
  cgilua: 'runs',
  orbit: 'runs',
  ngx: 'runs',
} as const;

export type AdapterName = keyof typeof adapters;

export const adapterNames = Object.keys(adapters) as readonly AdapterName[];

/** Whether a script is given to the adapter as its text. */
export function runsItself(adapter: AdapterName): boolean {
  return adapters[adapter] === 'runs';
}

/** By the ending of a file's name, with its dot: the adapter for such scripts. */
export type Adapters = Readonly<Record<string, AdapterName>>;

/** The adapter of a script: that of its extension, or the one that the setting `handler` names; undefined: none. */
export function adapterFor(
  path: ByteString,
  { handler, adapters: byExtension }: { readonly handler: ByteString; readonly adapters: Adapters },
): AdapterName | undefined {
  for (const [extension, adapter] of Object.entries(byExtension)) if (path.endsWith(extension)) return adapter;
  return adapterNames.find((name) => name === handler);
}
