/** Locks in data sources, with real servers: one at a time holds a name, and whatever ends a request gives it back (issue 13, 6). */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type LeaseTimes, LockingSource } from '../../src/io/lock-leases.js';
import { Action } from '../../src/io/protocol.js';
import type { ResolvedSource, SourceKind } from '../../src/io/sources.js';
import { createSource } from '../../src/io/sources-by-kind.js';
import { tempDir } from '../support/cleanup.js';
import { startMariadb } from '../support/mariadb.js';
import { type Database, startPostgres } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { ask, closeWithRuns, encode, sourceSettings, TestRun, until } from './support/data-source.js';

interface Setting {
  readonly given: Partial<ResolvedSource>;
  readonly server?: Database;
}

const SERVERS: Readonly<Record<SourceKind, () => Promise<Setting>>> = {
  async redis() {
    const server = await startRedis({ after });
    return { given: { port: server.port }, server };
  },
  async postgres() {
    const server = await startPostgres({ after });
    return { given: { port: server.port, user: 'postgres', database: 'postgres' }, server };
  },
  async mysql() {
    const server = await startMariadb({ after });
    return { given: { port: server.port, user: 'root', database: 'test' }, server };
  },
  async sqlite() {
    return { given: { database: join(tempDir({ after }), 'locks.db') } };
  },
};

for (const kind of ['redis', 'postgres', 'mysql', 'sqlite'] as const) {
  describe(`locks in ${kind}`, async () => {
    const opened: LockingSource[] = [];
    // Before the server is stopped.
    after(async () => {
      for (const source of opened) await closeWithRuns(source);
    });
    const { given, server } = await SERVERS[kind]();

    /** What one server of ours has of it. */
    function open(times: Partial<LeaseTimes> = {}): LockingSource {
      const settings = sourceSettings({ kind, ...given });
      const source = new LockingSource(
        createSource(settings, () => {}),
        kind,
        { lookMs: 20, ...times },
      );
      opened.push(source);
      return source;
    }

    const lock = (source: LockingSource, { run }: TestRun, name: string, waitMs = 0): Promise<unknown> =>
      ask(source, run, Action.LOCK, encode(name, waitMs));
    const tokenOf = async (source: LockingSource, run: TestRun, name: string, waitMs = 0): Promise<number> => {
      const got = await lock(source, run, name, waitMs);
      assert.ok(typeof got === 'object' && got !== null, `${JSON.stringify(got)}`);
      return (got as { token: number }).token;
    };
    const unlock = (source: LockingSource, { run }: TestRun, name: string, token: number): Promise<unknown> =>
      ask(source, run, Action.UNLOCK, encode(name, token));
    const holds = (source: LockingSource, { run }: TestRun, name: string, token: number): Promise<unknown> =>
      ask(source, run, Action.HOLDS_LOCK, encode(name, token));

    // On a machine with much else to do, the first operation may take longer than a lease usually lasts.
    const [here, there] = [open({ leaseMs: 120_000 }), open({ leaseMs: 120_000 })];

    it('are held by one request of all servers at a time; numbers grow', async () => {
      const [first, second] = [new TestRun(here), new TestRun(there)];
      const token = await tokenOf(here, first, 'a');
      assert.equal(await lock(there, second, 'a'), 'timeout');
      assert.equal(await lock(here, first, 'a'), 'deadlock');
      assert.equal(await holds(here, first, 'a', token), true);
      const waiting = tokenOf(there, second, 'a', 20_000);
      assert.equal(await unlock(here, first, 'a', token), true);
      assert.equal(await unlock(here, first, 'a', token), false);
      assert.equal(await holds(here, first, 'a', token), false);
      const next = await waiting;
      assert.ok(next > token, `${next} after ${token}`);
      assert.equal(await unlock(here, first, 'a', next), false, 'it is not of this request');
      second.end();
      first.end();
    });

    it('go from request to request of one server in the order in which they asked', async () => {
      const holder = new TestRun(here);
      const token = await tokenOf(here, holder, 'queue');
      const runs = [1, 2, 3].map(() => new TestRun(here));
      const order: number[] = [];
      const waits = runs.map(async (run, at) => {
        const got = await tokenOf(here, run, 'queue', 20_000);
        order.push(at);
        await unlock(here, run, 'queue', got);
      });
      await unlock(here, holder, 'queue', token);
      await Promise.all(waits);
      assert.deepEqual(order, [0, 1, 2]);
    });

    it('are given back when their request is over, also while it waits, and when their server closes', async () => {
      const [first, second, third] = [new TestRun(here), new TestRun(here), new TestRun(there)];
      await tokenOf(here, first, 'b');
      const waiting = lock(here, second, 'b', 20_000);
      const queued = lock(here, second, 'b', 20_000);
      second.end();
      await Promise.allSettled([waiting, queued]);
      first.end();
      await tokenOf(there, third, 'b', 20_000);
      third.end();
      const closing = open();
      await tokenOf(closing, new TestRun(closing), 'b', 20_000);
      await closing.close();
      await tokenOf(there, new TestRun(there), 'b', 20_000);
    });

    it('are had again by a request that had given up waiting for one, whatever became of that', async () => {
      const [first, second] = [new TestRun(here), new TestRun(here)];
      const asking = (run: TestRun, number: number): Promise<unknown> =>
        ask(here, run.run, Action.LOCK, encode('g', 20_000, number));
      const forget = (run: TestRun, number: number): Promise<unknown> =>
        ask(here, run.run, Action.FORGET_LOCK, encode('g', number));
      const token = await tokenOf(here, first, 'g');
      const [looking, queued] = [asking(second, 1), asking(second, 2)];
      assert.deepEqual(await Promise.all([forget(second, 2), forget(second, 1)]), [true, true]);
      assert.deepEqual(await Promise.all([looking, queued]), ['timeout', 'timeout']);
      await unlock(here, first, 'g', token);
      assert.ok((await asking(second, 3)) !== 'deadlock', 'nothing of the former waits took it');
      // It was had, and the request did not come to know: it is free again.
      await forget(second, 3);
      assert.equal(typeof (await tokenOf(here, first, 'g', 20_000)), 'number');
      second.end();
      first.end();
    });

    it('are told not to be held any more when they could not be renewed', async () => {
      const short = open({ leaseMs: 150, renewMs: 1_000_000 });
      const [run, other] = [new TestRun(short), new TestRun(there)];
      const token = await tokenOf(short, run, 'c');
      const next = await tokenOf(there, other, 'c', 20_000);
      assert.ok(next > token);
      assert.equal(await holds(short, run, 'c', token), false);
      assert.equal(await unlock(short, run, 'c', token), false);
      assert.equal(await holds(there, other, 'c', next), true, 'whoever has lost it takes it from nobody');
      run.end();
      other.end();
    });

    it('are held for as long as their request lasts', async () => {
      const renewing = open({ leaseMs: 3_000, renewMs: 100 });
      const [run, other] = [new TestRun(renewing), new TestRun(there)];
      const token = await tokenOf(renewing, run, 'd');
      assert.equal(await lock(there, other, 'd', 4_000), 'timeout');
      assert.equal(await holds(renewing, run, 'd', token), true);
      run.end();
      other.end();
    });

    if (server !== undefined) {
      it('of a server that has crashed fail, and are not held for longer than it keeps them', async () => {
        const source = open({ leaseMs: 1_000, renewMs: 100 });
        const run = new TestRun(source);
        const token = await tokenOf(source, run, 'e');
        await server.kill();
        try {
          await assert.rejects(lock(source, run, 'f', 0), ({ code }) => /^LUAFCGID_DATA_/.test(code));
          await until(async () => (await holds(source, run, 'e', token)) === false, 'it is not held');
        } finally {
          await server.start();
        }
        run.end();
      });
    }
  });
}
