/** The way of a request through the front: its parameters, its state, its answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import { TYPE } from '../../support/fcgi-wire.js';
import { finishRun, setUp } from '../support/one-worker.js';
import { answer, body, bodyEnd, head, request } from '../support/requests.js';

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
