import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answer, request } from '../support/requests.js';
import { Rig } from '../support/rig.js';

const POOL = { states: 4, clones: 1, workers: 2, queue: 8, halfLifeMs: 60_000, maxCount: 0 };

describe('workers that others take over from', () => {
  it('finish what they have begun with, and nothing more', () => {
    const rig = new Rig({ pool: POOL });
    const [busy, idle] = [rig.addWorker(), rig.addWorker()];
    const [first, second] = [rig.open(), rig.open()];
    rig.send(first, request({ script: '/srv/a.lua' }));
    rig.settle();
    const [fresh] = rig.renew({}, 2);
    rig.settle();
    assert.deepEqual([busy.isToldToStop, idle.isToldToStop], [false, true]);
    rig.send(second, request({ script: '/srv/b.lua' }));
    rig.settle();
    assert.equal(fresh?.running?.script, '/srv/b.lua');
    busy.end(answer('old'));
    rig.settle();
    assert.equal(first.stdout(), answer('old'));
    assert.ok(busy.isToldToStop);
  });

  it('hold the script that may have one state until they have ended', () => {
    const rig = new Rig({ pool: POOL });
    const old = rig.addWorker();
    const [first, second] = [rig.open(), rig.open()];
    rig.send(first, request());
    rig.settle();
    const [fresh] = rig.renew({}, 1);
    rig.send(second, request());
    rig.settle();
    assert.equal(fresh?.running, undefined);
    old.end(answer('old'));
    rig.settle();
    assert.equal(fresh?.running, undefined);
    rig.killWorker(old, 'it has ended');
    rig.settle();
    assert.equal(fresh?.started, 1);
  });

  it('hold their states until they have ended, and limits hold meanwhile', () => {
    const rig = new Rig({ pool: { ...POOL, states: 2 } });
    const old = [rig.addWorker(), rig.addWorker()];
    for (const [at, worker] of old.entries()) {
      rig.send(rig.open(), request({ script: `/srv/${at}.lua` }));
      rig.settle();
      assert.ok(worker.running);
    }
    const fresh = rig.renew({}, 2);
    rig.send(rig.open(), request({ script: '/srv/new.lua' }));
    rig.settle();
    assert.ok(fresh.every(({ running }) => running === undefined));
    old[0]?.end(answer(''));
    rig.settle();
    rig.killWorker(old[0] as (typeof old)[0]);
    rig.settle();
    assert.equal(fresh.filter(({ running }) => running !== undefined).length, 1);
  });

  it('give back what they were only offered', () => {
    const rig = new Rig({ pool: { ...POOL, workers: 1, clones: 4 }, ringBytes: 16_384 });
    const old = rig.addWorker();
    old.tookMs = 0.01;
    const peers = [1, 2, 3].map(() => rig.open());
    for (const peer of peers.slice(0, 2)) {
      rig.send(peer, request());
      rig.settle();
      old.end(answer('short'));
      rig.settle();
      peer.stdout();
    }
    for (const peer of peers) rig.send(peer, request());
    rig.settle();
    assert.ok(old.running);
    assert.equal(rig.front.counts().waiting, 2);
    const [fresh] = rig.renew({}, 1);
    rig.settle();
    assert.ok(fresh?.running);
    fresh?.end(answer('new'));
    rig.settle();
    fresh?.end(answer('new'));
    old.end(answer('old'));
    rig.settle();
    assert.deepEqual(peers.map((peer) => peer.stdout()).sort(), [answer('new'), answer('new'), answer('old')]);
    assert.ok(old.isToldToStop);
  });

  it('leave new settings to all requests after them', () => {
    const rig = new Rig({ pool: POOL });
    rig.addWorker();
    rig.renew({ maxPostBytes: 5 }, 1);
    const peer = rig.open();
    rig.send(peer, request({ body: '123456' }));
    rig.settle();
    assert.equal(peer.status(), 413);
  });

  it('turn away who is too many for a shorter queue', () => {
    const rig = new Rig({ pool: { ...POOL, workers: 1 } });
    rig.addWorker();
    const peers = [1, 2, 3, 4].map(() => rig.open());
    for (const peer of peers) rig.send(peer, request());
    rig.settle();
    rig.renew({ pool: { ...POOL, workers: 1, queue: 1 } }, 0);
    rig.settle();
    assert.equal(peers.filter((peer) => peer.book.takeResponse(1) !== undefined).length, 2);
  });
});
