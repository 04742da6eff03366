/** Requests that a worker serves by itself and that wait for results: they stay with it, unless the front has to know of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { record, TYPE } from '../../support/fcgi-wire.js';
import { begun, lend, lent, type Setting } from '../support/lent.js';
import { answer, request } from '../support/requests.js';
import type { Peer } from '../support/rig.js';

/** A request on a lent connection, which waits. */
function waiting(options: Parameters<typeof lent>[0] = {}): Setting {
  const setting = lent(options);
  ask(setting, setting.peer);
  setting.worker.suspend();
  setting.rig.settle();
  return setting;
}

function ask({ rig, worker }: Setting, peer: Peer): void {
  rig.send(peer, request());
  rig.settle();
  assert.equal(worker.running?.isDirect, true, 'its worker has read it by itself');
}

/** It goes on, and ends. */
function finish({ rig, worker }: Pick<Setting, 'rig' | 'worker'>, text: string): void {
  assert.ok(worker.resume());
  worker.end(answer(text));
  rig.settle();
}

const running = (worker: Setting['worker']): Setting['worker']['running'] => worker.running;
const bodyOf = (peer: Peer): string => peer.records.map(({ content }) => content.toString('latin1')).join('');

describe('a request that waits on a lent connection', () => {
  it('is answered by its worker, and the front hears nothing of it', () => {
    const setting = waiting();
    const { rig, worker, peer } = setting;
    assert.equal(rig.front.counts().requests, 0);
    finish(setting, 'after its wait');
    assert.match(bodyOf(peer), /after its wait/);
    const { promoted, answered } = worker.direct?.counts ?? assert.fail();
    assert.deepEqual({ promoted, answered }, { promoted: 0, answered: 1 });
    assert.equal(peer.lentTo, worker.lender, 'it is still lent');
    ask(setting, peer);
    finishRunning(setting, 'the next one');
  });

  it('leaves its worker to others, each in a state of its own', () => {
    const setting = begunWith(2);
    const { rig, worker, peers } = setting;
    for (const peer of peers) {
      ask(setting, peer);
      worker.suspend();
    }
    assert.equal(new Set(worker.suspended.map(({ state }) => state)).size, 2);
    for (const peer of peers) {
      finish(setting, `for ${peer.id}`);
      assert.match(bodyOf(peer), new RegExp(`for ${peer.id}\\b`));
    }
    assert.equal(worker.direct?.counts.promoted, 0);
    assert.equal(rig.front.counts().requests, 0);
  });

  it('is no longer for its worker when the script has become long, of which one long state of many says nothing', () => {
    for (const count of [8, 2]) {
      const { rig, worker } = begun({ pool: { clones: 8 } });
      const peers = Array.from({ length: count }, () => rig.open());
      // All that wait at the same time need states. The first request of a state tells nothing of its time.
      for (let rounds = 0; rounds < 4; rounds += 1) {
        for (const peer of peers) {
          rig.send(peer, request());
          rig.settle();
          worker.suspend();
          rig.settle();
        }
        for (const _ of peers) finish({ rig, worker }, 'warm');
      }
      assert.equal(worker.states.size, count);
      for (let left = 6; left > 0; left -= 1) {
        rig.send(rig.open(), request({ keepConn: false }));
        rig.settle();
        worker.tookMs = 1;
        worker.end(answer('long'));
        rig.settle();
      }
      const [peer] = peers as [Peer];
      rig.send(peer, request());
      rig.settle();
      assert.equal(running(worker)?.isDirect, count > 4, `${count} states`);
    }
  });

  it('becomes the front’s when it waits for long', () => {
    const setting = waiting();
    const { rig, worker } = setting;
    rig.look(99);
    assert.equal(rig.front.counts().requests, 0);
    rig.look(2);
    assert.equal(rig.front.counts().requests, 1);
    finish(setting, 'late');
    assert.match(bodyOf(setting.peer), /late/);
    assert.deepEqual(worker.direct?.waits, { begun: 1, promoted: 1, freed: 0 });
  });

  it('becomes the front’s when it waits again after a long time', () => {
    const setting = waiting();
    const { rig, worker } = setting;
    for (let waits = 0; waits < 4; waits += 1) {
      rig.look(40);
      worker.resume();
      worker.suspend();
      rig.settle();
    }
    assert.equal(rig.front.counts().requests, 1);
    finish(setting, 'in the end');
  });

  it('becomes the front’s when its client sends more, or is gone', () => {
    for (const kind of ['abort', 'the next request', 'end'] as const) {
      const setting = waiting({ front: { onAbort: 'stop' } });
      const { rig, worker, peer } = setting;
      if (kind === 'abort') rig.send(peer, record(TYPE.ABORT_REQUEST, 1));
      else if (kind === 'end') rig.endReading(peer);
      else rig.send(peer, request({ id: 2 }));
      rig.settle();
      assert.equal(worker.direct?.waits.promoted, 1, kind);
      if (kind === 'the next request') continue;
      assert.equal(worker.suspended.length, 0, `${kind}: it was stopped where it waits`);
    }
  });

  it('keeps its state from others, and what waits for that goes before its worker’s own', () => {
    const setting = waiting({ pool: { states: 1, clones: 1 } });
    const { rig, worker, peer } = setting;
    const other = rig.open();
    rig.send(other, request());
    rig.settle();
    assert.equal(worker.running, undefined);
    assert.equal(rig.front.counts().waiting, 1);
    finish(setting, 'first');
    assert.deepEqual(worker.direct?.waits, { begun: 1, promoted: 0, freed: 1 });
    assert.equal(running(worker)?.isDirect, false, 'the other one runs now');
    rig.send(peer, request());
    worker.end(answer('second'));
    rig.settle();
    assert.match(bodyOf(other), /second/);
    assert.equal(running(worker)?.isDirect, true, 'and then its connections are served again');
  });

  it('is not run into by what the front posts behind a request that is over', () => {
    const { rig, worker, peer } = lent();
    const [first, second] = [rig.open(), rig.open()];
    rig.send(first, request());
    rig.settle();
    worker.end(answer('the first'));
    // The front has not heard of that end, and its worker begins with the next request in the same state.
    rig.send(peer, request());
    while (worker.go());
    worker.suspend();
    rig.send(second, request());
    rig.settle();
    assert.match(bodyOf(first), /the first/);
    for (let left = 2; left > 0; left -= 1) {
      if (worker.running === undefined) worker.resume();
      worker.end(answer('one more'));
      rig.settle();
    }
    assert.match(bodyOf(peer), /one more/);
    assert.match(bodyOf(second), /one more/);
    assert.equal(rig.front.counts().requests, 0);
  });

  it('is not evicted', () => {
    const setting = waiting({ pool: { states: 1 } });
    const { rig, worker } = setting;
    const other = rig.open();
    rig.send(other, request({ script: '/srv/b.lua' }));
    rig.settle();
    assert.equal(rig.front.counts().waiting, 1);
    finish(setting, 'first');
    assert.equal(worker.running?.script, '/srv/b.lua');
  });

  it('is known to the front when its state has to be closed, which then is closed with it', () => {
    const setting = waiting();
    const { rig, worker } = setting;
    const [{ state } = assert.fail()] = worker.suspended;
    worker.running = undefined;
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', 'changed']])));
    rig.settle();
    finish(setting, 'of the old file');
    assert.match(bodyOf(setting.peer), /of the old file/);
    assert.equal(worker.states.has(state), rig.registry.has(state));
  });

  it('goes on before what the front has given its worker meanwhile', () => {
    const setting = waiting();
    const { rig, worker, peer } = setting;
    const other = rig.open();
    // The front posts its start, and the worker has not come to it.
    rig.send(other, request({ script: '/srv/b.lua' }));
    rig.hear();
    finish(setting, 'the first');
    assert.match(bodyOf(peer), /the first/);
    assert.equal(worker.direct?.counts.promoted, 0);
    assert.equal(running(worker)?.script, '/srv/b.lua');
  });

  it('becomes the front’s when it goes on for long, also before what the front has given its worker', () => {
    for (const isGivenMore of [false, true]) {
      const setting = waiting();
      const { rig, worker, peer } = setting;
      const other = rig.open();
      if (isGivenMore) rig.send(other, request({ script: '/srv/b.lua' }));
      rig.hear();
      assert.ok(worker.resume());
      for (let ms = 0; ms < 3; ms += 1) {
        rig.nowMs += 1;
        rig.hear();
      }
      assert.equal(rig.front.counts().requests, isGivenMore ? 2 : 1);
      worker.end(answer('at last'));
      rig.settle();
      assert.match(bodyOf(peer), /at last/);
      if (isGivenMore) assert.equal(running(worker)?.script, '/srv/b.lua');
    }
  });

  it('is answered while the server stops, and while its worker is retired', () => {
    for (const kind of ['drain', 'retire'] as const) {
      const setting = waiting();
      const { rig, worker, peer } = setting;
      if (kind === 'drain') rig.drain();
      else rig.renew({}, 1);
      rig.look();
      assert.equal(worker.isToldToStop, false, kind);
      finish(setting, 'the last one');
      assert.match(bodyOf(peer), /the last one/);
      rig.pass(1000);
      rig.look();
      if (kind === 'drain') assert.notEqual(peer.closed, 'no');
      else assert.equal(worker.isToldToStop, true);
      assert.equal(peer.lentTo, undefined, 'the connection has come home');
    }
  });

  it('ends with its worker, which is lost: it is answered with an error, and its connection is the front’s', () => {
    const { rig, worker, peer } = waiting();
    rig.killWorker(worker);
    assert.match(bodyOf(peer), /Status: 500 /);
    assert.equal(rig.front.counts().requests, 0);
    assert.deepEqual([peer.closed, peer.lentTo], ['no', undefined]);
    const next = rig.addWorker();
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    next.end(answer('of another worker'));
    rig.settle();
    assert.match(bodyOf(peer), /of another worker/);
  });

  it('is the front’s at once when it is larger than what is kept of it for that', () => {
    const setting = lent();
    const { rig, worker, peer } = setting;
    rig.send(peer, request({ body: 'x'.repeat(5000) }));
    rig.settle();
    assert.equal(running(worker)?.isDirect, true);
    worker.suspend();
    rig.settle();
    assert.equal(rig.front.counts().requests, 1);
    finish(setting, 'large');
    assert.match(bodyOf(peer), /large/);
  });

  it('leaves its connection where it is when others are taken back', () => {
    const setting = begunWith(2);
    const { rig, worker, peers } = setting;
    const [first, second] = peers as [Peer, Peer];
    ask(setting, first);
    worker.suspend();
    rig.renew({}, 1);
    rig.look();
    assert.equal(second.lentTo, undefined);
    assert.equal(first.lentTo, worker.lender);
    finish(setting, 'still here');
    assert.match(bodyOf(first), /still here/);
  });
});

/** Connections lent to one worker, which has a state for each. */
function begunWith(count: number): Setting & { readonly peers: readonly Peer[] } {
  const { rig, worker } = begun();
  const peer = lend(rig, worker);
  const peers = [peer];
  for (let left = count - 1; left > 0; left -= 1) {
    const next = lend(rig, worker);
    peers.push(next);
    const setting = { rig, worker, peer };
    // All that wait at the same time need states. The first request of a state tells nothing of its time.
    for (let rounds = 0; rounds < 2; rounds += 1) {
      rig.send(peer, request());
      rig.settle();
      worker.suspend();
      rig.send(next, request());
      rig.settle();
      worker.end(answer('in another state'));
      rig.settle();
      finish(setting, 'warm');
    }
    // One that a worker could do nothing with stays with the front for a while.
    for (let tries = 0; next.lentTo === undefined; tries += 1) {
      assert.ok(tries < 5, 'it is lent again');
      rig.send(next, request());
      rig.settle();
      worker.end(answer('again'));
      rig.settle();
    }
  }
  for (const each of peers) each.records.length = 0;
  return { rig, worker, peer, peers };
}

function finishRunning({ rig, worker, peer }: Setting, text: string): void {
  worker.end(answer(text));
  rig.settle();
  assert.match(bodyOf(peer), new RegExp(text));
}
