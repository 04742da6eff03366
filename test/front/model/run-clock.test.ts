import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InterruptRequest } from '../../../src/channel/interrupts.js';
import { FromWorker } from '../../../src/channel/messages.js';
import { RunClock, type RunFacts } from '../../../src/front/model/run-clock.js';
import { timesOf } from '../../../src/front/model/times.js';
import { abort, answer, body, head, request } from '../support/requests.js';
import { Rig } from '../support/rig.js';

/** A worker that runs a request for a script that may run for a second. */
function running(front: ConstructorParameters<typeof Rig>[0] = {}) {
  const rig = new Rig({ pool: { workers: 2 }, ...front, front: { watchdogMs: 1_000, ...front.front } });
  const worker = rig.addWorker();
  const peer = rig.open();
  rig.send(peer, request());
  rig.settle();
  assert.ok(worker.running);
  return { rig, worker, peer };
}

function passInTicks(rig: Rig, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) rig.pass(100);
}

describe('a script that runs too long', () => {
  it('is told to stop when its time is over, and not before', () => {
    const { rig, worker, peer } = running();
    passInTicks(rig, 900);
    assert.equal(worker.requested, 0);
    rig.pass(100);
    assert.equal(worker.requested, InterruptRequest.TIMEOUT);
    worker.end(answer('stopped'));
    rig.settle();
    assert.equal(peer.stdout(), answer('stopped'));
    assert.deepEqual(rig.abandoned, []);
  });

  it('costs its worker when it does not stop: the client gets 504, and the others what they came for', () => {
    const { rig, peer } = running();
    const other = rig.open();
    rig.send(other, request({ script: '/srv/b.lua' }));
    passInTicks(rig, 1_000);
    assert.deepEqual(rig.abandoned, []);
    passInTicks(rig, 300);
    assert.equal(peer.status(), 504);
    assert.match(rig.abandoned.join(), /a\.lua does not stop after 1\.3 s/);
    const next = rig.addWorker(0);
    rig.settle();
    assert.equal(next.running?.script, '/srv/b.lua');
    next.end(answer('fine'));
    rig.settle();
    assert.equal(other.stdout(), answer('fine'));
  });

  it('does not cost its worker because of one look that comes late: the worker may have had no processor, either', () => {
    const { rig, worker, peer } = running();
    passInTicks(rig, 1_000);
    assert.equal(worker.requested, InterruptRequest.TIMEOUT);
    rig.pass(3_000);
    assert.deepEqual(rig.abandoned, []);
    worker.end(answer('stopped'));
    rig.settle();
    assert.equal(peer.stdout(), answer('stopped'));
  });

  it('may have ended just when it is given up', () => {
    const { rig, worker, peer } = running();
    passInTicks(rig, 1_200);
    worker.end(answer('just in time'));
    passInTicks(rig, 100);
    rig.settle();
    assert.equal(peer.stdout(), answer('just in time'));
    assert.deepEqual(rig.abandoned, []);
  });

  it('is bound after con:finish(), too', () => {
    const { rig, worker, peer } = running();
    worker.output(answer('early'));
    worker.finish();
    rig.settle();
    assert.equal(peer.stdout(), answer('early'));
    passInTicks(rig, 1_000);
    assert.equal(worker.requested, InterruptRequest.TIMEOUT);
    passInTicks(rig, 300);
    assert.equal(rig.abandoned.length, 1);
    assert.equal(rig.front.counts().requests, 0);
  });

  it('sets its limit anew, from then on, or has none', () => {
    const { rig, worker } = running();
    passInTicks(rig, 900);
    worker.limit(FromWorker.WATCHDOG, 500);
    rig.settle();
    passInTicks(rig, 400);
    assert.equal(worker.requested, 0);
    worker.limit(FromWorker.WATCHDOG, 0);
    rig.settle();
    passInTicks(rig, 60_000);
    assert.equal(worker.requested, 0);
  });

  it('gives itself no more in all than watchdogmax, however often it asks (attacks F9)', () => {
    const { rig, worker } = running({ front: { watchdogMaxMs: 2_000 } });
    for (let at = 0; at < 1_900; at += 100) {
      rig.pass(100);
      worker.limit(FromWorker.WATCHDOG, 2_000);
      rig.settle();
    }
    assert.equal(worker.requested, 0);
    rig.pass(100);
    assert.equal(worker.requested, InterruptRequest.TIMEOUT);
  });

  it('does not spend time while it waits for its client to read', () => {
    const rig = new Rig({ ringBytes: 256, front: { watchdogMs: 1_000, sendBufferBytes: 200 } });
    const worker = rig.addWorker();
    const slow = rig.open();
    slow.isSlow = true;
    rig.send(slow, request());
    rig.settle();
    worker.output(answer('x'.repeat(5_000)));
    rig.settle();
    assert.ok(worker.isBlocked);
    passInTicks(rig, 5_000);
    assert.equal(worker.requested, 0);
    slow.isSlow = false;
    rig.sendUnsent(slow);
    rig.settle();
    passInTicks(rig, 1_000);
    assert.equal(worker.requested, InterruptRequest.TIMEOUT);
  });

  it('spends time while it does not wait, though its client does not read', () => {
    const { rig, worker, peer } = running({ front: { sendBufferBytes: 200 } });
    peer.isSlow = true;
    worker.output(answer('x'.repeat(500)));
    rig.settle();
    assert.ok(!worker.isBlocked);
    passInTicks(rig, 1_000);
    assert.equal(worker.requested, InterruptRequest.TIMEOUT);
  });

  it('is told by name when it has cost three workers', () => {
    const { rig } = running();
    for (let times = 1; times <= 3; times += 1) {
      assert.ok(!rig.logs.some((line) => line.includes('LUAFCGID_SCRIPT_CRASHES')));
      passInTicks(rig, 1_300);
      rig.addWorker(0);
      rig.send(rig.open(), request());
      rig.settle();
    }
    assert.ok(rig.logs.some((line) => /LUAFCGID_SCRIPT_CRASHES: \/srv\/a\.lua has cost 3 workers/.test(line)));
  });
});

describe('a worker that does not come to its next request', () => {
  it('is given up, and the request begins anew on another', () => {
    const rig = new Rig({ pool: { workers: 2 }, front: { watchdogMs: 60_000 } });
    const stuck = rig.addWorker();
    stuck.isStuck = true;
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    passInTicks(rig, 2_000);
    assert.match(rig.abandoned.join(), /hangs in (closing|coming to a request for) state/);
    const fresh = rig.addWorker(0);
    rig.settle();
    fresh.end(answer('at last'));
    rig.settle();
    assert.equal(peer.stdout(), answer('at last'));
  });

  it('costs the request when some of its body is gone with it', () => {
    const rig = new Rig({ pool: { workers: 2 } });
    const stuck = rig.addWorker();
    stuck.isStuck = true;
    const peer = rig.open();
    rig.send(peer, request({ body: 'x'.repeat(100) }));
    rig.settle();
    passInTicks(rig, 2_000);
    assert.equal(peer.status(), 500);
  });
});

describe('a worker whose script is over', () => {
  it('has the time it takes a slow reader to take its last words, however long the script ran', () => {
    const { rig, worker, peer } = running({ ringBytes: 256, front: { watchdogMs: 60_000 } });
    passInTicks(rig, 10_000);
    peer.isSlow = true;
    rig.canSpool = false;
    const text = answer('x'.repeat(10_000));
    worker.end(text);
    rig.settle();
    assert.ok(worker.isBlocked);
    passInTicks(rig, 30_000);
    assert.deepEqual([rig.abandoned, worker.started], [[], 1]);
    peer.isSlow = false;
    rig.sendUnsent(peer);
    rig.settle();
    assert.equal(peer.stdout(), text);
  });

  it('is given up when it does not come to say so, and its script is not run again', () => {
    const { rig, worker, peer } = running();
    // It closes the state before it says the end.
    worker.scriptIsOver();
    passInTicks(rig, 1_900);
    assert.deepEqual(rig.abandoned, []);
    passInTicks(rig, 200);
    assert.equal(rig.abandoned.length, 1);
    const next = rig.addWorker(0);
    rig.settle();
    assert.equal(peer.status(), 500);
    assert.equal(next.started, 0);
  });
});

describe('a worker that hangs after a script', () => {
  it('is given up, though the client has had some of the answer', () => {
    const { rig, worker, peer } = running();
    worker.output(answer('all of it'));
    rig.settle();
    worker.hangAfterScript();
    passInTicks(rig, 2_200);
    assert.equal(rig.abandoned.length, 1);
    assert.equal(peer.stdout(), answer('all of it'));
  });
});

describe('a worker without a request', () => {
  it('that does not close a state is given up, and its scripts get states elsewhere', () => {
    const rig = new Rig({ pool: { workers: 2, clones: 1 } });
    const stuck = rig.addWorker();
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    stuck.depends('/srv/a.lua', 'old');
    stuck.end(answer('first'));
    rig.settle();
    peer.stdout();
    stuck.isStuck = true;
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'new']])));
    passInTicks(rig, 5_200);
    assert.match(rig.abandoned.join(), /hangs in (closing|coming to a request for) state/);
    const fresh = rig.addWorker(0);
    rig.send(peer, request());
    rig.settle();
    assert.equal(fresh.running?.script, '/srv/a.lua');
  });

  it('that does not end when it is told to is given up', () => {
    const rig = new Rig({ pool: { workers: 1 } });
    const stuck = rig.addWorker();
    stuck.isStuck = true;
    rig.renew({}, 1);
    passInTicks(rig, 5_200);
    assert.equal(rig.abandoned.length, 1);
  });

  it('is left alone when it has done what it was told', () => {
    const rig = new Rig({ pool: { workers: 1 } });
    const worker = rig.addWorker();
    rig.send(rig.open(), request());
    rig.settle();
    worker.depends('/srv/a.lua', 'old');
    worker.end(answer(''));
    rig.settle();
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'new']])));
    rig.settle();
    passInTicks(rig, 60_000);
    assert.deepEqual(rig.abandoned, []);
  });
});

describe('a client that has gone', () => {
  it('has its script stopped also when that begins only then', () => {
    const { rig, peer } = running({ front: { onAbort: 'stop' } });
    const [worker] = rig.workers;
    rig.close(peer);
    rig.settle();
    worker?.forgetInterrupts();
    rig.pass(100);
    assert.equal(worker?.requested, InterruptRequest.UNWANTED);
  });

  for (const [how, go] of [
    ['closes the connection', (rig, peer) => rig.close(peer)],
    ['aborts the request', (rig, peer) => rig.send(peer, abort())],
  ] satisfies [string, (rig: Rig, peer: ReturnType<Rig['open']>) => void][]) {
    it(`and ${how} lets its script finish`, () => {
      const { rig, worker, peer } = running();
      go(rig, peer);
      rig.settle();
      assert.equal(worker.requested, 0);
    });

    it(`and ${how} has its script stopped with onabort = "stop"`, () => {
      const { rig, worker, peer } = running({ front: { onAbort: 'stop' } });
      go(rig, peer);
      rig.settle();
      assert.equal(worker.requested, InterruptRequest.UNWANTED);
    });

    it(`and ${how} has its script stopped when that asks for it, sooner or later`, () => {
      for (const asksBefore of [true, false]) {
        const { rig, worker, peer } = running();
        if (asksBefore) worker.limit(FromWorker.ON_ABORT, 1);
        rig.settle();
        go(rig, peer);
        if (!asksBefore) worker.limit(FromWorker.ON_ABORT, 1);
        rig.settle();
        assert.equal(worker.requested, InterruptRequest.UNWANTED);
      }
    });
  }

  it('has not gone when the script has said that it is finished', () => {
    const { rig, worker } = running({ front: { onAbort: 'stop' } });
    worker.output(answer('done'));
    worker.finish();
    worker.limit(FromWorker.ON_ABORT, 1);
    rig.settle();
    assert.equal(worker.requested, 0);
  });

  it('frees its place in the queue', () => {
    const { rig, worker } = running({ pool: { queue: 1, workers: 1 } });
    const waiting = rig.open();
    rig.send(waiting, head({ script: '/srv/b.lua', length: 2 }), body('ab'));
    assert.equal(rig.front.counts().waiting, 1);
    rig.close(waiting);
    assert.equal(rig.front.counts().waiting, 0);
    const other = rig.open();
    rig.send(other, request({ script: '/srv/c.lua' }));
    worker.end(answer(''));
    rig.settle();
    assert.equal(worker.running?.script, '/srv/c.lua');
  });
});

describe('a run clock', () => {
  const FACTS: RunFacts = {
    hasBegun: true,
    isOver: false,
    isWaitingForClient: false,
    isUnwanted: false,
    isOverdue: false,
    watchdogMs: 1000,
  };

  it('asks for an end at the limit, and again at each look, and gives the worker up after a while', () => {
    const clock = new RunClock(timesOf(0), 0);
    assert.deepEqual(clock.look(FACTS, 999, 0), { interrupts: [], isWorkerLost: false });
    assert.deepEqual(clock.look(FACTS, 1000, 0), { interrupts: [InterruptRequest.TIMEOUT], isWorkerLost: false });
    assert.deepEqual(clock.look(FACTS, 1249, 0), { interrupts: [InterruptRequest.TIMEOUT], isWorkerLost: false });
    assert.deepEqual(clock.look(FACTS, 1250, 0), { interrupts: [InterruptRequest.TIMEOUT], isWorkerLost: true });
  });

  it('keeps the executed time in the record of times, without that in which the client is waited for', () => {
    const times = timesOf(0);
    const clock = new RunClock(times, 0);
    clock.look(FACTS, 300, 0);
    clock.look({ ...FACTS, isWaitingForClient: true }, 5_000, 0);
    clock.look(FACTS, 5_100, 0);
    assert.equal(times.executedMs, 400);
    clock.restart(1000, 0);
    assert.deepEqual([clock.ranMs, times.executedMs], [0, 400], 'a limit set anew counts from then on');
  });

  it('asks for the Lua stack once, and for an end as long as nobody wants the answer', () => {
    const clock = new RunClock(timesOf(0), 0);
    const unwanted = { ...FACTS, isUnwanted: true };
    assert.deepEqual(clock.look(unwanted, 600, 500).interrupts, [InterruptRequest.UNWANTED, InterruptRequest.TRACE]);
    assert.deepEqual(clock.look(unwanted, 700, 500).interrupts, [InterruptRequest.UNWANTED]);
  });
});
