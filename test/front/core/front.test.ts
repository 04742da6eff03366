/** The way of requests through the front, driven without sockets, threads or a clock. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import { BodyFault } from '../../../src/channel/messages.js';
import { beginRequest, PROTOCOL_STATUS, pairs, parsePairs, record, stream, TYPE } from '../../support/fcgi-wire.js';
import type { FakeWorker } from '../support/fake-worker.js';
import { abort, answer, body, bodyEnd, head, request } from '../support/requests.js';
import { type Peer, Rig } from '../support/rig.js';

/** A rig with one worker and one connection. */
function setUp(options: ConstructorParameters<typeof Rig>[0] = {}): { rig: Rig; worker: FakeWorker; peer: Peer } {
  const rig = new Rig(options);
  return { rig, worker: rig.addWorker(), peer: rig.open() };
}

/** The worker answers what it runs. */
function finishRun(rig: Rig, worker: FakeWorker, text = answer('done')): void {
  worker.end(text);
  rig.settle();
}

/** The script reads its body to the end, as the ring brings it. */
function readToEnd(rig: Rig, worker: FakeWorker): void {
  while (worker.running?.bodyEnded === false) {
    const before = worker.running.body.length;
    const { length } = worker.readAll();
    rig.settle();
    assert.ok(length > before || worker.running.bodyEnded, 'the rest of the body never comes');
  }
}

describe('a request', () => {
  it('is answered by its script, under its id, in one write with its end', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 7, params: { A: 'b' } }));
    rig.settle();
    assert.equal(worker.running?.script, '/srv/a.lua');
    assert.equal(worker.running?.params.get('A'), 'b');
    assert.equal(worker.running?.bodyEnded, true);
    finishRun(rig, worker, answer('hello'));
    assert.equal(peer.stdout(7), answer('hello'));
    assert.equal(peer.writes, 1);
    assert.equal(peer.closed, 'no');
    assert.deepEqual(
      peer.records.map(({ type, id }) => [type, id]),
      [
        [TYPE.STDOUT, 7],
        [TYPE.STDOUT, 7],
        [TYPE.END_REQUEST, 7],
      ],
    );
    rig.close(peer);
    rig.checkEmpty();
  });

  it('is answered with its appStatus', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    worker.end('', false, 0x01020304);
    rig.settle();
    assert.equal(peer.response().appStatus, 0x01020304);
  });

  it('closes its connection after the answer without KEEP_CONN', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
    assert.equal(peer.closed, 'now');
    rig.close(peer);
    rig.checkEmpty();
  });

  it('leaves its connection open with KEEP_CONN, and its id may be used again', () => {
    const { rig, worker, peer } = setUp();
    for (const text of ['first', 'second', 'third']) {
      rig.send(peer, request());
      rig.settle();
      finishRun(rig, worker, answer(text));
      assert.equal(peer.stdout(), answer(text));
    }
    assert.equal(peer.closed, 'no');
    assert.equal(rig.registry.size, 1);
  });

  it('starts as soon as its parameters are complete when it can have no body', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head());
    rig.settle();
    assert.equal(worker.running?.bodyEnded, false);
    rig.send(peer, bodyEnd());
    rig.settle();
    assert.equal(worker.readAll().length, 0);
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, 0]);
  });

  it('is answered although the end of its empty body never comes', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head({ keepConn: false }));
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
    // The peer may still send the end of the body: it must not meet a reset.
    assert.equal(peer.closed, 'lingering');
  });

  it('that comes byte by byte is answered as one that comes whole', () => {
    const { rig, worker, peer } = setUp();
    const bytes = request({ body: 'x'.repeat(300) });
    for (let at = 0; at < bytes.length; at++) rig.send(peer, bytes.subarray(at, at + 1));
    rig.settle();
    assert.equal(worker.readAll().toString(), 'x'.repeat(300));
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('with parameters larger than the ring reaches its worker whole', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128 });
    rig.send(peer, request({ params: { LONG: 'v'.repeat(5000) } }));
    rig.settle();
    assert.equal(worker.running?.params.get('LONG'), 'v'.repeat(5000));
    finishRun(rig, worker, answer('y'.repeat(5000)));
    assert.equal(peer.stdout(), answer('y'.repeat(5000)));
  });

  it('of method HEAD tells its worker so', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ method: 'HEAD' }));
    rig.settle();
    assert.equal(worker.running?.isHead, true);
  });

  it('of method HEAD that is refused gets the head of the page alone', () => {
    const { rig, peer } = setUp({ findsAtOnce: false });
    rig.send(peer, request({ method: 'HEAD' }));
    rig.refused(new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', { path: '/srv/a.lua' }));
    const text = peer.stdout();
    assert.match(text, /^Status: 404 Not Found\r\n/);
    assert.ok(text.endsWith('\r\n\r\n'), text);
  });

  it('of method HEAD that names no script gets the head of the page alone, too', () => {
    const { rig, peer } = setUp();
    rig.send(peer, request({ method: 'HEAD', params: { SCRIPT_FILENAME: '' } }));
    const text = peer.stdout();
    assert.match(text, /^Status: 404 Not Found\r\n/);
    assert.ok(text.endsWith('\r\n\r\n'), text);
  });

  it('gets a state of its own script, and the same one again', () => {
    const { rig, worker, peer } = setUp();
    const states: (number | undefined)[] = [];
    for (const script of ['/a', '/b', '/a', '/b']) {
      rig.send(peer, request({ script }));
      rig.settle();
      states.push(worker.running?.state);
      finishRun(rig, worker);
    }
    assert.deepEqual(states.slice(2), states.slice(0, 2));
    assert.equal(rig.registry.size, 2);
  });

  it('that is the last of its state lets the worker close it', () => {
    const { rig, worker, peer } = setUp({ pool: { maxCount: 2 } });
    const states: (number | undefined)[] = [];
    for (let n = 0; n < 4; n++) {
      rig.send(peer, request());
      rig.settle();
      states.push(worker.running?.state);
      finishRun(rig, worker);
    }
    assert.equal(states[0], states[1]);
    assert.equal(states[2], states[3]);
    assert.notEqual(states[1], states[2]);
    assert.equal(rig.registry.size, 0);
  });

  it('whose state failed to load leaves none behind', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    worker.end(answer('failed'), true);
    rig.settle();
    assert.equal(rig.front.counts().states, 0);
    rig.send(peer, request());
    rig.settle();
    assert.equal(worker.running?.created, true);
  });
});

describe('several requests', () => {
  it('interleaved on one connection are each answered under their id', () => {
    const { rig, worker, peer } = setUp();
    const second = rig.addWorker();
    rig.send(peer, head({ id: 1, body: 'one', script: '/one' }), head({ id: 2, body: 'two', script: '/two' }));
    rig.send(peer, body('t', 2), body('on', 1), body('wo', 2), body('e', 1), bodyEnd(2), bodyEnd(1));
    rig.settle();
    const runs = [worker, second].map((each) => [each.running?.script, each.readAll().toString()]);
    assert.deepEqual(runs.sort(), [
      ['/one', 'one'],
      ['/two', 'two'],
    ]);
    for (const each of [worker, second]) {
      each.output(answer(`from ${each.running?.script}`));
      rig.settle();
    }
    for (const each of [worker, second]) finishRun(rig, each, '!');
    assert.equal(peer.stdout(1), answer('from /one!'));
    assert.equal(peer.stdout(2), answer('from /two!'));
  });

  it('that come in one read start in the order in which they came', () => {
    const { rig, worker, peer } = setUp();
    const tags = ['a', 'b', 'c', 'd'];
    rig.send(peer, Buffer.concat(tags.map((TAG, index) => request({ id: index + 1, params: { TAG } }))));
    const started: (string | undefined)[] = [];
    for (let n = 0; n < tags.length; n++) {
      rig.settle();
      started.push(worker.running?.params.get('TAG'));
      finishRun(rig, worker);
    }
    assert.deepEqual(started, tags);
  });

  it('on one connection without KEEP_CONN are all answered before it is closed', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, Buffer.concat([head({ id: 1, keepConn: false }), head({ id: 2, keepConn: false })]));
    rig.send(peer, bodyEnd(1), bodyEnd(2));
    for (let n = 0; n < 2; n++) {
      rig.settle();
      assert.equal(peer.closed, 'no');
      finishRun(rig, worker);
    }
    assert.equal(peer.stdout(1), answer('done'));
    assert.equal(peer.stdout(2), answer('done'));
    assert.equal(peer.closed, 'now');
  });

  it('as many as workers are free start, however short the queue', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 1 } });
    // The script's place is known: no look-up spreads the requests in time.
    rig.send(peer, request());
    rig.settle();
    finishRun(rig, worker);
    const workers = [worker, rig.addWorker(), rig.addWorker()];
    rig.send(peer, Buffer.concat([1, 2, 3].map((id) => request({ id }))));
    rig.settle();
    assert.deepEqual(
      workers.map((each) => each.running?.script),
      ['/srv/a.lua', '/srv/a.lua', '/srv/a.lua'],
    );
  });
});

describe('the queue', () => {
  it('of no length lets requests start that need not wait', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 0 } });
    rig.send(peer, request({ id: 1 }));
    rig.settle();
    assert.ok(worker.running);
    rig.send(peer, request({ id: 2 }));
    assert.equal(peer.status(2), 503);
    finishRun(rig, worker);
    assert.equal(peer.stdout(1), answer('done'));
  });

  it('that is full turns a request away with a page that says when to try again', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 1 } });
    rig.send(peer, request({ id: 1 }), request({ id: 2 }), request({ id: 3 }));
    const text = peer.stdout(3);
    assert.match(text, /^Status: 503 Service Unavailable\r\n/);
    assert.match(text, /\r\nRetry-After: \d+\r\n/);
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_POOL_FULL')));
    for (const id of [1, 2]) {
      rig.settle();
      finishRun(rig, worker);
      assert.equal(peer.stdout(id), answer('done'));
    }
  });

  it('that is full turns a request away with OVERLOADED when that is wanted', () => {
    const { rig, peer } = setUp({ pool: { queue: 1 }, front: { overload: 'protocol' } });
    rig.send(peer, request({ id: 1 }), request({ id: 2 }), request({ id: 3, keepConn: false }));
    const { stdout, protocolStatus } = peer.response(3);
    assert.deepEqual(
      { bytes: stdout.length, protocolStatus },
      { bytes: 0, protocolStatus: PROTOCOL_STATUS.OVERLOADED },
    );
  });

  it('that is full makes the script with most waiting requests pay', () => {
    const { rig, worker, peer } = setUp({ pool: { queue: 3, clones: 1 } });
    for (let id = 1; id <= 4; id++) rig.send(peer, request({ id, script: '/flood' }));
    rig.send(peer, request({ id: 9, script: '/other' }));
    assert.equal(peer.status(4), 503);
    const order: (string | undefined)[] = [];
    for (let n = 0; n < 4; n++) {
      rig.settle();
      order.push(worker.running?.script);
      finishRun(rig, worker);
    }
    assert.equal(peer.stdout(9), answer('done'));
    assert.ok(order.indexOf('/other') < 3, order.join());
  });

  it('does not let a request start that is there for a script whose one state is busy', () => {
    const { rig, worker, peer } = setUp({ pool: { clones: 1 } });
    const second = rig.addWorker();
    rig.send(peer, request({ id: 1, script: '/one' }), request({ id: 2, script: '/one' }));
    rig.send(peer, request({ id: 3, script: '/two' }));
    rig.settle();
    assert.deepEqual([worker.running?.script, second.running?.script].sort(), ['/one', '/two']);
    assert.equal(rig.front.counts().waiting, 1);
  });

  it('lets go who has waited too long', () => {
    const { rig, worker, peer } = setUp({ front: { queueTimeoutMs: 500 } });
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.pass(300);
    rig.send(peer, request({ id: 3 }));
    rig.pass(201);
    assert.equal(peer.status(2), 503);
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_POOL_TIMEOUT')));
    rig.pass(100);
    assert.equal(rig.front.counts().waiting, 1);
    rig.settle();
    finishRun(rig, worker);
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(1), answer('done'));
    assert.equal(peer.stdout(3), answer('done'));
  });
});

describe('a body', () => {
  it('reaches its script whole and as it was', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ body: bytes }));
    rig.settle();
    assert.deepEqual(worker.readAll(), bytes);
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, 0]);
  });

  it('that is dribbled holds no worker until it is complete', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head({ length: 5 }));
    for (const letter of 'four') rig.send(peer, body(letter));
    rig.settle();
    assert.equal(worker.started, 0);
    rig.send(peer, body('!'));
    rig.settle();
    assert.equal(worker.readAll().toString(), 'four!');
    assert.equal(worker.running?.bodyEnded, true);
  });

  it('of unknown length ends with its stream', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head({ length: 'unknown' }), body('what'), body('ever'));
    rig.settle();
    assert.equal(worker.started, 0);
    rig.send(peer, bodyEnd());
    rig.settle();
    assert.equal(worker.readAll().toString(), 'whatever');
  });

  it('longer than announced is cut, with a line in the log', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head({ length: 4 }), body('fo'), body('ur+more'), body('even more'), bodyEnd());
    rig.settle();
    assert.equal(worker.readAll().toString(), 'four');
    assert.equal(worker.running?.fault, 0);
    assert.equal(rig.logs.filter((line) => line.includes('CONTENT_LENGTH')).length, 1);
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('shorter than announced is refused before the script starts', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, head({ length: 5 }), body('four'), bodyEnd());
    assert.equal(peer.status(), 400);
    rig.settle();
    assert.equal(worker.started, 0);
    rig.send(peer, request());
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('shorter than announced is told to a script that runs', () => {
    const { rig, worker, peer } = setUp({ front: { bodyMemoryBytes: 4 } });
    rig.send(peer, head({ length: 100 }), body('four'), bodyEnd());
    rig.settle();
    worker.readAll();
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, BodyFault.SHORT]);
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('announced as too large is refused before any of it comes', () => {
    const { rig, worker, peer } = setUp({ front: { maxPostBytes: 100 } });
    rig.send(peer, head({ length: 101, keepConn: false }));
    assert.equal(peer.status(), 413);
    assert.equal(peer.closed, 'lingering');
    rig.settle();
    assert.equal(worker.started, 0);
  });

  it('announced as too large leaves a kept connection in step', () => {
    const { rig, worker, peer } = setUp({ front: { maxPostBytes: 100 } });
    rig.send(peer, head({ length: 200 }), body('x'.repeat(200)), bodyEnd());
    assert.equal(peer.status(), 413);
    rig.send(peer, request());
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('of exactly the most bytes is taken', () => {
    const { rig, worker, peer } = setUp({ front: { maxPostBytes: 100, bodyMemoryBytes: 50 } });
    rig.send(peer, head({ length: 'unknown' }), body('x'.repeat(100)));
    rig.settle();
    worker.readAll();
    rig.send(peer, bodyEnd());
    rig.settle();
    worker.readAll();
    assert.deepEqual([worker.running?.body.length, worker.running?.fault], [100, 0]);
  });

  it('of unknown length that grows too large is refused before the script starts', () => {
    const { rig, worker, peer } = setUp({ front: { maxPostBytes: 100 } });
    rig.send(peer, head({ length: 'unknown' }), body('x'.repeat(60)), body('x'.repeat(60)), bodyEnd());
    assert.equal(peer.status(), 413);
    rig.settle();
    assert.equal(worker.started, 0);
  });

  it('of unknown length that grows too large is told to a script that runs', () => {
    const { rig, worker, peer } = setUp({ front: { maxPostBytes: 100, bodyMemoryBytes: 50 } });
    rig.send(peer, head({ length: 'unknown' }), body('x'.repeat(60)));
    rig.settle();
    rig.send(peer, body('x'.repeat(60)), bodyEnd());
    rig.settle();
    worker.readAll();
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, BodyFault.TOO_LARGE]);
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('larger than its memory starts the script, pauses reading and goes on as the script reads', () => {
    const { rig, worker, peer } = setUp({ front: { bodyMemoryBytes: 200 }, ringBytes: 256 });
    const text = Array.from({ length: 2000 }, (_, n) => String.fromCharCode(97 + (n % 26))).join('');
    rig.send(peer, head({ length: text.length }));
    let pauses = 0;
    let at = 0;
    while (at < text.length) {
      if (peer.isPaused) {
        pauses += 1;
        rig.settle();
        assert.ok(worker.running, 'reading is paused and nobody is there to take the body');
        assert.ok(worker.read() || !peer.isPaused, 'reading is paused and there is nothing to read');
        rig.settle();
      } else {
        rig.send(peer, body(text.slice(at, at + 100)));
        at += 100;
      }
    }
    assert.ok(pauses > 0);
    rig.send(peer, bodyEnd());
    readToEnd(rig, worker);
    assert.equal(worker.running?.body.toString(), text);
    assert.equal(worker.running?.fault, 0);
    assert.equal(peer.isPaused, false);
  });

  it('starts the script at once when no memory is kept for it', () => {
    const { rig, worker, peer } = setUp({ front: { bodyMemoryBytes: 0 } });
    rig.send(peer, head({ length: 8 }));
    rig.settle();
    assert.ok(worker.running);
    assert.equal(peer.isPaused, false);
    rig.send(peer, body('some'));
    rig.settle();
    assert.equal(worker.readAll().toString(), 'some');
    assert.equal(peer.isPaused, false);
    rig.send(peer, body('more'), bodyEnd());
    rig.settle();
    assert.equal(worker.readAll().toString(), 'somemore');
    assert.deepEqual([worker.running?.bodyEnded, worker.running?.fault], [true, 0]);
  });

  it('that nobody reads is dropped with its request, and the next one is not mixed with it', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { bodyMemoryBytes: 500 } });
    rig.send(peer, request({ body: 'a'.repeat(500) }));
    rig.settle();
    finishRun(rig, worker);
    rig.send(peer, request({ body: 'b'.repeat(50) }));
    rig.settle();
    let read = worker.readAll();
    rig.settle();
    read = worker.readAll();
    assert.equal(read.toString(), 'b'.repeat(50));
    finishRun(rig, worker);
    assert.equal(peer.isPaused, false);
  });

  it('that pauses reading lets it go on when its request is turned away', () => {
    const { rig, peer } = setUp({ front: { bodyMemoryBytes: 100, queueTimeoutMs: 10 } });
    rig.send(peer, request({ id: 1 }), head({ id: 2, length: 1000 }), body('x'.repeat(100), 2));
    rig.settle();
    assert.equal(peer.isPaused, true);
    rig.pass(11);
    assert.equal(peer.status(2), 503);
    assert.equal(peer.isPaused, false);
  });
});

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

describe('a worker that ends', () => {
  it('costs its own request a 500, and its states', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    rig.killWorker(worker, 'out of memory');
    assert.equal(peer.status(1), 500);
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_WORKER_GONE') && line.includes('out of memory')));
    assert.equal(rig.front.counts().states, 0);
    const second = rig.addWorker(0);
    rig.settle();
    assert.equal(second.running?.created, true);
    finishRun(rig, second);
    assert.equal(peer.stdout(2), answer('done'));
  });

  it('after some output ends the answer where it is', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    worker.output(answer('begun'));
    rig.settle();
    rig.killWorker(worker);
    const { stdout, appStatus } = peer.response();
    assert.equal(stdout.toString(), answer('begun'));
    assert.notEqual(appStatus, 0);
    assert.equal(peer.closed, 'now');
  });

  it('while a body is on its way to it lets the connection be read on', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { bodyMemoryBytes: 200 } });
    rig.send(peer, head({ length: 5000 }), body('x'.repeat(900)));
    rig.settle();
    assert.equal(peer.isPaused, true);
    rig.killWorker(worker);
    assert.equal(peer.status(), 500);
    assert.equal(peer.isPaused, false);
  });

  it('after con:finish() costs nobody anything', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    worker.output(answer('all'));
    worker.finish();
    rig.settle();
    assert.equal(peer.stdout(), answer('all'));
    rig.killWorker(worker);
    rig.close(peer);
    rig.checkEmpty();
  });

  it('idle, before it was ready, or twice changes nothing', () => {
    const { rig, worker, peer } = setUp();
    rig.event(() => rig.front.workerGone(99, 'never ready', rig.nowMs));
    rig.killWorker(worker);
    rig.killWorker(worker);
    rig.send(peer, request());
    const second = rig.addWorker(0);
    rig.settle();
    finishRun(rig, second);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('while its output waits for a slow reader lets that reader have the rest', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128, front: { sendBufferBytes: 50 } });
    peer.isSlow = true;
    rig.send(peer, request());
    rig.settle();
    worker.output(answer('x'.repeat(1000)));
    rig.settle();
    rig.killWorker(worker);
    peer.isSlow = false;
    rig.sendUnsent(peer);
    assert.ok(answer('x'.repeat(1000)).startsWith(peer.stdout()));
  });

  it('right after it has ended its request costs that request nothing', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    worker.log('error', 'last words');
    worker.end(answer('done'));
    // The bell was rung, but the news of the end come first.
    rig.killWorker(worker);
    assert.equal(peer.stdout(1), answer('done'));
    assert.ok(rig.logs.some((line) => line.includes('last words')));
    const second = rig.addWorker(0);
    rig.settle();
    finishRun(rig, second);
    assert.equal(peer.stdout(2), answer('done'));
  });
});

describe('con:finish()', () => {
  it('ends the answer for the client; what the script still says goes nowhere', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ keepConn: false }));
    rig.settle();
    worker.output(answer('all'));
    worker.finish(3);
    rig.settle();
    const { stdout, appStatus } = peer.response();
    assert.deepEqual([stdout.toString(), appStatus], [answer('all'), 3]);
    assert.equal(peer.closed, 'now');
    rig.close(peer);
    worker.output('more');
    worker.log('info', 'still here');
    worker.finish();
    rig.settle();
    assert.equal(rig.front.counts().freeWorkers, 0);
    finishRun(rig, worker, 'even more');
    assert.ok(rig.logs.some((line) => line.includes('still here') && !line.includes(' - ')));
    assert.equal(rig.front.counts().freeWorkers, 1);
    rig.checkEmpty();
  });

  it('lets the script read the body that has come', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 128 });
    rig.send(peer, request({ body: 'x'.repeat(500) }));
    rig.settle();
    worker.finish();
    rig.settle();
    readToEnd(rig, worker);
    assert.deepEqual([worker.running?.body.length, worker.running?.fault], [500, 0]);
    assert.equal(peer.response().stdout.length, 0);
  });
});

describe('a slow reader', () => {
  it('holds its own request; others go on, also on its connection', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 256, front: { sendBufferBytes: 200 } });
    const second = rig.addWorker();
    const other = rig.open();
    peer.isSlow = true;
    rig.send(peer, request({ id: 1 }));
    rig.settle();
    worker.output(answer('x'.repeat(5000)));
    rig.settle();
    assert.ok(worker.isBlocked);
    assert.ok(peer.unsentBytes < 200 + 2 * 256, `${peer.unsentBytes} bytes wait`);
    rig.send(other, request());
    rig.settle();
    finishRun(rig, second);
    assert.equal(other.stdout(), answer('done'));
    peer.isSlow = false;
    rig.sendUnsent(peer);
    rig.settle();
    assert.equal(worker.isBlocked, false);
    finishRun(rig, worker, 'end');
    assert.equal(peer.stdout(), answer(`${'x'.repeat(5000)}end`));
  });

  it('does not hold a worker whose answer fits', () => {
    const { rig, worker, peer } = setUp({ front: { sendBufferBytes: 100 } });
    peer.isSlow = true;
    rig.send(peer, request());
    rig.settle();
    finishRun(rig, worker, answer('x'.repeat(500)));
    assert.equal(rig.front.counts().freeWorkers, 1);
  });

  it('does not keep the front from its other work while a script writes without an end', () => {
    const { rig, worker, peer } = setUp({ ringBytes: 1024 });
    rig.send(peer, request());
    rig.settle();
    let writes = 0;
    const { take } = peer;
    peer.take = (bytes) => {
      take.call(peer, bytes);
      writes += 1;
      assert.ok(writes < 20_000, 'the front hears one worker and nobody else');
      if (worker.running !== undefined) worker.output('x'.repeat(200));
    };
    worker.output(answer('begun'));
    rig.event(() => rig.front.pollWorkers(rig.nowMs));
    assert.ok(writes > 0);
  });
});

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
      assert.equal(
        rig.event(() => rig.front.flushStale(new Map(Object.entries(fingerprints)))),
        flushed,
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
    assert.equal(
      rig.event(() => rig.front.flushStale(new Map([['/srv/a.lua', '2']]))),
      1,
    );
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

describe('a half close before the end of STDIN', () => {
  for (const findsAtOnce of [true, false]) {
    it(`is the end of a body that nobody announced (script known: ${findsAtOnce})`, () => {
      const { rig, worker, peer } = setUp({ findsAtOnce });
      rig.send(peer, head());
      rig.endReading(peer);
      if (!findsAtOnce) rig.found();
      rig.settle();
      assert.equal(worker.readAll().length, 0);
      finishRun(rig, worker);
      assert.equal(peer.stdout(), answer('done'));
      assert.equal(peer.closed, 'now');
    });
  }

  it('is the loss of one that was announced', () => {
    const { rig, peer } = setUp();
    rig.send(peer, head({ length: 10 }));
    rig.endReading(peer);
    assert.equal(peer.status(), 400);
  });
});

describe('draining', () => {
  it('answers the request of a connection that was accepted at the last moment, or just before', () => {
    const { rig, worker } = setUp();
    const before = rig.open();
    rig.event(() => rig.front.drain(rig.nowMs));
    const after = rig.open();
    rig.pass(499);
    for (const newcomer of [before, after]) {
      assert.equal(newcomer.closed, 'no');
      rig.send(newcomer, request());
      rig.settle();
      assert.equal(rig.drained, 0);
      finishRun(rig, worker);
      assert.equal(newcomer.stdout(), answer('done'));
      assert.equal(newcomer.closed, 'now');
      rig.close(newcomer);
    }
  });

  it('does not wait long for connections that ask for nothing, and not at all for those that go', () => {
    for (const goes of [true, false]) {
      const { rig, peer } = setUp();
      const silent = rig.open();
      rig.close(peer);
      rig.event(() => rig.front.drain(rig.nowMs));
      assert.deepEqual([silent.closed, rig.drained], ['no', 0]);
      if (goes) rig.close(silent);
      else rig.pass(500);
      assert.equal(rig.drained, 1);
      if (!goes) assert.equal(silent.closed, 'now');
      // Late ones are no longer waited for.
      const late = rig.open();
      rig.pass(500);
      if (!goes) assert.equal(late.closed, 'now');
    }
  });

  it('closes connections that have been served at once, and others when their requests are answered', () => {
    const { rig, worker, peer } = setUp();
    const idle = rig.open();
    rig.send(idle, request());
    rig.settle();
    finishRun(rig, worker);
    assert.equal(idle.closed, 'no');
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    rig.event(() => rig.front.drain(rig.nowMs));
    assert.equal(idle.closed, 'now');
    assert.deepEqual([peer.closed, rig.drained], ['no', 0]);
    finishRun(rig, worker);
    assert.deepEqual([peer.closed, rig.drained], ['no', 0]);
    finishRun(rig, worker);
    assert.equal(peer.stdout(1), answer('done'));
    assert.equal(peer.stdout(2), answer('done'));
    assert.equal(peer.closed, 'now');
    assert.equal(rig.drained, 1);
  });

  it('is over at once when nothing runs', () => {
    const { rig, peer } = setUp();
    rig.close(peer);
    rig.event(() => rig.front.drain(rig.nowMs));
    assert.equal(rig.drained, 1);
  });

  it('waits for scripts that go on after con:finish() or after their client has gone', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    rig.close(peer);
    rig.event(() => rig.front.drain(rig.nowMs));
    assert.equal(rig.drained, 0);
    finishRun(rig, worker);
    assert.equal(rig.drained, 1);
  });
});

describe('the protocol', () => {
  it('answers GET_VALUES and keeps the connection', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, record(TYPE.GET_VALUES, 0, pairs({ FCGI_MPXS_CONNS: '', FCGI_MAX_REQS: '', OTHER: '' })));
    const [result] = peer.records;
    assert.equal(result?.type, TYPE.GET_VALUES_RESULT);
    assert.deepEqual(new Map(parsePairs(result.content)).get('FCGI_MPXS_CONNS'), '1');
    assert.equal(peer.closed, 'no');
    rig.send(peer, request());
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('answers an unknown management record with UNKNOWN_TYPE', () => {
    const { rig, peer } = setUp();
    rig.send(peer, record(77, 0, 'whatever'));
    assert.deepEqual(
      peer.records.map(({ type, id, content }) => [type, id, content[0]]),
      [[TYPE.UNKNOWN_TYPE, 0, 77]],
    );
    assert.equal(peer.closed, 'no');
  });

  it('refuses roles that are not served; without KEEP_CONN the peer may finish sending', () => {
    for (const keepConn of [true, false]) {
      const { rig, peer } = setUp();
      rig.send(peer, beginRequest(1, { role: 2, keepConn }));
      assert.equal(peer.response().protocolStatus, PROTOCOL_STATUS.UNKNOWN_ROLE);
      // Parameters and body are still on their way: closing hard would reset the connection under the answer.
      assert.equal(peer.closed, keepConn ? 'no' : 'lingering');
      if (!keepConn) continue;
      rig.send(peer, stream(TYPE.PARAMS, 1, 'x'), bodyEnd());
      assert.equal(peer.closed, 'no');
    }
  });

  it('answers parameters past their limit with 431 and goes on', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, beginRequest(1, { keepConn: true }));
    const mebibyte = stream(TYPE.PARAMS, 1, pairs([['A', 'x'.repeat(1 << 20)]]));
    rig.send(peer, mebibyte.subarray(0, 70_000), mebibyte.subarray(70_000), bodyEnd());
    assert.equal(peer.status(), 431);
    assert.equal(peer.closed, 'no');
    rig.send(peer, request());
    rig.settle();
    finishRun(rig, worker);
    assert.equal(peer.stdout(), answer('done'));
  });

  it('closes on parameters that are malformed', () => {
    const { rig, peer } = setUp();
    rig.send(peer, beginRequest(1, { keepConn: true }), stream(TYPE.PARAMS, 1, '\x05\x05abc'));
    assert.equal(peer.closed, 'lingering');
    assert.ok(rig.logs.some((line) => line.includes('LUAFCGID_FCGI_PARAMS:')));
    rig.close(peer);
    rig.checkEmpty();
  });

  it('starts nothing more on a connection that it has begun to close', () => {
    const { rig, worker, peer } = setUp();
    // One read: a request that is refused at once and closes the connection, and another one after it.
    const refused = request({ id: 1, keepConn: false, params: { REQUEST_METHOD: 'TRACE' } });
    rig.send(peer, Buffer.concat([refused, request({ id: 2 })]));
    rig.settle();
    assert.equal(peer.status(1), 405);
    assert.equal(worker.started, 0);
    rig.close(peer);
    rig.checkEmpty();
  });
});

describe('log lines of scripts', () => {
  it('carry the name of their request, and their level', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request());
    rig.settle();
    worker.log('warn', 'of a request');
    worker.log('error', 'of none', 0);
    rig.settle();
    assert.ok(rig.logs.some((line) => /^warn run-\w+ of a request$/.test(line)));
    assert.ok(rig.logs.includes('error - of none'));
  });
});

describe('a request that is offered to a busy worker', () => {
  /** Two workers, of which the first has a state of the script that has shown to be short, and runs it. */
  function offering(workers = 1): ReturnType<typeof setUp> {
    const setting = setUp({ pool: { workers } });
    const { rig, worker, peer } = setting;
    worker.tookMs = 0;
    rig.send(peer, request({ id: 1 }));
    rig.settle();
    finishRun(rig, worker);
    rig.send(peer, request({ id: 2 }));
    rig.settle();
    assert.ok(worker.running);
    return setting;
  }

  it('lies in its ring when the one before it ends, and needs no word of the front', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }), request({ id: 4 }));
    worker.end(answer('two'));
    // The front has not heard of the end yet.
    worker.listen();
    assert.equal(worker.offers.claimed, 1);
    worker.end(answer('three'));
    worker.listen();
    worker.end(answer('four'));
    rig.settle();
    assert.deepEqual(
      [2, 3, 4].map((id) => peer.stdout(id)),
      [answer('two'), answer('three'), answer('four')],
    );
  });

  it('is run by another worker when the one before it lasts', () => {
    const { rig, worker, peer } = offering(2);
    rig.send(peer, request({ id: 3 }));
    const other = rig.addWorker();
    rig.settle();
    assert.equal(other.running, undefined);
    assert.equal(rig.front.isReviewDue, true);
    rig.pass(1);
    rig.settle();
    assert.ok(other.running);
    finishRun(rig, other);
    assert.equal(peer.stdout(3), answer('done'));
    finishRun(rig, worker);
    assert.equal(worker.offers.passedOver, 1);
    assert.equal(peer.stdout(2), answer('done'));
  });

  it('and whose client goes away is passed over', () => {
    const { rig, worker } = offering();
    const other = rig.open();
    rig.send(other, request({ id: 1 }));
    rig.close(other);
    finishRun(rig, worker);
    assert.equal(worker.running, undefined);
    assert.deepEqual(worker.offers, { claimed: 0, passedOver: 1, bounced: 0 });
  });

  it('and whose client goes away when the worker has just begun with it runs to its end', () => {
    const { rig, worker } = offering();
    const other = rig.open();
    rig.send(other, request({ id: 1 }));
    worker.end(answer('two'));
    worker.listen();
    rig.close(other);
    assert.ok(worker.running);
    finishRun(rig, worker);
    assert.equal(rig.front.counts().requests, 0);
  });

  it('waits on when its state has broken meanwhile', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }));
    worker.end(answer('two'), true);
    worker.listen();
    assert.equal(worker.offers.bounced, 1);
    rig.settle();
    assert.equal(worker.running?.created, true);
    finishRun(rig, worker);
    assert.equal(peer.stdout(3), answer('done'));
  });

  it('waits for another worker when its own is gone, and gets a page when that had begun with it', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }), request({ id: 4 }));
    worker.end(answer('two'));
    worker.listen();
    rig.killWorker(worker);
    assert.equal(peer.stdout(2), answer('two'));
    assert.match(peer.stdout(3), /^Status: 500 /);
    const next = rig.addWorker(0);
    rig.settle();
    finishRun(rig, next);
    assert.equal(peer.stdout(4), answer('done'));
  });

  it('is turned away when it has waited too long', () => {
    const { rig, worker, peer } = offering();
    rig.send(peer, request({ id: 3 }));
    rig.pass(60_000_000);
    assert.match(peer.stdout(3), /^Status: 503 /);
    finishRun(rig, worker);
    assert.equal(worker.running, undefined);
  });
});
