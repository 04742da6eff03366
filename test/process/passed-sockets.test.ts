import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ListenSetting } from '../../src/base/listen-address.js';
import type { PassedSocket } from '../../src/process/environment.js';
import { socketsOf } from '../../src/process/passed-sockets.js';

const PASSED: readonly PassedSocket[] = [
  { fd: 3, name: 'web' },
  { fd: 4, name: 'admin' },
  { fd: 5, name: 'web' },
];
const ALL: ListenSetting = { kind: 'systemd', name: undefined };
const WEB: ListenSetting = { kind: 'systemd', name: 'web' };
const TCP: ListenSetting = { kind: 'tcp', host: '127.0.0.1', port: 9000 };

function listening(settings: readonly ListenSetting[], passed = PASSED) {
  const warnings: string[] = [];
  const addresses = socketsOf(settings, passed, (text) => warnings.push(text));
  return { fds: addresses.map((address) => (address.kind === 'fd' ? address.fd : address.kind)), warnings };
}

describe('sockets that systemd has passed', () => {
  it('are all listened on, or those of a name, beside other addresses', () => {
    assert.deepEqual(listening([ALL]), { fds: [3, 4, 5], warnings: [] });
    assert.deepEqual(listening([TCP, ALL]).fds, ['tcp', 3, 4, 5]);
    assert.deepEqual(listening([WEB]).fds, [3, 5]);
  });

  it('are those that an address of the configuration means (users B2)', () => {
    const passed = [
      { fd: 3, name: 'web', address: { kind: 'unix', path: '/run/luafcgid/luafcgid.sock' } },
      { fd: 4, name: 'tcp', address: { kind: 'tcp', host: '127.0.0.1', port: 9000 } },
      { fd: 5, name: 'all', address: { kind: 'tcp', host: '::', port: 9001 } },
    ] as const;
    const UNIX: ListenSetting = { kind: 'unix', path: '/run/luafcgid/luafcgid.sock' };
    const ofAll: ListenSetting = { kind: 'tcp', host: '', port: 9001 };
    const others: ListenSetting[] = [
      { kind: 'unix', path: '/run/other.sock' },
      { kind: 'tcp', host: '127.0.0.1', port: 9001 },
      { kind: 'tcp', host: '::1', port: 9000 },
    ];
    assert.deepEqual(listening([UNIX, TCP, ofAll], passed), { fds: [3, 4, 5], warnings: [] });
    assert.deepEqual(listening([UNIX, ALL], passed).fds, [3, 4, 5]);
    assert.deepEqual(listening([{ kind: 'tcp', host: 'localhost', port: 9000 }], passed).fds, [4]);
    assert.deepEqual(listening(others, passed).fds, ['unix', 'tcp', 'tcp']);
  });

  it('are listened on once', () => {
    assert.deepEqual(listening([WEB, ALL, { kind: 'fd', fd: 4 }]).fds, [3, 5, 4]);
  });

  it('are named when nobody listens on them', () => {
    assert.match(listening([WEB]).warnings.join('\n'), /^LUAFCGID_LISTEN_UNUSED: .*admin/);
    assert.equal(listening([TCP]).warnings.length, 3);
    assert.deepEqual(listening([TCP], []).warnings, []);
  });

  it('must be there when they are wanted', () => {
    assert.throws(() => listening([ALL], []), /listen = "systemd", but systemd has passed no socket/);
    const missing: ListenSetting = { kind: 'systemd', name: 'none' };
    assert.throws(() => listening([missing]), /listen = "systemd:none", but systemd has passed only web, admin, web/);
  });
});
