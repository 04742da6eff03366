/** Requests that are offered to busy workers ahead of time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LONG_MS, Pool, type PoolLimits } from '../../src/pool/pool.js';

interface Request {
  readonly script: string;
  readonly name: string;
  readonly queuedMs: number;
}

const LIMITS: PoolLimits = { states: 8, clones: 8, workers: 2, queue: 10, halfLifeMs: 1000, maxCount: 0 };
const SHORT_MS = 0.01;

/** A pool whose workers claim offers when the test says so. */
class Setting {
  readonly pool: Pool<Request>;
  /** Offers by number that their workers have claimed. */
  readonly claimed = new Set<number>();
  /** Requests that cannot be offered. */
  readonly unfit = new Set<string>();
  nowMs = 0;
  #came = 0;

  constructor(limits: Partial<PoolLimits> = {}) {
    const all = { ...LIMITS, ...limits };
    this.pool = new Pool<Request>(all, {
      mayOffer: (_worker, { name }) => !this.unfit.has(name),
      revoke: (_worker, offer) => !this.claimed.has(offer),
    });
    for (let index = 0; index < all.workers; index++) this.pool.addWorker(index + 1, index);
  }

  come(script: string, name = `${script}${++this.#came}`): Request {
    const request = { script, name, queuedMs: this.nowMs };
    this.pool.join(request);
    return request;
  }

  /** Who starts next on a free worker. */
  assign(): { name: string; state: number; worker: number } | undefined {
    const made = this.pool.assign(this.nowMs);
    this.check();
    return made && { name: made.waiter.name, state: made.state.id, worker: made.state.worker };
  }

  offer(withinMs = LONG_MS): { name: string; state: number; worker: number; offer: number } | undefined {
    const made = this.pool.offer(withinMs, this.nowMs);
    this.check();
    return made && { name: made.waiter.name, state: made.state.id, worker: made.state.worker, offer: made.offer };
  }

  begin(worker: number): string | undefined {
    const begun = this.pool.beginOffered(worker, this.nowMs);
    this.check();
    return begun?.waiter.name;
  }

  end(state: number, tookMs = SHORT_MS, isGone = false): boolean {
    return this.pool.release(state, isGone, tookMs);
  }

  /** A script whose state on some worker has shown that it is short; its next request runs. */
  runShort(script: string): { name: string; state: number; worker: number } {
    for (let twice = 0; ; twice++) {
      this.come(script);
      const run = this.assign();
      assert.ok(run);
      if (twice === 1) return run;
      this.end(run.state);
    }
  }

  check(): void {
    assert.deepEqual(this.pool.audit(), []);
  }
}

describe('an offer', () => {
  it('goes to a worker that runs a short request in a state of the same script', () => {
    const setting = new Setting({ workers: 1 });
    const { state } = setting.runShort('a');
    setting.come('a', 'next');
    assert.deepEqual(setting.offer(), { name: 'next', state, worker: 1, offer: 1 });
    assert.equal(setting.pool.counts().waiting, 1);
    setting.end(state);
    assert.equal(setting.begin(1), 'next');
    assert.equal(setting.pool.counts().waiting, 0);
    assert.equal(setting.assign(), undefined);
  });

  it('is not made behind a request that nobody knows the length of, a long one, or one that lasts', () => {
    const setting = new Setting({ workers: 1 });
    setting.come('a');
    const first = setting.assign();
    setting.come('a', 'next');
    assert.equal(setting.offer(), undefined);
    setting.end(first?.state as number, 5 * LONG_MS);
    assert.equal(setting.assign()?.name, 'next');
    setting.come('a', 'third');
    assert.equal(setting.offer(), undefined);
    const short = new Setting({ workers: 1 });
    const { state } = short.runShort('b');
    short.come('b');
    short.nowMs += LONG_MS;
    assert.equal(short.offer(), undefined);
    short.end(state);
  });

  it('is made for as many requests as will begin in time, and no more than the ring has places for', () => {
    const setting = new Setting({ workers: 1, queue: 100 });
    setting.runShort('a');
    for (let n = 0; n < 50; n++) setting.come('a');
    let made = 0;
    while (setting.offer() !== undefined) made += 1;
    assert.equal(made, 8);
    const slower = new Setting({ workers: 1, queue: 100 });
    const { state } = slower.runShort('a');
    slower.end(state, LONG_MS * 0.4);
    slower.come('a');
    slower.assign();
    for (let n = 0; n < 50; n++) slower.come('a');
    made = 0;
    while (slower.offer() !== undefined) made += 1;
    assert.equal(made, 2);
  });

  it('is not made to one whose turn it is not', () => {
    const setting = new Setting({ workers: 1 });
    const { state } = setting.runShort('a');
    setting.come('b', 'whose turn it is');
    setting.come('a', 'who could be offered');
    assert.equal(setting.offer(), undefined);
    setting.end(state);
    assert.equal(setting.begin(1), undefined);
    assert.equal(setting.assign()?.name, 'whose turn it is');
  });

  it('is made past one who waits for the only state of its script, on another worker', () => {
    const setting = new Setting({ clones: 1 });
    const slow = setting.runShort('slow');
    const fast = setting.runShort('fast');
    assert.notEqual(slow.worker, fast.worker);
    setting.nowMs = LONG_MS;
    setting.end(fast.state);
    setting.come('fast');
    setting.assign();
    setting.come('slow', 'waits for its state');
    setting.come('fast', 'next');
    assert.equal(setting.offer()?.name, 'next');
  });

  it('is not made for what does not fit, nor for what is one too many', () => {
    const setting = new Setting({ workers: 1, queue: 1 });
    setting.runShort('a');
    setting.unfit.add('with a body');
    const first = setting.come('a', 'with a body');
    assert.equal(setting.offer(), undefined);
    setting.unfit.clear();
    setting.come('a', 'too many');
    assert.equal(setting.pool.offer(LONG_MS, setting.nowMs), undefined);
    assert.equal(setting.pool.excess()?.name, 'too many');
    assert.equal(setting.pool.leave(first), true);
    assert.equal(setting.offer()?.name, 'too many');
  });

  it('leaves the last request of a state that retires to be told so', () => {
    const setting = new Setting({ workers: 1, maxCount: 4 });
    setting.runShort('a');
    setting.come('a', 'third');
    setting.come('a', 'last');
    assert.equal(setting.offer()?.name, 'third');
    assert.equal(setting.offer(), undefined);
  });

  it('is taken back when the request before it lasts, and is first in line again', () => {
    const setting = new Setting({ workers: 2 });
    const { worker } = setting.runShort('a');
    const names = ['one', 'two', 'three'];
    for (const name of names) setting.come('a', name);
    for (const name of names) assert.equal(setting.offer()?.name, name);
    setting.come('a', 'four');
    assert.equal(setting.pool.hasOffers, true);
    setting.nowMs += LONG_MS;
    setting.pool.reviewOffers(setting.nowMs);
    assert.equal(setting.pool.hasOffers, false);
    const other = setting.assign();
    assert.deepEqual([other?.name, other?.worker === worker], ['one', false]);
    setting.end(other?.state as number);
    for (const name of ['two', 'three', 'four']) {
      const next = setting.assign();
      assert.equal(next?.name, name);
      setting.end(next?.state as number);
    }
  });

  it('that its worker has claimed stays, and is found to have begun', () => {
    const setting = new Setting({ workers: 2 });
    const { state, worker } = setting.runShort('a');
    setting.come('a', 'one');
    setting.come('a', 'two');
    const [one] = [setting.offer(), setting.offer()];
    setting.claimed.add(one?.offer as number);
    setting.nowMs += LONG_MS;
    setting.pool.reviewOffers(setting.nowMs);
    assert.equal(setting.assign()?.name, 'two');
    setting.end(state);
    assert.equal(setting.begin(worker), 'one');
  });

  it('ends when its request gives up, unless its worker has claimed it', () => {
    const setting = new Setting({ workers: 1 });
    const { state } = setting.runShort('a');
    const [one, two] = [setting.come('a', 'one'), setting.come('a', 'two')];
    const claimed = setting.offer();
    setting.offer();
    setting.claimed.add(claimed?.offer as number);
    assert.equal(setting.pool.leave(two), true);
    assert.equal(setting.pool.leave(one), false);
    setting.end(state);
    assert.equal(setting.begin(1), 'one');
    assert.equal(setting.pool.counts().waiting, 0);
  });

  it('in a state that is gone goes back into line, or comes back when it was claimed', () => {
    const setting = new Setting({ workers: 1 });
    const { state } = setting.runShort('a');
    for (const name of ['one', 'two']) setting.come('a', name);
    const one = setting.offer();
    setting.offer();
    setting.claimed.add(one?.offer as number);
    setting.end(state, SHORT_MS, true);
    assert.equal(setting.begin(1), undefined);
    assert.equal(setting.assign(), undefined, 'the worker is about to say that it could not begin');
    setting.pool.bounced(1);
    const [first, second] = [setting.assign(), setting.assign()];
    assert.equal(first?.name, 'one');
    assert.notEqual(first?.state, state);
    assert.equal(second, undefined);
  });

  it('in a state that its worker closes for want of room is rejected, and served in another (reports A11)', () => {
    const setting = new Setting({ workers: 1 });
    const idle = setting.runShort('a').state;
    setting.end(idle);
    const busy = setting.runShort('b').state;
    setting.come('a', 'next');
    const offer = setting.offer();
    assert.equal(offer?.state, idle);
    setting.pool.closed(idle);
    setting.check();
    setting.claimed.add(offer?.offer as number);
    setting.end(busy);
    assert.equal(setting.begin(1), undefined);
    assert.equal(setting.assign(), undefined, 'the worker is not free before it has rejected the offer');
    setting.pool.bounced(1);
    const next = setting.assign();
    assert.equal(next?.name, 'next');
    assert.notEqual(next?.state, idle);
  });

  it('in a state that has become stale is taken back; a claimed one is served, and then the state is closed', () => {
    const setting = new Setting({ workers: 1 });
    const { state } = setting.runShort('a');
    for (const name of ['one', 'two']) setting.come('a', name);
    const one = setting.offer();
    setting.offer();
    setting.claimed.add(one?.offer as number);
    assert.deepEqual(
      setting.pool.retireStale(() => true),
      [],
    );
    assert.equal(setting.end(state), false);
    assert.equal(setting.begin(1), 'one');
    assert.equal(setting.end(state), true);
    setting.pool.closed(state);
    const next = setting.assign();
    assert.equal(next?.name, 'two');
    assert.notEqual(next?.state, state);
  });

  it('goes back into line when its worker is gone, unless it was claimed', () => {
    const setting = new Setting({ workers: 1 });
    setting.runShort('a');
    for (const name of ['one', 'two']) setting.come('a', name);
    const one = setting.offer();
    setting.offer();
    setting.claimed.add(one?.offer as number);
    setting.pool.retireWorker(1);
    assert.deepEqual(
      setting.pool.removeWorker(1).map(({ name }) => name),
      ['one'],
    );
    setting.pool.addWorker(2, 0);
    assert.equal(setting.assign()?.name, 'two');
  });
});
