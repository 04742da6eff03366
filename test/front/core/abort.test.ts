/** Requests that are aborted, and connections that close, at any stage. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyFault } from '../../../src/channel/messages.js';
import { beginRequest, PROTOCOL_STATUS, stream, TYPE } from '../../support/fcgi-wire.js';
import { finishRun, setUp } from '../support/one-worker.js';
import { abort, answer, body, head, request } from '../support/requests.js';
import type { Peer, Rig } from '../support/rig.js';

describe('an abort', () => {
  function isEnded(peer: Peer): void {
    const { stdout, protocolStatus } = peer.response();
    assert.equal(protocolStatus, PROTOCOL_STATUS.REQUEST_COMPLETE);
    assert.equal(stdout.length, 0);
  }

  it('while parameters come ends the request', () => {
    const { rig, peer } = setUp();
    rig.send(peer, beginRequest(1, { keepConn: true }), stream(TYPE.PARAMS, 1, 'half a', { end: false }), abort());
    isEnded(peer);
    rig.close(peer);
    rig.checkEmpty();
  });

  it('while the script is looked up ends the request, and the answer of the look-up changes nothing', () => {
    const { rig, worker, peer } = setUp({ findsAtOnce: false });
    rig.send(peer, request(), abort());
    isEnded(peer);
    rig.found();
    rig.settle();
    assert.equal(worker.started, 0);
    rig.close(peer);
    rig.checkEmpty();
  });

  it('while the body comes ends the request', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head({ length: 10 }), body('half'), abort());
    isEnded(peer);
    rig.settle();
    assert.equal(worker.started, 0);
  });

  it('while it waits ends the request and gives its place away', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 2 }), request(), abort());
    isEnded(peer);
    rig.settle();
    finishRun(rig, worker);
    rig.settle();
    assert.equal(worker.started, 1);
    assert.equal(rig.front.counts().waiting, 0);
  });

  it('while the script runs ends the request at once; the script goes on unheard', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    rig.send(peer, abort());
    isEnded(peer);
    // The id is free again, also while the script of the first request runs.
    rig.send(peer, request({ params: { TAG: 'second' } }));
    rig.settle();
    finishRun(rig, worker, answer('nobody hears this'));
    assert.equal(worker.running?.params.get('TAG'), 'second');
    finishRun(rig, worker, answer('second'));
    assert.equal(peer.stdout(), answer('second'));
  });

  it('after some output ends stream and request', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    worker.output(answer('begun'));
    rig.settle();
    rig.send(peer, abort());
    assert.equal(peer.stdout(), answer('begun'));
    assert.equal(peer.closed, 'now');
    finishRun(rig, worker, 'more');
  });

  it('while the script waits for body tells it', () => {
    const { rig, worker, peer } = setUp({ front: { bodyMemoryBytes: 4 } });
    rig.send(peer, head({ length: 100 }), body('four'));
    rig.settle();
    rig.send(peer, abort());
    rig.settle();
    worker.readAll();
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, BodyFault.CLIENT_GONE]);
    finishRun(rig, worker);
    rig.close(peer);
    rig.checkEmpty();
  });

  it('of a request whose output waits for a slow reader frees the worker', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { sendBufferBytes: 100 } });
    peer.isSlow = true;
    rig.send(peer, request());
    rig.settle();
    worker.end(answer('x'.repeat(2000)));
    rig.settle();
    assert.ok(worker.isBlocked);
    rig.send(peer, abort());
    rig.settle();
    assert.equal(worker.isBlocked, false);
    assert.equal(rig.front.counts().freeWorkers, 1);
  });

  it('of an id that is not active, or after the answer, changes nothing', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, abort(5), request());
    rig.settle();
    finishRun(rig, worker);
    rig.send(peer, abort());
    assert.equal(peer.stdout(), answer('done'));
    assert.equal(peer.closed, 'no');
  });
});

/** Brings a request to each stage in which something can happen to its connection. */
const STAGES: { stage: string; options?: ConstructorParameters<typeof Rig>[0]; reach(rig: Rig, peer: Peer): void }[] = [
  { stage: 'idle', reach: () => {} },
  { stage: 'inside a header', reach: (rig, peer) => rig.send(peer, request().subarray(0, 3)) },
  { stage: 'inside the parameters', reach: (rig, peer) => rig.send(peer, request().subarray(0, 30)) },
  {
    stage: 'looking',
    options: { findsAtOnce: false },
    reach: (rig, peer) => rig.send(peer, head({ length: 10 })),
  },
  { stage: 'reading', reach: (rig, peer) => rig.send(peer, head({ length: 10 }), body('half')) },
  {
    stage: 'waiting',
    reach: (rig, peer) => rig.send(peer, request({ id: 2 }), request()),
  },
  {
    stage: 'running, body incomplete',
    options: { front: { bodyMemoryBytes: 4 } },
    reach: (rig, peer) => rig.send(peer, head({ length: 100 }), body('four')),
  },
  {
    stage: 'running, body not handed on',
    options: { ringBytes: 128 },
    reach: (rig, peer) => rig.send(peer, request({ body: 'x'.repeat(900) })),
  },
  { stage: 'running', reach: (rig, peer) => rig.send(peer, request()) },
  {
    stage: 'output begun',
    reach: (rig, peer) => {
      rig.send(peer, request());
      rig.settle();
      rig.workers[0]?.output(answer('begun'));
    },
  },
  {
    stage: 'output held',
    options: { ringBytes: 128, front: { sendBufferBytes: 50 } },
    reach: (rig, peer) => {
      peer.isSlow = true;
      rig.send(peer, request());
      rig.settle();
      rig.workers[0]?.output(answer('x'.repeat(1000)));
      rig.settle();
      assert.equal(rig.workers[0]?.isBlocked, true);
    },
  },
  {
    stage: 'finished for the client',
    reach: (rig, peer) => {
      rig.send(peer, request());
      rig.settle();
      rig.workers[0]?.output(answer('all'));
      rig.workers[0]?.finish();
    },
  },
];

/** Lets everything that runs come to its end. */
function runAll(rig: Rig): void {
  for (let n = 0; n < 20; n++) {
    rig.settle();
    while (rig.lookUps.length > 0) rig.found();
    for (const worker of rig.workers) {
      if (worker.running === undefined || worker.isBlocked) continue;
      worker.readAll();
      worker.end();
    }
  }
  rig.settle();
  for (const worker of rig.workers) assert.deepEqual([worker.running, worker.isBlocked], [undefined, false]);
}

describe('a connection that closes', () => {
  for (const { stage, options, reach } of STAGES) {
    it(`at the stage "${stage}" costs its own requests only`, () => {
      const { rig, peer } = setUp(options);
      reach(rig, peer);
      rig.settle();
      rig.close(peer);
      runAll(rig);
      rig.checkEmpty();
      assert.equal(rig.front.counts().freeWorkers, 1);
      const next = rig.open();
      rig.send(next, request());
      runAll(rig);
      assert.equal(next.response().appStatus, 0);
    });

    it(`for reading at the stage "${stage}" gets what it is still owed, then is closed`, () => {
      const { rig, peer } = setUp(options);
      reach(rig, peer);
      rig.settle();
      rig.endReading(peer);
      rig.settle();
      peer.isSlow = false;
      if (peer.unsentBytes > 0) rig.sendUnsent(peer);
      runAll(rig);
      assert.equal(peer.closed, 'now');
      rig.close(peer);
      rig.checkEmpty();
    });

    it(`by a protocol error at the stage "${stage}" is closed with a line in the log`, () => {
      const { rig, peer } = setUp(options);
      reach(rig, peer);
      rig.settle();
      peer.book.trustAnyId();
      // Enough to end the record begun: then a record of another version.
      rig.send(peer, Buffer.concat([Buffer.alloc(66_000), Buffer.alloc(8, 9)]));
      assert.equal(peer.closed, 'lingering');
      assert.ok(rig.logs.some((line) => line.startsWith('warn - LUAFCGID_FCGI_')));
      runAll(rig);
      assert.equal(rig.front.counts().requests, 0);
      rig.close(peer);
      rig.checkEmpty();
    });
  }
});
