/**
 * Data folders of databases: made once for a whole run of the tests, copied for each server. To make one takes seconds,
 * to copy it a fraction of one.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the templates of this run lie: the test command makes the folder, and removes it at the end. */
function templatesFolder(): string {
  const given = process.env.LUAFCGID_TEST_TEMPLATES;
  if (given !== undefined) return given;
  // A file that is run by itself keeps its own.
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'lfd-templates-'));
  // A database that runs as another user has to reach its own below.
  chmodSync(folder, 0o711);
  process.env.LUAFCGID_TEST_TEMPLATES = folder;
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Makes `target` a copy of the folder that `make` fills. `name` says what is in it: the same name is made once.
 * Owners and rights are those that `make` has given.
 */
export function copyTemplate(name: string, target: string, make: (folder: string) => void): void {
  const template = join(templatesFolder(), name);
  if (!existsSync(template)) {
    // Test files run beside each other: each that finds none makes its own, and the first that has finished is kept.
    const own = `${template}-${process.pid}`;
    mkdirSync(own);
    make(own);
    try {
      renameSync(own, template);
    } catch {
      rmSync(own, { recursive: true });
    }
  }
  execFileSync('cp', ['-a', '--sparse=always', template, target]);
}
