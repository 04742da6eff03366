import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { NodeSocketWriter } from '../../../src/front/io/node/socket-writer.js';
import { OutgoingQueue } from '../../../src/front/io/outgoing.js';
import { Spool, SpoolSpace } from '../../../src/front/io/spool.js';
import { tempDir } from '../../support/cleanup.js';

/** One end of a connection on a Unix socket, as a driver has it, and the other. */
interface Connected {
  /** The wire of the near end, as the driver makes it. */
  wireOf(onSent: (unsentBytes: number) => void, space?: SpoolSpace): OutgoingQueue;
  readonly far: net.Socket;
  /** The near end is closed. */
  readonly closed: Promise<unknown>;
}

/** By a socket of Node.js. */
async function connectedByNode(t: TestContext): Promise<Connected> {
  const path = join(tempDir(t), 'socket');
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(path);
  await once(server, 'listening');
  const far = net.connect({ path, allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [net.Socket];
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return {
    wireOf: (onSent, space = new SpoolSpace(1 << 30)) => {
      const wire = new OutgoingQueue(new NodeSocketWriter(near), space, onSent);
      near.on('drain', () => wire.drained());
      near.on('close', () => wire.gone());
      return wire;
    },
    far,
    closed: once(near, 'close'),
  };
}

/** By the kernel's calls. Instead of being told of events the near end tries again and again. */
async function connectedByEpoll(t: TestContext): Promise<Connected> {
  const { EpollSocket } = await import('../../../src/front/io/epoll/socket.js');
  const { kernelSockets, listenAt } = await import('../../../src/linux/sockets.js');
  const path = join(tempDir(t), 'socket');
  const listener = listenAt({ family: 'unix', path }, 1);
  const far = net.connect({ path, allowHalfOpen: true });
  await once(far, 'connect');
  const fd = kernelSockets.accept(listener, false);
  kernelSockets.close(listener);
  let close = (): void => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  let wire: OutgoingQueue | undefined;
  const near = new EpollSocket(1, fd, kernelSockets, 64 * 1024, {
    interestChanged: () => {},
    closed: () => {
      kernelSockets.close(fd);
      wire?.gone();
      close();
    },
    nowMs: () => 0,
  });
  const into = Buffer.alloc(1000);
  const look = (): void => {
    if (near.isSending) {
      if (near.flush()) wire?.drained();
      else wire?.sentSome();
    }
    if (!near.isGone && near.isReading && kernelSockets.read(fd, into) === 0) near.noteEnd();
    if (!near.isGone) setImmediate(look);
  };
  look();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return {
    wireOf: (onSent, space = new SpoolSpace(1 << 30)) => {
      wire = new OutgoingQueue(near, space, onSent);
      return wire;
    },
    far,
    closed,
  };
}

/** Numbered bytes, so that a lost or doubled piece shows. */
function numbered(count: number, from: number): Buffer {
  const bytes = Buffer.alloc(count * 4);
  for (let i = 0; i < count; i++) bytes.writeUInt32BE(from + i, i * 4);
  return bytes;
}

/** Waits until the spool holds nothing in memory. */
async function stored(spool: Spool, onStored: { tell: () => void }): Promise<void> {
  while (spool.memoryBytes > 0) {
    await new Promise<void>((resolve) => {
      onStored.tell = resolve;
    });
  }
}

function newSpool(space: SpoolSpace): { spool: Spool; onStored: { tell: () => void } } {
  const onStored = { tell: () => {} };
  return { spool: new Spool(space, () => onStored.tell()), onStored };
}

/** Takes everything, waiting for reads. */
async function takeAll(spool: Spool): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  while (!spool.isEmpty) {
    const kept = spool.takeFromMemory();
    if (kept !== undefined) {
      parts.push(kept);
      continue;
    }
    await new Promise<void>((resolve, reject) => {
      const isComing = spool.takeFromFile((bytes) => {
        if (bytes === undefined) return reject(new Error('nothing was read back'));
        parts.push(bytes);
        resolve();
      });
      if (!isComing) setImmediate(resolve);
    });
  }
  return Buffer.concat(parts);
}

describe('a spool', () => {
  it('gives back what went in, in order, whether it is stored by then or not', async () => {
    const space = new SpoolSpace(1 << 30);
    const { spool, onStored } = newSpool(space);
    const sent: Buffer[] = [];
    const got: Buffer[] = [];
    let next = 0;
    for (const [round, count] of [1, 1000, 50_000, 3, 200_000, 7].entries()) {
      for (let piece = 0; piece < 5; piece++) {
        const bytes = numbered(count, next);
        next += count;
        sent.push(bytes);
        spool.append(bytes);
      }
      if (round % 2 === 0) await stored(spool, onStored);
      got.push(await takeAll(spool));
    }
    assert.ok(Buffer.concat(got).equals(Buffer.concat(sent)));
    spool.close();
  });

  it('leaves no file behind, not even while it is used', (t) => {
    // A folder of its own: servers of other tests make such files at any moment.
    const folder = tempDir(t);
    const former = process.env.TMPDIR;
    process.env.TMPDIR = folder;
    t.after(() => {
      if (former === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = former;
    });
    const { spool } = newSpool(new SpoolSpace(1 << 20));
    spool.append(Buffer.alloc(1000));
    assert.deepEqual(readdirSync(folder), []);
    spool.close();
  });

  it('keeps in memory what is past the space, and gives its room back', async () => {
    const space = new SpoolSpace(1000);
    const { spool, onStored } = newSpool(space);
    spool.append(numbered(200, 0));
    await stored(spool, onStored);
    spool.append(numbered(200, 200));
    assert.equal(spool.memoryBytes, 800);
    assert.ok((await takeAll(spool)).equals(numbered(400, 0)));
    assert.equal(space.take(1000), true);
    spool.close();
  });

  it('that is closed while it writes gives its room back', async () => {
    const space = new SpoolSpace(1000);
    const { spool } = newSpool(space);
    spool.append(numbered(250, 0));
    spool.close();
    while (!space.take(1000)) await new Promise((resolve) => setImmediate(resolve));
  });
});

const KINDS: readonly (readonly [name: string, connected: (t: TestContext) => Promise<Connected>])[] = [
  ['Node.js', connectedByNode],
  ...(process.platform === 'linux' ? ([['the kernel', connectedByEpoll]] as const) : []),
];

for (const [name, connected] of KINDS) {
  describe(`a wire on a socket of ${name}`, () => {
    it('with a spool sends everything in order, then closes', async (t) => {
      const { wireOf, far } = await connected(t);
      const wire = wireOf(() => {});
      far.pause();
      let next = 0;
      const write = (count: number): void => {
        wire.write(numbered(count, next));
        next += count;
      };
      for (let i = 0; i < 20; i++) write(50_000);
      assert.equal(wire.spool(), true);
      for (let i = 0; i < 40; i++) write(50_000);
      wire.close(false);
      const parts: Buffer[] = [];
      far.on('data', (bytes) => parts.push(bytes)).resume();
      await once(far, 'end');
      assert.ok(Buffer.concat(parts).equals(numbered(next, 0)));
    });

    it('goes back to its socket when the reader has caught up', async (t) => {
      const { wireOf, far } = await connected(t);
      let tell = (): void => {};
      const wire = wireOf(() => tell());
      far.pause();
      while (wire.write(numbered(50_000, 0)) === 0);
      assert.equal(wire.spool(), true);
      assert.equal(wire.spool(), false);
      wire.write(numbered(50_000, 0));
      far.resume();
      while (!wire.spool()) {
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      }
    });

    it('sends very many small pieces that no file takes', async (t) => {
      const { wireOf, far } = await connected(t);
      const wire = wireOf(() => {}, new SpoolSpace(1));
      far.pause();
      let next = 0;
      const write = (count: number): void => {
        wire.write(numbered(count, next));
        next += count;
      };
      for (let i = 0; i < 20; i++) write(50_000);
      // Room for one byte only: every piece stays in memory.
      assert.equal(wire.spool(), true);
      for (let i = 0; i < 60_000; i++) write(1);
      wire.close(false);
      const parts: Buffer[] = [];
      far.on('data', (bytes) => parts.push(bytes)).resume();
      await once(far, 'end');
      assert.ok(Buffer.concat(parts).equals(numbered(next, 0)));
    });

    it('takes no spool where there is no space for one', async (t) => {
      const { wireOf } = await connected(t);
      assert.equal(wireOf(() => {}, new SpoolSpace(0)).spool(), false);
    });

    it('that lingers drops what the peer still sends, and closes when the peer has ended', async (t) => {
      const { wireOf, far, closed } = await connected(t);
      const wire = wireOf(() => {});
      far.write('still coming');
      wire.write(Buffer.from('answer'));
      wire.close(true);
      const [bytes] = (await once(far, 'data')) as [Buffer];
      assert.equal(bytes.toString(), 'answer');
      await once(far, 'end');
      far.end('more');
      await closed;
    });
  });
}
