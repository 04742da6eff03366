/** What a setting is and where it comes from, for `luafcgid check --dump`. Secrets are not shown. */
import type { LuaValue } from '../lua/state.js';
import { isList, luaLiteral } from './literal.js';
import type { OptionRow } from './option.js';

export interface EffectiveSetting {
  readonly name: string;
  /** In Lua syntax; `nil` for what is nothing by default. */
  readonly value: string;
  readonly origin: 'default' | 'file' | 'environment' | 'command line';
}

/** Options whose values, or the values of whose fields, may be secret. */
const SECRET: ReadonlySet<string> = new Set(['app', 'environment', 'keys', 'sessions']);

/** By the labels of sources. */
const ORIGINS: Readonly<Record<string, EffectiveSetting['origin']>> = { '': 'file', ' (environment)': 'environment' };

/** @param label of the source that it comes from, see `Source`; undefined: it is the default */
export function effectiveSetting(
  name: string,
  row: OptionRow,
  value: LuaValue,
  label: string | undefined,
): EffectiveSetting {
  const origin = label === undefined ? 'default' : (ORIGINS[label] ?? 'command line');
  const isShown = label === undefined || !SECRET.has(name);
  const text =
    value === undefined ? (row.defaultText ?? 'nil').replaceAll('`', '') : luaLiteral(isShown ? value : masked(value));
  return { name, value: text, origin };
}

/** The names of fields, and nothing of their values. */
function masked(value: LuaValue): LuaValue {
  if (typeof value !== 'object' || value === null) return '(not shown)';
  if (isList(value)) return value.map(masked);
  return Object.fromEntries(Object.keys(value).map((field) => [field, '(not shown)']));
}

/** A line each: name, value, and where it comes from unless that is the default. */
export function formatSettings(settings: readonly EffectiveSetting[], file: string | undefined): string {
  const origins = {
    default: 'default',
    file: file ?? 'file',
    environment: 'environment',
    'command line': 'command line',
  };
  return settings.map(({ name, value, origin }) => `${name} = ${value}  -- ${origins[origin]}`).join('\n');
}
