import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, openSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { FrontEvents } from '../../../src/front/host/front-api.js';
import { ThreadedFront } from '../../../src/front/host/threaded.js';
import { listenAt } from '../../../src/linux/sockets.js';
import { tempDir } from '../../support/cleanup.js';
import { FcgiConnection } from '../../support/fcgi-client.js';
import { eventually } from '../../support/shared.js';
import { ROOMY } from '../support/roomy.js';

function newFront(t: TestContext, events: Partial<FrontEvents> = {}) {
  const logs: string[] = [];
  const front = new ThreadedFront(
    {
      tickMs: 250,
      sendBufferBytes: 1 << 16,
      spoolBytes: 0,
      allowed: [],
      logs: { lowestLevel: 'debug', accessFormat: undefined },
      front: {
        pool: { states: 1, clones: 1, workers: 1, queue: 1, halfLifeMs: 1000, maxCount: 0 },
        maxPostBytes: 1000,
        bodyMemoryBytes: 1000,
        sendBufferBytes: 1 << 16,
        queueTimeoutMs: 60_000,
        ...ROOMY,
        overload: 'page',
        watchdogMs: 0,
        watchdogMaxMs: 0,
        slowTimeMs: 0,
        onAbort: 'finish',
        showErrors: false,
        runName: 'run',
      },
    },
    {
      log: (_level, text) => logs.push(text),
      access: () => {},
      lookUp: () => {},
      slow: () => {},
      interrupt: () => {},
      abandon: () => {},
      stack: () => {},
      drained: () => {},
      allClosed: () => {},
      ...events,
    },
  );
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    await front.close();
  };
  t.after(close);
  return { front, logs, close };
}

async function mpxs(socket: string): Promise<unknown> {
  const connection = await FcgiConnection.connect(socket);
  const [value] = await connection.getValues('FCGI_MPXS_CONNS');
  connection.destroy();
  return value;
}

describe('a front on a thread of its own', () => {
  it('answers calls in their order, and connections', async (t) => {
    const path = join(tempDir(t), 'a.sock');
    const { front } = newFront(t);
    const calls = [front.call('counts'), front.listen({ kind: 'unix', path }, 10, {}), front.call('inventory')];
    const [counts] = await Promise.all(calls);
    assert.deepEqual((counts as { connections: number }).connections, 0);
    assert.deepEqual(await mpxs(path), ['FCGI_MPXS_CONNS', '1']);
  });

  it('passes errors of calls on to who called, and goes on', async (t) => {
    const path = join(tempDir(t), 'a.sock');
    const { front, logs } = newFront(t);
    const fd = listenAt({ family: 'unix', path }, 10);
    await front.listen({ kind: 'fd', fd }, 10, {});
    // One socket cannot be watched twice.
    const again = front.listen({ kind: 'fd', fd }, 10, {});
    const later = front.call('counts');
    await assert.rejects(again, { code: 'LUAFCGID_LISTEN_FAILED', message: /EEXIST/ });
    assert.equal((await later).connections, 0);
    assert.deepEqual(await mpxs(path), ['FCGI_MPXS_CONNS', '1']);
    assert.deepEqual(logs, []);
  });

  it('removes the files of its sockets when it drains, and when it is closed', async (t) => {
    const dir = tempDir(t);
    const { front, close } = newFront(t);
    await front.listen({ kind: 'unix', path: join(dir, 'a.sock') }, 10, {});
    await front.listen({ kind: 'unix', path: join(dir, 'b.sock') }, 10, {});
    await front.call('drain');
    assert.deepEqual(readdirSync(dir), []);
    const second = newFront(t);
    await second.front.listen({ kind: 'unix', path: join(dir, 'a.sock') }, 10, {});
    await close();
    assert.deepEqual(readdirSync(dir), ['a.sock']);
    await second.close();
    assert.deepEqual(readdirSync(dir), []);
  });

  it('leaves a file alone that is another server’s by now', async (t) => {
    const path = join(tempDir(t), 'a.sock');
    const { front, close } = newFront(t);
    await front.listen({ kind: 'unix', path }, 10, {});
    unlinkSync(path);
    const other = net.createServer().listen(path);
    await once(other, 'listening');
    t.after(() => other.close());
    await front.call('drain');
    await close();
    assert.ok(lstatSync(path).isSocket());
  });

  it('whose socket somebody else has removed ends in order', async (t) => {
    const path = join(tempDir(t), 'a.sock');
    const { front, close } = newFront(t);
    await front.listen({ kind: 'unix', path }, 10, {});
    unlinkSync(path);
    await close();
    assert.equal(existsSync(path), false);
  });

  it('is not rung any more after its end: the number of its bell may be a file’s', async (t) => {
    const dir = tempDir(t);
    const { front, close } = newFront(t);
    await front.call('counts');
    await close();
    const file = join(dir, 'file');
    writeFileSync(file, '');
    // The lowest free numbers are given: one of these is the bell's.
    while (openSync(file, 'r+') < front.bell.fd);
    void front.call('counts');
    assert.equal(readFileSync(file).length, 0);
  });

  it('gives back all of its descriptors', async (t) => {
    const path = join(tempDir(t), 'a.sock');
    const count = (): number => readdirSync('/proc/self/fd').length;
    const first = newFront(t);
    await first.close();
    const before = count();
    for (let round = 0; round < 3; round += 1) {
      const { front, close } = newFront(t);
      await front.listen({ kind: 'unix', path }, 10, {});
      const connections = await Promise.all([1, 2, 3].map(() => FcgiConnection.connect(path)));
      await connections[0]?.getValues('FCGI_MPXS_CONNS');
      await close();
      for (const connection of connections) await connection.closed();
    }
    await eventually('all of them', () => count() === before);
  });
});
