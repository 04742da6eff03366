import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type LockFile, PidFile, systemLock } from '../../src/process/pid-file.js';
import { tempDir } from '../support/cleanup.js';

const locks: readonly (readonly [string, LockFile])[] = [
  ['the lock of this system', await systemLock()],
  ['no lock', undefined],
];

const running = { message: /process \d+/, code: 'LUAFCGID_SERVICE_RUNNING' } as const;

for (const [name, lock] of locks) {
  describe(`a pid file, with ${name}`, () => {
    const place = (t: TestContext): string => join(tempDir(t), 'a.pid');

    it('appears when it is written, with the number and for all to read, and goes at the end', (t) => {
      const former = process.umask(0o077);
      t.after(() => void process.umask(former));
      const path = place(t);
      const file = new PidFile(path, lock);
      assert.equal(existsSync(path), false);
      file.write();
      assert.equal(readFileSync(path, 'latin1'), `${process.pid}\n`);
      assert.equal(statSync(path).mode & 0o777, 0o644);
      assert.deepEqual(readdirSync(join(path, '..')), ['a.pid']);
      file.remove();
      assert.deepEqual(readdirSync(join(path, '..')), []);
      file.remove();
    });

    it('replaces one that was left behind', (t) => {
      const path = place(t);
      // The highest number that a process can have, and one more.
      for (const left of ['4194305\n', '', '  \n', `${process.pid}\n`]) {
        writeFileSync(path, left);
        const file = new PidFile(path, lock);
        file.write();
        assert.equal(readFileSync(path, 'latin1'), `${process.pid}\n`);
        file.remove();
      }
    });

    it('that is something else is left alone', (t) => {
      const path = place(t);
      const code = 'LUAFCGID_SERVICE_PIDFILE';
      writeFileSync(path, 'precious text');
      assert.throws(() => new PidFile(path, lock), { code });
      assert.equal(readFileSync(path, 'latin1'), 'precious text');
      assert.throws(() => new PidFile(join(path, '..'), lock), { code });
      symlinkSync(path, `${path}.link`);
      assert.throws(() => new PidFile(`${path}.link`, lock), { code });
      assert.throws(() => new PidFile(join(path, '../none/a.pid'), lock).write(), { code, message: /ENOENT/ });
    });

    it('of somebody else that has come into its place stays', (t) => {
      const path = place(t);
      const file = new PidFile(path, lock);
      file.write();
      writeFileSync(`${path}.new`, '1\n');
      renameSync(`${path}.new`, path);
      file.remove();
      assert.equal(readFileSync(path, 'latin1'), '1\n');
    });
  });
}

describe('a pid file of a server that runs', () => {
  it('is known by its lock, whatever number is in it', { skip: process.platform !== 'linux' }, (t) => {
    const lock = locks[0]?.[1];
    const path = join(tempDir(t), 'a.pid');
    const late = new PidFile(path, lock);
    const file = new PidFile(path, lock);
    file.write();
    assert.throws(() => new PidFile(path, lock), running);
    assert.throws(() => late.write(), running, 'also by who looked before it was there');
    assert.deepEqual(readdirSync(join(path, '..')), ['a.pid']);
    file.remove();
    late.write();
    late.remove();
  });

  it('is known by its number where there is no lock', (t) => {
    const path = join(tempDir(t), 'a.pid');
    writeFileSync(path, `${process.ppid}\n`);
    assert.throws(() => new PidFile(path, undefined), running);
  });
});
