/** Requests that wait for a state. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PROTOCOL_STATUS } from '../../support/fcgi-wire.js';
import { finishRun, setUp } from '../support/one-worker.js';
import { answer, request } from '../support/requests.js';

describe('the queue', () => {
  it('of no length lets requests start that need not wait', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 0 } });
    rig.send(peer, request({ id: 1 }));
    rig.settle();
    assert.ok(worker.running);
    rig.send(peer, request({ id: 2 }));
    assert.equal(peer.status(2), 503);
    finishRun(rig, worker);
    assert.equal(peer.stdout(1), answer('done'));
  });

  it('that is full turns a request away with a page that says when to try again', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 1 } });
    rig.send(peer, request({ id: 1 }), request({ id: 2 }), request({ id: 3 }));
    const text = peer.stdout(3);
    assert.match(text, /^Status: 503 Service Unavailable\r\n/);
    assert.match(text, /\r\nRetry-After: \d+\r\n/);
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_POOL_FULL')));
    for (const id of [1, 2]) {
      rig.settle();
      finishRun(rig, worker);
      assert.equal(peer.stdout(id), answer('done'));
    }
  });

  it('that is full turns a request away with OVERLOADED when that is wanted', () => {
    const { rig, peer } = setUp({ pool: { queue: 1 }, front: { overload: 'protocol' } });
    rig.send(peer, request({ id: 1 }), request({ id: 2 }), request({ id: 3, keepConn: false }));
    const { stdout, protocolStatus } = peer.response(3);
    assert.deepEqual(
      { bytes: stdout.length, protocolStatus },
      { bytes: 0, protocolStatus: PROTOCOL_STATUS.OVERLOADED },
    );
  });

  it('that is full makes the script with most waiting requests pay', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 3, clones: 1 } });
    for (let id = 1; id <= 4; id++) rig.send(peer, request({ id, script: '/flood' }));
    rig.send(peer, request({ id: 9, script: '/other' }));
    assert.equal(peer.status(4), 503);
    const order: (string | undefined)[] = [];
    for (let n = 0; n < 4; n++) {
      rig.settle();
      order.push(worker.running?.script);
      finishRun(rig, worker);
    }
    assert.equal(peer.stdout(9), answer('done'));
    assert.ok(order.indexOf('/other') < 3, order.join());
  });

  it('does not let a request start that is there for a script whose one state is busy', () => {
    const { rig, worker, peer } = setUp({ pool: { clones: 1 } });
    const second = rig.addWorker();
    rig.send(peer, request({ id: 1, script: '/one' }), request({ id: 2, script: '/one' }));
    rig.send(peer, request({ id: 3, script: '/two' }));
    rig.settle();
    assert.deepEqual([worker.running?.script, second.running?.script].sort(), ['/one', '/two']);
    assert.equal(rig.front.counts().waiting, 1);
  });

  it('lets go who has waited too long', () => {
    const { rig, worker, peer } = setUp({ front: { queueTimeoutMs: 500 } });
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.pass(300);
    rig.send(peer, request({ id: 3 }));
    rig.pass(201);
    assert.equal(peer.status(2), 503);
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_POOL_TIMEOUT')));
    rig.pass(100);
    assert.equal(rig.front.counts().waiting, 1);
    rig.settle();
    finishRun(rig, worker);
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(1), answer('done'));
    assert.equal(peer.stdout(3), answer('done'));
  });
});
