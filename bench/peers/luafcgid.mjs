/** The server of this checkout, started with a configuration made for the benchmark. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram } from './processes.mjs';

const PROGRAM = fileURLToPath(new URL('../../bin/luafcgid', import.meta.url));

/**
 * @param {string} folder for its socket and configuration
 * @param {string} name
 * @param {string} settings lines of configuration
 * @param {readonly string[]} [nodeOptions]
 */
export async function startLuafcgid(folder, name, settings, nodeOptions = []) {
  const address = join(folder, `${name}.sock`);
  const config = join(folder, `${name}.config.lua`);
  writeFileSync(config, `listen = ${JSON.stringify(address)}\nloglevel = "warn"\n${settings}\n`);
  const running = await startProgram(process.execPath, [...nodeOptions, PROGRAM, config], address);
  return { ...running, address };
}
