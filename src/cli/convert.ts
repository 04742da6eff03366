/** `luafcgid convert`: a configuration of another server as one of this. */

import { resolve } from 'node:path';
import { version } from '../base/version.js';
import { convertLuafcgid2 } from '../config/load.js';
import { createEngine, prepareEngine } from '../lua/engine.js';
import type { Outcome } from './prepare.js';

/** Prints what a configuration of luafcgid2 is here. @throws LuafcgidError when it cannot be read */
export function convertFile(file: string): Outcome {
  process.stdout.write(convertLuafcgid2(resolve(file), createEngine(prepareEngine(version))));
  return { exitCode: 0 };
}
