import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pairs, record, TYPE } from '../../support/fcgi-wire.js';
import { abort, answer, request } from '../support/requests.js';
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

/** A request that is suspended since its client does not read. */
function suspendedFor(options: { states?: number; sendTotalBytes?: number; onAbort?: 'stop' | 'finish' } = {}) {
  const { states = 8, ...front } = options;
  const rig = new Rig({ ringBytes: 256, pool: { states }, front: { sendBufferBytes: 200, ...front } });
  const worker = rig.addWorker();
  const slow = rig.open();
  slow.isSlow = true;
  rig.send(slow, request({ keepConn: false }));
  rig.settle();
  worker.output(answer('x'.repeat(300)));
  rig.settle();
  assert.ok(worker.isHeld(worker.running?.id ?? 0), 'the worker is told');
  worker.suspend();
  rig.settle();
  assert.equal(rig.front.counts().freeWorkers, 1);
  return { rig, worker, slow, resume: () => worker.resume() };
}

describe('a request that is suspended since its client does not read', () => {
  it('leaves its worker to others, and goes on when the client has read', () => {
    const { rig, worker, slow, resume } = suspendedFor();
    const other = rig.open();
    rig.send(other, request({ script: '/srv/b.lua' }));
    rig.settle();
    worker.end(answer('mine'));
    rig.settle();
    assert.equal(other.stdout(), answer('mine'));
    passSomeTicks(rig);
    assert.equal(resume(), false, 'its client has read nothing');
    slow.isSlow = false;
    rig.sendUnsent(slow);
    rig.settle();
    assert.ok(resume());
    worker.end('end');
    rig.settle();
    assert.equal(slow.stdout(), answer(`${'x'.repeat(300)}end`));
  });

  it('goes on when its client is gone, or is stopped there if it wants that', () => {
    const { rig, worker, slow, resume } = suspendedFor();
    rig.close(slow);
    rig.settle();
    assert.ok(resume());
    worker.end();
    rig.settle();
    rig.checkEmpty();
    const stopped = suspendedFor({ onAbort: 'stop' });
    stopped.rig.close(stopped.slow);
    stopped.rig.settle();
    stopped.rig.checkEmpty();
  });

  it('goes on when its client does not want the answer any more', () => {
    const { rig, worker, slow, resume } = suspendedFor();
    rig.send(slow, abort(1));
    rig.settle();
    assert.ok(resume());
    worker.end();
    rig.settle();
    assert.equal(rig.front.counts().requests, 0);
  });

  it('has the rest of its answer stored when others wait for its state', () => {
    const { rig, worker, slow, resume } = suspendedFor({ states: 1 });
    const other = rig.open();
    rig.send(other, request({ script: '/srv/b.lua' }));
    passSomeTicks(rig);
    assert.equal(slow.isSpooled, true);
    assert.ok(resume());
    worker.end('end');
    rig.settle();
    assert.equal(worker.running?.script, '/srv/b.lua');
    worker.end(answer('mine'));
    rig.settle();
    assert.equal(other.stdout(), answer('mine'));
    assert.equal(slow.stdout(), answer(`${'x'.repeat(300)}end`));
  });

  it('for another reason is told to wait with its output when it goes on', () => {
    const rig = new Rig({ ringBytes: 1024, front: { sendBufferBytes: 200 } });
    const worker = rig.addWorker();
    const slow = rig.open();
    slow.isSlow = true;
    rig.send(slow, request({ keepConn: false }));
    rig.settle();
    // It is suspended before the front has seen its output, and others of its worker come behind that.
    worker.output(answer('x'.repeat(300)));
    worker.suspend();
    rig.settle();
    const { id = 0 } = worker.suspended[0] ?? {};
    assert.ok(worker.isHeld(id));
    const other = rig.open();
    rig.send(other, request({ script: '/srv/b.lua' }));
    rig.settle();
    worker.end(answer('mine'));
    rig.settle();
    assert.equal(other.stdout(), answer('mine'));
    slow.isSlow = false;
    rig.sendUnsent(slow);
    rig.settle();
    assert.equal(worker.isHeld(id), false);
  });

  it('costs nothing when its worker is lost', () => {
    const { rig, worker, slow } = suspendedFor();
    rig.killWorker(worker);
    slow.isSlow = false;
    rig.sendUnsent(slow);
    passSomeTicks(rig);
    rig.settle();
    assert.equal(rig.front.counts().requests, 0);
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
