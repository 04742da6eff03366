/** Where inherited sockets listen, as the kernel's tables have it: users B2. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { addressOfSocket } from '../../src/linux/socket-table.js';
import { boundAddress, listenAt } from '../../src/linux/sockets.js';
import { tempDir } from '../support/cleanup.js';

it('finds the address of a listening socket, whatever its family', (t) => {
  const dir = tempDir(t);
  const open = (address: Parameters<typeof listenAt>[0]): number => {
    const fd = listenAt(address, 1);
    t.after(() => closeSync(fd));
    return fd;
  };
  for (const path of [join(dir, 'plain.sock'), join(dir, 'with a space  two.sock')]) {
    assert.deepEqual(addressOfSocket(open({ family: 'unix', path })), { kind: 'unix', path });
  }
  for (const [family, address] of [
    ['ipv4', '127.0.0.1'],
    ['ipv4', '0.0.0.0'],
    ['ipv6', '::1'],
    ['ipv6', '::'],
  ] as const) {
    const fd = open({ family, address, port: 0 });
    const port = boundAddress(fd).readUInt16BE(2);
    assert.deepEqual(addressOfSocket(fd), { kind: 'tcp', host: address, port });
  }
});

it('finds none for what is no socket, or is not open', (t) => {
  const fd = openSync(join(tempDir(t), 'file'), 'w');
  t.after(() => closeSync(fd));
  assert.equal(addressOfSocket(fd), undefined);
  assert.equal(addressOfSocket(9999), undefined);
});
