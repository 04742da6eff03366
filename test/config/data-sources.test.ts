/** The option `data`: URLs and tables, defaults, and that no password comes out of it (design 3). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readDataSources } from '../../src/config/data-sources.js';
import { mayUse, resolveSources, type SourceSettings } from '../../src/io/sources.js';
import type { LuaValue } from '../../src/lua/state.js';

function read(value: LuaValue): { readonly sources: readonly SourceSettings[]; readonly faults: string } {
  const faults: string[] = [];
  const sources = readDataSources(
    { main: value } as LuaValue,
    (file) => `/etc/luafcgid/${file}`.replace('/etc/luafcgid//', '/'),
    (...fault) => void faults.push(fault.join(' | ')),
  );
  return { sources, faults: faults.join('\n') };
}

function only(value: LuaValue): SourceSettings {
  const { sources, faults } = read(value);
  assert.equal(faults, '');
  return sources[0] as SourceSettings;
}

describe('a data source', () => {
  it('is a URL, with defaults for all else', () => {
    const { name, kind, host, port, user, database, tls, connections, queue, waitMs, queryMs, maxResultBytes } = only(
      'postgres://app@db.internal/shop%20one',
    );
    assert.deepEqual(
      [name, kind, host, port, user, database],
      ['main', 'postgres', 'db.internal', 5432, 'app', 'shop one'],
    );
    assert.deepEqual(tls, { mode: 'verify', caFile: undefined, serverName: undefined });
    assert.deepEqual([connections, queue, waitMs, queryMs, maxResultBytes], [10, 100, 5000, 30_000, 8 * 2 ** 20]);
  });

  it('is a table of a URL and fields, or of fields alone', () => {
    const shop = only({
      1: 'mysql://shop@/shop?socket=/run/mysqld/mysqld.sock',
      connections: 8,
      querytimeout: 0.5,
      scripts: ['/srv/shop/'],
    });
    assert.deepEqual(
      [shop.kind, shop.host, shop.socket, shop.connections, shop.queryMs],
      ['mysql', '', '/run/mysqld/mysqld.sock', 8, 500],
    );
    assert.deepEqual(shop.scripts, ['/srv/shop/']);
    const cache = only({ kind: 'redis', host: '10.0.0.5', port: 7000, database: 3, tls: 'unverified' });
    assert.deepEqual(
      [cache.kind, cache.host, cache.port, cache.database, cache.tls.mode],
      ['redis', '10.0.0.5', 7000, '3', 'unverified'],
    );
    assert.equal(only(['redis://[::1]:7000']).host, '::1');
  });

  it('names a file relative to the configuration', () => {
    assert.equal(only('sqlite:data/app.db').database, '/etc/luafcgid/data/app.db');
    assert.equal(only('sqlite:///var/app.db').database, '/var/app.db');
    assert.equal(only('sqlite::memory:').database, ':memory:');
  });

  it('is verified by TLS wherever it is not on this machine, unless that is said', () => {
    const mode = (url: LuaValue): string => only(url).tls.mode;
    assert.equal(mode('mysql://a@localhost/b'), 'off');
    assert.equal(mode('mysql://a@127.0.0.1/b'), 'off');
    assert.equal(mode('mysql://a@10.0.0.1/b'), 'verify');
    assert.equal(mode('postgres://a@db/b?sslmode=disable'), 'off');
    assert.equal(mode('postgres://a@localhost/b?sslmode=verify-full'), 'verify');
    assert.equal(mode('redis://cache'), 'off');
    assert.equal(mode('rediss://cache'), 'verify');
    assert.match(read('postgres://a@db/b?sslmode=prefer').faults, /verify-full/);
  });

  it('has its password from the environment or a file, and none in itself', () => {
    const source = only({ 1: 'postgres://a@db/b', passwordfile: 'secret' });
    assert.equal(source.passwordFile, '/etc/luafcgid/secret');
    const [resolved] = resolveSources(
      { data: [only('postgres://a@db/b')] },
      { LUAFCGID_PASSWORD_MAIN: 'from outside' },
    );
    assert.equal(resolved?.kind === 'postgres' && resolved.password, 'from outside');
    for (const value of [
      'postgres://a:top-secret@db/b',
      'postgres://a:top@secret@db/b',
      'oracle://a:top-secret@db/b',
      'mysql://a@db/b?password=top-secret',
      { 1: 'redis://db', password: 'top-secret' },
    ]) {
      const { faults } = read(value);
      assert.notEqual(faults, '');
      assert.doesNotMatch(faults, /top|secret/, faults);
    }
  });

  it('with several faults tells all of them', () => {
    const { faults } = read({ 1: 'postgres://db/b', connections: 0, conections: 1, tls: 'x' });
    assert.equal(faults.split('\n').length, 4, faults);
    assert.match(faults, /Did you mean connections\?/);
  });

  it('is for the scripts that it names only', () => {
    assert.ok(mayUse([], '/srv/any.lua'));
    assert.ok(mayUse(['/srv/shop/'], '/srv/shop/a/b.lua'));
    assert.ok(!mayUse(['/srv/shop/'], '/srv/shopping.lua'));
    assert.ok(mayUse(['/srv/one.lua'], '/srv/one.lua'));
    assert.ok(!mayUse(['/srv/one.lua'], '/srv/one.lua2'));
  });
});
