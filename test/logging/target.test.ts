/** Where logs go, as configurations name it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLogTarget, parseLogTarget } from '../../src/logging/target.js';

const parse = (text: string) => parseLogTarget(text, (name) => `/etc/${name}`);

describe('the place of a log', () => {
  it('is a file, standard output or syslog', () => {
    assert.deepEqual(parse('a.log'), { kind: 'file', path: '/etc/a.log' });
    assert.deepEqual(parse('syslog.log'), { kind: 'file', path: '/etc/syslog.log' });
    assert.deepEqual(parse('./syslog'), { kind: 'file', path: '/etc/./syslog' });
    assert.deepEqual(parse('-'), { kind: 'stdout' });
    assert.deepEqual(parse('syslog'), { kind: 'syslog', facility: 'daemon', socket: '/dev/log' });
    assert.deepEqual(parse('syslog:local7'), { kind: 'syslog', facility: 'local7', socket: '/dev/log' });
    assert.deepEqual(parse('syslog:user:/a:b'), { kind: 'syslog', facility: 'user', socket: '/a:b' });
  });

  it('is refused when syslog has no such facility, or its socket no path', () => {
    for (const text of ['syslog:', 'syslog:loud', 'syslog:toString', 'syslog:user:', 'syslog:user:log']) {
      assert.ok('reason' in parse(text), text);
    }
  });

  it('has a name', () => {
    assert.equal(formatLogTarget({ kind: 'file', path: '/a' }), '/a');
    assert.equal(formatLogTarget({ kind: 'stdout' }), 'standard output');
    assert.equal(formatLogTarget({ kind: 'syslog', facility: 'user', socket: '/dev/log' }), 'syslog at /dev/log');
  });
});
