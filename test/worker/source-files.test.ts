/** Which Lua files may be loaded, and what is noted of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../src/errors.js';
import { LuaError } from '../../src/lua/state.js';
import { describeFailure } from '../../src/worker/error-detail.js';
import { readSource, SourceRules } from '../../src/worker/source-files.js';
import { tempDir } from '../support/cleanup.js';

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

describe('a source file', () => {
  it('is read with a fingerprint that differs for each version, whatever the clock says', (t) => {
    const file = join(tempDir(t), latin1('a.lua'));
    const seen = new Set<string>();
    for (const [content, time] of [
      ['one', 1_000_000],
      ['two', 1_000_000],
      ['two', 999_999],
      ['longer', 999_999],
    ] as const) {
      // A new inode, as editors and deployments make it.
      writeFileSync(`${file}.new`, content);
      utimesSync(`${file}.new`, time, time);
      renameSync(`${file}.new`, file);
      const { bytes, fingerprint } = readSource(file);
      assert.equal(Buffer.from(bytes).toString(), content);
      assert.equal(readSource(file).fingerprint, fingerprint);
      seen.add(fingerprint);
    }
    assert.ok(seen.size >= 3, [...seen].join());
  });

  it('written again at once, with the same size and time, has another fingerprint', (t) => {
    const file = join(tempDir(t), 'a.lua');
    writeFileSync(file, 'return 1');
    const first = readSource(file).fingerprint;
    writeFileSync(file, 'return 2');
    assert.notEqual(readSource(file).fingerprint, first);
  });

  it('may have any name', (t) => {
    const file = join(tempDir(t), 'grüße €.lua');
    writeFileSync(file, 'x');
    assert.equal(Buffer.from(readSource(latin1(file)).bytes).toString(), 'x');
  });

  it('is regular: neither a directory nor a named pipe is waited for', (t) => {
    const dir = tempDir(t);
    assert.equal(spawnSync('mkfifo', [join(dir, 'pipe')]).status, 0);
    for (const path of [dir, join(dir, 'pipe'), '/dev/null']) assert.throws(() => readSource(path), { code: 'EISDIR' });
    assert.throws(() => readSource(join(dir, 'missing')), { code: 'ENOENT' });
  });
});

describe('a script may load', () => {
  it('what lies beside or below it, and on the module path', () => {
    const rules = new SourceRules(['/usr/share/lua/?.lua', '/opt/lib/?/init.lua'], []);
    for (const [path, allowed] of [
      ['/srv/app/module.lua', true],
      ['/srv/app/deep/er/module.lua', true],
      ['/srv/app/../app/module.lua', true],
      ['/usr/share/lua/json.lua', true],
      ['/opt/lib/json/init.lua', true],
      ['/srv/application/module.lua', false],
      ['/srv/app/../other/module.lua', false],
      ['/srv/app', false],
      ['/etc/passwd', false],
      ['/usr/share/luafcgid/x.lua', false],
    ] as const) {
      assert.equal(rules.allows(path, '/srv/app'), allowed, path);
    }
  });

  it('nothing that a link leads to outside of the roots', (t) => {
    const dir = tempDir(t);
    for (const folder of ['root', 'outside']) mkdirSync(join(dir, folder));
    writeFileSync(join(dir, 'outside/secret.lua'), '');
    writeFileSync(join(dir, 'root/own.lua'), '');
    symlinkSync(join(dir, 'outside/secret.lua'), join(dir, 'root/link.lua'));
    symlinkSync(join(dir, 'root/own.lua'), join(dir, 'root/good.lua'));
    const rules = new SourceRules([], [join(dir, 'root')]);
    const may = (name: string): boolean => rules.allows(join(dir, name), join(dir, 'root'));
    assert.deepEqual(['root/own.lua', 'root/good.lua', 'root/link.lua', 'outside/secret.lua'].map(may), [
      true,
      true,
      false,
      false,
    ]);
  });
});

describe('what is said of a failure', () => {
  it('shows the lines around the fault, where they may be seen', (t) => {
    const file = join(tempDir(t), 'a.lua');
    writeFileSync(file, Array.from({ length: 20 }, (_, n) => `line ${n + 1}`).join('\n'));
    const error = new LuaError('runtime', `${file}:3: oops`, 'stack traceback:\n\t...');
    const { status, logText, detail } = describeFailure(error, () => true);
    assert.equal(status, 500);
    assert.ok(logText.startsWith(`LUAFCGID_SCRIPT_FAILED: ${file}:3: oops\nstack traceback`));
    assert.deepEqual(
      detail.source?.lines.map(({ number, isFault }) => (isFault ? -number : number)),
      [1, 2, -3, 4, 5, 6, 7, 8],
    );
    assert.equal(describeFailure(error, () => false).detail.source, undefined);
    for (const message of ['no place', `${file}:99: beyond`, '/missing.lua:1: x', `${file}: no number`, ':1: x']) {
      const { source } = describeFailure(new LuaError('runtime', message), () => true).detail;
      assert.ok(source === undefined || source.lines.every(({ isFault }) => !isFault), message);
    }
  });

  it('has the code, status and remedy of an error that the server raised', () => {
    const error = new LuafcgidError('LUAFCGID_REQUEST_BODY_TOO_LARGE', { limit: 5 });
    for (const each of [error, new LuaError('runtime', 'x.lua:1: request body of more than 5 bytes', '', error)]) {
      const { status, logText, detail } = describeFailure(each, () => false);
      assert.equal(status, 413);
      assert.ok(logText.startsWith('LUAFCGID_REQUEST_BODY_TOO_LARGE: '));
      assert.ok(detail.message.endsWith(error.solve));
    }
  });

  it('calls everything else a bug, with all that is known', () => {
    for (const error of [new TypeError('x is not a function'), 'text', undefined, null, 5]) {
      const { status, logText } = describeFailure(error, () => true);
      assert.equal(status, 500);
      assert.match(logText, /^LUAFCGID_BUG: /);
    }
  });
});
