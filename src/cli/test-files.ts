/** The test files of an application. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LuafcgidError } from '../base/errors.js';

const TEST_NAME = /_test\.lua$/;

/**
 * All files below a folder whose name ends with `_test.lua`, sorted; hidden folders and `node_modules` are left out.
 * @throws LuafcgidError `LUAFCGID_TEST_FILES` when there is none, or the folder cannot be read
 */
export function findTestFiles(folder: string): string[] {
  const found: string[] = [];
  const look = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) look(path);
      else if (TEST_NAME.test(entry.name)) found.push(path);
    }
  };
  try {
    look(folder);
  } catch (error) {
    throw new LuafcgidError('LUAFCGID_TEST_FILES', { folder, reason: (error as Error).message }, error);
  }
  if (found.length === 0) throw new LuafcgidError('LUAFCGID_TEST_FILES', { folder, reason: 'there is none' });
  return found.sort();
}
