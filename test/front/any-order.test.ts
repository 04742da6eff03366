/** Events in any order: the front's books balance after each, and at the end nothing is left. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { DirectWorker } from './support/direct-worker.js';
import { LENDING_RING_BYTES } from './support/rig.js';
import { type ConnectionSpec, type RequestSpec, type Step, World } from './support/world.js';

const REQUEST: fc.Arbitrary<RequestSpec> = fc.record({
  reusesId: fc.nat(19).map((n) => n === 19),
  keepConn: fc.nat(3).map((n) => n < 3),
  role: fc.nat(15).map((n) => (n === 15 ? 4 : n > 12 ? 3 : n > 10 ? 2 : 1)),
  script: fc.constantFrom('/a', '/b', '/c'),
  method: fc.constantFrom('GET', 'POST', 'POST', 'HEAD'),
  bodyBytes: fc.oneof(fc.constant(0), fc.nat(40), fc.nat(400)),
  length: fc.constantFrom('right', 'right', 'right', 'unknown', 'longer', 'shorter'),
  recordBytes: fc.integer({ min: 1, max: 150 }),
  end: fc.constantFrom('sent', 'sent', 'sent', 'sent', 'abort', 'missing'),
});

const CONNECTION: fc.Arbitrary<ConnectionSpec> = fc.record({
  requests: fc.array(REQUEST, { maxLength: 4 }),
  order: fc.array(fc.nat(3), { maxLength: 30 }),
  trailer: fc.constantFrom('none', 'none', 'none', 'values', 'unknown type', 'stale', 'garbage'),
});

/** How often each step comes, compared with the others. */
const WEIGHTS: Readonly<Partial<Record<Step, number>>> = {
  open: 4,
  bytes: 20,
  endReading: 2,
  close: 2,
  slow: 1,
  sent: 3,
  found: 8,
  refused: 2,
  listen: 10,
  read: 6,
  output: 5,
  finish: 1,
  end: 6,
  endGone: 1,
  log: 1,
  depends: 2,
  flush: 4,
  die: 2,
  replace: 2,
  ring: 10,
  tick: 1,
  sweep: 1,
  collect: 1,
  move: 1,
  forget: 1,
  noSpool: 1,
  wake: 1,
  limit: 1,
  reload: 2,
  drain: 2,
  stop: 1,
  hang: 1,
  suspend: 2,
  resume: 3,
};

function stepsOf(
  weights: Readonly<Partial<Record<Step, number>>>,
  length: { readonly minLength?: number; readonly maxLength: number },
) {
  return fc.array(
    fc.record({
      step: fc.oneof(
        ...Object.entries(weights).map(([step, weight]) => ({ arbitrary: fc.constant(step as Step), weight })),
      ),
      a: fc.nat(999),
      b: fc.nat(999),
    }),
    { ...length, size: 'max' },
  );
}

/** What comes on connections, and what happens. */
const USUAL = {
  connections: fc.array(CONNECTION, { minLength: 1, maxLength: 8 }),
  steps: stepsOf(WEIGHTS, { maxLength: 200 }),
};

/** Connections on which one good request follows the other: most of them come on lent ones. */
const GOOD_CONNECTION: fc.Arbitrary<ConnectionSpec> = fc.record({
  requests: fc.array(
    fc.record({
      reusesId: fc.constant(false),
      keepConn: fc.nat(19).map((n) => n > 0),
      role: fc.nat(9).map((n) => (n === 9 ? 2 : n === 8 ? 3 : 1)),
      script: fc.nat(9).map((n) => (n > 0 ? '/a' : '/b')),
      method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD'),
      bodyBytes: fc.oneof(fc.constant(0), fc.nat(40)),
      length: fc.nat(19).map((n) => (n > 2 ? 'right' : n > 0 ? 'unknown' : 'longer')),
      recordBytes: fc.constant(500),
      end: fc.nat(19).map((n) => (n > 0 ? 'sent' : 'abort')),
    }),
    { minLength: 2, maxLength: 12, size: 'max' },
  ),
  order: fc.constant([]),
  trailer: fc.constantFrom('none', 'none', 'none', 'values', 'garbage'),
});
const LENDING = {
  connections: fc.array(fc.oneof({ weight: 9, arbitrary: GOOD_CONNECTION }, { weight: 1, arbitrary: CONNECTION }), {
    minLength: 1,
    maxLength: 8,
  }),
  steps: stepsOf(
    {
      ...WEIGHTS,
      ...{ open: 10, request: 80, settle: 40, go: 60, serve: 20, look: 10, deliver: 4, served: 1 },
      ...{ bytes: 2, end: 50, found: 3, ring: 20, listen: 20, output: 3, read: 4, move: 2, log: 2 },
      ...{ die: 1, drain: 1, reload: 1, slow: 1, suspend: 4 },
    },
    { minLength: 60, maxLength: 240 },
  ).map((steps) => [...Array.from({ length: 4 }, () => ({ step: 'open' as const, a: 0, b: 0 })), ...steps]),
};

/** The same, and most of their requests wait for results. */
const WAITING = {
  connections: fc.array(GOOD_CONNECTION, { minLength: 3, maxLength: 8 }),
  steps: stepsOf(
    {
      ...WEIGHTS,
      ...{ open: 4, request: 80, settle: 50, go: 40, serve: 40, look: 4, deliver: 4, found: 3, ring: 20, listen: 20 },
      ...{ suspend: 50, resume: 50, end: 50, bytes: 1, output: 1, read: 1, tick: 3, sweep: 2, collect: 3, log: 1 },
      ...{ die: 1, drain: 1, reload: 1, slow: 1, close: 1, endReading: 1, refused: 0, hang: 0 },
    },
    { minLength: 100, maxLength: 300 },
  ).map((steps) => [...Array.from({ length: 4 }, () => ({ step: 'open' as const, a: 0, b: 0 })), ...steps]),
};

/** Good requests of clients that stop reading now and then, and scripts that put more than these take. */
const SLOW = {
  connections: fc.array(GOOD_CONNECTION, { minLength: 2, maxLength: 8 }),
  steps: stepsOf(
    {
      ...WEIGHTS,
      ...{ open: 8, request: 30, found: 20, listen: 20, ring: 30, output: 40, slow: 8, sent: 4, end: 6 },
      ...{ suspend: 4, resume: 10, drain: 1, die: 1, close: 1, flush: 1 },
    },
    { minLength: 60, maxLength: 240 },
  ),
};

/** To look longer: `LUAFCGID_TEST_TIMES=50 node scripts/test.mjs any-order`. */
const TIMES = Number(process.env.LUAFCGID_TEST_TIMES ?? 1);

type Options = ConstructorParameters<typeof World>[0];

/** What has happened in all worlds together. */
interface Seen {
  stops: number;
  heldSuspensions: number;
  readonly direct: Record<keyof DirectWorker['counts'], number>;
  readonly waits: Record<keyof DirectWorker['waits'], number>;
}

function holdsIn(options: fc.Arbitrary<Options>, numRuns: number, kind = USUAL): Seen {
  const seen: Seen = {
    stops: 0,
    heldSuspensions: 0,
    direct: { begun: 0, answered: 0, returned: 0, promoted: 0, accepted: 0 },
    waits: { begun: 0, promoted: 0, freed: 0 },
  };
  fc.assert(
    fc.property(options, kind.connections, kind.steps, (chosen, connections, steps) => {
      const world = new World(chosen);
      world.play(steps, connections);
      world.comeToAnEnd();
      seen.stops += world.stops;
      for (const { direct, heldSuspensions } of world.rig.workers) {
        seen.heldSuspensions += heldSuspensions;
        if (direct === undefined) continue;
        for (const [what, count] of Object.entries(direct.counts))
          seen.direct[what as keyof typeof direct.counts] += count;
        for (const [what, count] of Object.entries(direct.waits))
          seen.waits[what as keyof typeof direct.waits] += count;
      }
    }),
    { numRuns: numRuns * TIMES, includeErrorInReport: true },
  );
  return seen;
}

describe('any order of events', () => {
  it('leaves the books balanced and nothing behind', () => {
    holdsIn(
      fc.record({
        ringBytes: fc.constantFrom(128, 256, 4096),
        pool: fc.record({
          states: fc.integer({ min: 1, max: 5 }),
          clones: fc.integer({ min: 1, max: 3 }),
          workers: fc.integer({ min: 1, max: 3 }),
          queue: fc.constantFrom(0, 1, 3, 100),
          halfLifeMs: fc.constant(1000),
          maxCount: fc.constantFrom(0, 0, 1, 3),
        }),
        front: fc.record({
          maxPostBytes: fc.constantFrom(0, 50, 10_000),
          bodyMemoryBytes: fc.constantFrom(0, 1, 64, 1000),
          sendBufferBytes: fc.constantFrom(1, 100, 10_000),
          queueTimeoutMs: fc.constantFrom(500, 50_000),
          overload: fc.constantFrom('page', 'protocol'),
          watchdogMs: fc.constantFrom(0, 0, 300),
          onAbort: fc.constantFrom('finish', 'stop'),
        }),
      }),
      250,
    );
  });

  it('does so with clients that are too slow, and too many for the memory', () => {
    holdsIn(
      fc.record({
        ringBytes: fc.constantFrom(128, 4096),
        pool: fc.record({
          states: fc.constant(3),
          clones: fc.constant(2),
          workers: fc.integer({ min: 1, max: 2 }),
          queue: fc.constantFrom(1, 100),
          halfLifeMs: fc.constant(1000),
          maxCount: fc.constant(0),
        }),
        front: fc.record({
          bodyMemoryBytes: fc.constantFrom(0, 64, 1000),
          sendBufferBytes: fc.constantFrom(1, 10_000),
          bodyTotalBytes: fc.constantFrom(5_000, 10_000, 30_000),
          sendTotalBytes: fc.constantFrom(1, 300, 5_000),
          idleTimeoutMs: fc.constantFrom(800, 1e9),
          readTimeoutMs: fc.constantFrom(800, 1e9),
          sendTimeoutMs: fc.constantFrom(800, 1e9),
        }),
      }),
      150,
    );
  });

  it('does so with requests that are suspended until their clients read', (t) => {
    const { heldSuspensions } = holdsIn(
      fc.record({
        ringBytes: fc.constantFrom(256, 4096),
        pool: fc.record({
          states: fc.integer({ min: 1, max: 6 }),
          clones: fc.integer({ min: 1, max: 4 }),
          workers: fc.integer({ min: 1, max: 2 }),
          queue: fc.constant(100),
          halfLifeMs: fc.constant(1000),
          maxCount: fc.constantFrom(0, 3),
        }),
        front: fc.record({
          bodyMemoryBytes: fc.constant(1000),
          sendBufferBytes: fc.constantFrom(1, 100, 300),
          sendTotalBytes: fc.constantFrom(500, 1e9),
          sendTimeoutMs: fc.constantFrom(2_000, 1e9),
          onAbort: fc.constantFrom('finish', 'stop'),
        }),
      }),
      120,
      SLOW,
    );
    t.diagnostic(JSON.stringify({ heldSuspensions }));
    assert.ok(heldSuspensions > 20, 'hardly any request waited for its client to read');
  });

  it('does so with connections lent to workers, and accepted by them', (t) => {
    const { stops, direct } = holdsIn(
      fc.record({
        lends: fc.constant(true),
        ringBytes: fc.constant(LENDING_RING_BYTES),
        pool: fc.record({
          states: fc.integer({ min: 1, max: 5 }),
          clones: fc.integer({ min: 1, max: 3 }),
          workers: fc.integer({ min: 1, max: 3 }),
          queue: fc.constantFrom(100, 3),
          halfLifeMs: fc.constant(1000),
          maxCount: fc.constantFrom(0, 0, 3),
        }),
        front: fc.record({
          tracesRequests: fc.boolean(),
          bodyMemoryBytes: fc.constantFrom(64, 1000),
          sendBufferBytes: fc.constantFrom(1, 10_000),
          queueTimeoutMs: fc.constantFrom(500, 50_000),
          watchdogMs: fc.constantFrom(0, 0, 300),
          onAbort: fc.constantFrom('finish', 'stop'),
        }),
      }),
      160,
      LENDING,
    );
    t.diagnostic(JSON.stringify({ stops, ...direct }));
    const { begun, accepted, promoted } = direct;
    assert.ok(stops > 500 && begun > 50 && accepted > 50 && promoted > 0, 'workers had hardly anything to do');
  });

  it('does so with requests on lent connections that wait for results', (t) => {
    const { direct, waits } = holdsIn(
      fc.record({
        lends: fc.constant(true),
        ringBytes: fc.constant(LENDING_RING_BYTES),
        pool: fc.record({
          states: fc.integer({ min: 2, max: 8 }),
          clones: fc.integer({ min: 1, max: 5 }),
          workers: fc.integer({ min: 1, max: 2 }),
          queue: fc.constant(100),
          halfLifeMs: fc.constant(1000),
          maxCount: fc.constantFrom(0, 0, 0, 5),
        }),
        front: fc.record({
          tracesRequests: fc.boolean(),
          sendBufferBytes: fc.constantFrom(1, 10_000),
          queueTimeoutMs: fc.constantFrom(500, 50_000),
          onAbort: fc.constantFrom('finish', 'stop'),
        }),
      }),
      90,
      WAITING,
    );
    t.diagnostic(JSON.stringify({ ...direct, waits }));
    assert.ok(waits.begun > 40 && waits.promoted > 5 && waits.freed > 2, 'hardly any of their requests waited');
  });

  it('does so with everything as small as it can be', () => {
    holdsIn(
      fc.constant({
        ringBytes: 128,
        pool: { states: 1, clones: 1, workers: 1, queue: 1, halfLifeMs: 1, maxCount: 1 },
        front: { maxPostBytes: 1000, bodyMemoryBytes: 1, sendBufferBytes: 1, queueTimeoutMs: 2000 },
      }),
      90,
    );
  });
});
