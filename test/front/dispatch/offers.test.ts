/** Requests that are offered to a busy worker. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { finishRun, setUp } from '../support/one-worker.js';
import { answer, request } from '../support/requests.js';

describe('a request that is offered to a busy worker', () => {
  /** Two workers, of which the first has a state of the script that has shown to be short, and runs it. */
  function offering(workers = 1): ReturnType<typeof setUp> {
    const setting = setUp({ pool: { workers } });
    const { rig, worker, peer } = setting;
    worker.tookMs = 0;
    rig.send(peer, request({ id: 1 }));
    rig.settle();
    finishRun(rig, worker);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.ok(worker.running);
    return setting;
  }

  it('lies in its ring when the one before it ends, and needs no word of the front', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }), request({ id: 4 }));
    worker.end(answer('two'));
    // The front has not heard of the end yet.
    worker.listen();
    assert.equal(worker.offers.claimed, 1);
    worker.end(answer('three'));
    worker.listen();
    worker.end(answer('four'));
    rig.settle();
    assert.deepEqual(
      [2, 3, 4].map((id) => peer.stdout(id)),
      [answer('two'), answer('three'), answer('four')],
    );
  });

  it('is run by another worker when the one before it lasts', () => {
    const { rig, worker, peer } = offering(2);
    rig.send(peer, request({ id: 3 }));
    const other = rig.addWorker();
    rig.settle();
    assert.equal(other.running, undefined);
    assert.equal(rig.front.isReviewDue, true);
    rig.pass(1);
    rig.settle();
    assert.ok(other.running);
    finishRun(rig, other);
    assert.equal(peer.stdout(3), answer('done'));
    finishRun(rig, worker);
    assert.equal(worker.offers.passedOver, 1);
    assert.equal(peer.stdout(2), answer('done'));
  });

  it('and whose client goes away is passed over', () => {
    const { rig, worker } = offering();
    const other = rig.open();
    rig.send(other, request({ id: 1 }));
    rig.close(other);
    finishRun(rig, worker);
    assert.equal(worker.running, undefined);
    assert.deepEqual(worker.offers, { claimed: 0, passedOver: 1, bounced: 0 });
  });

  it('and whose client goes away when the worker has just begun with it runs to its end', () => {
    const { rig, worker } = offering();
    const other = rig.open();
    rig.send(other, request({ id: 1 }));
    worker.end(answer('two'));
    worker.listen();
    rig.close(other);
    assert.ok(worker.running);
    finishRun(rig, worker);
    assert.equal(rig.front.counts().requests, 0);
  });

  it('waits on when its state has broken meanwhile', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }));
    worker.end(answer('two'), true);
    worker.listen();
    assert.equal(worker.offers.bounced, 1);
    rig.settle();
    assert.equal(worker.running?.created, true);
    finishRun(rig, worker);
    assert.equal(peer.stdout(3), answer('done'));
  });

  it('waits for another worker when its own is gone, and gets a page when that had begun with it', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }), request({ id: 4 }));
    worker.end(answer('two'));
    worker.listen();
    rig.killWorker(worker);
    assert.equal(peer.stdout(2), answer('two'));
    assert.match(peer.stdout(3), /^Status: 500 /);
    const next = rig.addWorker(0);
    rig.settle();
    finishRun(rig, next);
    assert.equal(peer.stdout(4), answer('done'));
  });

  it('is turned away when it has waited too long', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }));
    rig.pass(60_000_000);
    assert.match(peer.stdout(3), /^Status: 503 /);
    finishRun(rig, worker);
    assert.equal(worker.running, undefined);
  });
});
