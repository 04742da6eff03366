import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sendDatagram } from '../../src/linux/datagram.js';
import { tempDir } from '../support/cleanup.js';
import { DatagramReceiver } from '../support/datagrams.js';

const codeOf = (work: () => void): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

describe('a datagram', () => {
  for (const kind of ['a path', 'an abstract name'] as const) {
    it(`goes to ${kind}, whole and in order`, (t) => {
      const path = kind === 'a path' ? join(tempDir(t), 'ü.sock') : `@luafcgid-test-${process.pid}`;
      const receiver = new DatagramReceiver(t, path);
      for (const text of ['one', '', 'x'.repeat(10_000)]) sendDatagram(path, Buffer.from(text));
      assert.deepEqual(receiver.readAll(), ['one', '', 'x'.repeat(10_000)]);
    });
  }

  it('to nobody is the error of the system', (t) => {
    const dir = tempDir(t);
    assert.equal(
      codeOf(() => sendDatagram(join(dir, 'none'), Buffer.from('x'))),
      'ENOENT',
    );
    assert.equal(
      codeOf(() => sendDatagram(`@luafcgid-none-${process.pid}`, Buffer.from('x'))),
      'ECONNREFUSED',
    );
    assert.equal(
      codeOf(() => sendDatagram(`/${'x'.repeat(200)}`, Buffer.from('x'))),
      'EINVAL',
    );
  });

  it('does not wait for a receiver that does not read', (t) => {
    const path = join(tempDir(t), 'full.sock');
    const receiver = new DatagramReceiver(t, path);
    let sent = 0;
    let code: string | undefined;
    while (code === undefined) {
      code = codeOf(() => sendDatagram(path, Buffer.from(String(sent))));
      if (code === undefined) sent += 1;
    }
    assert.equal(code, 'EAGAIN');
    assert.equal(receiver.readAll().length, sent);
    sendDatagram(path, Buffer.from('again'));
    assert.equal(receiver.readAll().at(-1), 'again');
  });
});
