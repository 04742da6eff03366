/** Workers whose threads end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { finishRun, setUp } from '../support/one-worker.js';
import { answer, body, head, request } from '../support/requests.js';

describe('a worker that ends', () => {
  it('costs its own request a 500, and its states', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    rig.killWorker(worker, 'out of memory');
    assert.equal(peer.status(1), 500);
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_WORKER_GONE') && line.includes('out of memory')));
    assert.equal(rig.front.counts().states, 0);
    const second = rig.addWorker(0);
    rig.settle();
    assert.equal(second.running?.created, true);
    finishRun(rig, second);
    assert.equal(peer.stdout(2), answer('done'));
  });

  it('after some output ends the answer where it is', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    worker.output(answer('begun'));
    rig.settle();
    rig.killWorker(worker);
    const { stdout, appStatus } = peer.response();
    assert.equal(stdout.toString(), answer('begun'));
    assert.notEqual(appStatus, 0);
    assert.equal(peer.closed, 'now');
  });

  it('while a body is on its way to it lets the connection be read on', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { bodyMemoryBytes: 200 } });
    rig.send(peer, head({ length: 5000 }), body('x'.repeat(900)));
    rig.settle();
    assert.equal(peer.isPaused, true);
    rig.killWorker(worker);
    assert.equal(peer.status(), 500);
    assert.equal(peer.isPaused, false);
  });

  it('after con:finish() costs nobody anything', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    worker.output(answer('all'));
    worker.finish();
    rig.settle();
    assert.equal(peer.stdout(), answer('all'));
    rig.killWorker(worker);
    rig.close(peer);
    rig.checkEmpty();
  });

  it('idle, before it was ready, or twice changes nothing', () => {
    const { rig, worker, peer } = setUp();
    rig.event(() => rig.front.workerGone(99, 'never ready', rig.nowMs));
    rig.killWorker(worker);
    rig.killWorker(worker);
    rig.send(peer, request());
    const second = rig.addWorker(0);
    rig.settle();
    finishRun(rig, second);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('while its output waits for a slow reader lets that reader have the rest', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { sendBufferBytes: 50 } });
    peer.isSlow = true;
    rig.send(peer, request());
    rig.settle();
    worker.output(answer('x'.repeat(1000)));
    rig.settle();
    rig.killWorker(worker);
    peer.isSlow = false;
    rig.sendUnsent(peer);
    assert.ok(answer('x'.repeat(1000)).startsWith(peer.stdout()));
  });

  it('right after it has ended its request costs that request nothing', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    worker.log('error', 'last words');
    worker.end(answer('done'));
    // The bell was rung, but the news of the end come first.
    rig.killWorker(worker);
    assert.equal(peer.stdout(1), answer('done'));
    assert.ok(rig.logs.some((line) => line.includes('last words')));
    const second = rig.addWorker(0);
    rig.settle();
    finishRun(rig, second);
    assert.equal(peer.stdout(2), answer('done'));
  });
});
