import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Assignment, Pool, type PoolLimits, type PoolState, type Waiter } from '../../src/pool/pool.js';

interface Request extends Waiter {
  readonly name: string;
}

/** A request that nobody is offered to wait behind. */
const LONG = 1000;
const NO_OFFERS = { mayOffer: () => false, revoke: () => true };

const LIMITS: PoolLimits = { states: 4, clones: 4, workers: 2, queue: 10, halfLifeMs: 1000, maxCount: 0 };

/** A pool, and all that was assigned and not released yet. */
class Setting {
  readonly limits: PoolLimits;
  readonly pool: Pool<Request>;
  readonly running = new Map<number, Assignment<Request>>();
  nowMs = 0;

  constructor(limits: Partial<PoolLimits> = {}) {
    this.limits = { ...LIMITS, ...limits };
    this.pool = new Pool(this.limits, NO_OFFERS);
    for (let index = 0; index < this.limits.workers; index++) this.pool.addWorker(index + 1, index);
  }

  /** A request comes; starts who can start. Returns the assignments made. */
  come(script: string, name = script): Assignment<Request>[] {
    this.pool.join({ script, name, queuedMs: this.nowMs });
    return this.start();
  }

  start(): Assignment<Request>[] {
    const made: Assignment<Request>[] = [];
    for (let next = this.pool.assign(this.nowMs); next !== undefined; next = this.pool.assign(this.nowMs)) {
      this.running.set(next.state.worker, next);
      made.push(next);
    }
    assert.deepEqual(this.pool.audit(), []);
    return made;
  }

  /** The request of that script ends. */
  end(script: string, isGone = false): boolean {
    const [workerId, assignment] =
      [...this.running].find(([, { state }]) => state.script === script) ?? assert.fail(`${script} does not run`);
    this.running.delete(workerId);
    const hasToClose = this.pool.release(assignment.state.id, isGone, LONG);
    assert.deepEqual(this.pool.audit(), []);
    return hasToClose;
  }

  /** A request comes, runs and ends. */
  serve(script: string): Assignment<Request> {
    const [assignment] = this.come(script);
    assert.ok(assignment, `${script} has to wait`);
    this.end(script);
    return assignment;
  }
}

describe('a worker that is at something of its own', () => {
  it('has a request wait that it has a state for, and gets it when it is free', () => {
    const own = new Setting();
    const [first] = own.come('a');
    own.end('a');
    own.pool.setOccupied(first!.state.worker, true);
    assert.deepEqual(own.come('a'), []);
    own.pool.setOccupied(first!.state.worker, false);
    assert.equal(own.start()[0]?.state, first!.state);
  });
});

describe('the pool', () => {
  it('creates a state for a script and uses it again', () => {
    const setting = new Setting();
    const first = setting.serve('a');
    const second = setting.serve('a');
    assert.deepEqual([first.create, second.create], [true, false]);
    assert.equal(second.state.id, first.state.id);
    assert.equal(second.state.uses, 2);
  });

  it('prefers the state used most recently', () => {
    const setting = new Setting({ workers: 3, states: 9 });
    setting.come('a');
    setting.come('a');
    setting.come('a');
    const [one, two, three] = [...setting.running.values()];
    for (const each of [two, three, one]) {
      setting.running.delete((each as Assignment<Request>).state.worker);
      setting.pool.release((each as Assignment<Request>).state.id, false, LONG);
    }
    // By the order in which they were given work, not in which they ended.
    assert.equal(setting.come('a')[0]?.state.id, three?.state.id);
  });

  it('gives a script no more states than clones, and lets it wait for one of them', () => {
    const setting = new Setting({ clones: 1 });
    assert.equal(setting.come('a', 'first').length, 1);
    assert.equal(setting.come('a', 'second').length, 0);
    assert.equal(setting.come('a', 'third').length, 0);
    for (const name of ['second', 'third']) {
      setting.end('a');
      const made = setting.start();
      assert.deepEqual(
        made.map(({ waiter, create, state }) => [waiter.name, create, state.id]),
        [[name, false, 1]],
      );
    }
  });

  it('lets another script start while one waits for its only state', () => {
    const setting = new Setting({ clones: 1 });
    setting.come('a');
    setting.come('a');
    assert.equal(setting.come('b').length, 1);
  });

  it('shares its states out among the workers exactly', () => {
    for (const [states, workers] of [
      [1, 1],
      [5, 2],
      [7, 3],
      [2, 4],
    ] as const) {
      const setting = new Setting({ states, workers, clones: 99, queue: 99 });
      for (let n = 0; n < 20; n++) setting.come(`s${n}`);
      assert.equal(setting.running.size, Math.min(states, workers));
      for (let n = 0; n < 40 && setting.running.size > 0; n++) {
        setting.end([...setting.running.values()][0]?.state.script ?? '');
        setting.start();
      }
      assert.equal(setting.pool.counts().states, states);
    }
  });

  it('evicts the least popular idle state, and on a tie the one not used for longest', () => {
    const setting = new Setting({ states: 3, workers: 1, halfLifeMs: 1e9 });
    for (const script of ['a', 'b', 'c', 'a', 'c', 'c']) setting.serve(script);
    assert.equal(setting.serve('d').evicted?.script, 'b');
    assert.equal(setting.serve('b').evicted?.script, 'd');
    // With equal scores: "d" was used after "b".
    const equal = new Setting({ states: 2, workers: 1, halfLifeMs: 1e9 });
    equal.serve('d');
    equal.serve('b');
    assert.equal(equal.serve('e').evicted?.script, 'd');
  });

  it('lets popularity age', () => {
    const setting = new Setting({ states: 2, workers: 1, halfLifeMs: 1000 });
    for (let n = 0; n < 8; n++) setting.serve('old');
    setting.nowMs = 10_000;
    setting.serve('new');
    assert.equal(setting.serve('other').evicted?.script, 'old');
  });

  it('compares scores as before when half-lives become longer, or shorter', () => {
    for (const halfLifeMs of [1_000_000, 1]) {
      const setting = new Setting({ states: 2, workers: 1, halfLifeMs: 1000 });
      setting.nowMs = 1_000_000;
      setting.serve('old');
      setting.pool.setLimits({ ...setting.limits, halfLifeMs }, setting.nowMs);
      for (let uses = 0; uses < 3; uses++) setting.serve('new');
      assert.equal(setting.serve('other').evicted?.script, 'old');
    }
  });

  it('counts an evicted state for its script until its worker has closed it', () => {
    const setting = new Setting({ states: 2, workers: 2, clones: 1 });
    setting.come('a');
    setting.come('b');
    setting.end('a');
    const [made] = setting.come('c');
    assert.equal(made?.evicted?.script, 'a');
    setting.end('b');
    // There is a free worker, but "a" still has the one state that it may have.
    assert.equal(setting.come('a').length, 0);
    setting.pool.closed(made?.evicted?.id ?? 0);
    assert.equal(setting.start()[0]?.evicted?.script, 'b');
  });

  it('forgets evicted states with their worker', () => {
    const setting = new Setting({ states: 1, workers: 1, clones: 1 });
    setting.serve('a');
    const [made] = setting.come('b');
    setting.pool.removeWorker(made?.state.worker ?? 0);
    assert.deepEqual(setting.pool.audit(), []);
    setting.pool.closed(made?.evicted?.id ?? 0);
    assert.deepEqual(setting.pool.audit(), []);
  });

  it('never evicts a busy state', () => {
    const setting = new Setting({ states: 1, workers: 1 });
    setting.come('a');
    assert.equal(setting.come('b').length, 0);
    setting.end('a');
    assert.equal(setting.start()[0]?.evicted?.script, 'a');
  });

  it('retires a state after its last request', () => {
    const setting = new Setting({ maxCount: 2 });
    assert.equal(setting.come('a')[0]?.retire, false);
    setting.end('a');
    assert.equal(setting.come('a')[0]?.retire, true);
    setting.end('a', true);
    assert.equal(setting.pool.counts().states, 0);
    assert.equal(setting.come('a')[0]?.create, true);
  });

  it('with maxcount = 1 retires each state after its only request', () => {
    const setting = new Setting({ maxCount: 1 });
    for (let n = 0; n < 3; n++) {
      const [made] = setting.come('a');
      assert.deepEqual([made?.create, made?.retire], [true, true]);
      setting.end('a', true);
    }
  });

  it('takes stale states out of service: idle ones to be closed now, busy ones when they end', () => {
    const setting = new Setting({ states: 4, workers: 2 });
    setting.come('idle');
    setting.come('busy');
    setting.end('idle');
    const toClose = setting.pool.retireStale(() => true);
    assert.deepEqual(
      toClose.map(({ script }) => script),
      ['idle'],
    );
    assert.deepEqual(
      setting.pool.retireStale(() => true),
      [],
    );
    assert.deepEqual(setting.pool.audit(), []);
    // It counts until it is closed, and serves nobody.
    assert.equal(setting.pool.counts().states, 2);
    assert.equal(setting.come('idle')[0]?.create, true);
    assert.equal(setting.end('busy'), true);
    for (const state of [...setting.pool.states()].filter(({ status }) => status === 'closing')) {
      setting.pool.closed(state.id);
    }
    assert.deepEqual(setting.pool.audit(), []);
    assert.equal(setting.pool.counts().states, 1);
  });

  it('does not go past its limits while stale states are being closed', () => {
    const setting = new Setting({ states: 1, workers: 1, clones: 1 });
    setting.serve('a');
    const [state] = setting.pool.retireStale(() => true);
    assert.equal(setting.come('a').length, 0);
    assert.equal(setting.come('b').length, 0);
    setting.pool.closed(state?.id ?? 0);
    assert.equal(setting.start().length, 1);
  });

  it('goes on where a worker has closed an idle state unasked, to make room for another (reports A11)', () => {
    const setting = new Setting({ states: 3, workers: 1, clones: 1 });
    const { state } = setting.serve('a');
    setting.come('b');
    setting.pool.closed(state.id);
    assert.deepEqual(setting.pool.audit(), []);
    assert.equal(setting.pool.counts().states, 1);
    setting.pool.closed(state.id);
    assert.deepEqual(setting.pool.audit(), []);
  });

  it('forgets the states of a worker that is gone, and gives its share to the one that replaces it', () => {
    const setting = new Setting({ states: 2, workers: 2, clones: 1 });
    setting.come('a');
    setting.come('b');
    setting.come('a');
    const lost = [...setting.running.values()].find(({ state }) => state.script === 'a')?.state as PoolState;
    setting.pool.removeWorker(lost.worker);
    setting.pool.removeWorker(lost.worker);
    assert.deepEqual(setting.pool.audit(), []);
    assert.equal(setting.pool.counts().states, 1);
    assert.equal(setting.start().length, 0);
    setting.pool.addWorker(77, lost.worker - 1);
    assert.deepEqual(
      setting.start().map(({ create, state }) => [create, state.worker, state.script]),
      [[true, 77, 'a']],
    );
    // What the dead worker has still to say changes nothing.
    setting.pool.release(lost.id, false, LONG);
    setting.pool.closed(lost.id);
    setting.pool.addDependency(lost.id, '/a', '1');
    assert.deepEqual(setting.pool.audit(), []);
  });

  it('keeps the first version of each file that a state was made from', () => {
    const setting = new Setting();
    const [made] = setting.come('a');
    const id = made?.state.id ?? 0;
    setting.pool.addDependency(id, '/a', '1');
    setting.pool.addDependency(id, '/b', '1');
    setting.pool.addDependency(id, '/a', '2');
    assert.deepEqual(
      [...(made?.state.dependencies ?? [])],
      [
        ['/a', '1'],
        ['/b', '1'],
      ],
    );
  });

  it('asks for collection in few idle states of free workers, once after each use', () => {
    const setting = new Setting({ states: 10, workers: 1 });
    for (const script of ['a', 'b', 'c', 'd', 'e']) setting.serve(script);
    assert.equal(setting.pool.takeUncollected(3).length, 3);
    assert.equal(setting.pool.takeUncollected(3).length, 2);
    assert.equal(setting.pool.takeUncollected(3).length, 0);
    setting.serve('a');
    setting.come('b');
    assert.deepEqual(setting.pool.takeUncollected(3), []);
    setting.end('b');
    assert.deepEqual(
      setting.pool.takeUncollected(3).map(({ script }) => script),
      ['a', 'b'],
    );
  });
});

describe('the pool, whatever happens', () => {
  const MOVE = fc.record({
    move: fc.oneof(
      ...Object.entries({ join: 8, leave: 1, end: 6, endGone: 1, stale: 1, closed: 2, remove: 1, add: 2, pass: 1 }).map(
        ([move, weight]) => ({ arbitrary: fc.constant(move), weight }),
      ),
    ),
    n: fc.nat(999),
  });
  const SCRIPTS = ['a', 'b', 'c', 'd', 'e', 'f'];

  const limits: fc.Arbitrary<PoolLimits> = fc.record({
    states: fc.integer({ min: 1, max: 6 }),
    clones: fc.integer({ min: 1, max: 4 }),
    workers: fc.integer({ min: 1, max: 4 }),
    queue: fc.nat(6),
    halfLifeMs: fc.constantFrom(10, 1000),
    maxCount: fc.constantFrom(0, 0, 1, 3),
  });

  it('keeps its limits and its books, and lets nobody wait who could start', () => {
    fc.assert(
      fc.property(limits, fc.array(MOVE, { maxLength: 150, size: 'max' }), (limit, moves) => {
        const pool = new Pool<Request>(limit, NO_OFFERS);
        const places = new Map<number, number>();
        const running = new Map<number, Assignment<Request>>();
        /** Evicted, and not reported closed yet. */
        const evictedStates = new Set<PoolState>();
        let waiting: Request[] = [];
        let nowMs = 0;
        let lastWorker = 0;

        const addWorker = (): void => {
          const taken = new Set(places.values());
          const index = [...Array(limit.workers).keys()].find((place) => !taken.has(place));
          if (index === undefined) return;
          lastWorker += 1;
          places.set(lastWorker, index);
          pool.addWorker(lastWorker, index);
        };
        const start = (): void => {
          for (let next = pool.assign(nowMs); next !== undefined; next = pool.assign(nowMs)) {
            const { waiter, state, create, evicted, retire } = next;
            assert.equal(
              waiter,
              waiting.find(({ script }) => script === waiter.script),
              'out of order',
            );
            assert.equal(state.script, waiter.script);
            assert.ok(places.has(state.worker) && !running.has(state.worker), 'on a worker that is not free');
            assert.equal(create, state.uses === 1);
            assert.ok(evicted === undefined || (create && evicted.worker === state.worker));
            assert.equal(retire, limit.maxCount > 0 && state.uses === limit.maxCount);
            waiting = waiting.filter((other) => other !== waiter);
            if (evicted !== undefined) evictedStates.add(evicted);
            running.set(state.worker, next);
          }
          for (let extra = pool.excess(); extra !== undefined; extra = pool.excess()) {
            assert.ok(waiting.length > limit.queue);
            pool.leave(extra);
            waiting = waiting.filter((other) => other !== extra);
          }
        };
        /** The rules of the design, looked up one by one in the list of all states. */
        const couldStart = (script: string): boolean => {
          const states = [...pool.states()];
          const free = [...places.keys()].filter((id) => !running.has(id));
          if (states.some((each) => each.script === script && each.status === 'idle' && free.includes(each.worker))) {
            return true;
          }
          const existing = [...states, ...evictedStates].filter((each) => each.script === script);
          if (existing.length >= limit.clones) return false;
          return free.some((id) => {
            const index = places.get(id) as number;
            const share = Math.floor(limit.states / limit.workers) + (index < limit.states % limit.workers ? 1 : 0);
            const own = states.filter((each) => each.worker === id);
            return share > 0 && (own.length < share || own.some(({ status }) => status === 'idle'));
          });
        };

        for (let n = 0; n < limit.workers; n++) addWorker();
        for (const [step, { move, n }] of moves.entries()) {
          const assignment = [...running.values()][n % Math.max(1, running.size)];
          switch (move) {
            case 'join': {
              const waiter = { script: SCRIPTS[n % SCRIPTS.length] as string, name: String(step), queuedMs: nowMs };
              waiting.push(waiter);
              pool.join(waiter);
              break;
            }
            case 'leave': {
              const leaver = waiting[n % Math.max(1, waiting.length)];
              if (leaver !== undefined) pool.leave(leaver);
              waiting = waiting.filter((other) => other !== leaver);
              break;
            }
            case 'end':
            case 'endGone': {
              if (assignment === undefined) break;
              running.delete(assignment.state.worker);
              const isGone = move === 'endGone' || assignment.retire;
              const hasToClose = pool.release(assignment.state.id, isGone, LONG);
              assert.equal(hasToClose, !isGone && assignment.state.status === 'closing');
              break;
            }
            case 'stale':
              for (const state of pool.retireStale(({ id }) => id % 3 === n % 3)) assert.equal(state.status, 'closing');
              break;
            case 'closed': {
              const closing = [...pool.states(), ...evictedStates].filter(({ status }) => status === 'closing');
              const state = closing[n % Math.max(1, closing.length)];
              if (state === undefined) break;
              pool.closed(state.id);
              evictedStates.delete(state);
              break;
            }
            case 'remove': {
              const id = [...places.keys()][n % Math.max(1, places.size)];
              if (id === undefined) break;
              places.delete(id);
              running.delete(id);
              pool.removeWorker(id);
              for (const state of evictedStates) if (state.worker === id) evictedStates.delete(state);
              break;
            }
            case 'add':
              addWorker();
              break;
            case 'pass':
              nowMs += n;
              break;
          }
          start();
          assert.deepEqual(pool.audit(), []);
          const counts = pool.counts();
          assert.ok(counts.states <= limit.states && counts.waiting <= limit.queue);
          assert.equal(counts.waiting, waiting.length);
          for (const script of new Set(waiting.map((waiter) => waiter.script))) {
            assert.ok(!couldStart(script), `${script} waits and could start`);
          }
        }
      }),
      { numRuns: 400 },
    );
  });
});
