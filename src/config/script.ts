/**
 * The configuration script: runs it once in a Lua state of its own and takes its globals for settings. The script is
 * trusted as far as the engine goes: it sees the whole environment and may load any Lua file.
 */

import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { toByteString, toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import {
  type ByteString,
  type LogLevel,
  type LuaEngine,
  LuaError,
  type LuaState,
  type LuaValue,
} from '../lua/state.js';
import { type ConfigFault, configFault } from './fault.js';
import { decodeText, shortLiteral } from './literal.js';
import { nearestSetting } from './names.js';
import { type HookName, hookNames, type OptionName, optionNames } from './schema.js';
import type { RawConfig } from './validate.js';

/** For tables that a configuration builds; one that needs more than this does not end. */
const MEMORY_BYTES = 256 * 1024 * 1024;

/** What a configuration script sees of the process. */
export interface ScriptSurroundings {
  /** What `os.getenv` reads. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Takes what the script prints, at load and in hooks. */
  readonly log: (level: LogLevel, text: ByteString) => void;
}

/** A script that was run, maybe with faults. */
export interface ScriptRun {
  readonly values: RawConfig;
  readonly faults: readonly ConfigFault[];
  readonly hooks: ConfigHooks;
}

/** The functions `startup`, `housekeeping` and `shutdown` of a configuration script, and the Lua state they live in. */
export interface ConfigHooks {
  /** Those that the script defines. */
  readonly names: readonly HookName[];
  /** Calls a hook; does nothing when the script does not define it. Throws `LUAFCGID_CONFIG_HOOK`. */
  run(name: HookName): void;
  /** Gives the Lua state back. No hook can be called afterwards. */
  close(): void;
}

export const noHooks: ConfigHooks = { names: [], run() {}, close() {} };

function readRegularFile(path: ByteString): Uint8Array | undefined {
  const file = Buffer.from(path, 'latin1');
  try {
    return statSync(file).isFile() ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  }
}

const READ_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'the file may not be read',
  EISDIR: 'this is a directory, not a file',
};

function readReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return READ_REASONS[code ?? ''] ?? message;
}

/** Environment variables as bytes. */
function environmentBytes(environment: ScriptSurroundings['environment']): Record<string, ByteString> {
  const entries = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [toByteString(name), toByteString(value)]));
}

const KINDS = {
  syntax: 'syntax error',
  runtime: 'error while the script ran',
  stopped: 'stopped',
  memory: 'out of memory',
  fatal: 'the Lua engine broke',
} as const;

function scriptFault(error: LuaError): ConfigFault {
  // Lua may have cut a character in two: what is left of it must not spoil the rest.
  const detail = toText(error.message);
  return configFault('LUAFCGID_CONFIG_SCRIPT', { kind: KINDS[error.kind], detail });
}

/** For a page that was given to the server in the place of a configuration. */
const FOR_PAGES =
  'This looks like a page: "luafcgid run FILE" runs one, and "luafcgid serve FOLDER" serves all of a folder.';

function unknownFault(option: string, value: string): ConfigFault {
  if (option === 'main' && value === 'function')
    return configFault('LUAFCGID_CONFIG_UNKNOWN', { option, value }, FOR_PAGES);
  const nearest = nearestSetting(option);
  const remedy = `${nearest === undefined ? '' : `Did you mean "${nearest}"? `}Correct the name, or write "local" before it if it is your own.`;
  return configFault('LUAFCGID_CONFIG_UNKNOWN', { option, value }, remedy);
}

function isHook(name: string): name is HookName {
  return hookNames.some((hook) => hook === name);
}

function isOption(name: string): name is OptionName {
  return optionNames.some((option) => option === name);
}

/** A setting that is a function or another value that no setting can be. */
function misfitFault(option: OptionName, value: string, remedy?: string): ConfigFault {
  const allowed = 'text, a number, true, false or a table';
  return configFault('LUAFCGID_CONFIG_VALUE', { option, value, allowed }, remedy);
}

/** Sorts what the script left behind into settings, hooks and faults. */
function sortGlobals(state: LuaState, faults: ConfigFault[]) {
  const globals = state.globals();
  const values: Partial<Record<OptionName, LuaValue>> = {};
  const hooks: HookName[] = [];
  for (const [name, value] of Object.entries(globals.values)) {
    // Files and coroutines have no value outside of Lua; taking them for nil would quietly choose the default.
    if (isOption(name) && value === undefined) faults.push(misfitFault(name, 'an object'));
    else if (isOption(name)) values[name] = value;
    else if (isHook(name)) {
      const fault = { option: name, value: shortLiteral(value), allowed: 'a function' };
      faults.push(configFault('LUAFCGID_CONFIG_VALUE', fault, `Write "function ${name}() ... end".`));
    } else faults.push(unknownFault(decodeText(name) ?? name, value === undefined ? 'an object' : shortLiteral(value)));
  }
  for (const name of globals.functions) {
    if (isHook(name)) hooks.push(name);
    else if (isOption(name)) {
      faults.push(misfitFault(name, 'function', `Call the function: ${name} = (function() ... end)()`));
    } else faults.push(unknownFault(decodeText(name) ?? name, 'function'));
  }
  return { values, hooks };
}

function makeHooks(state: LuaState, names: readonly HookName[]): ConfigHooks {
  return {
    names,
    run(name) {
      if (!names.includes(name)) return;
      try {
        state.call(name);
      } catch (error) {
        if (!(error instanceof LuaError)) throw error;
        const text = [error.message, error.traceback].filter((part) => part !== '').join('\n');
        const detail = decodeText(text) ?? text;
        throw new LuafcgidError('LUAFCGID_CONFIG_HOOK', { name, detail }, error);
      }
    },
    close() {
      state.close();
    },
  };
}

/** Runs the script in `file`, an absolute path. The caller closes `hooks`. */
export function runScript(file: string, engine: LuaEngine, surroundings: ScriptSurroundings): ScriptRun {
  let source: Uint8Array;
  try {
    source = readFileSync(file);
  } catch (error) {
    return {
      values: {},
      faults: [configFault('LUAFCGID_CONFIG_FILE', { reason: readReason(error) })],
      hooks: noHooks,
    };
  }
  const state = engine.createState({
    host: { log: surroundings.log, readSource: readRegularFile },
    memoryBytes: MEMORY_BYTES,
    directory: toByteString(dirname(file)),
    path: [],
    config: {},
    environment: environmentBytes(surroundings.environment),
    givesGlobals: true,
  });
  const faults: ConfigFault[] = [];
  try {
    state.run(source, `@${toByteString(file)}`);
  } catch (error) {
    if (!(error instanceof LuaError)) {
      state.close();
      throw error;
    }
    faults.push(scriptFault(error));
    // A state without memory or a broken one cannot be asked; after other errors the settings so far are still checked.
    if (error.kind === 'memory' || error.kind === 'fatal') {
      state.close();
      return { values: {}, faults, hooks: noHooks };
    }
  }
  const { values, hooks } = sortGlobals(state, faults);
  return { values, faults, hooks: makeHooks(state, hooks) };
}
