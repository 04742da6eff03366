/**
 * The door of the folder: from a configuration file and the command line to a checked, frozen `Config`, or one error
 * with every fault. Nothing falls back: a configuration with a fault starts no server.
 */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { formatListenAddress } from '../base/listen-address.js';
import type { LuaEngine, LuaValue } from '../lua/state.js';
import { checkAccounts } from './accounts.js';
import type { EffectiveSetting } from './effective.js';
import { readEnvironment } from './environment.js';
import { ConfigError, type ConfigFault, configFault } from './fault.js';
import { type AlreadyOpen, checkFiles } from './files.js';
import { usableMachine } from './machine.js';
import { formatConfigError, formatValid } from './report.js';
import type { Config } from './schema.js';
import { type ConfigHooks, noHooks, runScript, type ScriptSurroundings } from './script.js';
import { type RawConfig, type Source, validate } from './validate.js';

export { identityOf, socketOwnerOf } from './accounts.js';
export { optionHelp } from './config-docs.js';
export { convertLuafcgid2 } from './convert.js';
export { formatSettings } from './effective.js';
export { settingVariables } from './environment.js';
export { ConfigError, type ConfigFault } from './fault.js';
export { formatConfigError } from './report.js';
export { type Config, type HookName, type OptionName, scriptValues } from './schema.js';
export type { ConfigHooks } from './script.js';

/** Name of the file that is read from the working directory when none is named, as the C daemon did. */
const DEFAULT_FILE = 'config.lua';

/** What loading takes from the process. */
export interface Surroundings extends ScriptSurroundings, AlreadyOpen {
  /** Where relative names of the command line start, and where config.lua is looked for. */
  readonly directory: string;
  /** Processors to have workers for. */
  readonly cpus: number;
  /** Memory that the process may use. */
  readonly memoryBytes: number;
  /** Whether a service manager has passed listening sockets: then they are what is listened on by default. */
  readonly hasPassedSockets: boolean;
  /** It is that of a server that runs already: files and accounts that it names are not looked at. */
  readonly isOfOther: boolean;
}

/** Settings of the command line, by their Lua names and in their Lua units; text as Node.js has it. */
export type Overrides = RawConfig;

/** A configuration that can be used. */
export interface LoadedConfig {
  /** Deep-frozen. */
  readonly config: Config;
  /** Absolute name of the file; undefined when there is none and all is default or from the command line. */
  readonly file: string | undefined;
  /** Lines to log once: settings that have no effect, and the like. */
  readonly notices: readonly string[];
  /** To be called at start, in each sweep and at the end; to be closed after that. */
  readonly hooks: ConfigHooks;
  /** Every setting, and where it comes from. */
  readonly settings: readonly EffectiveSetting[];
}

function processSurroundings(): Surroundings {
  return {
    directory: process.cwd(),
    ...usableMachine(),
    hasPassedSockets: false,
    isOfOther: false,
    open: [],
    isReload: false,
    environment: process.env,
    log: (_level, text) => void process.stderr.write(Buffer.from(`${text}\n`, 'latin1')),
  };
}

function chooseFile(file: string | null | undefined, directory: string): string | undefined {
  if (file === null) return undefined;
  if (file !== undefined) return resolve(directory, file);
  const usual = resolve(directory, DEFAULT_FILE);
  const stats = statSync(usual, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  // A server started in another user's folder must not run that user's script by accident.
  const own = process.geteuid?.();
  if (own !== undefined && stats.uid !== own && stats.uid !== 0) {
    throw new LuafcgidError('LUAFCGID_CONFIG_STRANGER', { file: usual, user: stats.uid });
  }
  return usual;
}

/** Settings of the command line come as text; those of a script as bytes. */
function toBytes(value: LuaValue): LuaValue {
  if (typeof value === 'string') return toByteString(value);
  return Array.isArray(value) ? value.map(toBytes) : value;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
}

/** What is right by itself, and not together. */
function checkTogether(config: Config): readonly ConfigFault[] {
  return [...checkBackground(config), ...checkListeners(config), ...checkSessions(config)];
}

/** A socket of all IPv6 addresses takes IPv4 connections too, so another one of the same port cannot be had beside it. */
function checkListeners({ listen }: Config): readonly ConfigFault[] {
  const sockets = listen.filter((address) => address.kind === 'tcp');
  return sockets.flatMap((address) => {
    const isV4 = /^[0-9.]+$/.test(address.host);
    const whole = sockets.find(({ host, port }) => port !== 0 && port === address.port && ['', '::'].includes(host));
    if (whole === undefined || whole === address || !(isV4 || address.host === '' || address.host === '::')) return [];
    if (!isV4 && sockets.indexOf(whole) > sockets.indexOf(address)) return [];
    const [value, wider] = [`"${formatListenAddress(address)}"`, `"${formatListenAddress(whole)}"`];
    const reason = `the server listens there already, at ${wider}, which takes connections over IPv4 too`;
    return [
      configFault('LUAFCGID_CONFIG_PLACE', { option: 'listen', value, reason }, 'Remove one of the two addresses.'),
    ];
  });
}

/** Sessions are kept where a data source says. */
function checkSessions({ sessions: { store }, data }: Config): readonly ConfigFault[] {
  if (store === 'memory' || data.some(({ name }) => name === store)) return [];
  const reason = `there is no data source of this name${data.length === 0 ? '' : `; there are ${data.map(({ name }) => name).join(', ')}`}`;
  const values = { option: 'sessions', value: `"${store}"`, reason };
  return [configFault('LUAFCGID_CONFIG_PLACE', values, 'Write "memory", or the name of a data source in data.')];
}

function checkBackground({ daemonize, logFile }: Config): readonly ConfigFault[] {
  if (!daemonize || logFile !== undefined) return [];
  const reason = 'in the background there is no standard error for the log';
  const remedy = 'Set logfile, or remove daemonize: a service manager collects what is logged.';
  return [configFault('LUAFCGID_CONFIG_PLACE', { option: 'daemonize', value: 'true', reason }, remedy)];
}

/**
 * Loads and checks a configuration. Opens and creates nothing: sockets and log file are only looked at.
 *
 * @param file The configuration script. `undefined`: config.lua in the working directory if it exists, else defaults.
 *   `null`: no file at all.
 * @param overrides Settings that win over those of the file. Relative file names start at the working directory.
 * @param engine Runs the script.
 * @param surroundings Replaces what is taken from the process. `log` also gets what hooks print later; without it
 *   that goes to standard error.
 * @throws ConfigError with all faults.
 */
export function loadConfig(
  file: string | null | undefined,
  overrides: Overrides,
  engine: LuaEngine,
  surroundings: Partial<Surroundings> = {},
): LoadedConfig {
  const around = { ...processSurroundings(), ...surroundings };
  const chosen = chooseFile(file, around.directory);
  const script = chosen === undefined ? undefined : runScript(chosen, engine, around);
  const sources: Source[] = [];
  if (chosen !== undefined && script) {
    sources.push({ values: script.values, label: '', absolute: (name) => resolve(dirname(chosen), name) });
  }
  const environment = readEnvironment(around.environment);
  const absolute = (name: string): string => resolve(around.directory, name);
  sources.push({ values: environment.values, label: ' (environment)', absolute });
  sources.push({
    values: Object.fromEntries(Object.entries(overrides).map(([name, value]) => [name, toBytes(value)])),
    label: ' (command line)',
    absolute,
  });

  const { config, faults: invalid, notices: further, settings } = validate(sources, around);
  const notices = [...environment.notices, ...further];
  const faults = [
    ...(script?.faults ?? []),
    ...environment.faults,
    ...invalid,
    ...(around.isOfOther ? [] : [...checkFiles(config, around), ...checkAccounts(config)]),
    ...checkTogether(config),
  ];
  const hooks = script?.hooks ?? noHooks;
  if (faults.length > 0) {
    hooks.close();
    throw new ConfigError(chosen, faults);
  }
  deepFreeze(config);
  if (hooks.names.length > 0) return { config, file: chosen, notices, hooks, settings };
  hooks.close();
  return { config, file: chosen, notices, hooks: noHooks, settings };
}

/**
 * The result of `luafcgid check FILE`: whether a server would start with the file, and the text that says so.
 *
 * @param checkFurther Looks at what a valid configuration asks for outside of it; what it throws comes out.
 */
export function checkConfig(
  file: string | undefined,
  engine: LuaEngine,
  surroundings: Partial<Surroundings> = {},
  checkFurther: (config: Config, settings: readonly EffectiveSetting[]) => void = () => {},
): { readonly valid: boolean; readonly text: string } {
  try {
    const loaded = loadConfig(file, {}, engine, surroundings);
    loaded.hooks.close();
    checkFurther(loaded.config, loaded.settings);
    return { valid: true, text: formatValid(file ?? loaded.file, loaded.notices) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { valid: false, text: formatConfigError(error) };
  }
}
