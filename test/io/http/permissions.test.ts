/** Which servers and addresses the HTTP client may reach (issue 13; data-access 2.5 and 3: SSRF, DNS rebinding). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readHttp } from '../../../src/config/http-client.js';
import { Permissions } from '../../../src/io/http/addresses.js';

function permissions(...allow: readonly string[]): Permissions {
  return new Permissions({ allow, networks: [] });
}

describe('the servers of the setting http', () => {
  it('are names with ports, names below one, or all with a port', () => {
    const few = permissions('api.example.com:443', '*.example.org:443', '[::1]:8080', '10.0.0.5:80');
    for (const [host, port] of [
      ['api.example.com', 443],
      ['a.example.org', 443],
      ['a.b.example.org', 443],
      ['[::1]', 8080],
      ['10.0.0.5', 80],
    ] as const) {
      assert.ok(few.allowsServer(host, port), host);
    }
    for (const [host, port] of [
      ['api.example.com', 80],
      ['b.api.example.com', 443],
      ['example.org', 443],
      ['evil-example.org', 443],
      ['[::2]', 8080],
      ['10.0.0.6', 80],
    ] as const) {
      assert.ok(!few.allowsServer(host, port), host);
    }
    assert.ok(permissions('*:443').allowsServer('anything.example', 443));
    assert.ok(!permissions('*.0.0.1:80').allowsServer('127.0.0.1', 80));
  });

  it('are read as URLs have them: small letters, Punycode, addresses in one form', () => {
    const settings = readHttp(
      { allow: ['API.Example.com.:443', 'bücher.example:443', '[0:0::1]:80', '0x7f.1:80'] },
      String,
      assert.fail,
    );
    assert.deepEqual(settings?.allow, ['api.example.com:443', 'xn--bcher-kva.example:443', '[::1]:80', '127.0.0.1:80']);
    assert.equal(readHttp({}, String, assert.fail), undefined);
  });
});

describe('an address', () => {
  const all = permissions('*:80', 'a.example:80');

  it('is connected to when it is public', () => {
    for (const address of [
      '1.1.1.1',
      '8.8.8.8',
      '172.32.0.1',
      '192.167.1.1',
      '100.128.0.1',
      '2606:4700::1111',
      '64:ff9b::808:808',
    ]) {
      assert.ok(all.allowsAddress('a.example', 80, address), address);
    }
  });

  it('of loopback, a private, link-local or other special network is not, also written as IPv6', () => {
    for (const address of [
      '0.0.0.0',
      '10.0.0.1',
      '100.64.0.1',
      '127.0.0.1',
      '127.255.255.254',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
      '192.0.0.8',
      '192.168.0.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::ffff:a9fe:a9fe',
      '::127.0.0.1',
      '64:ff9b::a00:1',
      '64:ff9b:1::a00:1',
      '2002:7f00:1::',
      '2001:0:53aa:64c:0:5efe:a9fe:a9fe',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd12:3456::1',
      'ff02::1',
      'fec0::1',
      'no address',
    ]) {
      assert.ok(!all.allowsAddress('a.example', 80, address), address);
    }
  });

  it('that is not public is allowed by its network, as itself, or as loopback of the name localhost', () => {
    const some = new Permissions({
      allow: ['a.example:80', '127.0.0.1:80', '[fd00::1]:80', 'localhost:80'],
      networks: ['10.1.0.0/16', 'fd12::/16'],
    });
    assert.ok(some.allowsAddress('a.example', 80, '10.1.255.255'));
    assert.ok(some.allowsAddress('a.example', 80, '::ffff:10.1.0.1'));
    assert.ok(some.allowsAddress('a.example', 80, 'fd12::1'));
    assert.ok(!some.allowsAddress('a.example', 80, '10.2.0.0'));
    assert.ok(!some.allowsAddress('a.example', 80, '127.0.0.1'));
    assert.ok(some.allowsAddress('127.0.0.1', 80, '127.0.0.1'));
    assert.ok(!some.allowsAddress('127.0.0.1', 81, '127.0.0.1'));
    assert.ok(!some.allowsAddress('127.0.0.1', 80, '127.0.0.2'));
    assert.ok(some.allowsAddress('[fd00::1]', 80, 'fd00::1'));
    assert.ok(some.allowsAddress('localhost', 80, '127.0.0.1'));
    assert.ok(some.allowsAddress('localhost', 80, '::1'));
    assert.ok(!some.allowsAddress('localhost', 80, '10.2.0.1'));
  });
});
