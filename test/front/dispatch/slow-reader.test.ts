import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pairs, record, TYPE } from '../../support/fcgi-wire.js';
import { answer, request } from '../support/requests.js';
import { Rig } from '../support/rig.js';

/** A worker that waits for a slow reader to take the rest of its answer. */
function heldWorker(pool: { queue?: number } = {}) {
  const rig = new Rig({ ringBytes: 256, pool, front: { sendBufferBytes: 200 } });
  const worker = rig.addWorker();
  const slow = rig.open();
  slow.isSlow = true;
  rig.send(slow, request({ keepConn: false }));
  rig.settle();
  worker.output(answer('x'.repeat(5000)));
  worker.end('end');
  rig.settle();
  assert.ok(worker.isBlocked);
  return { rig, worker, slow };
}

function passSomeTicks(rig: Rig): void {
  for (let ticks = 0; ticks < 4; ticks++) rig.pass(100);
  rig.settle();
}

describe('a slow reader that holds a worker', () => {
  it('keeps it while nobody else wants one', () => {
    const { rig, worker, slow } = heldWorker();
    passSomeTicks(rig);
    assert.ok(worker.isBlocked);
    assert.equal(slow.isSpooled, false);
  });

  it('has the rest of its answer stored when a request waits, and loses nothing of it', () => {
    const { rig, worker, slow } = heldWorker();
    const other = rig.open();
    rig.send(other, request());
    passSomeTicks(rig);
    assert.equal(slow.isSpooled, true);
    assert.equal(slow.stdout(), answer(`${'x'.repeat(5000)}end`));
    assert.equal(worker.running?.script, '/srv/a.lua');
    worker.end(answer('mine'));
    rig.settle();
    assert.equal(other.stdout(), answer('mine'));
  });

  it('is noticed, too, where nobody may wait', () => {
    const { rig, slow } = heldWorker({ queue: 0 });
    const other = rig.open();
    for (let ticks = 0; ticks < 4; ticks++) {
      rig.send(other, request());
      rig.settle();
      rig.pass(100);
    }
    rig.settle();
    assert.equal(other.status(), 503);
    assert.equal(slow.isSpooled, true);
  });

  it('goes on holding it when nothing can be stored; the waiting request is told after its time', () => {
    const { rig, worker, slow } = heldWorker();
    rig.canSpool = false;
    const other = rig.open();
    rig.send(other, request());
    passSomeTicks(rig);
    assert.ok(worker.isBlocked);
    assert.equal(slow.isSpooled, false);
    rig.pass(10_000);
    assert.equal(other.status(), 503);
  });
});

describe('a peer that does not read', () => {
  it('is not read any more when replies pile up, and is again when it has read them', () => {
    const rig = new Rig({ front: { sendBufferBytes: 200 } });
    const peer = rig.open();
    peer.isSlow = true;
    const values = Buffer.concat(
      Array.from({ length: 1000 }, () => record(TYPE.GET_VALUES, 0, pairs({ FCGI_MAX_REQS: '' }))),
    );
    let rounds = 0;
    while (!peer.isPaused) {
      rig.send(peer, values);
      rounds += 1;
      assert.ok(rounds < 100, `${peer.unsentBytes} bytes wait and it is still read`);
    }
    assert.ok(peer.unsentBytes > 1024 * 1024);
    rig.sendUnsent(peer, 0);
    assert.equal(peer.isPaused, false);
  });
});
