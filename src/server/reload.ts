/** Takes another configuration into service while the server runs. */
import { describeError, LuafcgidError } from '../base/errors.js';
import { type Config, ConfigError, formatConfigError } from '../config/load.js';
import { generationOf, type Prepared, retire, runHook } from './generation.js';
import type { ServerParts } from './parts.js';
import { withoutRestart } from './reload-limits.js';

/**
 * Reads a configuration and takes it into service; requests that run are finished with the old one. If that cannot be
 * done, the log says why, and all goes on unchanged.
 */
export async function reload(parts: ServerParts, prepare: (now: Config) => Prepared): Promise<void> {
  const { log, manager, listeners, lifeLevel } = parts;
  manager.reloading();
  let prepared: Prepared | undefined;
  try {
    prepared = prepare(parts.current.loaded.config);
    await takeIntoService(parts, prepared);
    log.write(lifeLevel, `reloaded: listening on ${listeners.text}`);
  } catch (error) {
    prepared?.loaded.hooks.close();
    const reason = error instanceof ConfigError ? formatConfigError(error) : describeError(error);
    log.write('error', describeError(new LuafcgidError('LUAFCGID_RELOAD_REFUSED', { reason }, error)));
  }
  manager.status(`listening on ${listeners.text}`);
  manager.ready();
}

/** Everything that may fail comes first, and is taken back if something does. */
async function takeIntoService(parts: ServerParts, wanted: Prepared): Promise<void> {
  const { log, listeners, workers, reportBug } = parts;
  const { config: now } = parts.current.loaded;
  const { config: next, kept } = withoutRestart(now, wanted.loaded.config);
  const prepared = { ...wanted, loaded: { ...wanted.loaded, config: next } };
  prepared.printed.to = parts.print;
  for (const notice of prepared.loaded.notices) log.write('warn', notice);
  if (kept.length > 0) {
    log.write('warn', describeError(new LuafcgidError('LUAFCGID_RELOAD_KEPT', { settings: kept.join(', ') })));
  }
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
  }, reportBug);
  await listeners.remove(removed).catch(reportBug);
}
