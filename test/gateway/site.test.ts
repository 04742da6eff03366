import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Site } from '../../src/gateway/site.js';
import { tempDir } from '../support/cleanup.js';

describe('a path in the document root', () => {
  const dir = tempDir({ after });
  let site: Site;
  before(async () => {
    const root = join(dir, 'r\u00f6\u00f6t');
    mkdirSync(join(root, 'folder/empty'), { recursive: true });
    mkdirSync(join(root, 'pages'));
    mkdirSync(join(root, 'folder.lua'));
    mkdirSync(join(root, '.hidden'));
    for (const name of [
      'index.lua',
      'app.lua',
      'style.css',
      'pages/index.html',
      'folder/index.html',
      'folder/index.lua',
    ])
      writeFileSync(join(root, name), '');
    writeFileSync(join(root, '.secret.lua'), '');
    writeFileSync(join(root, '.hidden/x.css'), '');
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from('b\xe4d.css', 'latin1')]), '');
    writeFileSync(join(root, 'a b&c.lua'), '');
    writeFileSync(join(dir, 'outside.lua'), '');
    writeFileSync(join(dir, 'outside.css'), '');
    symlinkSync('../outside.lua', join(root, 'link.lua'));
    symlinkSync('../outside.css', join(root, 'link.css'));
    symlinkSync('..', join(root, 'up'));
    symlinkSync('app.lua', join(root, 'alias.lua'));
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync('.hidden', join(root, 'open'));
    symlinkSync('.hidden/x.css', join(root, 'open.css'));
    symlinkSync('.secret.lua', join(root, 'open.lua'));
    for (const name of [
      'old.LUA',
      'app.lua~',
      'app.lua.bak',
      'app.lua.orig',
      '#app.lua#',
      'app.lua-2',
      'app.lua.txt',
      'a.luau',
    ])
      writeFileSync(join(root, name), '');
    symlinkSync('app.lua.bak', join(root, 'shown'));
    site = await Site.open(root);
  });

  const script = (scriptName: string, pathInfo = '') => ({ kind: 'script', scriptName, pathInfo });
  const refused = (status: number) => ({ kind: 'refused', status });
  const cases: readonly (readonly [path: string, place: object])[] = [
    ['/', script('/index.lua')],
    ['/app.lua', script('/app.lua')],
    ['/app.lua/', script('/app.lua', '/')],
    ['/app.lua/a/b', script('/app.lua', '/a/b')],
    ['/app.lua/a%2Fb/%00', refused(400)],
    ['/app.lua/%E4/', script('/app.lua', '/\xe4/')],
    ['//app.lua', script('/app.lua')],
    ['/./folder/../app.lua', script('/app.lua')],
    ['/alias.lua', script('/alias.lua')],
    ['/a%20b&c.lua', script('/a b&c.lua')],
    ['/folder/', script('/folder/index.lua')],
    ['/folder', { kind: 'redirect', path: '/folder/' }],
    ['//folder', { kind: 'redirect', path: '/folder/' }],
    ['/folder/.', script('/folder/index.lua')],
    ['/folder/empty/..', script('/folder/index.lua')],
    ['/folder/empty/', { kind: 'folder', path: '/folder/empty', files: [] }],
    ['/folder.lua/', { kind: 'folder', path: '/folder.lua', files: [] }],
    ['/nothing.lua', { ...refused(404), detail: 'There is no /nothing.lua here.' }],
    ['/nothing/', { ...refused(404), detail: 'There is no /nothing here.' }],
    ['/style.css/', refused(404)],
    ['/style.css/x', refused(404)],
    ['/..', refused(400)],
    ['/../outside.lua', refused(400)],
    ['/%2e%2e/outside.lua', refused(400)],
    ['/..%2foutside.lua', refused(400)],
    ['/folder/../../outside.lua', refused(400)],
    ['/link.lua', refused(403)],
    ['/link.lua/x', refused(403)],
    ['/link.css', refused(403)],
    ['/up/outside.css', refused(403)],
    ['/up/', refused(403)],
    ['/loop', refused(404)],
    ['/.secret.lua', refused(404)],
    ['/.hidden/x.css', refused(404)],
    ['/app.lua/.x', refused(404)],
    // attacks F13.12
    ['/open/', refused(404)],
    ['/open/x.css', refused(404)],
    ['/open.css', refused(404)],
    ['/open.lua', refused(404)],
    ['/old.LUA', refused(404)],
    ['/app.lua~', refused(404)],
    ['/app.lua.bak', refused(404)],
    ['/app.lua.orig', refused(404)],
    ['/%23app.lua%23', refused(404)],
    ['/app.lua-2', refused(404)],
    ['/shown', refused(404)],
    ['/%zz', refused(400)],
    ['/%', refused(400)],
    ['/style.css%00.lua', refused(400)],
    ['', refused(400)],
    ['app.lua', refused(400)],
    [`/${'x'.repeat(5000)}`, refused(404)],
  ];
  for (const [path, place] of cases) {
    it(`${path.slice(0, 40) || '(empty)'} is ${JSON.stringify(place)}`, async () => {
      assert.deepEqual(await site.find(path), place);
    });
  }

  it('may be a file whose name only resembles that of a script', async () => {
    for (const path of ['/app.lua.txt', '/a.luau']) assert.equal((await site.find(path)).kind, 'file', path);
  });

  it('may be a file with bytes that are no UTF-8', async () => {
    const place = await site.find('/b%E4d.css');
    assert.equal(place.kind, 'file');
    assert.equal(place.kind === 'file' && place.file.toString('latin1'), `${site.root}/b\xe4d.css`);
  });

  it('needs a folder as root', async () => {
    await assert.rejects(Site.open(join(dir, 'outside.css')), /not a folder/);
    await assert.rejects(Site.open(join(dir, 'nothing')), /ENOENT/);
  });
});

describe('a path of a site with front controllers', () => {
  const dir = tempDir({ after });
  let site: Site;
  before(async () => {
    mkdirSync(join(dir, 'shop/photos'), { recursive: true });
    mkdirSync(join(dir, 'plain'));
    mkdirSync(join(dir, '.hidden'));
    for (const name of [
      'index.lua',
      'style.css',
      'shop/index.lua',
      'shop/app.lua',
      'shop/photos/a.png',
      '.hidden/x.css',
    ]) {
      writeFileSync(join(dir, name), '');
    }
    site = await Site.open(dir, 'index.lua');
  });
  const script = (scriptName: string, pathInfo = '') => ({ kind: 'script', scriptName, pathInfo });
  for (const [path, place] of [
    ['/', script('/index.lua')],
    ['/users/7', script('/index.lua', '/users/7')],
    ['/users/', script('/index.lua', '/users/')],
    ['/%C3%A4', script('/index.lua', '/\xc3\xa4')],
    ['/plain/', script('/index.lua', '/plain/')],
    ['/style.css/x', script('/index.lua', '/style.css/x')],
    ['/.hidden/x.css', script('/index.lua', '/.hidden/x.css')],
    ['/shop/', script('/shop/index.lua')],
    ['/shop/cart', script('/shop/index.lua', '/cart')],
    ['/shop/photos/b.png', script('/shop/index.lua', '/photos/b.png')],
    ['/shop/app.lua', script('/shop/app.lua')],
    ['/shop/app.lua/x', script('/shop/app.lua', '/x')],
    ['/index.lua/users', script('/index.lua', '/users')],
    ['/shop', { kind: 'redirect', path: '/shop/' }],
    ['/..', { kind: 'refused', status: 400 }],
  ] as const) {
    it(`${path} is ${JSON.stringify(place)}`, async () => assert.deepEqual(await site.find(path), place));
  }

  it('that is a file is that file', async () => {
    assert.equal((await site.find('/shop/photos/a.png')).kind, 'file');
    assert.equal((await site.find('/style.css')).kind, 'file');
  });
});
