/** Checking a configuration. */

import { version } from '../base/version.js';
import { checkConfig } from '../config/load.js';
import { createEngine, prepareEngine } from '../lua/engine.js';
import { engineOf, type Outcome } from './prepare.js';

/** `luafcgid check FILE` */
export function checkFile(file: string): Outcome {
  const embedded = prepareEngine(version);
  const { valid, text } = checkConfig(file, createEngine(embedded), {}, (config) => void engineOf(config, embedded));
  (valid ? process.stdout : process.stderr).write(`${text}\n`);
  return { exitCode: valid ? 0 : 1 };
}
