/** New connections that workers accept, as the front sees them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerShort, begun, goUntil, lend } from '../support/lent.js';
import { answer, request } from '../support/requests.js';

describe('a connection that a worker may accept', () => {
  it('is accepted by it, and one request that it can run is answered without the front', () => {
    const { rig, worker } = begun();
    lend(rig, worker);
    rig.look();
    const known = rig.front.counts().connections;
    const peer = rig.connect();
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    assert.notEqual(worker.running?.lent, undefined);
    answerShort(rig, worker, 'direct');
    assert.deepEqual([peer.stdout(), peer.closed], [answer('direct'), 'now']);
    assert.equal(rig.front.counts().connections, known);
    assert.equal(worker.direct?.counts.accepted, 0);
  });

  it('is accepted by the front when that worker ends before, and no other was told of it', () => {
    const { rig, worker } = begun();
    const second = rig.addWorker();
    lend(rig, worker);
    rig.look();
    const peers = [rig.connect(), rig.connect()];
    for (const peer of peers) rig.send(peer, request());
    for (const each of [worker, second]) rig.killWorker(each);
    const next = rig.addWorker(0);
    for (let rounds = 0; rounds < 3; rounds += 1) rig.look();
    answerShort(rig, next, 'one');
    answerShort(rig, next, 'other');
    assert.deepEqual(
      peers.map((peer) => peer.isAnswered),
      [true, true],
    );
  });

  it('does not keep a server that stops longer than its worker takes to see that', () => {
    const { rig, worker } = begun();
    const kept = lend(rig, worker);
    rig.look();
    rig.close(kept);
    rig.look();
    const peer = rig.connect();
    rig.send(peer, request({ keepConn: false }));
    goUntil(worker, 'accept', () => {
      rig.event(() => rig.front.drain(rig.nowMs));
      assert.equal(rig.drained, 0, 'the worker may have accepted a connection');
    });
    answerShort(rig, worker, 'direct');
    rig.look();
    assert.deepEqual([peer.stdout(), peer.closed, rig.drained], [answer('direct'), 'now', 1]);
  });
});
