/** How the file of a script is found, and what follows when that changes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import type { FakeWorker } from '../support/fake-worker.js';
import { finishRun, setUp } from '../support/one-worker.js';
import { body, bodyEnd, head, request } from '../support/requests.js';
import type { Peer, Rig } from '../support/rig.js';

describe('a script look-up', () => {
  it('that fails answers with its status', () => {
    const { rig, peer } = setUp({ findsAtOnce: false });
    rig.send(peer, request({ keepConn: false }));
    rig.refused(new LuafcgidError('LUAFCGID_SCRIPT_UNREADABLE', { path: '/srv/a.lua', reason: 'EACCES' }));
    assert.equal(peer.status(), 403);
    assert.equal(peer.closed, 'now');
  });

  it('that fails shows why only where that is wanted', () => {
    for (const showErrors of [false, true]) {
      const { rig, peer } = setUp({ findsAtOnce: false, front: { showErrors } });
      rig.send(peer, request());
      rig.refused(new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', { path: '/srv/<b>.lua' }));
      const text = peer.stdout();
      assert.equal(text.includes('/srv/&lt;b&gt;.lua'), showErrors);
      assert.ok(!text.includes('<b>'));
    }
  });

  it('is remembered, and its file is what the pool knows the script by', () => {
    const { rig, worker, peer } = setUp({ findsAtOnce: false });
    rig.send(peer, request({ script: '/link.lua' }));
    rig.found(0, '/real.lua');
    rig.settle();
    assert.equal(worker.running?.script, '/real.lua');
    finishRun(rig, worker);
    rig.send(peer, request({ script: '/link.lua' }));
    assert.equal(rig.lookUps.length, 0);
    rig.settle();
    assert.equal(worker.running?.script, '/real.lua');
    assert.equal(rig.registry.size, 1);
  });

  it('that takes long keeps what arrives of the body', () => {
    const { rig, worker, peer } = setUp({ findsAtOnce: false });
    rig.send(peer, request({ body: 'meanwhile' }));
    rig.found();
    rig.settle();
    assert.equal(worker.readAll().toString(), 'meanwhile');
  });

  it('is not made for a request that names no script, nor for a method that is not served', () => {
    const { rig, peer } = setUp({ findsAtOnce: false });
    for (const [params, status] of [
      [{ SCRIPT_FILENAME: '' }, 404],
      [{ SCRIPT_FILENAME: 'relative.lua' }, 404],
      [{ SCRIPT_FILENAME: '/nul\0.lua' }, 404],
      [{ REQUEST_METHOD: 'TRACE' }, 405],
    ] as const) {
      rig.send(peer, request({ params }));
      assert.equal(peer.status(), status);
    }
    assert.equal(rig.lookUps.length, 0);
  });
});

describe('states made from files that changed', () => {
  /** Runs one request of a script whose state depends on `/srv/a.lua` in version "1". */
  function load(rig: Rig, worker: FakeWorker, peer: Peer): void {
    rig.send(peer, request());
    rig.settle();
    worker.depends('/srv/a.lua', '1');
    worker.depends('/srv/module.lua', '7');
    finishRun(rig, worker);
    peer.response();
  }

  it('are told with all their files', () => {
    const { rig, worker, peer } = setUp();
    load(rig, worker, peer);
    assert.deepEqual([...rig.front.dependencies().keys()].sort(), ['/srv/a.lua', '/srv/module.lua']);
  });

  for (const [what, fingerprints, flushed] of [
    ['its script has changed', { '/srv/a.lua': '2' }, 1],
    ['a module has changed', { '/srv/module.lua': '8' }, 1],
    ['a file is gone', { '/srv/module.lua': undefined }, 1],
    ['nothing has changed', { '/srv/a.lua': '1', '/srv/module.lua': '7' }, 0],
    ['other files have changed', { '/srv/b.lua': '2' }, 0],
  ] as const) {
    it(`${flushed === 1 ? 'are closed' : 'stay'} when idle and ${what}`, () => {
      const { rig, worker, peer } = setUp();
      load(rig, worker, peer);
      assert.deepEqual(
        rig.event(() => rig.front.flushStale(new Map(Object.entries(fingerprints)))),
        { states: flushed, files: flushed === 1 ? Object.keys(fingerprints).slice(-1) : [] },
      );
      rig.settle();
      assert.equal(rig.registry.size, 1 - flushed);
      assert.equal(rig.front.counts().states, 1 - flushed);
      rig.send(peer, request());
      rig.settle();
      assert.equal(worker.running?.created, flushed === 1);
    });
  }

  it('are closed after their request when busy, and serve no other', () => {
    const { rig, worker, peer } = setUp();
    load(rig, worker, peer);
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    const first = worker.running?.state;
    assert.equal(rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', '2']]))).states, 1);
    finishRun(rig, worker);
    assert.equal(worker.running?.created, true);
    assert.notEqual(worker.running?.state, first);
    assert.equal(rig.registry.size, 1);
  });

  it('that fail to load or retire while stale are closed once', () => {
    const { rig, worker, peer } = setUp({ pool: { maxCount: 2 } });
    load(rig, worker, peer);
    rig.send(peer, request());
    rig.settle();
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', '2']])));
    finishRun(rig, worker);
    assert.equal(rig.registry.size, 0);
    assert.equal(rig.front.counts().states, 0);
  });

  it('make room for waiting requests as soon as they are closed', () => {
    const { rig, worker, peer } = setUp({ pool: { states: 1 } });
    load(rig, worker, peer);
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', '2']])));
    rig.send(peer, request({ script: '/other' }));
    rig.settle();
    assert.equal(worker.running?.script, '/other');
  });

  it('on a worker that runs another request are closed when it comes to it', () => {
    const { rig, worker, peer } = setUp();
    load(rig, worker, peer);
    rig.send(peer, head({ script: '/other', length: 2000 }), body('x'.repeat(1500)));
    rig.settle();
    rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', '2']])));
    worker.readAll();
    rig.send(peer, body('x'.repeat(500)), bodyEnd());
    rig.settle();
    assert.equal(worker.readAll().length, 2000);
    assert.equal(rig.registry.size, 2);
    finishRun(rig, worker);
    assert.equal(rig.registry.size, 1);
  });
});

describe('garbage collection', () => {
  it('is asked of idle states of free workers only', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    rig.event(() => rig.front.collectIdle());
    finishRun(rig, worker);
    assert.equal(worker.collected, 0);
    rig.event(() => rig.front.collectIdle());
    rig.settle();
    assert.equal(worker.collected, 1);
  });
});
