/** Which connections are lent to workers, and when they are taken back; time passes when the test says so. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerShort, begun, goUntil, lend, lent, runOnce } from '../support/lent.js';
import { answer, request } from '../support/requests.js';
import { Rig } from '../support/rig.js';

describe('a connection is lent', () => {
  it('after a short request, and its next ones are answered without the front', () => {
    const { rig, worker, peer } = lent();
    assert.equal(peer.stdout(), answer('first'));
    for (const id of [2, 3]) {
      rig.send(peer, request({ id }));
      rig.settle();
      assert.equal(rig.front.counts().requests, 0);
      answerShort(rig, worker, `answer ${id}`);
      assert.equal(peer.stdout(id), answer(`answer ${id}`));
    }
    assert.deepEqual(worker.direct?.counts, { begun: 2, answered: 2, returned: 0, promoted: 0, accepted: 0 });
    assert.equal(worker.started, 2, 'the first of all, and the first of this connection');
  });

  it('not after one that took long', () => {
    const { rig, worker } = begun();
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    worker.tookMs = 5;
    worker.end(answer('long'));
    rig.settle();
    assert.equal(peer.lentTo, undefined);
  });

  it('not where its web server does not keep it, has sent more, or reads slowly', () => {
    for (const kind of ['close', 'more', 'slow'] as const) {
      const { rig, worker } = begun();
      const peer = rig.open();
      peer.isSlow = kind === 'slow';
      rig.send(peer, request({ keepConn: kind !== 'close' }));
      if (kind === 'more') rig.send(peer, request({ id: 2 }).subarray(0, 20));
      rig.settle();
      answerShort(rig, worker);
      assert.equal(peer.lentTo, undefined, kind);
      assert.equal(rig.front.counts().requests, 0);
    }
  });

  it('also where each request is counted: for an access log, or for maxcount', () => {
    for (const options of [{ front: { tracesRequests: true } }, { pool: { maxCount: 10 } }]) {
      const { rig, worker } = begun(options);
      const peer = rig.open();
      rig.send(peer, request());
      rig.settle();
      answerShort(rig, worker);
      assert.notEqual(peer.lentTo, undefined);
    }
  });

  it('not when the worker cannot be given what it waits with, nor when the next thing it runs may be long', () => {
    const rig = new Rig({ lends: true });
    rig.canLend = false;
    const poor = rig.addWorker();
    runOnce(rig, poor);
    const unlent = rig.open();
    rig.send(unlent, request());
    rig.settle();
    answerShort(rig, poor);
    assert.equal(unlent.lentTo, undefined);

    const { rig: other, worker } = begun();
    const peer = other.open();
    other.send(peer, request());
    other.send(other.open(), request({ script: '/srv/unknown.lua' }));
    other.settle();
    answerShort(other, worker);
    assert.equal(worker.running?.script, '/srv/unknown.lua');
    assert.equal(peer.lentTo, undefined);
  });

  it('not by a name that has come to lead elsewhere while its request ran', () => {
    const { rig, worker } = begun();
    worker.pathsMayMove = true;
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    rig.event(() => rig.front.lookUps.remember('/srv/a.lua', '/srv/b.lua'));
    answerShort(rig, worker);
    assert.equal(peer.lentTo, undefined);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.equal(worker.running?.script, '/srv/b.lua');
  });

  it("not twice at once: each is one worker's", () => {
    const { rig, worker } = lent();
    const second = rig.addWorker();
    const other = lend(rig, worker);
    assert.equal(other.lentTo, worker.lender);
    assert.equal(second.lender.lent, 0);
    assert.equal(worker.lender.lent, 2);
  });
});

describe('a lent connection comes home', () => {
  it('when its worker runs something long', () => {
    const { rig, worker, peer } = lent();
    const other = rig.open();
    rig.send(other, request({ script: '/srv/long.lua' }));
    rig.settle();
    // Nobody knows yet how long that takes, and nothing has to wait behind it.
    assert.equal(worker.running?.script, '/srv/long.lua');
    assert.equal(peer.lentTo, undefined);
    answerShort(rig, worker);
    runOnce(rig, worker, '/srv/long.lua');

    const again = lend(rig, worker);
    rig.send(rig.open(), request({ script: '/srv/long.lua' }));
    rig.settle();
    assert.deepEqual([worker.running?.script, worker.running?.lent], ['/srv/long.lua', undefined]);
    assert.equal(again.lentTo, worker.lender, 'it was short so far');
    rig.look(1);
    assert.equal(again.lentTo, undefined);
  });

  it('when its worker retires, which then ends; also one that the worker is just giving back', () => {
    for (const isAtIt of [false, true]) {
      const { rig, worker, peer } = lent();
      const renew = (): void => {
        rig.renew({}, 1);
        assert.equal(peer.lentTo === undefined, !isAtIt);
      };
      if (isAtIt) {
        rig.send(peer, request({ id: 2 }).subarray(0, 30));
        goUntil(worker, 'post', renew);
      } else renew();
      rig.settle();
      assert.equal(peer.lentTo, undefined);
      assert.ok(worker.isToldToStop);
    }
  });

  it('when its worker retires while it runs the request: that is answered first', () => {
    const { rig, worker, peer } = lent();
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    rig.renew({}, 1);
    assert.deepEqual([peer.lentTo, rig.front.counts().requests], [undefined, 1]);
    assert.ok(!worker.isToldToStop);
    answerShort(rig, worker, 'second');
    assert.equal(peer.stdout(2), answer('second'));
    assert.ok(worker.isToldToStop);
    assert.equal(peer.lentTo, undefined);
  });

  it('when its worker retires while the front has not heard the end of the request before', () => {
    const { rig, worker, peer } = lent();
    rig.send(rig.open(), request({ script: '/srv/a.lua' }));
    rig.settle();
    rig.send(peer, request({ id: 2 }));
    worker.end(answer('of the front'));
    while (worker.running === undefined) assert.ok(worker.go());
    assert.notEqual(worker.running.lent, undefined);
    rig.renew({}, 1);
    rig.settle();
    answerShort(rig, worker, 'lent');
    assert.equal(peer.stdout(2), answer('lent'));
    assert.ok(worker.isToldToStop);
  });

  it('when the server stops, and is closed a moment later; what runs is answered before (fidelity D-B2)', () => {
    const { rig, worker, peer } = lent();
    const other = lend(rig, worker);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    rig.event(() => rig.front.drain(rig.nowMs));
    assert.equal(rig.drained, 0);
    rig.look(1);
    assert.deepEqual([other.closed, peer.closed, rig.drained], ['no', 'no', 0]);
    answerShort(rig, worker, 'last');
    assert.equal(peer.stdout(2), answer('last'));
    rig.pass(500);
    assert.deepEqual([other.closed, peer.closed, rig.drained > 0], ['now', 'now', true]);
  });

  it('when it was without a request for too long, counted from the last that its worker has answered', () => {
    const { rig, worker, peer } = lent({ front: { idleTimeoutMs: 10_000 } });
    const pass = (seconds: number): void => {
      for (let tick = 0; tick < seconds * 4; tick += 1) rig.pass(250);
      rig.settle();
    };
    pass(8);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    answerShort(rig, worker);
    pass(8);
    assert.equal(peer.closed, 'no');
    assert.equal(peer.lentTo, worker.lender);
    pass(3);
    assert.equal(peer.closed, 'now');
    assert.equal(worker.lender.lent, 0);
  });

  it('when there is no room for others: one that was not used, and never one that was just used', () => {
    const { rig, worker, peer } = lent({ front: { connectionLimit: 2 } });
    const other = lend(rig, worker);
    rig.pass(250);
    rig.pass(250);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    answerShort(rig, worker, 'second');
    assert.equal(
      rig.event(() => rig.front.admits()),
      true,
    );
    assert.deepEqual([peer.closed, other.closed], ['no', 'now']);

    rig.close(other);
    const third = lend(rig, worker);
    rig.send(peer, request({ id: 3 }));
    rig.settle();
    answerShort(rig, worker, 'third');
    assert.equal(
      rig.event(() => rig.front.admits()),
      false,
    );
    assert.deepEqual([peer.closed, third.closed], ['no', 'no']);
  });

  it('not at once when its worker was given one request after the other before it was lent', () => {
    const { rig, worker } = begun();
    const other = rig.open();
    const peer = rig.open();
    rig.send(other, request());
    rig.settle();
    let id = 1;
    const goOn = (): void => {
      id += 1;
      rig.send(other, request({ id, body: 'x' }));
      rig.nowMs += 1;
      worker.readAll();
      worker.tookMs = 0;
      worker.end(answer('x'));
      rig.hear();
      worker.listen();
    };
    for (let ms = 0; ms < 100; ms += 1) goOn();
    rig.send(peer, request());
    while (peer.lentTo === undefined) {
      goOn();
      assert.ok(id < 200, 'it is not lent');
    }
    for (let ms = 0; ms < 30; ms += 1) goOn();
    assert.equal(peer.lentTo, worker.lender);
    for (let ms = 0; ms < 30; ms += 1) goOn();
    assert.equal(peer.lentTo, undefined, 'nobody has looked at it for long');
  });

  it('when its worker is always given something else', () => {
    const { rig, worker, peer } = lent();
    const others = Array.from({ length: 3 }, () => rig.open());
    let id = 1;
    for (const other of others) rig.send(other, request());
    rig.settle();
    rig.send(peer, request({ id: 2 }));
    // Each of them asks again before it is answered: the worker never has nothing to do but this.
    const goOn = (): void => {
      id += 1;
      for (const other of others) if (other.lentTo === undefined) rig.send(other, request({ id, body: 'x' }));
      rig.nowMs += 0.5;
      if (worker.running !== undefined) worker.readAll();
      worker.tookMs = 0;
      if (worker.running !== undefined) worker.end(answer('x'));
      rig.hear();
      worker.listen();
    };
    for (let rounds = 0; peer.lentTo !== undefined; rounds += 1) {
      assert.ok(rounds < 200, 'its request is never read');
      goOn();
    }
    assert.ok(worker.started > 5);
    assert.equal(worker.direct?.counts.begun, 0);
  });
});
