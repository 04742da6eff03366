/**
 * From values as they were written to values as the program uses them, by the option table. Pure: it looks at no file
 * (`files.ts` does), and reports every fault it finds.
 */

import type { Adapters, LuaValue } from '../lua/state.js';
import { allowedValues } from './bounds.js';
import { convert, type Report } from './converters.js';
import { type EffectiveSetting, effectiveSetting } from './effective.js';
import { type ConfigFault, configFault } from './fault.js';
import { luaLiteral, shortLiteral } from './literal.js';
import type { DefaultContext, OptionRow } from './option.js';
import { type Config, type OptionName, optionNames, options } from './schema.js';

/** Settings as they were written, by their Lua names. */
export type RawConfig = { readonly [Name in OptionName]?: LuaValue };

/** Where settings come from. Of several sources, the last one that has an option wins. */
export interface Source {
  readonly values: RawConfig;
  /** Follows the value in messages, e.g. ` (command line)`. */
  readonly label: string;
  /** Makes a relative file name absolute. */
  readonly absolute: (name: string) => string;
}

/** The default of an option as it would be written. */
export function defaultOf(row: OptionRow, context: DefaultContext): LuaValue {
  return typeof row.default === 'function' ? row.default(context) : row.default;
}

/** What validation found. `config` is complete, but must not be used when there are faults. */
export interface Validation {
  readonly config: Config;
  readonly faults: readonly ConfigFault[];
  readonly notices: readonly string[];
  /** Every setting as it was written, or as its default would be. */
  readonly settings: readonly EffectiveSetting[];
}

/** Checks all settings of all sources, and fills in defaults. */
export function validate(
  sources: readonly Source[],
  { cpus, memoryBytes, hasPassedSockets }: Pick<DefaultContext, 'cpus' | 'memoryBytes' | 'hasPassedSockets'>,
): Validation {
  const config: Record<string, unknown> = {};
  const faults: ConfigFault[] = [];
  const notices: string[] = [];
  const settings: EffectiveSetting[] = [];
  // `workers` and `watchdog` come before the options whose default depends on them.
  const written = (name: OptionName): LuaValue =>
    sources.findLast(({ values }) => values[name] !== undefined)?.values[name];
  const context = () => ({
    cpus,
    memoryBytes,
    workers: typeof config.workers === 'number' ? config.workers : cpus,
    engine: written('engine') ?? options.engine.default,
    // One that cannot be used is told by itself.
    watchdog: typeof config.watchdogMs === 'number' ? config.watchdogMs / 1000 : options.watchdog.default,
    hasPassedSockets,
  });
  for (const name of optionNames) {
    const row: OptionRow = options[name];
    const source = sources.findLast(({ values }) => values[name] !== undefined);
    const fallback = defaultOf(row, context());
    const value = source?.values[name];
    if (value !== undefined && (row.notice?.when ?? value) === value && row.notice) {
      notices.push(`${name} = ${shortLiteral(value)}${source?.label}: ${row.notice.text}`);
    }
    const report: Report = (wrong, allowed = allowedValues(row), remedy = undoRemedy(row, fallback)) => {
      const shown = shortLiteral(wrong) + (source?.label ?? '');
      faults.push(configFault('LUAFCGID_CONFIG_VALUE', { option: name, value: shown, allowed }, remedy));
    };
    const chosen = value ?? fallback;
    settings.push(effectiveSetting(name, row, chosen, source === undefined ? undefined : source.label));
    const absolute = source?.absolute ?? ((file: string) => file);
    config[row.key] = chosen === undefined ? undefined : convert({ row, value: chosen, absolute, report });
  }
  // Each key of the table was set to a value of its row's type, unless there is a fault: that is what Config says.
  config.extensions = withAdapters(config.extensions, config.adapters);
  const complete = config as Config;
  if (complete.states < complete.workers) {
    notices.push(
      `states = ${complete.states} is less than workers = ${complete.workers}: the further workers stay idle`,
    );
  }
  faults.push(...faultsTogether(complete, sources));
  return { config: complete, faults, notices, settings };
}

/** What is wrong with options beside each other, each of which is right by itself. */
function faultsTogether(config: Config, sources: readonly Source[]): ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (config.locks !== 'memory' && !config.data?.some(({ name }) => name === config.locks)) {
    const values = { option: 'locks', value: `"${config.locks}"`, allowed: '"memory" or the name of a data source' };
    faults.push(
      configFault('LUAFCGID_CONFIG_VALUE', values, 'Name it in the option data, as data = { cache = "redis://HOST" }.'),
    );
  }
  for (const { name, store } of config.shared ?? []) {
    if (store === undefined || config.data?.some((source) => source.name === store)) continue;
    const values = {
      option: 'shared',
      value: `${name}: store = "${store}"`,
      allowed: 'the name of a data source',
    };
    faults.push(
      configFault('LUAFCGID_CONFIG_VALUE', values, 'Name it in the option data, as data = { cache = "redis://HOST" }.'),
    );
  }
  if (config.engine !== 'embedded') {
    // A promise that is not kept is worse than none: whoever writes these counts on them.
    for (const name of ['files', 'environment'] as const) {
      const source = sources.findLast(({ values }) => values[name] !== undefined);
      if (source === undefined) continue;
      const value = shortLiteral(source.values[name]) + source.label;
      const allowed = `left out with engine = "${config.engine}", whose scripts reach all that the server's user may`;
      const remedy = 'Remove it, or set engine = "embedded". A user and a root of the system confine native scripts.';
      faults.push(configFault('LUAFCGID_CONFIG_VALUE', { option: name, value, allowed }, remedy));
    }
    for (const name of ['isolation', 'preloadscripts'] as const) {
      const source = sources.findLast(({ values }) => values[name] !== undefined);
      if (source === undefined || source.values[name] === options[name].default) continue;
      const value = shortLiteral(source.values[name]) + source.label;
      const allowed = `left out with engine = "${config.engine}", whose states cannot be copied`;
      const remedy = 'Remove it, or set engine = "embedded".';
      faults.push(configFault('LUAFCGID_CONFIG_VALUE', { option: name, value, allowed }, remedy));
    }
  }
  return faults;
}

/** Files with an adapter are scripts. No extensions stand for all. */
function withAdapters(extensions: unknown, adapters: unknown): unknown {
  if (!Array.isArray(extensions) || extensions.length === 0 || adapters === undefined) return extensions;
  return [...new Set([...extensions, ...Object.keys(adapters as Adapters)])];
}

function undoRemedy(row: OptionRow, fallback: LuaValue): string {
  return `Correct it, or remove it to have the default: ${fallback === undefined ? row.defaultText : luaLiteral(fallback)}.`;
}
