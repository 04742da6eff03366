import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GhostScores } from '../../src/pool/ghost-scores.js';
import { UNUSED } from '../../src/pool/policy.js';
import { Pool } from '../../src/pool/pool.js';

describe('remembered scores', () => {
  it('are handed out once; of several the highest counts', () => {
    const scores = new GhostScores(10);
    scores.keep('a', 3);
    scores.keep('a', 1);
    assert.equal(scores.take('a'), 3);
    assert.equal(scores.take('a'), UNUSED);
  });

  it('reach back as far as their limit, and not more than twice as far', () => {
    const scores = new GhostScores(100);
    for (let i = 0; i < 1000; i++) scores.keep(`script ${i}`, i);
    const known = Array.from({ length: 1000 }, (_, i) => i).filter((i) => scores.take(`script ${i}`) !== UNUSED);
    assert.ok(known.length >= 100 && known.length <= 200, `${known.length} are known`);
    assert.deepEqual(
      known,
      known.map((_, place) => 1000 - known.length + place),
    );
  });
});

describe('a script that comes back', () => {
  /** Serves one request from start to end; tells which script lost its state for it. */
  function serve(pool: Pool<{ script: string; peer: number; queuedMs: number }>, script: string): string | undefined {
    pool.join({ script, peer: 1, queuedMs: 0 });
    const assignment = pool.assign(0);
    assert.ok(assignment);
    if (assignment.evicted !== undefined) pool.closed(assignment.evicted.id);
    pool.release(assignment.state.id, false, 1000);
    return assignment.evicted?.script;
  }

  it('keeps its place against one that was used less', () => {
    const limits = { states: 2, clones: 1, workers: 1, queue: 10, halfLifeMs: 1e9, maxCount: 0 };
    const noOffers = { mayOffer: () => false, revoke: () => true };
    const pool = new Pool<{ script: string; peer: number; queuedMs: number }>(limits, noOffers);
    pool.addWorker(1, 0);
    for (let i = 0; i < 4; i++) serve(pool, 'steady');
    serve(pool, 'favourite');
    serve(pool, 'favourite');
    assert.equal(serve(pool, 'rare'), 'favourite');
    // With three uses against one it does not begin anew.
    assert.equal(serve(pool, 'favourite'), 'rare');
    assert.equal(serve(pool, 'rare'), 'favourite');
    serve(pool, 'favourite');
    serve(pool, 'favourite');
    serve(pool, 'favourite');
    assert.equal(serve(pool, 'rare'), 'steady');
  });
});
