/**
 * The package for npm, unpacked in an empty place beside the modules that the lock file has for it: it runs without the tools that it
 * was made with (users B4). No registry is asked: whether one answers is not what is tested.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Child } from '../support/child.js';
import { tempDir } from '../support/cleanup.js';
import { request, scriptParams } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import { ROOT } from '../support/server.js';
import { NODE_FIRST, type Packed, packForNpm, runToEnd } from './support/pack.js';

const MOST_BYTES = 2 * 1024 * 1024;
const HELLO = 'function main(env, con) con:type("text/plain") con:puts("hello, ", con:query().name or "you") end';

describe('the package for npm', () => {
  const dir = tempDir({ after });
  const prefix = join(dir, 'prefix');
  const work = join(dir, 'work');
  let packed: Packed;

  before(() => {
    mkdirSync(prefix);
    mkdirSync(work);
    packed = packForNpm(dir);
    install();
    writeFileSync(join(work, 'hello.lua'), HELLO);
  });

  /** What npm does with the package: its files, its command, and the modules that it needs. */
  function install(): void {
    const folder = join(prefix, 'node_modules/luafcgid');
    mkdirSync(folder, { recursive: true });
    runToEnd('tar', ['-xzf', packed.file, '-C', folder, '--strip-components=1', '--no-same-owner']);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    const needed = { ...manifest.dependencies, ...manifest.optionalDependencies };
    assert.deepEqual(needed, { ...packages[''].dependencies, ...packages[''].optionalDependencies });
    for (const [name, { dev }] of Object.entries<{ readonly dev?: boolean }>(packages)) {
      // Modules with native code have packages for each system, of which npm installs one.
      if (name === '' || dev === true || !existsSync(join(ROOT, name))) continue;
      cpSync(join(ROOT, name), join(prefix, name), { recursive: true });
    }
    mkdirSync(join(prefix, 'node_modules/.bin'), { recursive: true });
    symlinkSync(join('../luafcgid', manifest.bin.luafcgid), program);
    chmodSync(program, 0o755);
  }

  const program = join(prefix, 'node_modules/.bin/luafcgid');
  const luafcgid = (...args: string[]): string => runToEnd(program, args, work);
  /** Starts it, and stops it after the test. */
  const start = (t: { after(undo: () => Promise<void>): void }, ...args: string[]): Child => {
    const child = new Child({ name: 'luafcgid', command: program, args, cwd: work, env: NODE_FIRST });
    t.after(async () => {
      assert.deepEqual(await child.stop(), { code: 0, signal: null }, child.log);
    });
    return child;
  };

  it('has what runs and what one reads, and neither sources, tests nor maps', () => {
    const { names, size } = packed;
    const strange = names.filter((name) => /^(src|test|bench|scripts)\/|\.(map|ts|mjs)$|\.test\.|tsconfig/.test(name));
    assert.deepEqual(strange, []);
    assert.deepEqual(
      names.filter((name) => name.endsWith('.js')),
      [],
      'programs are bundled: single modules are not needed',
    );
    const wanted = [
      'bin/luafcgid',
      'dist/src/main.cjs',
      'dist/src/lua/embedded/booted.bin',
      'dist/src/lua/embedded/wasm/changed.wasm',
      'dist/src/lua/runtime/run.lua',
      'packaging/man/luafcgid.1',
      'packaging/systemd/luafcgid.service',
      'skeleton/config.lua',
      'examples/hello.lua',
      'docs/operating.md',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
    ];
    for (const name of wanted) assert.ok(names.includes(name), name);
    assert.ok(size < MOST_BYTES, `${size} bytes`);
  });

  it('says what it is, and where it comes from (users row 28)', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const { repository, bugs, homepage, keywords, license, engines } = manifest;
    const address = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
    assert.match(address, /^https:\/\/[^/]+\/[^/]+\/luafcgid$/);
    for (const url of [bugs, homepage]) assert.ok(url.startsWith(address), url);
    for (const word of ['lua', 'fastcgi', 'nginx']) assert.ok(keywords.includes(word), word);
    assert.deepEqual([license, engines.node], ['MIT', '>=20']);
  });

  it('has its version, and a command that offers help', () => {
    assert.equal(luafcgid('--version'), `luafcgid ${packed.version}\n`);
    assert.match(luafcgid('--help'), /luafcgid serve \[directory\]/);
  });

  it('says so where Node.js is too old', () => {
    const old = join(work, 'old.cjs');
    writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '18.20.4' })");
    const bin = join(prefix, 'node_modules/luafcgid/bin/luafcgid');
    const { status, stderr } = spawnSync(process.execPath, ['--require', old, bin, '--version'], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /^luafcgid: this is Node\.js 18\.20\.4, and luafcgid needs version 20 or newer\n/);
  });

  it('runs a script', () => {
    assert.match(luafcgid('run', 'hello.lua', '--query', 'name=Ada'), /\r?\n\r?\nhello, Ada$/);
  });

  it('makes an application, whose tests pass', () => {
    luafcgid('new', 'app');
    assert.match(luafcgid('test', 'app', '--config', 'app/config.lua'), /[1-9]\d* passed, 0 failed/);
    assert.match(luafcgid('check', 'app/config.lua'), /is valid/);
  });

  it('serves a folder over HTTP', async (t) => {
    const child = start(t, 'serve', '.', '--port', '0');
    const [, port] = await child.logged(/http:\/\/127\.0\.0\.1:(\d+)\//);
    const { status, text } = await fetchHttp({ port: Number(port), path: '/hello.lua?name=Ada' });
    assert.deepEqual([status, text.startsWith('hello, Ada')], [200, true]);
  });

  it('serves FastCGI, with the parts of it that are native code', async (t) => {
    const io = process.platform === 'linux' ? 'epoll' : 'node';
    const settings = `listen = "fcgi.sock" data = { main = "sqlite:app.db" } root = "." io = "${io}"`;
    writeFileSync(join(work, 'config.lua'), settings);
    writeFileSync(join(work, 'app.db'), '');
    assert.match(luafcgid('check', 'config.lua', '--connect'), /main.*sqlite/i);
    const child = start(t, 'config.lua');
    await child.logged(/ready/);
    const answer = await request({ socket: join(work, 'fcgi.sock'), params: scriptParams(join(work, 'hello.lua')) });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'hello, you']);
    assert.doesNotMatch(child.log, / (warn|error) .*LUAFCGID_(?!USER_ROOT)/);
  });
});
