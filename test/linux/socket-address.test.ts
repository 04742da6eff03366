import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeSocketAddress, encodeSocketAddress, type SocketAddress } from '../../src/linux/socket-address.js';
import { boundAddress, kernelSockets, listenAt } from '../../src/linux/sockets.js';
import { tempDir } from '../support/cleanup.js';

const port = fc.integer({ min: 0, max: 65_535 });
const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));

describe('a socket address in bytes', () => {
  it('of IPv4 is what it was', () => {
    fc.assert(
      fc.property(fc.ipV4(), port, (address, number) => {
        const written: SocketAddress = { family: 'ipv4', address, port: number };
        assert.deepEqual(decodeSocketAddress(encodeSocketAddress(written)), written);
      }),
    );
  });

  it('of IPv6 means what it did, in one way of writing it', () => {
    const check = (address: string, number: number, scope: number): void => {
      assert.ok(net.isIPv6(address));
      const written: SocketAddress = { family: 'ipv6', address, port: number, ...(scope > 0 && { scope }) };
      const bytes = encodeSocketAddress(written);
      const read = decodeSocketAddress(bytes);
      assert.ok(read?.family === 'ipv6' && net.isIPv6(read.address), address);
      assert.deepEqual({ ...read, address }, written);
      assert.deepEqual(encodeSocketAddress(read), bytes);
      // Node.js takes both for the same address.
      const list = new net.BlockList();
      list.addAddress(address, 'ipv6');
      assert.ok(list.check(read.address, 'ipv6'), `${address} became ${read.address}`);
    };
    fc.assert(fc.property(fc.ipV6(), port, fc.integer({ min: 0, max: 0xffffffff }), check));
    const groups = fc
      .array(group, { minLength: 8, maxLength: 8 })
      .map((all) => all.map((n) => n.toString(16)).join(':'));
    fc.assert(fc.property(groups, port, fc.constant(0), check));
  });

  it('is written as everybody does', () => {
    for (const [address, text] of [
      ['0:0:0:0:0:0:0:0', '::'],
      ['0:0:0:0:0:0:0:1', '::1'],
      ['::ffff:7f00:1', '::ffff:127.0.0.1'],
      ['::ffff:192.0.2.33', '::ffff:192.0.2.33'],
      ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['fe80::0:1', 'fe80::1'],
      ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ] as const) {
      const read = decodeSocketAddress(encodeSocketAddress({ family: 'ipv6', address, port: 1 }));
      assert.ok(read?.family === 'ipv6');
      assert.equal(read.address, text);
    }
  });

  it('of a Unix socket is what it was', () => {
    const path = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !/[\0\ud800-\udfff]/.test(text));
    fc.assert(
      fc.property(path, (text) => {
        const written: SocketAddress = { family: 'unix', path: `/${text}` };
        assert.deepEqual(decodeSocketAddress(encodeSocketAddress(written)), written);
      }),
    );
  });

  it('of a family that is none of these is none', () => {
    assert.equal(decodeSocketAddress(Buffer.alloc(28, 0xff)), undefined);
  });
});

describe('an address that is listened at', () => {
  for (const [family, address] of [
    ['ipv4', '127.0.0.1'],
    ['ipv4', '0.0.0.0'],
    ['ipv6', '::1'],
    ['ipv6', '::'],
    ['ipv6', '::ffff:127.0.0.1'],
  ] as const) {
    it(`is named as Node.js names it: ${address}`, async () => {
      const server = net.createServer().listen({ port: 0, host: address });
      await once(server, 'listening');
      const named = (server.address() as AddressInfo).address;
      const fd = listenAt({ family, address, port: 0 }, 1);
      try {
        const bound = decodeSocketAddress(boundAddress(fd));
        assert.ok(bound !== undefined && bound.family !== 'unix');
        assert.equal(bound.address, named);
        assert.notEqual(bound.port, 0);
        // Whoever knows that address reaches it.
        const client = net.connect({
          host: address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address,
          port: bound.port,
        });
        await once(client, 'connect');
        client.destroy();
      } finally {
        kernelSockets.close(fd);
        server.close();
      }
    });
  }

  it('is a Unix socket at exactly this path', async (t) => {
    const path = join(tempDir(t), 'grüße.sock');
    const fd = listenAt({ family: 'unix', path }, 1);
    assert.deepEqual(decodeSocketAddress(boundAddress(fd)), { family: 'unix', path });
    const client = net.connect({ path });
    await once(client, 'connect');
    client.destroy();
    kernelSockets.close(fd);
  });

  it('cannot be taken twice', () => {
    const fd = listenAt({ family: 'ipv4', address: '127.0.0.1', port: 0 }, 1);
    const bound = decodeSocketAddress(boundAddress(fd));
    assert.ok(bound);
    assert.throws(() => listenAt(bound, 1), { code: 'EADDRINUSE', syscall: 'bind' });
    kernelSockets.close(fd);
  });

  it('that does not exist is an error of the system', (t) => {
    assert.throws(() => listenAt({ family: 'ipv4', address: '192.0.2.1', port: 0 }, 1), { code: 'EADDRNOTAVAIL' });
    const path = join(tempDir(t), 'x'.repeat(200));
    assert.throws(() => listenAt({ family: 'unix', path }, 1), { code: 'EINVAL' });
  });
});
