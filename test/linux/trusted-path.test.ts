/** How root opens what a configuration names, where other users may have been before: attacks F8. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { holdPlace, openTrusted, UntrustedPath } from '../../src/linux/trusted-path.js';
import { tempDir } from '../support/cleanup.js';

const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const STRANGER = 12_345;
const OTHER = 12_346;
const isRoot = process.geteuid?.() === 0;

/** A file of root that nobody else may read, a folder of root, and one of a stranger. */
function places(t: TestContext): { secret: string; own: string; theirs: string } {
  const dir = tempDir(t);
  chmodSync(dir, 0o755);
  const [own, theirs] = [join(dir, 'own'), join(dir, 'theirs')];
  for (const folder of [own, theirs, join(own, 'private')]) mkdirSync(folder, { mode: 0o755 });
  const secret = join(own, 'private/keys');
  writeFileSync(secret, 'keys\n', { mode: 0o600 });
  chownSync(theirs, STRANGER, STRANGER);
  return { secret, own, theirs };
}

function append(path: string, owner?: number): boolean {
  const { fd, isTrusted } = openTrusted(path, FLAGS, 0o640, owner);
  writeSync(fd, 'line\n');
  closeSync(fd);
  return isTrusted;
}

if (isRoot) {
  describe('root opens a file in a folder of another user (attacks F8)', () => {
    it('not through a link, be it the file or a folder on the way', (t) => {
      const { secret, own, theirs } = places(t);
      symlinkSync(secret, join(theirs, 'log'));
      symlinkSync(join(own, 'private'), join(theirs, 'folder'));
      mkdirSync(join(theirs, 'mine'));
      symlinkSync(secret, join(theirs, 'mine/log'));
      for (const name of ['log', 'folder/keys', 'folder/new', 'mine/log']) {
        assert.throws(() => append(join(theirs, name)), UntrustedPath, name);
        assert.throws(() => append(join(theirs, name), STRANGER), /leads over a link in a folder/, name);
      }
      assert.equal(readFileSync(secret, 'utf8'), 'keys\n');
    });

    it('not if it has another name elsewhere, or belongs to a third user', (t) => {
      const { secret, theirs } = places(t);
      linkSync(secret, join(theirs, 'log'));
      assert.throws(() => append(join(theirs, 'log'), STRANGER), /it has 2 names/);
      writeFileSync(join(theirs, 'third'), '');
      chownSync(join(theirs, 'third'), OTHER, OTHER);
      assert.throws(() => append(join(theirs, 'third'), STRANGER), /it belongs to user 12346/);
      assert.equal(append(join(theirs, 'third'), OTHER), false);
      assert.equal(readFileSync(secret, 'utf8'), 'keys\n');
    });

    it('if it is new, or a plain one of root or of the owner of the folder', (t) => {
      const { theirs } = places(t);
      writeFileSync(join(theirs, 'theirs'), '');
      chownSync(join(theirs, 'theirs'), STRANGER, STRANGER);
      for (const name of ['new', 'new', 'theirs']) assert.equal(append(join(theirs, name)), false);
      assert.equal(readFileSync(join(theirs, 'new'), 'utf8'), 'line\nline\n');
    });
  });

  describe('root opens a file in a folder of its own', () => {
    it('through links that root has put there', (t) => {
      const { secret, own } = places(t);
      symlinkSync('private', join(own, 'short'));
      symlinkSync(join(own, 'short/keys'), join(own, 'log'));
      symlinkSync('../own/private/../log', join(own, 'round'));
      assert.equal(append(join(own, 'round')), true);
      assert.equal(readFileSync(secret, 'utf8'), 'keys\nline\n');
    });

    it('not through one that leads on over a link of another user', (t) => {
      const { secret, own, theirs } = places(t);
      symlinkSync(secret, join(theirs, 'log'));
      lchownSync(join(theirs, 'log'), STRANGER, STRANGER);
      symlinkSync(join(theirs, 'log'), join(own, 'log'));
      assert.throws(() => append(join(own, 'log')), UntrustedPath);
      assert.equal(readFileSync(secret, 'utf8'), 'keys\n');
    });

    it('that is a loop of links: with the error of the system', (t) => {
      const { own } = places(t);
      symlinkSync('loop', join(own, 'loop'));
      assert.throws(() => append(join(own, 'loop')), { code: 'ELOOP' });
    });

    it('that stands for one of its descriptors, as /dev/stdout does', (t) => {
      const { own } = places(t);
      const fd = openSync(join(own, 'gone'), 'w+');
      t.after(() => closeSync(fd));
      unlinkSync(join(own, 'gone'));
      assert.equal(append(`/proc/self/fd/${fd}`), true);
      assert.equal(readFileSync(`/proc/self/fd/${fd}`, 'utf8'), 'line\n');
    });
  });

  it('a place that is held stays in its folder when a link takes the name of the folder (attacks F8)', (t) => {
    const { secret, theirs } = places(t);
    assert.throws(() => holdPlace(join(theirs, 'none/file')), { code: 'ENOENT' });
    const place = holdPlace(join(theirs, 'file'));
    t.after(() => place.close());
    writeFileSync(place.path, 'held');
    assert.equal(readFileSync(join(theirs, 'file'), 'utf8'), 'held');
    assert.equal(readFileSync(secret, 'utf8'), 'keys\n');
  });
}

it('who is not root opens paths as they are', (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('file', join(dir, 'link'));
  t.mock.method(process as unknown as { geteuid(): number }, 'geteuid', () => 1000);
  assert.equal(append(join(dir, 'link')), true);
  assert.equal(holdPlace(join(dir, 'link')).path, join(dir, 'link'));
  assert.equal(readFileSync(join(dir, 'file'), 'utf8'), 'line\n');
});
