/** Requests that come on lent connections: served by a worker itself, given back, or made the front's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FromWorker } from '../../../src/channel/messages.js';
import type { FakeWorker } from '../support/fake-worker.js';
import { answerShort, begun, lent, runOnce } from '../support/lent.js';
import { answer, request } from '../support/requests.js';

describe('what comes on a lent connection', () => {
  it('goes back to the front when it is not one whole request, and is served there', () => {
    const { rig, worker, peer } = lent();
    const bytes = request({ id: 2, body: 'some body' });
    rig.send(peer, bytes.subarray(0, 50));
    rig.settle();
    assert.equal(peer.lentTo, undefined);
    rig.send(peer, bytes.subarray(50));
    rig.settle();
    assert.equal(worker.readAll().toString(), 'some body');
    answerShort(rig, worker, 'second');
    assert.equal(peer.stdout(2), answer('second'));
    assert.deepEqual(worker.direct?.counts, { begun: 0, answered: 0, returned: 1, promoted: 0, accepted: 0 });
  });

  it('goes back when it is for a script that was not routes', () => {
    const { rig, worker, peer } = lent();
    rig.send(peer, request({ id: 2, script: '/srv/b.lua' }));
    rig.settle();
    assert.equal(worker.running?.lent, undefined);
    answerShort(rig, worker, 'b');
    assert.equal(peer.stdout(2), answer('b'));
    assert.equal(worker.direct?.counts.returned, 1);
  });

  it('goes back in vain, and then the connection is lent less and less often', () => {
    const { rig, worker, peer } = lent();
    const loans: number[] = [];
    for (let id = 2; id < 40; id += 1) {
      if (peer.lentTo !== undefined) loans.push(id);
      const bytes = request({ id });
      rig.send(peer, bytes.subarray(0, 40));
      rig.settle();
      rig.send(peer, bytes.subarray(40));
      rig.settle();
      answerShort(rig, worker, `${id}`);
      assert.equal(peer.stdout(id), answer(`${id}`));
    }
    const pauses = loans.slice(1).map((id, at) => id - (loans[at] as number));
    assert.deepEqual(pauses, [3, 5, 9, 17]);
  });

  it('is its end: the front gets the connection, and closes it', () => {
    const { rig, peer } = lent();
    rig.endReading(peer);
    rig.settle();
    assert.equal(peer.closed, 'now');
  });

  it('is answered as far as there is room, and the front sends the rest', () => {
    const { rig, worker, peer } = lent();
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    peer.isSlow = true;
    answerShort(rig, worker, 'second');
    assert.equal(peer.lentTo, undefined);
    assert.ok(peer.unsentBytes > 0);
    assert.equal(peer.stdout(2), answer('second'));
    peer.isSlow = false;
    rig.sendUnsent(peer);
    rig.send(peer, request({ id: 3 }));
    rig.settle();
    answerShort(rig, worker, 'third');
    assert.equal(peer.stdout(3), answer('third'));
    assert.equal(peer.lentTo, worker.lender);
  });

  it('becomes a request like all others when its script says anything before its end', () => {
    for (const [kind, speak] of Object.entries({
      output: (worker: FakeWorker) => worker.output(answer('some')),
      log: (worker: FakeWorker) => worker.log('info', 'a line'),
      limit: (worker: FakeWorker) => worker.limit(FromWorker.WATCHDOG, 5_000),
      finish: (worker: FakeWorker) => worker.finish(),
    })) {
      const { rig, worker, peer } = lent();
      rig.send(peer, request({ id: 2 }));
      rig.settle();
      speak(worker);
      rig.settle();
      assert.deepEqual([rig.front.counts().requests, peer.lentTo], [1, undefined], kind);
      worker.end(kind === 'output' ? ' and more' : answer('all'));
      rig.settle();
      const expected = { output: answer('some and more'), finish: '', log: answer('all'), limit: answer('all') };
      assert.equal(peer.stdout(2), expected[kind as keyof typeof expected]);
      assert.equal(worker.direct?.counts.promoted, 1);
      assert.equal(rig.front.counts().requests, 0);
      if (kind === 'log') assert.match(rig.logs.at(-1) ?? '', /^info run-\w+ a line$/);
    }
  });

  it('becomes one like all others when its state is gone with it', () => {
    const { rig, worker, peer } = lent();
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    worker.end(answer('broken'), true);
    rig.settle();
    assert.equal(peer.stdout(2), answer('broken'));
    assert.equal(rig.front.counts().states, 0);
  });

  it('is taken over when it runs for a millisecond, and has a time limit then', () => {
    const { rig, worker, peer } = lent({ front: { watchdogMs: 1_000 } });
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.ok(rig.front.isReviewDue);
    rig.look(0.5);
    assert.equal(rig.front.counts().requests, 0);
    rig.look(1);
    assert.deepEqual([rig.front.counts().requests, peer.lentTo], [1, undefined]);
    rig.pass(500);
    rig.settle();
    assert.equal(worker.requested, 0);
    rig.pass(600);
    assert.notEqual(worker.requested, 0);
    worker.end(answer('stopped'));
    rig.settle();
    assert.equal(peer.stdout(2), answer('stopped'));
    assert.equal(worker.direct?.counts.answered, 0);
  });

  it('is watched again after a time in which nobody was', () => {
    const { rig, worker, peer } = lent();
    for (let id = 2; id < 5; id += 1) {
      for (let left = 20; left > 0; left -= 1) rig.look(1);
      assert.equal(rig.front.isReviewDue, false);
      rig.send(peer, request({ id }));
      rig.settle();
      assert.equal(rig.front.isReviewDue, true);
      answerShort(rig, worker);
    }
    rig.send(peer, request({ id: 9 }));
    rig.settle();
    rig.look(1);
    rig.look(1);
    assert.equal(rig.front.counts().requests, 1);
  });

  it('is not run by a name that leads elsewhere by now', () => {
    const { rig, worker, peer } = lent();
    worker.pathsMayMove = true;
    runOnce(rig, worker, '/srv/b.lua');
    rig.event(() => rig.front.lookUps.remember('/srv/a.lua', '/srv/b.lua'));
    rig.files.set('/srv/a.lua', '/srv/b.lua');
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.equal(worker.running?.script, '/srv/b.lua');
    assert.equal(worker.direct?.counts.begun, 0);
    answerShort(rig, worker);
    // Not vain: the name was forgotten, which the connection does not pay for.
    assert.equal(peer.lentTo, worker.lender);
  });

  it('is not run in a state whose file has changed', () => {
    const { rig, worker } = begun();
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    worker.depends('/srv/a.lua', 'first');
    answerShort(rig, worker);
    const [old] = worker.states;
    assert.equal(rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'second']]))).states, 1);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.equal(worker.running?.created, true);
    assert.notEqual(worker.running?.state, old);
    assert.equal(worker.direct?.counts.begun, 0);
  });

  it('ends before its state is closed, once, when the file changes meanwhile', () => {
    for (const isHandedOver of [false, true]) {
      const { rig, worker } = begun();
      const peer = rig.open();
      rig.send(peer, request());
      rig.settle();
      worker.depends('/srv/a.lua', 'first');
      answerShort(rig, worker);
      rig.send(peer, request({ id: 2 }));
      rig.settle();
      assert.equal(rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'second']]))).states, 1);
      if (isHandedOver) worker.log('info', 'still here');
      rig.settle();
      answerShort(rig, worker, 'second');
      assert.equal(peer.stdout(2), answer('second'));
      assert.deepEqual([worker.states.size, rig.front.counts().states], [0, 0]);
      rig.check();
    }
  });

  it('is not left to a worker when its script has come to take long', () => {
    const { rig, worker, peer } = lent();
    worker.served(worker.states.values().next().value as number, 2);
    rig.hear();
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.deepEqual([worker.direct?.counts.begun, worker.direct?.counts.returned], [0, 1]);
    assert.equal(rig.front.counts().requests, 1);
  });
});
