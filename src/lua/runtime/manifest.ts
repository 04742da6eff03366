/** The Lua parts of every state, by name: in Lua `parts.NAME` is what the file of that part gives. */

export interface LuaPart {
  readonly name: string;
  /** Below src/lua. */
  readonly file: string;
  /** The name by which scripts `require` it. */
  readonly module?: string;
  /** What its documented functions `M.name` are called in scripts: `luafcgid` for `luafcgid.name`. */
  readonly namespace?: string;
}

/** The engines that run in the system's Lua libraries differ from the embedded one in these parts. */
export type EngineKind = 'embedded' | 'native';

/** Parts that each new state loads, in this order: while a part is loaded it can use those above it. */
export function loadedParts(kind: EngineKind): readonly LuaPart[] {
  return [
    { name: 'stock', file: 'runtime/stock.lua' },
    { name: 'arguments', file: 'runtime/arguments.lua' },
    { name: 'env', file: 'runtime/env.lua' },
    { name: 'exit', file: 'runtime/exit.lua' },
    { name: 'sources', file: 'runtime/sources.lua' },
    { name: 'streams', file: 'runtime/streams.lua' },
    { name: 'files', file: 'runtime/files.lua' },
    { name: 'stdlib', file: `runtime/${kind}-stdlib.lua` },
    { name: 'require', file: 'runtime/require.lua' },
    { name: 'modules', file: 'runtime/modules.lua' },
    { name: 'waiting', file: 'runtime/waiting.lua' },
    { name: 'luafcgid', file: 'library/luafcgid.lua', module: 'luafcgid', namespace: 'luafcgid' },
    { name: 'html', file: 'library/html.lua', namespace: 'luafcgid' },
    { name: 'url', file: 'library/url.lua', namespace: 'luafcgid' },
    { name: 'run', file: 'runtime/run.lua' },
    { name: 'con', file: 'runtime/con.lua' },
    { name: 'con_input', file: 'runtime/con-input.lua' },
    { name: 'con_settings', file: 'runtime/con-settings.lua' },
    { name: 'hints', file: 'runtime/hints.lua' },
    // The functions that the engine calls.
    { name: 'prelude', file: 'runtime/prelude.lua' },
  ];
}

/** Parts that a state loads when one of them is first needed. */
export const deferredParts: readonly LuaPart[] = [
  { name: 'serialize', file: 'library/serialize.lua', namespace: 'luafcgid' },
  { name: 'form', file: 'library/form.lua' },
  { name: 'cookie', file: 'library/cookie.lua' },
];

/** The deferred parts that scripts can require, by the name of the module. */
export const deferredModules: Readonly<Record<string, string>> = Object.fromEntries(
  deferredParts.flatMap(({ name, module }) => (module === undefined ? [] : [[module, name]])),
);

/** The place of a part's file. */
export function luaFile(file: string): URL {
  return new URL(`../${file}`, import.meta.url);
}
