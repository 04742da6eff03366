/** The scripts that workers load before their first request. */
import { toByteString, toText } from '../base/byte-string.js';
import { describeError, LuafcgidError } from '../base/errors.js';
import type { Config } from '../config/load.js';
import type { EngineData } from '../lua/engine.js';
import { WorkerHandle } from '../threads/worker-handle.js';
import { type Generation, generationOf, holdFiles, releaseFiles, workerSettings } from './generation.js';
import { SharedMemory, sessionMemory } from './shared-memory.js';

const KIB = 1024;

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

/** Loads each of `preloadscripts` once, in a worker that serves nothing. @returns a line for each, and whether all could be loaded */
export async function tryScripts(
  config: Config,
  engine: EngineData,
): Promise<{ readonly isWell: boolean; readonly lines: readonly string[] }> {
  const hooks = { names: [], run() {}, close() {} };
  const generation = generationOf({
    loaded: { config, file: undefined, notices: [], settings: [], hooks },
    engine,
    printed: { to() {} },
  });
  const lines: string[] = [];
  let isWell = true;
  const fail = (path: string, reason: string): void => {
    isWell = false;
    lines.push(`script ${path}: could not be loaded: ${reason}`);
  };
  const warmScripts = await findWarmScripts(generation, fail);
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
  let worker: WorkerHandle | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      worker = new WorkerHandle(1, 0, settings, true, {
        onWarmed(scripts) {
          for (const { script, tookMs, memoryBytes, imageBytes, reason, isLoaded } of scripts) {
            const path = toText(script);
            if (!isLoaded) {
              fail(path, reason);
              continue;
            }
            const image = reason === '' ? `its image ${Math.ceil(imageBytes / KIB)} KiB` : `no image: ${reason}`;
            const memory = `${Math.ceil(memoryBytes / KIB)} KiB of memory`;
            lines.push(`script ${path}: loaded in ${tookMs.toFixed(1)} ms, ${memory}, ${image}`);
          }
        },
        onReady: resolve,
        onBell() {},
        onWake() {},
        onGone: (reason) => reject(new Error(reason)),
      });
    });
  } finally {
    await worker?.abandon();
    releaseFiles(generation);
  }
  return { isWell, lines };
}
