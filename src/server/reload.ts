/** Takes another configuration into service while the server runs. */
import { describeError, LuafcgidError } from '../base/errors.js';
import { type Config, ConfigError, formatConfigError } from '../config/load.js';
import type { StatusReload } from '../status/model.js';
import { generationOf, type Prepared, retire, runHook } from './generation.js';
import type { ServerParts } from './parts.js';
import { withoutRestart } from './reload-limits.js';

/**
 * Reads a configuration and takes it into service; requests that run are finished with the old one. If that cannot be
 * done, the log says why, and all goes on unchanged.
 */
export async function reload(parts: ServerParts, prepare: (now: Config) => Prepared): Promise<StatusReload> {
  const { log, manager, listeners, lifeLevel } = parts;
  manager.reloading();
  let prepared: Prepared | undefined;
  let outcome: StatusReload;
  try {
    prepared = prepare(parts.current.loaded.config);
    const kept = await takeIntoService(parts, prepared);
    outcome = { timeMs: Date.now(), isRefused: false, text: kept };
    log.write(lifeLevel, `reloaded: listening on ${listeners.text}`);
  } catch (error) {
    prepared?.loaded.hooks.close();
    const reason = error instanceof ConfigError ? formatConfigError(error) : describeError(error);
    log.write('error', describeError(new LuafcgidError('LUAFCGID_RELOAD_REFUSED', { reason }, error)));
    outcome = { timeMs: Date.now(), isRefused: true, text: reason };
  }
  manager.status(`listening on ${listeners.text}`);
  manager.ready();
  return outcome;
}

/**
 * Everything that may fail comes first, and is taken back if something does.
 * @returns what stays as it was until a restart, in words; '' when nothing does
 */
async function takeIntoService(parts: ServerParts, wanted: Prepared): Promise<string> {
  const { log, listeners, workers, reportBug } = parts;
  const { config: now } = parts.current.loaded;
  const { config: next, kept } = withoutRestart(now, wanted.loaded.config);
  const prepared = { ...wanted, loaded: { ...wanted.loaded, config: next } };
  prepared.printed.to = parts.print;
  for (const notice of prepared.loaded.notices) log.write('warn', notice);
  const unchanged =
    kept.length === 0 ? '' : describeError(new LuafcgidError('LUAFCGID_RELOAD_KEPT', { settings: kept.join(', ') }));
  if (unchanged !== '') log.write('warn', unchanged);
  const taken = generationOf(prepared);
  const removed = await listeners.add(next);
  try {
    prepared.loaded.hooks.run('startup');
    try {
      await parts.startWorkers(taken);
    } catch (error) {
      runHook(prepared.loaded, 'shutdown', log);
      throw error;
    }
  } catch (error) {
    await listeners.change(now);
    throw error;
  }
  const old = parts.current;
  parts.current = taken;
  // The old workers finish what they have begun with.
  workers.retiredEnded().then(() => {
    retire(old, log);
    parts.keepSources();
    void releaseFreeMemory();
  }, reportBug);
  await listeners.remove(removed).catch(reportBug);
  return unchanged;
}

/** The memory of threads that have ended goes back to the system where the C library would keep it. Without FFI it stays. */
async function releaseFreeMemory(): Promise<void> {
  if (process.platform !== 'linux') return;
  try {
    (await import('../linux/free-memory.js')).releaseFreeMemory();
  } catch {
    // koffi is not there: the C library reuses that memory for the next threads.
  }
}
