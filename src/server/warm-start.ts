/** The scripts that workers load before their first request. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toByteString, toText } from '../base/byte-string.js';
import { describeError, LuafcgidError } from '../base/errors.js';
import type { Config } from '../config/load.js';
import type { EngineData } from '../lua/engine.js';
import { type WarmedScript, WorkerHandle } from '../threads/worker-handle.js';
import { type Generation, generationOf, holdFiles, releaseFiles, workerSettings } from './generation.js';
import { SharedMemory, sessionMemory } from './shared-memory.js';

const KIB = 1024;
/** What a worker takes to start, and to stop a script by itself. */
const SPARE_MS = 10_000;

/**
 * The files behind `preloadscripts`, under the rules for scripts of requests.
 * @param failed told which are none, and why
 */
export async function findWarmScripts(
  { loaded, scripts }: Pick<Generation, 'loaded' | 'scripts'>,
  failed: (path: string, reason: string) => void,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of loaded.config.preloadScripts) {
    const path = toByteString(name);
    try {
      found.push(await scripts.find(path));
    } catch (error) {
      if (!(error instanceof LuafcgidError)) throw error;
      failed(toText(path), `${error.code}: ${error.message}`);
    }
  }
  return [...new Set(found)];
}

/** The line of the log about a script that could not be found. */
export function describeNotFound(path: string, reason: string): string {
  return describeError(new LuafcgidError('LUAFCGID_PRELOAD_FAILED', { path, reason }));
}

/** A configuration that serves nobody. */
function unserved(config: Config, engine: EngineData): Generation {
  const hooks = { names: [], run() {}, close() {} };
  const loaded = { config, file: undefined, notices: [], settings: [], hooks };
  return generationOf({ loaded, engine, printed: { to() {} } });
}

/** Loads each of `preloadscripts` once, in a worker that serves nothing. @returns a line for each, and whether all could be loaded */
export async function tryScripts(
  config: Config,
  engine: EngineData,
): Promise<{ readonly isWell: boolean; readonly lines: readonly string[] }> {
  const generation = unserved(config, engine);
  const lines: string[] = [];
  let isWell = true;
  const fail = (path: string, reason: string): void => {
    isWell = false;
    lines.push(`script ${path}: could not be loaded: ${reason}`);
  };
  const warmScripts = await findWarmScripts(generation, fail);
  for (const { script, tookMs, memoryBytes, imageBytes, reason, isLoaded } of await load(generation, warmScripts)) {
    const path = toText(script);
    if (!isLoaded) {
      fail(path, reason);
      continue;
    }
    const image = reason === '' ? `its image ${Math.ceil(imageBytes / KIB)} KiB` : `no image: ${reason}`;
    const memory = `${Math.ceil(memoryBytes / KIB)} KiB of memory`;
    lines.push(`script ${path}: loaded in ${tookMs.toFixed(1)} ms, ${memory}, ${image}`);
  }
  return { isWell, lines };
}

/** Runs the file `preload` once, as each state does before its script. @returns why it fails; undefined: it does not */
export async function tryPreload(config: Config, engine: EngineData): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-check-'));
  try {
    // A script is loaded after it that can lie anywhere and cannot fail.
    const script = join(folder, 'empty.lua');
    writeFileSync(script, 'function main() end\n');
    const generation = unserved({ ...config, root: [], extensions: [], adapters: {}, handler: 'main' }, engine);
    const limitMs = config.watchdogMs === 0 ? undefined : config.watchdogMs + SPARE_MS;
    const [tried] = await load(generation, [toByteString(script)], limitMs);
    if (tried?.isLoaded === true) return undefined;
    const overdue = (): LuafcgidError =>
      new LuafcgidError('LUAFCGID_SCRIPT_TIMEOUT', { seconds: config.watchdogMs / 1000 });
    return tried?.reason ?? describeError(overdue());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Loads scripts in a worker that serves nothing.
 * @param limitMs after which it is given up, and gives nothing: here nobody else stops native Lua
 */
async function load(
  generation: Generation,
  warmScripts: readonly string[],
  limitMs?: number,
): Promise<readonly WarmedScript[]> {
  const { config } = generation.loaded;
  generation.files = holdFiles(config);
  const memory = new SharedMemory();
  generation.shared = memory.grant([...config.shared, ...sessionMemory(config)]);
  const settings = {
    ...workerSettings(generation, 'check'),
    warmScripts,
    waiting: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    bell: { asleep: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT), fd: undefined },
    locks: memory.locks,
    sleeper: undefined,
    io: undefined,
  };
  let warmed: readonly WarmedScript[] = [];
  let worker: WorkerHandle | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      if (limitMs !== undefined) timer = setTimeout(resolve, limitMs);
      worker = new WorkerHandle(1, 0, settings, true, {
        onWarmed(scripts) {
          warmed = scripts;
        },
        onReady: resolve,
        onBell() {},
        onWake() {},
        onGone: (reason) => reject(new Error(reason)),
      });
    });
  } finally {
    clearTimeout(timer);
    await worker?.abandon();
    releaseFiles(generation);
  }
  return warmed;
}
