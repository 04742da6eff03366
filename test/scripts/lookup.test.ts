import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { withFileMode } from '../../src/front/io/socket-file.js';
import { clearStaleSocket } from '../../src/front/io/stale-socket.js';
import { ScriptLookup } from '../../src/scripts/lookup.js';
import { LookUps } from '../../src/scripts/path-cache.js';
import { tempDir } from '../support/cleanup.js';

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** A folder with a script in `root`, one outside, and links between them. */
function setUp(t: TestContext): string {
  const dir = tempDir(t);
  for (const folder of ['root', 'root/folder', 'other']) mkdirSync(join(dir, folder));
  for (const file of ['root/a.lua', 'other/b.lua', 'root/grüße.lua']) writeFileSync(join(dir, file), '');
  symlinkSync(join(dir, 'root/a.lua'), join(dir, 'root/link.lua'));
  symlinkSync(join(dir, 'other/b.lua'), join(dir, 'root/out.lua'));
  symlinkSync(join(dir, 'root/loop.lua'), join(dir, 'root/loop.lua'));
  symlinkSync(join(dir, 'root'), join(dir, 'alias'));
  return dir;
}

describe('a script', () => {
  it('is one file however it is named', async (t) => {
    const dir = setUp(t);
    const lookup = new ScriptLookup([]);
    for (const name of ['root/a.lua', 'root/link.lua', 'alias/a.lua', 'root/folder/../a.lua', 'root//./a.lua']) {
      assert.equal(await lookup.find(`${dir}/${name}`), join(dir, 'root/a.lua'));
    }
  });

  it('may have any name', async (t) => {
    const dir = setUp(t);
    const path = latin1(join(dir, 'root/grüße.lua'));
    assert.equal(await new ScriptLookup([]).find(path), path);
  });

  for (const [name, code, status] of [
    ['root/missing.lua', 'LUAFCGID_SCRIPT_NOT_FOUND', 404],
    ['root/a.lua/more', 'LUAFCGID_SCRIPT_NOT_FOUND', 404],
    [`root/${'x'.repeat(300)}`, 'LUAFCGID_SCRIPT_NOT_FOUND', 404],
    ['root/loop.lua', 'LUAFCGID_SCRIPT_NOT_FOUND', 404],
    ['root/folder', 'LUAFCGID_SCRIPT_NOT_A_FILE', 404],
    ['other/b.lua', 'LUAFCGID_SCRIPT_OUTSIDE_ROOT', 403],
    ['root/out.lua', 'LUAFCGID_SCRIPT_OUTSIDE_ROOT', 403],
    ['root/../other/b.lua', 'LUAFCGID_SCRIPT_OUTSIDE_ROOT', 403],
  ] as const) {
    it(`is refused with ${status}: ${name.slice(0, 30)}`, async (t) => {
      const dir = setUp(t);
      await assert.rejects(new ScriptLookup([join(dir, 'root')]).find(`${dir}/${name}`), { code, status });
    });
  }

  it('has one of the extensions, whatever the links to it are called', async (t) => {
    const dir = setUp(t);
    for (const name of ['photo.jpg', 'x.LUA', '.lua', 'a.lua.bak', 'lua']) writeFileSync(join(dir, 'root', name), '');
    symlinkSync(join(dir, 'root/photo.jpg'), join(dir, 'root/photo.lua'));
    symlinkSync(join(dir, 'root/a.lua'), join(dir, 'root/a.html'));
    const lookup = new ScriptLookup([join(dir, 'root')], ['.lua', '.lp']);
    for (const name of ['photo.jpg', 'photo.lua', 'x.LUA', '.lua', 'a.lua.bak', 'lua']) {
      const refusal = { code: 'LUAFCGID_SCRIPT_EXTENSION', status: 403 };
      await assert.rejects(lookup.find(join(dir, 'root', name)), refusal, name);
    }
    for (const name of ['a.lua', 'a.html']) {
      assert.equal(await lookup.find(join(dir, 'root', name)), join(dir, 'root/a.lua'));
    }
    for (const name of ['a.lua/', 'a.lua/.', 'missing.jpg']) {
      await assert.rejects(lookup.find(`${dir}/root/${name}`), { code: 'LUAFCGID_SCRIPT_NOT_FOUND' }, name);
    }
  });

  it('lies in one of the roots, also where a root is a link or ends like another folder begins', async (t) => {
    const dir = setUp(t);
    mkdirSync(join(dir, 'rooted'));
    writeFileSync(join(dir, 'rooted/c.lua'), '');
    const lookup = new ScriptLookup([join(dir, 'missing'), join(dir, 'alias')]);
    assert.equal(await lookup.find(join(dir, 'root/a.lua')), join(dir, 'root/a.lua'));
    await assert.rejects(lookup.find(join(dir, 'rooted/c.lua')), { code: 'LUAFCGID_SCRIPT_OUTSIDE_ROOT' });
    assert.equal(await new ScriptLookup(['/']).find(join(dir, 'rooted/c.lua')), join(dir, 'rooted/c.lua'));
  });
});

describe('found scripts', () => {
  it('are remembered, forgotten, and the oldest given up when there are too many', () => {
    const moved: string[] = [];
    const lookUps = new LookUps((path) => moved.push(path));
    lookUps.remember('/a', '/real/a');
    assert.equal(lookUps.find('/a'), '/real/a');
    lookUps.remember('/a', '/real/b');
    assert.deepEqual(lookUps.entries(), [['/a', '/real/b']]);
    for (let n = 0; n < 10_000; n++) lookUps.remember(`/${n}`, '/x');
    assert.equal(lookUps.find('/a'), undefined);
    assert.equal(lookUps.entries().length, 10_000);
    lookUps.forget('/5');
    assert.equal(lookUps.find('/5'), undefined);
  });
});

describe('the place of a Unix socket', () => {
  function listen(t: TestContext, path: string, mode?: number): Promise<net.Server> {
    const server = net.createServer();
    t.after(() => {
      server.close();
    });
    return new Promise((resolve) => {
      withFileMode(mode, () => server.listen(path));
      server.once('listening', () => resolve(server));
    });
  }

  it('is free when there is nothing, and after a server that left its socket behind', async (t) => {
    const path = join(tempDir(t), 's');
    await clearStaleSocket(path);
    const left = await listen(t, path);
    // As a crash leaves it: the name stays, nobody listens. A second name keeps the file when Node removes the first.
    linkSync(path, `${path}.kept`);
    await new Promise((resolve) => left.close(resolve));
    renameSync(`${path}.kept`, path);
    await clearStaleSocket(path);
    assert.equal(existsSync(path), false);
  });

  it('is not taken from a server that answers, nor from a file', async (t) => {
    const dir = tempDir(t);
    await listen(t, join(dir, 's'));
    await assert.rejects(clearStaleSocket(join(dir, 's')), { code: 'LUAFCGID_LISTEN_IN_USE' });
    writeFileSync(join(dir, 'file'), 'precious');
    await assert.rejects(clearStaleSocket(join(dir, 'file')), { code: 'LUAFCGID_LISTEN_NOT_A_SOCKET' });
  });

  it('has its mode from the beginning, and the process its own afterwards', async (t) => {
    const before = process.umask();
    for (const mode of [0o600, 0o660, 0o666]) {
      const path = join(tempDir(t), 's');
      await listen(t, path, mode);
      assert.equal(statSync(path).mode & 0o777, mode);
      assert.equal(process.umask(), before);
    }
    assert.throws(() => withFileMode(0o600, () => assert.fail('bind')));
    assert.equal(process.umask(), before);
  });
});
