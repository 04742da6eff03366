/** A configuration in service, with everything that lives as long as the workers which were started with it. */
import { toByteString } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { type Config, type LoadedConfig, scriptValues } from '../config/load.js';
import type { SourceGrant } from '../io/handle.js';
import type { Log, LogLevel } from '../logging/sinks/logs.js';
import { createHookSetter, type EngineData } from '../lua/engine.js';
import { type FileGrants, holdGrants, releaseGrants } from '../scripts/held-directory.js';
import { ScriptLookup } from '../scripts/lookup.js';
import type { SeenScripts } from '../scripts/sweep.js';
import { countWritten, createQuotaMemory, WriteQuota } from '../scripts/write-quota.js';
import type { SharedGrant } from '../shared/settings.js';
import { accessFormatOf } from './front-settings.js';

/** Where that goes which a configuration script prints: standard error until there is a log. */
export interface Printed {
  to: (level: LogLevel, text: string) => void;
}

export const printToStandardError: Printed['to'] = (_level, text) => void process.stderr.write(`${text}\n`);

/** A configuration that can be taken into service, with its engine. */
export interface Prepared {
  readonly loaded: LoadedConfig;
  readonly engine: EngineData;
  /** What its hooks print goes to the log from then on. */
  readonly printed: Printed;
}

/** A configuration in service. */
export interface Generation extends Prepared {
  readonly scripts: ScriptLookup;
  readonly seenScripts: SeenScripts;
  /** Directories of `files`, open as long as its workers run. */
  files: FileGrants | undefined;
  /** How many bytes scripts have written there; undefined: without a limit. */
  filesUsed: SharedArrayBuffer | undefined;
  /** Its data sources, as long as its workers run. */
  sources: readonly SourceGrant[];
  /** Its dictionaries. */
  shared: readonly SharedGrant[];
}

export function generationOf(prepared: Prepared): Generation {
  const { root, extensions } = prepared.loaded.config;
  const scripts = new ScriptLookup(root.map(toByteString), extensions.map(toByteString));
  return {
    ...prepared,
    scripts,
    seenScripts: new Map(),
    files: undefined,
    filesUsed: undefined,
    sources: [],
    shared: [],
  };
}

/** What workers get of a configuration. */
export function workerSettings(
  { loaded: { config }, engine, files, filesUsed, sources, shared }: Generation,
  runName: string,
) {
  const accessFormat = accessFormatOf(config);
  return {
    config,
    luaConfig: scriptValues(config),
    engine,
    files,
    filesUsed,
    sources,
    shared,
    roots: config.root.map(toByteString),
    runName,
    accessFormat,
    ringBytes: config.ringBytes,
    setHook: createHookSetter(engine),
  };
}

/** Opens the directories of `files`: from now on a grant means this directory, whatever is renamed. */
export function holdFiles({ files }: Config): FileGrants | undefined {
  return files && holdGrants({ read: files.read.map(toByteString), write: files.write.map(toByteString) });
}

export function releaseFiles(generation: Generation): void {
  if (generation.files !== undefined) releaseGrants(generation.files);
  generation.files = undefined;
}

/** Counts what lies in the directories that scripts may write, if that is bounded. */
export async function countFiles(generation: Generation): Promise<void> {
  const { files, loaded } = generation;
  const { filesTotalBytes } = loaded.config;
  if (files === undefined || filesTotalBytes === Number.POSITIVE_INFINITY) return;
  generation.filesUsed ??= createQuotaMemory();
  const quota = new WriteQuota(generation.filesUsed, filesTotalBytes);
  await quota.count(() => countWritten(files, quota.hasOpen));
}

/** No worker of this configuration runs any more. */
export function retire(generation: Generation, log: Log): void {
  releaseFiles(generation);
  retireHooks(generation, log);
}

const retired = new WeakSet<Generation>();

/** A configuration goes out of service; nothing happens when it has done so before. */
export function retireHooks(generation: Generation, log: Log): void {
  if (retired.has(generation)) return;
  retired.add(generation);
  const { loaded } = generation;
  runHook(loaded, 'shutdown', log);
  loaded.hooks.close();
}

/** A hook that fails costs nothing but its own work. */
export function runHook(loaded: LoadedConfig, name: 'housekeeping' | 'shutdown', log: Log): void {
  try {
    loaded.hooks.run(name);
  } catch (error) {
    log.write('error', error instanceof LuafcgidError ? `${error.code}: ${error.message}` : String(error));
  }
}
