/**
 * Settings of the environment: `LUAFCGID_WORKERS=4` is `workers = 4`. They win over the configuration file, so that a container
 * needs none of its own; the command line wins over them.
 */
import { toByteString } from '../base/byte-string.js';
import { nearestName } from '../base/nearest-name.js';
import type { LuaValue } from '../lua/state.js';
import { type ConfigFault, configFault } from './fault.js';
import { type OptionName, optionNames, options } from './schema.js';

const PREFIX = 'LUAFCGID_';
/** Of this program itself; and what Kubernetes tells each container of a service that is called luafcgid. */
const NO_SETTINGS = /^(BACKGROUND|SUCCESSOR|TEST_\w+|(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?))$/;
/** Their values may be secret. */
const SECRET: ReadonlySet<OptionName> = new Set(['keys', 'sessions', 'app']);

const variableOf = (name: OptionName): string => PREFIX + name.toUpperCase();

/** The variables that are settings. */
export const settingVariables: readonly string[] = optionNames.map(variableOf);

/** What the environment sets. */
export interface EnvironmentSettings {
  readonly values: { readonly [Name in OptionName]?: LuaValue };
  readonly faults: readonly ConfigFault[];
  /** Variables that look like settings and are none. */
  readonly notices: readonly string[];
}

/** Reads them. A variable that is empty is as good as none: that is what Compose makes of one that is not set. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): EnvironmentSettings {
  const values: { [Name in OptionName]?: LuaValue } = {};
  const faults: ConfigFault[] = [];
  for (const name of optionNames) {
    const text = environment[variableOf(name)];
    if (text === undefined || text === '') continue;
    const value = valueFrom(name, text);
    if (value !== undefined) values[name] = value;
    else faults.push(jsonFault(name, text));
  }
  return { values, faults, notices: strangers(environment) };
}

/** Text stands for itself, and what begins with a bracket is JSON. */
function valueFrom(name: OptionName, text: string): LuaValue {
  if (/^\s*[[{]/.test(text)) return jsonValue(text);
  if (options[name].type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return toByteString(text);
}

/** Undefined for what is no JSON, or has null in it: Lua has no such value. */
function jsonValue(text: string): LuaValue {
  try {
    const parsed: unknown = JSON.parse(text);
    return luaValue(parsed);
  } catch {
    return undefined;
  }
}

/** @throws TypeError for null */
function luaValue(value: unknown): LuaValue {
  if (typeof value === 'string') return toByteString(value);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map(luaValue);
  if (value === null || typeof value !== 'object') throw new TypeError('Lua has no such value');
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [toByteString(key), luaValue(member)]));
}

function jsonFault(name: OptionName, text: string): ConfigFault {
  const value = SECRET.has(name) ? '(not shown)' : text;
  const allowed = 'JSON without null, since it begins with a bracket';
  const remedy = `Correct the variable ${variableOf(name)} of the environment, e.g. to '{"name":"value"}' or '["one","two"]'.`;
  return configFault('LUAFCGID_CONFIG_VALUE', { option: name, value: `${value} (environment)`, allowed }, remedy);
}

function strangers(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX) && !settingVariables.includes(name))
    .filter((name) => !NO_SETTINGS.test(name.slice(PREFIX.length)))
    .map((name) => {
      const meant = nearestName(name.slice(PREFIX.length), optionNames);
      const hint = meant === undefined ? '' : `; did you mean ${PREFIX}${meant.toUpperCase()}?`;
      return `${name} in the environment is ignored: there is no such setting${hint}`;
    });
}
