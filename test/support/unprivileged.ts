/** A server that is held to the permissions of files: root is not, and continuous integration often runs as root. */
import assert from 'node:assert/strict';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './web-server.js';

/**
 * What to run a program under so that permissions count for it. Nothing where they count already; otherwise `setpriv`
 * takes away root's right to pass over them, and leaves it the files it owns.
 */
export function asMereUser(): readonly string[] {
  if (permissionsCount()) return [];
  const setpriv = findProgram('setpriv');
  assert.ok(setpriv, 'setpriv is not installed: install it (Debian: apt-get install util-linux)');
  return [setpriv, '--inh-caps=-all', '--bounding-set=-all'];
}

function permissionsCount(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'lfd-'));
  const file = join(dir, 'locked');
  try {
    writeFileSync(file, '', { mode: 0 });
    accessSync(file, constants.R_OK);
    return false;
  } catch {
    return true;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
