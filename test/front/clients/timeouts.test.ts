/** What becomes of clients that are too slow, at the front's core: time passes when the test says so. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyFault } from '../../../src/channel/messages.js';
import { beginRequest, pairs, record, stream, TYPE } from '../../support/fcgi-wire.js';
import { abort, answer, body, bodyEnd, head, request } from '../support/requests.js';
import { type Peer, Rig } from '../support/rig.js';

const LIMITS = { idleTimeoutMs: 10_000, readTimeoutMs: 4_000, sendTimeoutMs: 6_000 };

function setUp(front: ConstructorParameters<typeof Rig>[0] = {}) {
  const rig = new Rig({ ...front, front: { ...LIMITS, ...front?.front } });
  const worker = rig.addWorker();
  rig.pass(250);
  return { rig, worker, peer: rig.open() };
}

/** Lets time pass as a driver does, a tick at a time. @param each what happens before each tick */
function pass(rig: Rig, seconds: number, each: (tick: number) => void = () => {}): void {
  for (let tick = 0; tick < seconds * 4; tick += 1) {
    each(tick);
    rig.pass(250);
    rig.settle();
  }
}

/** Half of a record and the other half of the one before. */
function sendOn(rig: Rig, peer: Peer, isFirst: boolean): void {
  const piece = body('x'.repeat(60_000), 9);
  rig.send(peer, ...(isFirst ? [] : [piece.subarray(30_000)]), piece.subarray(0, 30_000));
}

function logged(rig: Rig, code: string): number {
  return rig.logs.filter((line) => line.includes(code)).length;
}

describe('a connection without a request', () => {
  it('is closed after its time, whether it was ever used or not', () => {
    const { rig, worker, peer } = setUp();
    const used = rig.open();
    pass(rig, 5);
    rig.send(used, request());
    rig.settle();
    worker.end(answer('done'));
    pass(rig, 5);
    assert.equal(peer.closed, 'no');
    pass(rig, 1);
    assert.deepEqual([peer.closed, used.closed], ['now', 'no']);
    pass(rig, 5);
    assert.equal(used.closed, 'now');
    assert.equal(logged(rig, 'LUAFCGID_CLIENT_IDLE'), 2);
  });

  it('is not saved by questions that are no requests', () => {
    const { rig, peer } = setUp();
    pass(rig, 11, () => {
      if (peer.closed === 'no') rig.send(peer, record(TYPE.GET_VALUES, 0, pairs({ FCGI_MAX_REQS: '' })));
    });
    assert.equal(peer.closed, 'now');
  });

  it('is not saved by an endless stream that belongs to none', () => {
    const { rig, peer } = setUp();
    pass(rig, 11, (tick) => {
      if (peer.closed === 'no') sendOn(rig, peer, tick === 0);
    });
    assert.equal(peer.closed, 'now');
  });

  it('begins to be one when its last request is answered, however long that took', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    pass(rig, 60);
    assert.equal(peer.closed, 'no');
    worker.end(answer('late'));
    pass(rig, 9);
    assert.equal(peer.closed, 'no');
    assert.equal(peer.stdout(), answer('late'));
    pass(rig, 2);
    assert.equal(peer.closed, 'now');
  });

  it('is not blamed for time in which the server stood still', () => {
    const { rig, peer } = setUp();
    rig.pass(1_000_000);
    assert.equal(peer.closed, 'no');
  });
});

describe('half a record', () => {
  const whole = beginRequest(1, { keepConn: true });

  it('is waited for as long as readtimeout says, a byte a second is no excuse', () => {
    for (const isDripping of [false, true]) {
      const { rig, peer } = setUp();
      rig.send(peer, record(TYPE.GET_VALUES, 0, 'x'.repeat(100)).subarray(0, 9));
      pass(rig, 6, (tick) => {
        if (isDripping && tick % 4 === 0 && peer.closed === 'no') rig.send(peer, Buffer.from('x'));
        if (tick === 12) assert.equal(peer.closed, 'no');
      });
      assert.equal(peer.closed, 'now');
      assert.equal(logged(rig, 'LUAFCGID_CLIENT_HALF_RECORD'), 1);
    }
  });

  it('costs nothing when the rest comes in time', () => {
    const { rig, worker, peer } = setUp();
    for (let round = 0; round < 5; round += 1) {
      rig.send(peer, whole.subarray(0, 5));
      pass(rig, 3);
      rig.send(peer, whole.subarray(5), head().subarray(whole.length), bodyEnd());
      rig.settle();
      worker.end(answer('done'));
      rig.settle();
      assert.equal(peer.stdout(), answer('done'));
    }
  });
});

describe('parameters that do not come', () => {
  it('are answered with 408, and their connection is closed', () => {
    const { rig, peer } = setUp();
    const all = head();
    rig.send(peer, all.subarray(0, all.length - 9));
    pass(rig, 6, (tick) => {
      if (tick % 4 === 0 && tick < 12)
        rig.send(peer, all.subarray(all.length - 9 + tick / 4, all.length - 8 + tick / 4));
    });
    assert.equal(peer.status(), 408);
    assert.equal(peer.closed, 'lingering');
    assert.equal(logged(rig, 'LUAFCGID_REQUEST_PARAMS_LATE'), 1);
    rig.close(peer);
    rig.checkEmpty();
  });

  it('do not disturb the other requests of their connection', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, beginRequest(2, { keepConn: true }), request({ id: 1 }));
    rig.settle();
    pass(rig, 6);
    assert.equal(peer.status(2), 408);
    assert.equal(peer.closed, 'no');
    worker.end(answer('mine'));
    rig.settle();
    assert.equal(peer.stdout(1), answer('mine'));
    assert.equal(peer.closed, 'now');
  });

  it('may be aborted', () => {
    const { rig, peer } = setUp();
    rig.send(peer, beginRequest(1, { keepConn: true }), abort(1));
    pass(rig, 6);
    assert.equal(peer.closed, 'no');
  });
});

describe('a body that stops coming', () => {
  it('is answered with 408 before it runs, and its connection closed', () => {
    const { rig, peer } = setUp();
    rig.send(peer, head({ body: 'x'.repeat(100) }), body('x'));
    pass(rig, 6, (tick) => {
      if (tick % 4 === 0 && peer.closed === 'no') rig.send(peer, body('x'));
    });
    assert.equal(peer.status(), 408);
    assert.equal(peer.closed, 'lingering');
    assert.equal(logged(rig, 'LUAFCGID_REQUEST_BODY_LATE'), 1);
  });

  it('is told to the script that reads it, and the worker is free again', () => {
    const { rig, worker, peer } = setUp({ front: { bodyMemoryBytes: 0 } });
    rig.send(peer, head({ body: 'x'.repeat(100) }), body('x'));
    pass(rig, 5);
    worker.readAll();
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, BodyFault.LATE]);
    worker.end(answer('sorry'));
    rig.settle();
    assert.equal(peer.stdout(), answer('sorry'));
    assert.equal(peer.closed, 'lingering');
  });

  it('leaves the line while it waits', () => {
    const { rig, worker, peer } = setUp({ front: { bodyMemoryBytes: 0 } });
    const other = rig.open();
    rig.send(other, request());
    rig.settle();
    rig.send(peer, head({ body: 'x'.repeat(100) }));
    rig.settle();
    assert.equal(rig.front.counts().waiting, 1);
    pass(rig, 4.75);
    assert.equal(peer.status(), 408);
    assert.equal(rig.front.counts().waiting, 0);
    worker.end(answer('done'));
  });

  it('is none when it comes slowly: 500 bytes a second, for hours', () => {
    const { rig, worker, peer } = setUp({ front: { maxPostBytes: 1e7 } });
    const seconds = 60;
    rig.send(peer, head({ body: 'x'.repeat(seconds * 500) }));
    pass(rig, seconds, () => {
      rig.send(peer, body('x'.repeat(125)));
      worker.readAll();
    });
    worker.readAll();
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, 0]);
  });

  it('is none while the script does not read', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { bodyMemoryBytes: 100 } });
    rig.send(peer, head({ body: 'x'.repeat(1000) }), body('x'.repeat(500)));
    rig.settle();
    assert.equal(peer.isPaused, true);
    pass(rig, 60);
    assert.equal(worker.running?.bodyEnded, false);
    while (peer.isPaused) {
      worker.readAll();
      rig.settle();
    }
    rig.send(peer, body('x'.repeat(500)), bodyEnd());
    while (worker.running?.bodyEnded === false) {
      worker.readAll();
      rig.settle();
    }
    assert.equal(worker.running?.fault, 0);
  });

  it('is none of a request that needs no body', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head());
    pass(rig, 6);
    worker.readAll();
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, 0]);
    worker.end(answer('done'));
    rig.settle();
    assert.equal(peer.stdout(), answer('done'));
  });
});

describe('a client that does not read', () => {
  function slowReader() {
    const all = setUp();
    all.peer.isSlow = true;
    rig(all).send(all.peer, request());
    rig(all).settle();
    return all;
  }
  const rig = ({ rig }: { rig: Rig }): Rig => rig;

  it('is disconnected, and its script goes on', () => {
    const { rig, worker, peer } = slowReader();
    worker.output(answer('x'.repeat(3000)));
    rig.settle();
    pass(rig, 5.75);
    assert.equal(peer.closed, 'no');
    pass(rig, 1);
    assert.equal(peer.isBroken, true);
    assert.equal(logged(rig, 'LUAFCGID_CLIENT_NOT_READING'), 1);
    rig.close(peer);
    worker.end('end');
    rig.settle();
    rig.checkEmpty();
  });

  it('is, too, when its answer is made and its connection about to be closed', () => {
    const { rig, worker } = setUp();
    const peer = rig.open();
    peer.isSlow = true;
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    worker.end(answer('done'));
    rig.settle();
    assert.equal(peer.closed, 'now');
    assert.equal(peer.isBroken, false);
    pass(rig, 7);
    assert.equal(peer.isBroken, true);
  });

  it('is not while it takes a little now and then', () => {
    const { rig, worker, peer } = slowReader();
    worker.output(answer('x'.repeat(3000)));
    rig.settle();
    pass(rig, 60, (tick) => {
      if (tick % 20 === 0 && peer.unsentBytes > 20) rig.sendUnsent(peer, peer.unsentBytes - 10);
    });
    assert.equal(peer.closed, 'no');
  });

  it('is not blamed for a script that writes slowly', () => {
    const { rig, worker, peer } = slowReader();
    pass(rig, 60, (tick) => {
      if (tick % 20 === 0) worker.output(answer('x'));
      if (tick % 20 === 10) rig.sendUnsent(peer);
    });
    assert.equal(peer.closed, 'no');
    peer.isSlow = false;
    worker.end('');
  });
});

describe('a request that waits with a full body buffer', () => {
  function waiting(): { rig: Rig; peer: Peer } {
    const { rig, peer } = setUp({ front: { bodyMemoryBytes: 100, maxPostBytes: 1e7, queueTimeoutMs: 1e9 } });
    const other = rig.open();
    rig.send(other, request());
    rig.settle();
    rig.send(peer, head({ body: 'x'.repeat(3_000_000) }), body('x'.repeat(200)));
    assert.equal(peer.isPaused, true);
    assert.equal(rig.front.counts().waiting, 1);
    return { rig, peer };
  }

  it('is read on a little, so that its abort is heard', () => {
    const { rig, peer } = waiting();
    rig.pass(250);
    assert.equal(peer.isPaused, false);
    rig.send(peer, abort());
    assert.equal(rig.front.counts().waiting, 0);
  });

  it('is not read on without end', () => {
    const { rig, peer } = waiting();
    let readBytes = 0;
    pass(rig, 20, () => {
      for (; !peer.isPaused; readBytes += 16_000)
        rig.send(peer, stream(TYPE.STDIN, 1, 'x'.repeat(16_000), { end: false }));
    });
    assert.ok(readBytes > 900_000 && readBytes < 1_200_000, String(readBytes));
  });

  it('is read to its end when that is near: then the peer has gone, or will wait', () => {
    const { rig, peer } = waiting();
    rig.event(() => rig.front.peerEnding(peer.id));
    assert.equal(peer.isPaused, false);
    rig.send(peer, body('x'.repeat(5000)));
    assert.equal(peer.isPaused, false);
    rig.endReading(peer);
    assert.equal(peer.status(), 400);
    assert.equal(rig.front.counts().waiting, 0);
  });
});
