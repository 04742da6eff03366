/** The I/O thread, posted to by threads that sleep in their rings (issue 13; design 3). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createRing } from '../../src/channel/ring.js';
import type { ParkedAt } from '../../src/io/channel.js';
import { IoHandle } from '../../src/io/handle.js';
import { Action, type OperationRequest } from '../../src/io/protocol.js';
import { startPostgres } from '../support/postgres.js';
import { encode, type Plain, sourceSettings, until } from './support/data-source.js';
import type { PostingTask, PostingWorkerData } from './support/posting-worker.js';

/** A thread that posts. */
class Poster {
  readonly #thread: Worker;

  constructor(data: PostingWorkerData) {
    this.#thread = new Worker(new URL('./support/posting-worker.js', import.meta.url), { workerData: data });
  }

  perform(task: PostingTask): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      this.#thread.once('message', resolve);
      this.#thread.once('error', reject);
      this.#thread.postMessage(task);
    });
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }
}

describe('the I/O thread', async () => {
  const server = await startPostgres({ after });
  const log: string[] = [];
  const io = new IoHandle({ log: (_, text) => log.push(text) });
  after(async () => void (await io.stop()));
  const settings = sourceSettings({
    kind: 'postgres',
    port: server.port,
    user: 'postgres',
    database: 'postgres',
    connections: 2,
  });
  const [grant] = io.addSources([settings]);
  assert.ok(grant);
  let clients = 0;

  async function poster(
    usesFutex: boolean,
    bell?: SharedArrayBuffer,
  ): Promise<{ readonly id: number; readonly poster: Poster }> {
    clients += 1;
    const parkedAt: ParkedAt = { ring: createRing(1024), usesFutex };
    const channel = io.openChannel(clients, parkedAt);
    const started = new Poster({ channel: bell === undefined ? channel : { ...channel, bell }, parkedAt });
    after(() => started.end());
    return { id: clients, poster: started };
  }

  function query(run: number, text: string, args: readonly Plain[] = []): OperationRequest {
    const body = encode(text, args);
    return { run, source: grant?.id ?? 0, action: Action.QUERY, script: 1, limitMs: 0, handle: 0, body };
  }

  for (const usesFutex of process.platform === 'linux' ? [true, false] : [false]) {
    it(`wakes a thread that sleeps ${usesFutex ? 'by the kernel' : 'by Atomics'}, with the result`, async () => {
      const { poster: worker } = await poster(usesFutex);
      const results = await worker.perform({ post: [query(1, 'select ?::int as v', [7])], end: [1] });
      assert.deepEqual(results, [[{ v: 7 }]]);
    });
  }

  it('looks at its rings now and then, should its bell not have woken it', async () => {
    const { poster: worker } = await poster(true, new SharedArrayBuffer(4));
    // The first one may come before it sleeps.
    for (const v of [1, 2, 3])
      assert.deepEqual(await worker.perform({ post: [query(20 + v, 'select ?::int as v', [v])], end: [20 + v] }), [
        [{ v }],
      ]);
  });

  it('carries what is larger than a ring, both ways, and many at once', async () => {
    const { poster: worker } = await poster(true);
    const long = 'x'.repeat(600_000);
    const post = Array.from({ length: 50 }, (_, at) =>
      query(2, 'select ?::text as v', [at % 10 === 0 ? long : String(at)]),
    );
    const results = await worker.perform({ post, end: [2] });
    assert.deepEqual(
      results,
      post.map((_, at) => [{ v: at % 10 === 0 ? long : String(at) }]),
    );
  });

  it('gives errors with code, message and what the server called them', async () => {
    const { poster: worker } = await poster(true);
    const [error] = await worker.perform({ post: [query(3, 'select * from nowhere')], end: [3] });
    const { code, source, sqlstate, retry } = error as Record<string, unknown>;
    assert.deepEqual([code, source, sqlstate, retry], ['LUAFCGID_DATA_QUERY', 'main', '42P01', false]);
  });

  it('breaks off what a worker had when the worker is gone', async () => {
    const { id, poster: worker } = await poster(true);
    await worker.perform({ post: [query(4, 'select pg_sleep(60)')], end: [], isImpatient: true });
    await until(async () => (await io.status())[0]?.busy === 1, 'the query runs');
    io.closeChannel(id, true);
    await until(async () => (await io.status())[0]?.busy === 0, 'the query is broken off');
  });

  it('fails what was under way when it dies, and serves what comes after that', async () => {
    const { poster: worker } = await poster(true);
    const results = worker.perform({ post: [query(5, 'select pg_sleep(60)')], end: [5] });
    await until(async () => (await io.status())[0]?.busy === 1, 'the query runs');
    await io.restart('the test ends it');
    assert.equal(((await results)[0] as { code: string }).code, 'LUAFCGID_IO_LOST');
    const next = await worker.perform({ post: [query(6, 'select 1 as v')], end: [6] });
    assert.deepEqual(next, [[{ v: 1 }]]);
    assert.match(log.join('\n'), /the I\/O thread is replaced/);
  });

  it('answers every operation once, though it dies at any moment of them', async () => {
    const { poster: worker } = await poster(true);
    for (let round = 0; round < 5; round += 1) {
      const run = 100 + round;
      const post = Array.from({ length: 40 }, (_, at) => query(run, 'select ?::int as v, pg_sleep(0.002)', [at]));
      const results = worker.perform({ post, end: [run] });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      await io.restart('the test ends it');
      for (const [at, result] of (await results).entries()) {
        if (Array.isArray(result)) assert.equal((result[0] as { v: number }).v, at);
        else assert.equal((result as { code: string }).code, 'LUAFCGID_IO_LOST');
      }
    }
    const last = await worker.perform({ post: [query(200, 'select 1 as v')], end: [200] });
    assert.deepEqual(last, [[{ v: 1 }]]);
    const left = `select count(*)::int as n from pg_stat_activity
      where state = 'active' and query like '%pg_sleep(0.002)%' and pid <> pg_backend_pid()`;
    await until(async () => {
      const [rows] = await worker.perform({ post: [query(201, left)], end: [201] });
      return (rows as { n: number }[])[0]?.n === 0;
    }, 'nothing is left on the server');
  });

  it('keeps the connections of a source that has not changed, and forgets one that is no longer named', async () => {
    const [same, other] = io.addSources([settings, { ...settings, name: 'other' }]);
    assert.equal(same?.id, grant.id);
    assert.notEqual(other?.id, grant.id);
    io.keepSources([grant]);
    await until(async () => (await io.status()).length === 1, 'the other one is gone');
  });
});
