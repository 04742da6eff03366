/** Workers with lent connections that the front needs for something else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerShort, goUntil, lend, lent } from '../support/lent.js';
import { answer, request } from '../support/requests.js';

describe('a worker with lent connections', () => {
  it('runs what waits before it goes to them', () => {
    const { rig, worker, peer } = lent();
    const other = rig.open();
    rig.send(peer, request({ id: 2 }));
    rig.send(other, request({ id: 3 }));
    // Both are there when it looks.
    rig.settle();
    assert.equal(worker.running?.lent, undefined);
    answerShort(rig, worker, 'of the front');
    assert.equal(other.stdout(3), answer('of the front'));
    assert.notEqual(worker.running?.lent, undefined);
    answerShort(rig, worker, 'lent');
    assert.equal(peer.stdout(2), answer('lent'));
  });

  it('that is at one when somebody waits, runs that next; and then goes to them again', () => {
    const { rig, worker, peer } = lent();
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    const other = rig.open();
    rig.send(other, request({ id: 1 }));
    rig.settle();
    assert.notEqual(worker.running?.lent, undefined);
    assert.equal(rig.front.counts().waiting, 1);
    assert.ok(worker.lender.isWanted);
    rig.send(peer, request({ id: 3 }));
    answerShort(rig, worker, 'lent');
    assert.equal(worker.running?.lent, undefined);
    answerShort(rig, worker, 'other');
    assert.equal(other.stdout(1), answer('other'));
    assert.equal(worker.lender.isWanted, false);
    answerShort(rig, worker, 'third');
    assert.equal(peer.stdout(3), answer('third'));
  });

  it('is woken when it was wanted, and sleeps on that, and one of them is taken back meanwhile', () => {
    const { rig, worker, peer } = lent({ front: { idleTimeoutMs: 1_000, queueTimeoutMs: 200 } });
    const idle = lend(rig, worker);
    for (let tick = 0; tick < 4; tick += 1) rig.pass(250);
    assert.equal(idle.closed, 'no');
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    rig.send(rig.open(), request());
    assert.ok(worker.lender.isWanted);
    worker.end(answer('lent'));
    while (worker.go());
    assert.ok(worker.direct?.isDeafToConnections);
    // Who waits is turned away, and the other one is idle for too long, before the front hears that the worker is free.
    rig.pass(250);
    assert.equal(idle.closed, 'now');
    assert.equal(rig.front.counts().waiting, 0);
    rig.send(peer, request({ id: 3 }));
    rig.settle();
    answerShort(rig, worker, 'third');
    assert.equal(peer.stdout(3), answer('third'));
  });

  it('is not kept from them by a wish from before it handed a request over', () => {
    const { rig, worker, peer } = lent();
    const second = rig.addWorker();
    rig.settle();
    const idle = lend(rig, worker);
    rig.send(peer, request({ id: 2 }));
    while (worker.running === undefined) assert.ok(worker.go());
    // Somebody waits for a state of the first; the second takes it before that is free.
    const [one, other] = [rig.open(), rig.open()];
    rig.send(one, request({ script: '/srv/long.lua' }));
    rig.settle();
    rig.send(other, request({ script: '/srv/b.lua' }));
    rig.settle();
    assert.ok(worker.lender.isWanted);
    worker.log('info', 'handed over');
    rig.settle();
    second.end(answer('long'));
    rig.settle();
    if (second.running !== undefined) second.end(answer('b'));
    rig.settle();
    assert.equal(worker.lender.isWanted, false);
    answerShort(rig, worker, 'second');
    assert.equal(idle.lentTo, worker.lender, 'it was lent once more');
    rig.send(idle, request({ id: 2 }));
    rig.settle();
    answerShort(rig, worker, 'idle');
    assert.equal(idle.stdout(2), answer('idle'));
  });

  it('is not offered what it would find only behind a lent request', () => {
    const { rig, worker, peer } = lent();
    const [first, second] = [rig.open(), rig.open()];
    rig.send(first, request());
    rig.settle();
    rig.send(peer, request({ id: 2 }));
    worker.end(answer('first'));
    while (worker.running === undefined) assert.ok(worker.go());
    assert.notEqual(worker.running.lent, undefined);
    // The front has not heard that the first is over, and would have this one wait behind it.
    rig.send(second, request());
    worker.log('info', 'handed over');
    rig.settle();
    answerShort(rig, worker, 'lent');
    answerShort(rig, worker, 'second');
    assert.deepEqual(
      [first.stdout(), peer.stdout(2), second.stdout()],
      [answer('first'), answer('lent'), answer('second')],
    );
  });

  it('leaves nothing unanswered when it dies', () => {
    const { rig, worker, peer } = lent();
    const idle = lend(rig, worker);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    rig.killWorker(worker);
    // What it ran is answered, and who had no request has noticed nothing.
    assert.equal(peer.status(2), 500);
    assert.deepEqual([peer.closed, idle.closed, idle.lentTo], ['no', 'no', undefined]);
    rig.send(idle, request({ id: 2 }));
    const next = rig.addWorker(0);
    rig.settle();
    answerShort(rig, next, 'from the next');
    assert.equal(idle.stdout(2), answer('from the next'));
  });

  it('costs the connection that it was at when it dies: nobody knows what was read or sent', () => {
    const { rig, worker, peer } = lent();
    const idle = lend(rig, worker);
    rig.send(peer, request({ id: 2 }));
    goUntil(worker, 'read', () => rig.killWorker(worker));
    assert.deepEqual([peer.isBroken, idle.isBroken, idle.closed], [true, false, 'no']);
    rig.close(peer);
    rig.check();
  });

  it('is heard to its last word: what it has given back is not lost with it', () => {
    const { rig, worker, peer } = lent();
    rig.send(peer, request({ id: 2, script: '/srv/b.lua' }));
    while (worker.go());
    assert.equal(worker.direct?.counts.returned, 1);
    rig.killWorker(worker);
    const next = rig.addWorker(0);
    rig.settle();
    answerShort(rig, next, 'from the next');
    assert.equal(peer.stdout(2), answer('from the next'));
  });

  it('that loops for ever in a request of its own is ended, and its client told', () => {
    const { rig, worker, peer } = lent({ front: { watchdogMs: 1_000 } });
    const idle = lend(rig, worker);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    for (let ms = 0; ms < 5; ms += 1) rig.look(1);
    assert.equal(idle.lentTo, undefined);
    for (let tick = 0; tick < 8; tick += 1) {
      rig.pass(250);
      rig.settle();
    }
    assert.equal(peer.status(2), 504);
    assert.match(rig.abandoned.join(), /does not stop/);
    assert.equal(idle.closed, 'no');
  });
});
