import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mayConnect } from '../../../src/front/io/driver.js';

describe('who may connect', () => {
  it('is who one of the addresses or networks names', () => {
    const test = mayConnect([['10.1.0.0/16', '192.0.2.7', '::1', 'fd00::/8']]);
    for (const address of ['10.1.0.0', '10.1.255.255', '192.0.2.7']) assert.ok(test(address, 'ipv4'), address);
    for (const address of ['10.2.0.0', '192.0.2.8', '127.0.0.1']) assert.ok(!test(address, 'ipv4'), address);
    for (const address of ['::1', 'fd12::1']) assert.ok(test(address, 'ipv6'), address);
    for (const address of ['::2', 'fe80::1']) assert.ok(!test(address, 'ipv6'), address);
  });

  it('is the same whether an address of IPv4 comes as it is or as one of IPv6', () => {
    const test = mayConnect([['10.1.0.0/16', '192.0.2.7']]);
    assert.ok(test('::ffff:10.1.2.3', 'ipv6'));
    assert.ok(test('::ffff:192.0.2.7', 'ipv6'));
    assert.ok(!test('::ffff:10.2.0.0', 'ipv6'));
  });

  it('is nobody of IPv4 where only networks of IPv6 are named, even all of them (attacks F13.9)', () => {
    const test = mayConnect([['::/0']]);
    assert.ok(test('2001:db8::1', 'ipv6') && test('::1', 'ipv6'));
    assert.ok(!test('192.0.2.7', 'ipv4') && !test('::ffff:192.0.2.7', 'ipv6'));
    const both = mayConnect([['::/0', '0.0.0.0/0']]);
    assert.ok(both('::1', 'ipv6') && both('192.0.2.7', 'ipv4') && both('::ffff:192.0.2.7', 'ipv6'));
  });

  it('has to be in each list, where there are several', () => {
    const test = mayConnect([['10.0.0.0/8'], ['10.1.1.1', '192.0.2.7']]);
    assert.deepEqual(
      ['10.1.1.1', '10.1.1.2', '192.0.2.7'].map((address) => test(address, 'ipv4')),
      [true, false, false],
    );
  });
});
