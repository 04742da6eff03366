import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { UploadFile } from '../../src/worker/upload-file.js';

it('an uploaded file has no name, keeps what it is given, and tells why it cannot', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lfd-'));
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(folder, { recursive: true, force: true });
  });
  const file = new UploadFile();
  assert.deepEqual(readdirSync(folder), []);
  assert.equal(file.write(Buffer.from('one')), 0);
  assert.equal(file.write(Buffer.from('two')), 3);
  assert.equal(Buffer.from(file.read(2, 3)).toString(), 'etw');
  assert.equal(file.read(6, 10).length, 0);
  assert.equal(file.read(99, 10).length, 0);
  file.close();
  rmSync(folder, { recursive: true });
  assert.throws(() => new UploadFile(), { code: 'LUAFCGID_UPLOAD_FAILED', status: 503 });
});
