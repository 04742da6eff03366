import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatListenAddress, parseListenAddress } from '../../src/base/listen-address.js';

const parse = (text: string) => parseListenAddress(text, (name) => (name.startsWith('/') ? name : `/base/${name}`));

const VALID = [
  ['/run/a.sock', { kind: 'unix', path: '/run/a.sock' }, '/run/a.sock'],
  ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock' }, '/run/a.sock'],
  ['unix:a:1', { kind: 'unix', path: '/base/a:1' }, '/base/a:1'],
  ['./a:1', { kind: 'unix', path: '/base/./a:1' }, '/base/./a:1'],
  ['/run/a:9000', { kind: 'unix', path: '/run/a:9000' }, '/run/a:9000'],
  ['luafcgid.sock', { kind: 'unix', path: '/base/luafcgid.sock' }, '/base/luafcgid.sock'],
  ['127.0.0.1:9000', { kind: 'tcp', host: '127.0.0.1', port: 9000 }, '127.0.0.1:9000'],
  ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }, 'localhost:0'],
  [':9000', { kind: 'tcp', host: '', port: 9000 }, ':9000'],
  ['*:9000', { kind: 'tcp', host: '', port: 9000 }, ':9000'],
  ['[::1]:9000', { kind: 'tcp', host: '::1', port: 9000 }, '[::1]:9000'],
  ['[fe80::1%eth0]:9000', { kind: 'tcp', host: 'fe80::1%eth0', port: 9000 }, '[fe80::1%eth0]:9000'],
  ['fd:0', { kind: 'fd', fd: 0 }, 'fd:0'],
  ['systemd', { kind: 'systemd', name: undefined }, 'systemd'],
  ['systemd:web 1', { kind: 'systemd', name: 'web 1' }, 'systemd:web 1'],
] as const;

describe('listen addresses', () => {
  for (const [text, address, formatted] of VALID) {
    it(`reads ${text}`, () => {
      assert.deepEqual(parse(text), address);
      assert.equal(formatListenAddress(address), formatted);
      assert.deepEqual(parse(formatted), address);
    });
  }

  for (const [text, remedy] of [
    ['9000', /"127\.0\.0\.1:9000"/],
    ['::1:9000', /"\[::1\]:9000"/],
    ['fd:x', /fd:0/],
    ['systemd:', /FileDescriptorName/],
    ['systemd:a:b', /FileDescriptorName/],
    ['host:65536', /127\.0\.0\.1:9000/],
    ['unix:', /path\.sock/],
    [`/${'a'.repeat(200)}`, /shorter/],
  ] as const) {
    it(`refuses ${text.slice(0, 20)} and says what to write`, () => {
      const fault = parse(text);
      assert.ok('reason' in fault);
      assert.match(fault.remedy, remedy);
    });
  }
});
