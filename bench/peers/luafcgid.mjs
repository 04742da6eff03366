/** luafcgid, of this checkout or another one, started with a configuration made for the benchmark. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { split } from './peer.mjs';
import { startProgram } from './processes.mjs';

const PROGRAM = fileURLToPath(new URL('../../bin/luafcgid', import.meta.url));

/**
 * @typedef {object} OwnServer one luafcgid that is measured
 * @property {string} name
 * @property {string} program its `bin/luafcgid`
 * @property {string} settings lines of configuration
 */

/**
 * The servers that the options ask for: one for each engine, or one as it is; and one for each further name. A name
 * that stands for a checkout and for settings is one server with both.
 * @param {{settings: string, engines: readonly string[], variants: readonly string[], checkouts: readonly string[]}} wanted
 * @returns {OwnServer[]}
 */
export function ownServers({ settings, engines, variants, checkouts }) {
  const first = engines.length === 0 ? [['luafcgid', '']] : engines.map((name) => [name, engineLine(name)]);
  const lines = [...first, ...variants.map((text) => split(text, '--variant NAME=LUA'))];
  const programs = new Map(checkouts.map(checkoutProgram));
  const names = [...new Set([...lines.map(([name]) => name), ...programs.keys()])];
  return names.map((name) => ({
    name,
    program: programs.get(name) ?? PROGRAM,
    settings: [settings, ...lines.filter(([of]) => of === name).map(([, text]) => text)].join('\n'),
  }));
}

const engineLine = (/** @type {string} */ name) => `engine = ${JSON.stringify(name)}`;

/** @param {string} text @returns {[name: string, program: string]} */
function checkoutProgram(text) {
  const [name, path] = split(text, '--checkout NAME=PATH');
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const program = resolve(isFolder ? join(path, 'bin/luafcgid') : path);
  if (!existsSync(program)) throw new Error(`no server in the checkout ${path}: ${program} is not there`);
  return [name, program];
}

let started = 0;

/**
 * @param {string} folder for its socket and configuration
 * @param {OwnServer} server
 * @param {string} settings lines of configuration that come before its own
 */
export async function startLuafcgid(folder, server, settings) {
  // Names are free text, which a socket's path behind nginx cannot be.
  started += 1;
  const address = join(folder, `luafcgid-${started}.sock`);
  const config = join(folder, `luafcgid-${started}.config.lua`);
  const lines = [`listen = ${JSON.stringify(address)}`, 'loglevel = "warn"', settings, server.settings];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const running = await startProgram(process.execPath, [server.program, config], address);
  return { ...running, address };
}
