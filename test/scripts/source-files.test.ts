/** Which Lua files may be loaded, and what is noted of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { LuafcgidError } from '../../src/base/errors.js';
import { LuaError } from '../../src/lua/state.js';
import { SOURCE_LIMIT_BYTES } from '../../src/scripts/fingerprint.js';
import { holdGrants, releaseGrants } from '../../src/scripts/held-directory.js';
import { readSource, SourceRules } from '../../src/scripts/source-files.js';
import { describeFailure } from '../../src/worker/error-detail.js';
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

  it('is read, old or new, while it is replaced as fast as can be', async (t) => {
    const file = join(tempDir(t), 'a.lua');
    writeFileSync(file, 'return 0');
    const replacer = new Worker(REPLACER, { eval: true, workerData: { file } });
    try {
      await once(replacer, 'message');
      const seen = new Set<string>();
      for (let reads = 0; reads < 5_000; reads += 1) {
        const { bytes } = readSource(file, (place) => assert.equal(place, file));
        seen.add(Buffer.from(bytes).toString());
      }
      assert.ok(seen.size > 1, 'nobody has replaced the file');
    } finally {
      await replacer.terminate();
    }
  });

  it('may have any name', (t) => {
    const file = join(tempDir(t), 'grüße €.lua');
    writeFileSync(file, 'x');
    assert.equal(Buffer.from(readSource(latin1(file)).bytes).toString(), 'x');
  });

  it('is not read when it is larger than 16 MiB, which is seen before (attacks F10)', (t) => {
    const file = join(tempDir(t), 'large.lua');
    writeFileSync(file, '-- small');
    truncateSync(file, SOURCE_LIMIT_BYTES);
    assert.equal(readSource(file).bytes.length, SOURCE_LIMIT_BYTES);
    // As sparse files are: to read a terabyte would take for ever, or all memory.
    for (const size of [SOURCE_LIMIT_BYTES + 1, 2 ** 40]) {
      truncateSync(file, size);
      assert.throws(() => readSource(file), { code: 'LUAFCGID_SCRIPT_TOO_LARGE', status: 500 });
    }
  });

  it('is read whole where its size says nothing, as that of files of the kernel', {
    skip: !existsSync('/proc/self/status'),
  }, () => {
    assert.match(Buffer.from(readSource('/proc/self/status').bytes).toString(), /^Name:.*\nVmSize:/s);
  });

  it('is regular: neither a directory nor a named pipe is waited for', (t) => {
    const dir = tempDir(t);
    assert.equal(spawnSync('mkfifo', [join(dir, 'pipe')]).status, 0);
    for (const path of [dir, join(dir, 'pipe'), '/dev/null']) assert.throws(() => readSource(path), { code: 'EISDIR' });
    assert.throws(() => readSource(join(dir, 'missing')), { code: 'ENOENT' });
  });
});

describe('a script may load', () => {
  it('what lies beside or below it, on the module path, and where that was granted', (t) => {
    const dir = tempDir(t);
    const files = ['app/m.lua', 'app/deep/er/m.lua', 'path/json.lua', 'init/json/init.lua', 'granted/m.lua'];
    const others = ['application/m.lua', 'other/m.lua', 'pathological/x.lua'];
    for (const file of [...files, ...others]) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), file);
    }
    const grants = holdGrants({ read: [`${dir}/granted`], write: [] });
    t.after(() => releaseGrants(grants));
    const rules = new SourceRules({
      templates: [`${dir}/path/?.lua`, `${dir}/init/?/init.lua`],
      roots: [],
      extensions: [],
      granted: grants.read,
    });
    for (const [path, allowed] of [
      ...files.map((file) => [file, true] as const),
      ['app/../app/m.lua', true],
      ...others.map((file) => [file, false] as const),
      ['app/../other/m.lua', false],
      ['app', false],
    ] as const) {
      assert.equal(rules.readFor(`${dir}/${path}`, `${dir}/app`, readSource) !== undefined, allowed, path);
    }
    assert.equal(rules.readFor('/etc/passwd', `${dir}/app`, readSource), undefined);
    assert.throws(() => rules.readFor(`${dir}/app/missing.lua`, `${dir}/app`, readSource), { code: 'ENOENT' });
  });

  it('nothing that a link leads to outside of the roots', (t) => {
    const { dir, rules } = rooted(t);
    const may = (name: string): boolean => rules.readFor(join(dir, name), join(dir, 'root'), readSource) !== undefined;
    assert.deepEqual(['root/own.lua', 'root/good.lua', 'root/link.lua', 'outside/secret.lua'].map(may), [
      true,
      true,
      false,
      false,
    ]);
  });

  it('nothing outside by going up from where a link leads', (t) => {
    const { dir, rules } = rooted(t);
    mkdirSync(join(dir, 'outside/deep'));
    symlinkSync(join(dir, 'outside/deep'), join(dir, 'root/down'));
    // The kernel takes this for outside/secret.lua; a look at the name alone, for root/secret.lua.
    const way = `${dir}/root/down/../secret.lua`;
    assert.equal(readFileSync(way, 'utf8'), 'secret');
    assert.throws(() => rules.readFor(way, join(dir, 'root'), readSource), { code: 'ENOENT' });
    writeFileSync(join(dir, 'root/secret.lua'), 'own');
    assert.equal(Buffer.from(rules.readFor(way, join(dir, 'root'), readSource)?.bytes ?? []).toString(), 'own');
  });
});

/** A root with links in and out, and the rules for it. */
function rooted(t: TestContext, extensions: readonly string[] = []) {
  const dir = tempDir(t);
  for (const folder of ['root', 'outside']) mkdirSync(join(dir, folder));
  writeFileSync(join(dir, 'outside/secret.lua'), 'secret');
  writeFileSync(join(dir, 'root/own.lua'), 'own');
  writeFileSync(join(dir, 'root/photo.jpg'), 'photo');
  symlinkSync(join(dir, 'outside/secret.lua'), join(dir, 'root/link.lua'));
  symlinkSync(join(dir, 'root/own.lua'), join(dir, 'root/good.lua'));
  symlinkSync(join(dir, 'root/photo.jpg'), join(dir, 'root/photo.lua'));
  return { dir, rules: new SourceRules({ templates: [], roots: [join(dir, 'root')], extensions }) };
}

describe('a script that was looked up', () => {
  it('is refused when another file has its name by the time it is loaded', (t) => {
    const { dir, rules } = rooted(t, ['.lua']);
    assert.equal(Buffer.from(rules.readScript(join(dir, 'root/own.lua'), readSource).bytes).toString(), 'own');
    const outside = { code: 'LUAFCGID_SCRIPT_OUTSIDE_ROOT', status: 403 };
    assert.throws(() => rules.readScript(join(dir, 'root/link.lua'), readSource), outside);
    assert.throws(() => rules.readScript(join(dir, 'root/photo.lua'), readSource), {
      code: 'LUAFCGID_SCRIPT_EXTENSION',
      status: 403,
    });
    // A folder on the way is switched.
    renameSync(join(dir, 'root'), join(dir, 'former'));
    mkdirSync(join(dir, 'root'));
    symlinkSync(join(dir, 'outside'), join(dir, 'root/app'));
    assert.throws(() => rules.readScript(join(dir, 'root/app/secret.lua'), readSource), outside);
  });

  it('is never read from outside while its folder is switched as fast as can be', async (t) => {
    const { dir, rules } = rooted(t);
    mkdirSync(join(dir, 'root/inside'));
    writeFileSync(join(dir, 'root/inside/secret.lua'), 'inside');
    symlinkSync(join(dir, 'root/inside'), join(dir, 'root/app'));
    const switcher = new Worker(SWITCHER, { eval: true, workerData: { dir } });
    try {
      await once(switcher, 'message');
      const seen = new Map<string, number>();
      for (let n = 0; n < 20_000; n += 1) {
        let outcome: string;
        try {
          outcome = Buffer.from(rules.readScript(join(dir, 'root/app/secret.lua'), readSource).bytes).toString();
        } catch (error) {
          outcome = (error as LuafcgidError).code;
        }
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
      }
      assert.deepEqual([...seen.keys()].sort(), ['LUAFCGID_SCRIPT_OUTSIDE_ROOT', 'inside']);
    } finally {
      await switcher.terminate();
    }
  });
});

const REPLACER = `
  const { renameSync, writeFileSync } = require('node:fs');
  const { parentPort, workerData: { file } } = require('node:worker_threads');
  parentPort.postMessage('begins');
  for (let at = 1; ; at += 1) {
    writeFileSync(file + '.new', 'return ' + at);
    renameSync(file + '.new', file);
  }`;

const SWITCHER = `
  const { renameSync, symlinkSync } = require('node:fs');
  const { parentPort, workerData: { dir } } = require('node:worker_threads');
  parentPort.postMessage('begins');
  for (;;) for (const target of ['/outside', '/root/inside']) {
    symlinkSync(dir + target, dir + '/root/next');
    renameSync(dir + '/root/next', dir + '/root/app');
  }`;

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

  it('shows a few lines, of bounded length, of a file of millions (attacks F10)', (t) => {
    const file = join(tempDir(t), 'lines.lua');
    const text = Buffer.alloc(SOURCE_LIMIT_BYTES, '\n');
    text.write('first');
    text.fill('x', 12_000_000, 12_100_000);
    writeFileSync(file, text);
    const number = 12_000_000 - 'first'.length + 1;
    const sourceAt = (line: number) =>
      describeFailure(new LuaError('runtime', `${file}:${line}: oops`), () => true).detail.source?.lines;
    assert.equal(sourceAt(1)?.[0]?.text, 'first');
    assert.deepEqual(sourceAt(number)?.[5], { number, text: `${'x'.repeat(1000)}...(+99000)`, isFault: true });
    assert.equal(sourceAt(number)?.length, 11);
    assert.deepEqual(sourceAt(1e15), []);
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
