/** Grants of the embedded engine while directories and links are renamed: attacks F7. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tempDir } from '../../support/cleanup.js';
import { newState } from '../support.js';
import { grantedFiles } from './granted.js';

/**
 * A state that may read `area/pub` and write all of `area`, with a directory that it may not read and a link that
 * somebody has left there. Its script lies in `area/app`, and `area/root` is a root.
 */
function newArea(t: TestContext) {
  const dir = tempDir(t);
  for (const folder of ['etc', 'area', 'area/pub', 'area/private', 'area/app', 'area/root', 'area/deep']) {
    mkdirSync(join(dir, folder));
  }
  for (const folder of ['area/deep/grant', 'area/deep/free']) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, 'etc/passwd'), 'SECRET');
  writeFileSync(join(dir, 'area/private/hidden'), 'HIDDEN');
  writeFileSync(join(dir, 'area/pub/open'), 'open');
  symlinkSync(join(dir, 'etc'), join(dir, 'area/etclink'));
  symlinkSync(join(dir, 'area/root'), join(dir, 'area/current'));
  const grants = { read: [join(dir, 'area/pub'), join(dir, 'area/deep/grant')], write: [join(dir, 'area')] };
  const files = grantedFiles(grants, join(dir, 'area/app'), [join(dir, 'area/current')]);
  const made = newState({ files, directory: join(dir, 'area/app') });
  made.run(`dir = ${JSON.stringify(`${dir}/area`)}
    function move(from, to) return tostring((os.rename(dir .. "/" .. from, dir .. "/" .. to))) end
    function remove(name) return tostring((os.remove(dir .. "/" .. name))) end
    function read(name) local f = io.open(dir .. "/" .. name) return f and f:read("*a") or "denied" end`);
  t.after(() => made.state.close());
  return { ...made, dir: join(dir, 'area') };
}

test('a script moves, replaces and removes no directory that decides what it may use (attacks F7)', (t) => {
  const { evaluate, dir } = newArea(t);
  for (const [from, to] of [
    ['pub', 'old'],
    ['deep', 'old'],
    ['deep/grant', 'old'],
    ['app', 'old'],
    ['root', 'old'],
    ['current', 'old'],
    ['private', 'deep/grant'],
    ['private', 'app'],
    ['etclink', 'pub'],
    ['etclink', 'app'],
    ['etclink', 'current'],
  ]) {
    assert.equal(evaluate(`move("${from}", "${to}")`), 'nil', `${from} to ${to}`);
  }
  for (const name of ['deep/grant', 'app', 'root', 'current']) {
    assert.equal(evaluate(`remove("${name}")`), 'nil', name);
    assert.equal(existsSync(join(dir, name)), true, name);
  }
  assert.equal(evaluate('read("pub/open")'), 'open');
  // All else in the area is the script's.
  assert.equal(evaluate('move("private", "other") .. move("etclink", "link") .. remove("deep/free")'), 'truetruetrue');
});

test('what was write-only, or lies behind a link, is not read by giving it the name of a grant (attacks F7)', (t) => {
  const { evaluate } = newArea(t);
  assert.equal(evaluate('move("pub", "old") .. move("private", "pub") .. read("pub/hidden")'), 'nilnildenied');
  assert.equal(evaluate('move("etclink", "pub") .. read("pub/passwd")'), 'nildenied');
});

test('a grant stays with its directory when others rename it, and its name is worth nothing (attacks F7)', (t) => {
  const { evaluate, dir } = newArea(t);
  renameSync(join(dir, 'pub'), join(dir, 'moved'));
  renameSync(join(dir, 'private'), join(dir, 'pub'));
  assert.equal(evaluate('read("pub/hidden")'), 'denied');
  assert.equal(evaluate('read("moved/open")'), 'open');
  renameSync(join(dir, 'pub'), join(dir, 'private'));
  symlinkSync(join(dir, '../etc'), join(dir, 'pub'));
  assert.equal(evaluate('read("pub/passwd")'), 'denied');
  assert.equal(evaluate(`tostring(loadfile(dir .. "/pub/passwd"))`), 'nil');
  assert.equal(readFileSync(join(dir, 'pub/passwd'), 'utf8'), 'SECRET');
});
