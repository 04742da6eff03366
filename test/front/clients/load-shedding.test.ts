/** Too many clients at once, at the front's core: who pays, and that the others are served. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConnectionPort } from '../../../src/front/model/actions.js';
import { beginRequest, pairs, record, stream, TYPE } from '../../support/fcgi-wire.js';
import { abort, answer, body, head, request } from '../support/requests.js';
import { type Peer, Rig } from '../support/rig.js';

/** What a request holds besides what it brings, here and in its connection. */
const REQUEST_COST = 2 * 2048;

function openMany(rig: Rig, count: number): Peer[] {
  return Array.from({ length: count }, () => rig.open());
}

function tick(rig: Rig, times = 1): void {
  for (let left = times; left > 0; left -= 1) {
    rig.pass(250);
    rig.settle();
  }
}

function logged(rig: Rig, code: string): number {
  return rig.logs.filter((line) => line.includes(code)).length;
}

/** A connection that nothing is written to. */
const INERT: ConnectionPort = {
  write: () => 0,
  close: () => {},
  spool: () => false,
  destroy: () => {},
  outgoing: () => ({ takenBytes: 0, memoryBytes: 0, isSpooled: false, isWaiting: false }),
  pause: () => {},
  resume: () => {},
};

describe('more requests than there is memory for', () => {
  const front = { bodyTotalBytes: 100_000, bodyMemoryBytes: 50_000, maxPostBytes: 50_000 };

  it('have the largest turned away, wherever it stands, and the small ones served', () => {
    const rig = new Rig({ front });
    const worker = rig.addWorker();
    const sizes = [10_000, 30_000, 20_000];
    const large = openMany(rig, sizes.length);
    for (const [index, peer] of large.entries()) {
      rig.send(peer, head({ body: 'x'.repeat(50_000) }), body('x'.repeat(sizes[index] as number)));
    }
    const small = openMany(rig, 3);
    for (const peer of small) {
      rig.send(peer, request({ body: 'y'.repeat(8_000) }));
      rig.settle();
      if (worker.running !== undefined) worker.end(answer('small'));
      rig.settle();
      assert.equal(peer.stdout(), answer('small'));
    }
    rig.send(large[2] as Peer, body('x'.repeat(20_000)));
    rig.send(large[1] as Peer, body('x'.repeat(15_000)));
    assert.equal(large[1]?.status(), 503);
    assert.equal(logged(rig, 'LUAFCGID_REQUEST_NO_ROOM'), 1);
    assert.equal(large[0]?.records.length, 0);
    assert.equal(large[2]?.records.length, 0);
    const last = rig.open();
    rig.send(last, request());
    rig.settle();
    worker.end(answer('last'));
    rig.settle();
    assert.equal(last.stdout(), answer('last'));
  });

  it('may be many small ones that wait: the one too many is told so', () => {
    const rig = new Rig({ front, pool: { queue: 1000 } });
    const worker = rig.addWorker();
    const peers = openMany(rig, 60);
    for (const peer of peers) rig.send(peer, request());
    rig.settle();
    const refused = peers.filter((peer) => peer.records.length > 0);
    for (const peer of refused) assert.equal(peer.status(), 503);
    const { requestBytes, waiting } = rig.front.counts();
    assert.ok(requestBytes <= front.bodyTotalBytes && requestBytes > front.bodyTotalBytes - 2 * REQUEST_COST);
    assert.ok(waiting > 15 && waiting < 25, String(waiting));
    while (worker.running !== undefined) {
      worker.end(answer('done'));
      rig.settle();
    }
    for (const peer of peers) if (!refused.includes(peer)) assert.equal(peer.stdout(), answer('done'));
  });

  it('may be parameters that are coming, on many connections or on one', () => {
    for (const perConnection of [1, 100]) {
      const rig = new Rig({ front });
      const worker = rig.addWorker();
      const peers = openMany(rig, 100 / perConnection);
      for (const peer of peers) {
        for (let id = 1; id <= perConnection; id += 1) {
          const params = stream(TYPE.PARAMS, id, 'x'.repeat(5_000), { end: false });
          rig.send(peer, beginRequest(id, { keepConn: true }), params);
        }
      }
      assert.ok(logged(rig, 'LUAFCGID_REQUEST_NO_ROOM') > 80);
      const good = rig.open();
      rig.send(good, request());
      rig.settle();
      worker.end(answer('good'));
      rig.settle();
      assert.equal(good.stdout(), answer('good'));
    }
  });

  it('may be halves of long records that belong to no request', () => {
    const rig = new Rig({ front });
    const peers = openMany(rig, 4);
    for (const peer of peers) rig.send(peer, record(TYPE.GET_VALUES, 0, 'x'.repeat(40_000)).subarray(0, 100));
    // All of a size: for each that comes when there is no room any more one has to go.
    assert.equal(peers.filter(({ closed }) => closed === 'now').length, 2);
  });

  it('does not count what a worker has: its body goes on coming', () => {
    const rig = new Rig({ ringBytes: 256, front: { ...front, bodyTotalBytes: 12_000, bodyMemoryBytes: 3_000 } });
    const worker = rig.addWorker();
    const peer = rig.open();
    rig.send(peer, head({ body: 'x'.repeat(30_000) }), body('x'.repeat(3_000)));
    rig.settle();
    for (let left = 9; left > 0; left -= 1) {
      rig.send(peer, body('x'.repeat(3_000)));
      while (peer.isPaused) {
        worker.readAll();
        rig.settle();
      }
    }
    while (worker.running?.bodyEnded === false) {
      worker.readAll();
      rig.settle();
    }
    assert.deepEqual([worker.running?.body.length, worker.running?.fault], [30_000, 0]);
  });
});

describe('more unread answers than there is memory for', () => {
  const front = { sendTotalBytes: 10_000, sendBufferBytes: 5_000 };

  it('have those disconnected that read nothing, the longest first; the others get theirs', () => {
    const rig = new Rig({ front });
    const worker = rig.addWorker();
    const deaf = openMany(rig, 5);
    const serve = (peer: Peer): void => {
      rig.send(peer, request());
      rig.settle();
      worker.end(answer('x'.repeat(2_800)));
      rig.settle();
    };
    for (const peer of deaf.slice(0, 3)) {
      peer.isSlow = true;
      serve(peer);
      tick(rig, 2);
    }
    const good = rig.open();
    serve(good);
    assert.equal(good.stdout(), answer('x'.repeat(2_800)));
    assert.deepEqual([deaf[0]?.isBroken, deaf[1]?.isBroken], [false, false]);
    for (const peer of deaf.slice(3)) {
      peer.isSlow = true;
      serve(peer);
    }
    serve(good);
    assert.equal(good.stdout(), answer('x'.repeat(2_800)));
    assert.deepEqual(
      deaf.map(({ isBroken }) => isBroken),
      [true, true, false, false, false],
    );
    assert.equal(logged(rig, 'LUAFCGID_CLIENT_UNREAD'), 2);
    assert.ok(rig.front.counts().unsentBytes <= front.sendTotalBytes);
  });

  it('let scripts wait while everybody reads', () => {
    const rig = new Rig({ front });
    const worker = rig.addWorker();
    const peers = openMany(rig, 5);
    for (const peer of peers) {
      peer.isSlow = true;
      rig.send(peer, request());
    }
    rig.settle();
    let served = 0;
    for (; served < 10 && worker.running !== undefined; served += 1) {
      worker.end(answer('x'.repeat(2_800)));
      rig.settle();
    }
    // Half of the fourth is still with its worker.
    assert.equal(served, 4);
    assert.equal(rig.front.counts().freeWorkers, 0);
    for (let round = 0; round < 6; round += 1) {
      for (const peer of peers) if (peer.unsentBytes > 0) rig.sendUnsent(peer, peer.unsentBytes - 300);
      tick(rig);
      if (worker.running !== undefined) worker.end(answer('x'.repeat(2_800)));
      rig.settle();
    }
    for (const peer of peers) assert.equal(peer.stdout(), answer('x'.repeat(2_800)));
  });

  it('count the replies of the protocol, too', () => {
    const rig = new Rig({ front });
    const peers = openMany(rig, 3);
    const values = record(TYPE.GET_VALUES, 0, pairs({ FCGI_MAX_REQS: '' }));
    for (const peer of peers) peer.isSlow = true;
    for (let round = 0; round < 100; round += 1) {
      for (const peer of peers) if (!peer.isPaused && peer.closed === 'no') rig.send(peer, ...Array(20).fill(values));
    }
    assert.ok(rig.front.counts().unsentBytes < front.sendTotalBytes + 3 * 20 * 40);
    tick(rig, 3);
    rig.send(rig.open(), values);
    for (const peer of peers) if (!peer.isBroken) rig.sendUnsent(peer);
    tick(rig);
    for (const peer of peers) assert.equal(peer.isPaused && !peer.isBroken, false);
  });
});

describe('more connections than may be open', () => {
  const front = { connectionLimit: 4 };

  function admitted(rig: Rig): Peer | undefined {
    return rig.event(() => rig.front.admits()) ? rig.open() : undefined;
  }

  it('have the one closed that has had no request for the longest', () => {
    const rig = new Rig({ front });
    const worker = rig.addWorker();
    const peers = openMany(rig, 4);
    tick(rig);
    for (const index of [2, 0]) {
      rig.send(peers[index] as Peer, request());
      rig.settle();
      worker.end(answer('done'));
      tick(rig, 3);
    }
    for (const expected of [1, 3, 2, 0]) {
      assert.ok(admitted(rig));
      assert.equal(peers[expected]?.closed, 'now');
      rig.close(peers[expected] as Peer);
    }
    tick(rig);
    assert.ok(rig.logs.some((line) => /LUAFCGID_CLIENT_ROOM: 4 connections/.test(line)));
  });

  it('have none closed that has a request or an answer to read; the new one waits', () => {
    const rig = new Rig({ front, pool: { workers: 1 } });
    const worker = rig.addWorker();
    const peers = openMany(rig, 4);
    for (const peer of peers.slice(0, 3)) rig.send(peer, request());
    const reader = peers[3] as Peer;
    reader.isSlow = true;
    rig.send(reader, record(TYPE.GET_VALUES, 0, pairs({ FCGI_MAX_REQS: '' })));
    rig.settle();
    tick(rig, 20);
    assert.equal(admitted(rig), undefined);
    worker.end(answer('done'));
    rig.settle();
    // Just served: it is closed only since nobody else can be.
    tick(rig);
    assert.ok(admitted(rig));
    assert.equal(peers[0]?.closed, 'now');
  });

  it('have one closed whose request has been half here for a while, though not at once', () => {
    const rig = new Rig({ front });
    const peers = openMany(rig, 4);
    for (const peer of peers) rig.send(peer, beginRequest(1, { keepConn: true }));
    tick(rig);
    assert.equal(admitted(rig), undefined);
    tick(rig, 4);
    assert.ok(admitted(rig));
  });

  it('does not take long to choose among many', () => {
    const rig = new Rig({ front: { connectionLimit: 2_000 } });
    const { front: core } = rig;
    for (let id = 1; id <= 2_000; id += 1) core.connectionOpened(id, INERT);
    for (let id = 2_001; id <= 12_000; id += 1) {
      assert.ok(core.admits());
      core.connectionOpened(id, INERT);
      core.connectionClosed(id - 2_000, rig.nowMs);
    }
    assert.equal(core.counts().connections, 2_000);
  });
});

describe('what comes behind the end of a connection, in the same bytes', () => {
  it('holds no memory', () => {
    const rig = new Rig();
    rig.addWorker();
    const peer = rig.open();
    // The abort is answered, and the connection was wanted for this request only.
    const behind = Buffer.concat([beginRequest(2, { keepConn: true }), record(TYPE.PARAMS, 2, 'x'.repeat(300))]);
    rig.send(peer, Buffer.concat([head({ keepConn: false, length: 5 }), abort(), behind]));
    assert.notEqual(peer.closed, 'no');
    assert.equal(rig.front.counts().requestBytes, 0);
  });
});

describe('who is closed for a new connection', () => {
  it('is one that has never asked for anything, before one that was used since the last tick but one', () => {
    const rig = new Rig({ front: { connectionLimit: 3 } });
    const worker = rig.addWorker();
    const busy = rig.open();
    rig.send(busy, request());
    rig.settle();
    worker.end(answer('used'));
    rig.settle();
    busy.stdout();
    rig.pass(250);
    const [first, second] = [rig.open(), rig.open()];
    assert.ok(rig.event(() => rig.front.admits()));
    assert.deepEqual([busy.closed, first.closed === 'no', second.closed], ['no', false, 'no']);
  });
});
