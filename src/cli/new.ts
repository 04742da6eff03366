/** Making a new application: `luafcgid new`. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LuafcgidError } from '../base/errors.js';
import type { Outcome } from './prepare.js';

/** The package's folder with the files of a new application. */
const SKELETON = fileURLToPath(new URL('../../../skeleton/', import.meta.url));
/** It stands in paths, addresses and Lua comments, so it is one plain word. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/i;

/**
 * `luafcgid new DIRECTORY`: a small application with a page, its template, a test, and its web server's lines.
 * @throws LuafcgidError `LUAFCGID_NEW_NAME` or `LUAFCGID_NEW_FOLDER`, and nothing is changed
 */
export function makeApplication(directory: string): Outcome {
  const folder = resolve(directory);
  const name = basename(folder);
  if (!NAME.test(name)) throw new LuafcgidError('LUAFCGID_NEW_NAME', { name });
  const failed = (reason: string, error?: unknown) =>
    new LuafcgidError('LUAFCGID_NEW_FOLDER', { folder, reason }, error);
  try {
    mkdirSync(folder, { recursive: true });
    if (readdirSync(folder).length > 0) throw failed('there are files in it');
    for (const entry of readdirSync(SKELETON, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const source = join(entry.parentPath ?? entry.path, entry.name);
      const file = join(folder, relative(SKELETON, source));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, readFileSync(source, 'utf8').replaceAll('{{name}}', name), { flag: 'wx' });
    }
  } catch (error) {
    throw error instanceof LuafcgidError ? error : failed((error as Error).message, error);
  }
  process.stdout.write(
    `${directory} has a first page, its template and its tests:\n` +
      `  cd ${directory}\n` +
      '  luafcgid serve public --config config.lua   shows the page, and each edit of it\n' +
      '  luafcgid test                               runs the tests\n',
  );
  return { exitCode: 0 };
}
