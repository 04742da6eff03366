/** The pool of connections, driven by a clock and a driver of the test (issue 13; data-access 2.4 and section 3). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Clock, Pool, type PoolRefusal, type PoolSettings } from '../../../src/io/pool/pool.js';
import { refusalError } from '../../../src/io/pool/refusals.js';
import { WaitQueue } from '../../../src/io/pool/wait-queue.js';

interface Connection {
  readonly id: number;
}

const SETTINGS: PoolSettings = { connections: 3, queue: 5, waitMs: 100, idleMs: 1000, maxAgeMs: 10_000 };

/** A pool, and everything around it in the hands of a test. */
class World implements Clock {
  readonly pool: Pool<Connection>;
  /** Attempts to connect that have not ended. */
  readonly connecting: { opened(connection: Connection): void; failed(error: Error): void }[] = [];
  readonly closing: (() => void)[] = [];
  readonly held: Connection[] = [];
  readonly refusals: PoolRefusal[] = [];
  /** The last who asked waits no longer, if they did. */
  giveUp: () => void = () => {};
  #timers: { atMs: number; call: () => void }[] = [];
  #nowMs = 0;
  #lastId = 0;
  /** How many of those who asked have no answer. */
  unanswered = 0;

  constructor(settings: Partial<PoolSettings> = {}) {
    const connect = (opened: (connection: Connection) => void, failed: (error: Error) => void): void => {
      this.connecting.push({ opened, failed });
    };
    const close = (_: Connection, closed: () => void): void => void this.closing.push(closed);
    this.pool = new Pool({ ...SETTINGS, ...settings }, { connect, close }, this);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  random(): number {
    return 0.5;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.call();
    }
    this.#nowMs = endMs;
  }

  ask(script = 1): void {
    let isAnswered = false;
    this.unanswered += 1;
    const giveUp = this.pool.acquire({
      script,
      limitMs: 0,
      got: (connection) => {
        isAnswered = true;
        this.unanswered -= 1;
        this.held.push(connection);
      },
      refused: (refusal) => {
        isAnswered = true;
        this.unanswered -= 1;
        this.refusals.push(refusal);
      },
    });
    this.giveUp = () => {
      giveUp();
      if (!isAnswered) this.unanswered -= 1;
      isAnswered = true;
    };
  }

  open(): void {
    this.#lastId += 1;
    this.connecting.shift()?.opened({ id: this.#lastId });
  }

  fail(): void {
    this.connecting.shift()?.failed(new Error('refused'));
  }

  release(): void {
    const connection = this.held.shift();
    if (connection !== undefined) this.pool.release(connection);
  }
}

describe('a pool', () => {
  it('opens a connection for each who needs one, up to its limit, and uses them again', () => {
    const world = new World();
    for (let count = 0; count < 5; count += 1) world.ask();
    assert.equal(world.connecting.length, 3);
    for (let count = 0; count < 3; count += 1) world.open();
    assert.deepEqual([world.held.length, world.pool.waiting], [3, 2]);
    world.release();
    world.release();
    assert.deepEqual([world.held.map(({ id }) => id), world.pool.waiting, world.pool.open], [[3, 1, 2], 0, 3]);
  });

  it('counts a connection until it has been closed', () => {
    const world = new World({ connections: 1 });
    world.ask();
    world.open();
    world.ask();
    world.pool.discard(world.held.shift() as Connection);
    assert.equal(world.connecting.length, 0);
    world.closing.shift()?.();
    assert.equal(world.connecting.length, 1);
  });

  it('lets nobody wait longer than they may, and no more than may wait', () => {
    const world = new World({ connections: 1, queue: 2 });
    world.ask();
    world.open();
    for (let count = 0; count < 3; count += 1) world.ask();
    assert.deepEqual(world.refusals, [{ why: 'full' }]);
    world.pass(99);
    assert.equal(world.refusals.length, 1);
    world.pass(1);
    assert.deepEqual(world.refusals.slice(1), Array(2).fill({ why: 'timeout', waitedMs: 100, busy: 1, opening: 0 }));
  });

  it('says whether connections were in use, or still being opened, when a wait was too long', () => {
    const source = { name: 'main', connections: 2, queue: 5 };
    const messageOf = (refusal: PoolRefusal | undefined): string =>
      refusal === undefined ? '' : refusalError(source, refusal).message;
    const world = new World(source);
    world.ask();
    world.pass(100);
    assert.match(messageOf(world.refusals.pop()), /within 0\.1 s: 0 of 2 are in use, 1 are being opened$/);
    world.open();
    world.ask();
    world.ask();
    world.open();
    world.ask();
    world.pass(100);
    assert.match(messageOf(world.refusals.pop()), /within 0\.1 s: all 2 are in use$/);
  });

  it('fails at once while a server is down, and finds by itself when it is back', () => {
    const world = new World();
    world.ask();
    world.fail();
    assert.equal(world.refusals[0]?.why, 'down');
    world.ask();
    assert.deepEqual([world.refusals.length, world.connecting.length], [2, 0]);
    world.pass(100);
    assert.equal(world.connecting.length, 1, 'it tries again in the background');
    world.ask();
    assert.equal(world.refusals.length, 3, 'and fails at once meanwhile');
    world.fail();
    world.pass(199);
    assert.equal(world.connecting.length, 0, 'the delay doubles');
    world.pass(1);
    world.open();
    assert.equal(world.pool.down, undefined);
    world.ask();
    assert.equal(world.held.length, 1);
  });

  it('waits for the connections that there are when a server lets no more in', () => {
    const world = new World();
    world.ask();
    world.open();
    world.ask();
    world.fail();
    assert.deepEqual([world.refusals.length, world.pool.waiting], [0, 1]);
    world.release();
    assert.equal(world.held.length, 1);
  });

  it('closes all idle connections when one is lost', () => {
    const world = new World();
    for (let count = 0; count < 3; count += 1) world.ask();
    for (let count = 0; count < 3; count += 1) world.open();
    world.release();
    world.release();
    world.pool.lost(world.held.shift() as Connection);
    assert.deepEqual([world.pool.idle, world.closing.length], [0, 3]);
  });

  it('closes what was idle for long but one, and uses none that is too old', () => {
    const world = new World();
    for (let count = 0; count < 3; count += 1) world.ask();
    for (let count = 0; count < 3; count += 1) world.open();
    for (let count = 0; count < 3; count += 1) world.release();
    world.pass(2000);
    assert.deepEqual([world.pool.idle, world.closing.length], [1, 2]);
    for (const closed of world.closing.splice(0)) closed();
    world.pass(10_000);
    world.ask();
    assert.deepEqual([world.held.length, world.closing.length, world.connecting.length], [0, 1, 1]);
  });

  it('refuses all who come and wait when it is closed, and is closed when the last connection is', async () => {
    const world = new World({ connections: 1 });
    world.ask();
    world.open();
    world.ask();
    const closed = world.pool.close();
    world.ask();
    assert.deepEqual(world.refusals, [{ why: 'closed' }, { why: 'closed' }]);
    world.release();
    world.closing.shift()?.();
    await closed;
  });

  it('keeps its limits and answers everybody once, whatever happens in which order', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask'), script: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 3, arbitrary: fc.constant({ kind: 'release' }) },
      fc.constant({ kind: 'discard' }),
      fc.constant({ kind: 'lost' }),
      { weight: 3, arbitrary: fc.constant({ kind: 'open' }) },
      fc.constant({ kind: 'fail' }),
      { weight: 2, arbitrary: fc.constant({ kind: 'closed' }) },
      fc.constant({ kind: 'giveUp' }),
      fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 3000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const world = new World();
        for (const next of steps) {
          if (next.kind === 'ask' && 'script' in next) world.ask(next.script);
          else if (next.kind === 'giveUp') world.giveUp();
          else if (next.kind === 'release') world.release();
          else if (next.kind === 'discard' && world.held.length > 0)
            world.pool.discard(world.held.shift() as Connection);
          else if (next.kind === 'lost' && world.held.length > 0) world.pool.lost(world.held.shift() as Connection);
          else if (next.kind === 'open') world.open();
          else if (next.kind === 'fail') world.fail();
          else if (next.kind === 'closed') world.closing.shift()?.();
          else if (next.kind === 'pass' && 'ms' in next) world.pass(next.ms);
          const { pool } = world;
          assert.ok(pool.open <= SETTINGS.connections, 'more connections than there may be');
          assert.ok(pool.waiting <= SETTINGS.queue, 'more wait than may wait');
          assert.equal(pool.busy, world.held.length);
          assert.equal(pool.waiting, world.unanswered, 'somebody is forgotten');
          assert.ok(pool.waiting === 0 || pool.idle === 0, 'somebody waits beside an idle connection');
        }
        // In the end the server is well: everybody who waits is served.
        for (let round = 0; round < 200 && world.unanswered > 0; round += 1) {
          world.closing.shift()?.();
          world.open();
          world.release();
          world.pass(20);
        }
        assert.equal(world.unanswered, 0);
        world.pass(20_000);
        for (let round = 0; round < 10; round += 1) {
          world.closing.shift()?.();
          world.release();
          world.open();
        }
        world.ask();
        world.closing.shift()?.();
        world.open();
        assert.equal(world.refusals.at(-1)?.why === 'down' && world.unanswered > 0, false);
        assert.equal(world.unanswered, 0, 'a source that was down is never reached again');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the queue for connections', () => {
  it('gives scripts turns, and serves each in the order in which it came', () => {
    const queue = new WaitQueue<{ readonly script: number; readonly name: string }>(() => 10);
    for (const name of ['1a', '1b', '1c', '2a', '3a', '2b']) queue.push({ script: Number(name[0]), name });
    const order = Array.from({ length: 6 }, () => queue.shift()?.name);
    assert.deepEqual(order, ['1a', '2a', '3a', '1b', '2b', '1c']);
  });

  it('has the longest line pay when it is full', () => {
    const queue = new WaitQueue<{ readonly script: number; readonly name: string }>(() => 3);
    for (const name of ['1a', '1b', '1c']) assert.equal(queue.push({ script: 1, name }), undefined);
    assert.equal(queue.push({ script: 2, name: '2a' })?.name, '1c');
    assert.equal(queue.push({ script: 1, name: '1d' })?.name, '1d');
    assert.equal(queue.size, 3);
  });
});
