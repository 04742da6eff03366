/** Checking a configuration. */

import { version } from '../base/version.js';
import { type Config, checkConfig, formatSettings } from '../config/load.js';
import { createEngine, type EngineData, prepareEngine } from '../lua/engine.js';
import { engineOf, type Outcome } from './prepare.js';

/** `luafcgid check FILE`. @param connects tries the data sources, too @param dumps prints every setting */
export async function checkFile(file: string, connects: boolean, dumps: boolean): Promise<Outcome> {
  const embedded = prepareEngine(version);
  let loaded: Config | undefined;
  let engine: EngineData = embedded;
  let dump = '';
  const { valid, text } = checkConfig(file, createEngine(embedded), {}, (config, settings) => {
    dump = formatSettings(settings, file);
    engine = engineOf(config, embedded);
    loaded = config;
  });
  (valid ? process.stdout : process.stderr).write(`${text}\n`);
  if (dumps && valid) process.stdout.write(`${dump}\n`);
  if (!valid || loaded === undefined) return { exitCode: valid ? 0 : 1 };
  if (loaded.preload !== undefined) {
    const { tryPreload } = await import('../server/server.js');
    const reason = await tryPreload(loaded, engine);
    if (reason !== undefined) {
      process.stderr.write(`preload ${loaded.preload}: each state would fail: ${reason}\n`);
      return { exitCode: 1 };
    }
  }
  if (loaded.preloadScripts.length > 0) {
    const { tryScripts } = await import('../server/server.js');
    const { isWell, lines } = await tryScripts(loaded, engine);
    (isWell ? process.stdout : process.stderr).write(`${lines.join('\n')}\n`);
    if (!isWell) return { exitCode: 1 };
  }
  if (!connects) return { exitCode: 0 };
  const { connectAll } = await import('./connect.js');
  const { isWell, lines } = await connectAll(loaded, process.env);
  (isWell ? process.stdout : process.stderr).write(`${lines.join('\n')}\n`);
  return { exitCode: isWell ? 0 : 1 };
}
