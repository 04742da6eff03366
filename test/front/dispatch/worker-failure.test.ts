/**
 * Workers that hang between two requests, in finalizers of scripts: which no watchdog reaches (attacks F2, reports A8).
 * Nothing that a client waits for may stand behind such a worker while another one is there.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FakeWorker } from '../support/fake-worker.js';
import { answer, request } from '../support/requests.js';
import { Rig } from '../support/rig.js';

/** The time between two ticks of the driver. */
const TICK_MS = 250;

function pass(rig: Rig, ms: number): void {
  for (let left = ms; left > 0; left -= TICK_MS) {
    rig.pass(Math.min(left, TICK_MS));
    rig.settle();
  }
}

/** Two workers, of which the first has an idle state of a script whose finalizer never ends. */
function withState(options: ConstructorParameters<typeof Rig>[0] = {}): { rig: Rig; first: FakeWorker } {
  const rig = new Rig({ pool: { workers: 2 }, ...options });
  const first = rig.addWorker();
  run(rig, first, '/srv/a.lua');
  return { rig, first };
}

function run(rig: Rig, worker: FakeWorker, script: string): void {
  const peer = rig.open();
  rig.send(peer, request({ script }));
  rig.settle();
  assert.equal(worker.running?.script, script);
  worker.end(answer('done'));
  rig.settle();
  assert.equal(peer.stdout(), answer('done'));
}

/** The worker collects garbage from now on, and never comes to an end with it. */
function hangInCollection(rig: Rig, worker: FakeWorker): void {
  worker.hangsAt = 'collect';
  rig.event(() => rig.front.collectIdle());
  rig.settle();
  assert.ok(worker.isStuck);
}

describe('a worker that never ends a collection of garbage', () => {
  it('is given no request, and those of its script are served by another worker after a moment', () => {
    const { rig, first } = withState();
    const second = rig.addWorker();
    hangInCollection(rig, first);
    run(rig, second, '/srv/b.lua');
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    assert.equal(second.started, 1, 'it waits for the state that is there');
    for (let left = 20; left >= 0; left -= 1) rig.look(1);
    assert.equal(second.running?.script, '/srv/a.lua');
    assert.equal(rig.front.isReviewDue, false, 'the driver may sleep');
  });

  it('is lost and named, with the state and what it was at, though nobody waits', () => {
    const { rig, first } = withState();
    rig.addWorker();
    hangInCollection(rig, first);
    pass(rig, 4_500);
    assert.deepEqual(rig.abandoned, []);
    pass(rig, 1_000);
    assert.deepEqual(rig.abandoned, ['it hangs in collecting the garbage of state 1 of /srv/a.lua']);
  });

  it('is lost sooner when a request waits for it, which is then served', () => {
    const { rig, first } = withState({ pool: { workers: 1 } });
    hangInCollection(rig, first);
    const peer = rig.open();
    rig.send(peer, request({ script: '/srv/b.lua' }));
    rig.settle();
    pass(rig, 2_500);
    assert.equal(rig.abandoned.length, 1);
    const next = rig.addWorker(0);
    rig.settle();
    next.end(answer('served'));
    rig.settle();
    assert.equal(peer.stdout(), answer('served'));
  });

  it('is not lost because of some looks that come late: it may have had no processor, either', () => {
    const { rig, first } = withState({ pool: { workers: 1 } });
    hangInCollection(rig, first);
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    for (let late = 4; late > 0; late -= 1) rig.pass(2_000);
    assert.deepEqual(rig.abandoned, []);
    pass(rig, 5_000);
    assert.equal(rig.abandoned.length, 1, 'looks that come in time count');
  });

  it('counts against its script: three of them, and it is told by name', () => {
    const { rig, first } = withState({ pool: { workers: 1 } });
    let worker = first;
    for (let times = 1; times <= 3; times += 1) {
      assert.ok(!rig.logs.some((line) => line.includes('LUAFCGID_SCRIPT_CRASHES')));
      hangInCollection(rig, worker);
      pass(rig, 5_500);
      worker = rig.addWorker(0);
      run(rig, worker, '/srv/a.lua');
    }
    assert.ok(rig.logs.some((line) => /LUAFCGID_SCRIPT_CRASHES: \/srv\/a\.lua has cost 3 workers/.test(line)));
  });

  it('gives its lent connections back, and leaves new ones to the front', () => {
    const rig = new Rig({ lends: true, pool: { workers: 1 } });
    const worker = rig.addWorker();
    worker.tookMs = 0;
    // The first request of a state tells nothing about its usual time, since that had to load the script.
    run(rig, worker, '/srv/a.lua');
    const peer = rig.open();
    rig.send(peer, request());
    rig.settle();
    worker.end(answer('done'));
    rig.settle();
    assert.equal(peer.lentTo, worker.lender);
    assert.equal(rig.frontAccepts, false);
    hangInCollection(rig, worker);
    rig.look(1);
    rig.look(1);
    assert.equal(peer.lentTo, undefined);
    assert.equal(rig.frontAccepts, true);
  });

  it('leaves no connection unaccepted for longer than a tick, whatever keeps it', () => {
    const rig = new Rig({ lends: true, pool: { workers: 1 } });
    const worker = rig.addWorker();
    rig.hear();
    assert.equal(rig.frontAccepts, false);
    worker.isStuck = true;
    const before = rig.acceptCalls;
    rig.pass(TICK_MS);
    assert.equal(rig.acceptCalls, before + 1);
  });

  it('is as good as before when it ends after all', () => {
    const { rig, first } = withState({ pool: { workers: 1 } });
    hangInCollection(rig, first);
    pass(rig, 1_000);
    first.hangsAt = undefined;
    first.isStuck = false;
    first.collectedLate(1);
    rig.settle();
    run(rig, first, '/srv/a.lua');
    pass(rig, 10_000);
    assert.deepEqual(rig.abandoned, []);
  });
});

describe('a worker that never ends the closing of a state', () => {
  it('is lost and named, with the state', () => {
    const { rig, first } = withState();
    first.hangsAt = 'close';
    rig.event(() => rig.front.flushStale(new Map()));
    const peer = rig.open();
    rig.send(peer, request({ script: '/srv/c.lua' }));
    rig.settle();
    first.depends('/srv/c.lua', 'old');
    first.end(answer('done'));
    rig.settle();
    rig.event(() => rig.front.flushStale(new Map([['/srv/c.lua', 'new']])));
    rig.settle();
    pass(rig, 5_500);
    assert.deepEqual(rig.abandoned, ['it hangs in closing state 2 of /srv/c.lua']);
  });

  it('is named with the state that had to make room, and the request begins anew elsewhere', () => {
    const { rig, first } = withState({ pool: { workers: 1, states: 1 } });
    first.hangsAt = 'close';
    const peer = rig.open();
    rig.send(peer, request({ script: '/srv/b.lua' }));
    rig.settle();
    pass(rig, 2_250);
    assert.deepEqual(rig.abandoned, ['it hangs in closing state 1 of /srv/a.lua']);
    const next = rig.addWorker(0);
    rig.settle();
    next.end(answer('served'));
    rig.settle();
    assert.equal(peer.stdout(), answer('served'));
  });

  it('has the request behind it served by another worker within a second', () => {
    const { rig, first } = withState({ pool: { workers: 2, states: 2 } });
    const second = rig.addWorker();
    const [one, other] = [rig.open(), rig.open()];
    rig.send(one, request());
    rig.send(other, request({ script: '/srv/b.lua' }));
    rig.settle();
    first.end(answer('a'));
    second.end(answer('b'));
    rig.settle();
    // The state that was used least has to make room.
    second.hangsAt = 'close';
    const peer = rig.open();
    rig.send(peer, request({ script: '/srv/c.lua' }));
    rig.settle();
    assert.ok(second.isStuck);
    pass(rig, 750);
    assert.equal(first.running?.script, '/srv/c.lua');
    first.end(answer('c'));
    rig.settle();
    assert.equal(peer.stdout(), answer('c'));
    assert.deepEqual(rig.abandoned, []);
    pass(rig, 5_000);
    assert.deepEqual(rig.abandoned, ['it hangs in closing state 2 of /srv/b.lua']);
  });

  it('is named with the scripts of its states when it was retired and closes them all', () => {
    const { rig, first } = withState({ pool: { workers: 1 } });
    run(rig, first, '/srv/b.lua');
    first.hangsAt = 'close';
    rig.renew({}, 1);
    rig.settle();
    assert.ok(first.isStuck);
    pass(rig, 5_500);
    assert.deepEqual(rig.abandoned, ['it hangs in closing its states, of /srv/a.lua, /srv/b.lua']);
  });

  it('is named with the state of the request that was over', () => {
    const { rig, first } = withState({ pool: { workers: 1 } });
    rig.send(rig.open(), request());
    rig.settle();
    first.hangAfterScript();
    pass(rig, 2_250);
    assert.deepEqual(rig.abandoned, ['it hangs in closing state 1 of /srv/a.lua']);
  });
});

describe('a worker in which requests wait for results', () => {
  /** A worker with a request that waits. */
  function withWaiting(options: ConstructorParameters<typeof Rig>[0] = {}) {
    const rig = new Rig({ pool: { workers: 1 }, ...options });
    const worker = rig.addWorker();
    const peer = rig.open();
    rig.send(peer, request({ script: '/srv/waits.lua' }));
    rig.settle();
    worker.suspend();
    rig.settle();
    return { rig, worker, peer };
  }

  it('counts, when it ends, against the script that executed, and not against those that waited', () => {
    const rig = new Rig({ pool: { workers: 1 } });
    for (let times = 1; times <= 3; times += 1) {
      const worker = rig.addWorker(0);
      rig.send(rig.open(), request({ script: '/srv/waits.lua' }));
      rig.settle();
      worker.suspend();
      rig.settle();
      rig.send(rig.open(), request({ script: '/srv/ends.lua' }));
      rig.settle();
      assert.equal(worker.running?.script, '/srv/ends.lua');
      rig.killWorker(worker);
    }
    const named = rig.logs.filter((line) => line.includes('LUAFCGID_SCRIPT_CRASHES'));
    assert.deepEqual([named.length, named[0]?.includes('/srv/ends.lua has cost 3 workers')], [1, true]);
  });

  it('is given no other request while it has something to close', () => {
    const { rig, worker } = withWaiting();
    rig.send(rig.open(), request({ script: '/srv/a.lua' }));
    rig.settle();
    worker.depends('/srv/a.lua', 'old');
    worker.hangsAt = 'close';
    worker.end(answer('done'));
    rig.settle();
    assert.ok(worker.resume());
    rig.settle();
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'new']])));
    worker.suspend();
    rig.settle();
    rig.send(rig.open(), request({ script: '/srv/b.lua' }));
    rig.settle();
    assert.equal(rig.links[0]?.executing, undefined);
    pass(rig, 2_500);
    assert.deepEqual(rig.abandoned, ['it hangs in closing state 2 of /srv/a.lua']);
  });

  it('is lost when it does not end a request that is to be stopped where it waits', () => {
    const { rig, worker, peer } = withWaiting({ front: { onAbort: 'stop' } });
    worker.isStuck = true;
    rig.close(peer);
    rig.settle();
    pass(rig, 5_500);
    assert.deepEqual(rig.abandoned, ['it hangs in ending the request that waits in state 1 of /srv/waits.lua']);
    assert.equal(rig.front.counts().requests, 0);
  });

  it('ends one that is to be stopped, and serves on', () => {
    const { rig, worker, peer } = withWaiting({ front: { onAbort: 'stop' } });
    rig.close(peer);
    rig.settle();
    assert.deepEqual([worker.suspended.length, rig.front.counts().requests], [0, 0]);
    run(rig, worker, '/srv/a.lua');
    pass(rig, 10_000);
    assert.deepEqual(rig.abandoned, []);
  });
});
