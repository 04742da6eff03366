/** Connections that are lent to workers, one behaviour at a time; time passes when the test says so. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FromWorker } from '../../../src/channel/messages.js';
import type { Pause } from '../support/direct-worker.js';
import type { FakeWorker } from '../support/fake-worker.js';
import { answer, request } from '../support/requests.js';
import { type Peer, Rig } from '../support/rig.js';

interface Setting {
  readonly rig: Rig;
  readonly worker: FakeWorker;
  readonly peer: Peer;
}

/** One worker, which knows that the script is short: its first request tells nothing, since that had to load it. */
function begun(options: ConstructorParameters<typeof Rig>[0] = {}): { readonly rig: Rig; readonly worker: FakeWorker } {
  const rig = new Rig({ ...options, lends: true });
  const worker = rig.addWorker();
  rig.settle();
  runOnce(rig, worker);
  return { rig, worker };
}

/** One request that has nothing to do with others. */
function runOnce(rig: Rig, worker: FakeWorker, script = '/srv/a.lua'): void {
  const peer = rig.open();
  rig.send(peer, request({ script, keepConn: false }));
  rig.settle();
  answerShort(rig, worker);
  rig.close(peer);
}

/** The same, and a connection that was lent to it after its first request. */
function lent(options: ConstructorParameters<typeof Rig>[0] = {}): Setting {
  const { rig, worker } = begun(options);
  const peer = lend(rig, worker);
  return { rig, worker, peer };
}

/** One more connection that is lent after a short request. */
function lend(rig: Rig, worker: FakeWorker, script = '/srv/a.lua'): Peer {
  const peer = rig.open();
  rig.send(peer, request({ script }));
  rig.settle();
  answerShort(rig, worker);
  assert.equal(peer.lentTo, worker.lender, 'it is lent');
  return peer;
}

function answerShort(rig: Rig, worker: FakeWorker, text = 'first'): void {
  assert.ok(worker.running, 'it runs');
  worker.tookMs = 0;
  worker.end(answer(text));
  rig.settle();
}

/** Lets the worker go, and does something before it takes this step for the first time. */
function goUntil(worker: FakeWorker, step: Pause, then: () => void): void {
  const direct = worker.direct ?? assert.fail('it serves no connections');
  let isThere = false;
  direct.onPause = (pause) => {
    if (pause !== step || isThere) return;
    isThere = true;
    then();
  };
  while (worker.go());
  direct.onPause = () => {};
  assert.ok(isThere, `it never comes to "${step}"`);
}

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

  it('not where each request is to be counted: for an access log, or for maxcount', () => {
    for (const options of [{ front: { tracesRequests: true } }, { pool: { maxCount: 10 } }]) {
      const { rig, worker } = begun(options);
      const peer = rig.open();
      rig.send(peer, request());
      rig.settle();
      answerShort(rig, worker);
      assert.equal(peer.lentTo, undefined);
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
    assert.equal(
      rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'second']]))),
      1,
    );
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
      assert.equal(
        rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'second']]))),
        1,
      );
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

  it('when its worker is always given something else', () => {
    const { rig, worker, peer } = lent();
    const others = Array.from({ length: 3 }, () => rig.open());
    let id = 1;
    for (const other of others) rig.send(other, request());
    rig.settle();
    rig.send(peer, request({ id: 2 }));
    // Each of them asks again before it is answered: the worker never has nothing to do but this.
    for (let rounds = 0; peer.lentTo !== undefined; rounds += 1) {
      assert.ok(rounds < 100, 'its request is never read');
      id += 1;
      for (const other of others) if (other.lentTo === undefined) rig.send(other, request({ id, body: 'x' }));
      rig.nowMs += 0.5;
      if (worker.running !== undefined) worker.readAll();
      worker.tookMs = 0;
      if (worker.running !== undefined) worker.end(answer('x'));
      rig.hear();
      worker.listen();
    }
    assert.ok(worker.started > 5);
    assert.equal(worker.direct?.counts.begun, 0);
  });
});

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
});
