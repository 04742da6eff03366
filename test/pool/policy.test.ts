import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Candidate, decide, type FreeWorker, goesBefore, scoreAfterUse, UNUSED } from '../../src/pool/policy.js';

interface State extends Candidate {
  readonly name: string;
}

interface Worker extends FreeWorker<State> {
  readonly name: string;
}

function state(name: string, score = 0, lastUse = 0): State {
  return { name, score, lastUse };
}

function worker(name: string, stateCount: number, share: number, victim?: State): Worker {
  return { name, stateCount, share, victim };
}

describe('what a waiting request gets', () => {
  const idle = state('idle');
  const cases: {
    readonly what: string;
    readonly idle?: State;
    readonly scriptStates?: number;
    readonly clones?: number;
    readonly isFull?: boolean;
    readonly free: readonly Worker[];
    readonly wanted: string;
  }[] = [
    { what: 'nothing while no worker is free', free: [], wanted: 'wait' },
    { what: 'an idle state before anything else', idle, free: [worker('w', 0, 9)], wanted: 'use idle' },
    {
      what: 'an idle state also when the script has all it may have',
      idle,
      scriptStates: 2,
      clones: 2,
      free: [worker('w', 1, 1)],
      wanted: 'use idle',
    },
    { what: 'a new state where there is room', free: [worker('w', 3, 4)], wanted: 'create in w' },
    {
      what: 'nothing when the script has all it may have, whatever room there is',
      scriptStates: 2,
      clones: 2,
      free: [worker('w', 0, 9, state('v'))],
      wanted: 'wait',
    },
    {
      what: 'the last state that the script may have',
      scriptStates: 1,
      clones: 2,
      free: [worker('w', 0, 9)],
      wanted: 'create in w',
    },
    {
      what: 'room in the worker that holds the fewest states',
      free: [worker('a', 3, 9), worker('b', 1, 2), worker('c', 2, 9)],
      wanted: 'create in b',
    },
    {
      what: 'free room before the place of another',
      free: [worker('a', 2, 2, state('v')), worker('b', 8, 9)],
      wanted: 'create in b',
    },
    { what: 'the place of an idle state', free: [worker('w', 2, 2, state('v'))], wanted: 'create in w for v' },
    {
      what: 'the place of the least popular state of all',
      free: [worker('a', 2, 2, state('x', 5)), worker('b', 2, 2, state('y', 3)), worker('c', 2, 2, state('z', 4))],
      wanted: 'create in b for y',
    },
    {
      what: 'on a tie, the place of the state not used for longest',
      free: [worker('a', 1, 1, state('x', 3, 9)), worker('b', 1, 1, state('y', 3, 7))],
      wanted: 'create in b for y',
    },
    {
      what: 'the place of an idle state where there is room in a worker, but in all no state left',
      isFull: true,
      free: [worker('a', 0, 2), worker('b', 1, 2, state('y'))],
      wanted: 'create in b for y',
    },
    {
      what: 'nothing where there is room in a worker, but in all no state left',
      isFull: true,
      free: [worker('a', 0, 2)],
      wanted: 'wait',
    },
    {
      what: 'nothing when the free workers are full and their states are closing',
      free: [worker('a', 1, 1)],
      wanted: 'wait',
    },
  ];
  for (const { what, idle: found, scriptStates = 0, clones = 9, isFull = false, free, wanted } of cases) {
    it(what, () => {
      const decision = decide<State, Worker>({ idle: found, scriptStates, clones, isFull, freeWorkers: free });
      const text = {
        wait: () => 'wait',
        use: () => `use ${decision.action === 'use' && decision.state.name}`,
        create: () =>
          decision.action === 'create' &&
          `create in ${decision.worker.name}${decision.evict === undefined ? '' : ` for ${decision.evict.name}`}`,
      }[decision.action]();
      assert.equal(text, wanted);
    });
  }
});

describe('a score', () => {
  /** What the score stands for: each use counts one, and half as much after each half-life. */
  function decayedCount(usesMs: readonly number[], nowMs: number, halfLifeMs: number): number {
    return usesMs.reduce((sum, at) => sum + 0.5 ** ((nowMs - at) / halfLifeMs), 0);
  }

  const uses = fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 60 }).map((times) => {
    let nowMs = 0;
    return times.map((ms) => {
      nowMs += ms;
      return nowMs;
    });
  });
  const halfLife = fc.integer({ min: 100, max: 10_000_000 });

  function scoreOf(usesMs: readonly number[], halfLifeMs: number): number {
    return usesMs.reduce((score, nowMs) => scoreAfterUse(score, nowMs / halfLifeMs), UNUSED);
  }

  it('is the logarithm of the decayed count of uses', () => {
    fc.assert(
      fc.property(uses, halfLife, (usesMs, halfLifeMs) => {
        const nowMs = usesMs.at(-1) as number;
        const count = 2 ** (scoreOf(usesMs, halfLifeMs) - nowMs / halfLifeMs);
        const naive = decayedCount(usesMs, nowMs, halfLifeMs);
        assert.ok(Math.abs(count - naive) <= 1e-6 * naive, `${count} is not ${naive}`);
      }),
      { numRuns: 500 },
    );
  });

  it('orders states as their decayed counts do, however much later they are compared', () => {
    fc.assert(
      fc.property(uses, uses, halfLife, fc.nat(1_000_000), (a, b, halfLifeMs, laterMs) => {
        const nowMs = Math.max(a.at(-1) as number, b.at(-1) as number);
        // At a time at which neither count has sunk to zero, and with a difference that is more than rounding.
        const [countA, countB] = [decayedCount(a, nowMs, halfLifeMs), decayedCount(b, nowMs, halfLifeMs)];
        fc.pre(countA > 0 && countB > 0 && Math.abs(Math.log2(countA) - Math.log2(countB)) > 1e-6);
        const first = { score: scoreOf(a, halfLifeMs), lastUse: 1 };
        const second = { score: scoreOf(b, halfLifeMs), lastUse: 2 };
        assert.equal(goesBefore(first, second), countA < countB);
        assert.ok(scoreAfterUse(first.score, (nowMs + laterMs) / halfLifeMs) > first.score);
      }),
      { numRuns: 500 },
    );
  });

  it('of a state never used is below all others', () => {
    assert.ok(goesBefore({ score: UNUSED, lastUse: 9 }, { score: scoreAfterUse(UNUSED, 0), lastUse: 1 }));
  });

  it('stays a number over years of milliseconds and half-lives', () => {
    let score = UNUSED;
    for (const nowMs of [0, 1, 1e3, 1e6, 1e9, 1e11]) {
      const next = scoreAfterUse(score, nowMs / 100);
      assert.ok(Number.isFinite(next) && next > score);
      score = next;
    }
  });
});

describe('the eviction order', () => {
  const candidate = fc.record({ score: fc.integer({ min: 0, max: 3 }), lastUse: fc.nat(20) });

  it('puts one of two different states before the other, and is transitive', () => {
    fc.assert(
      fc.property(candidate, candidate, candidate, (a, b, c) => {
        assert.ok(!(goesBefore(a, b) && goesBefore(b, a)));
        if (a.score !== b.score || a.lastUse !== b.lastUse) assert.ok(goesBefore(a, b) || goesBefore(b, a));
        if (goesBefore(a, b) && goesBefore(b, c)) assert.ok(goesBefore(a, c));
      }),
    );
  });
});
