/** What becomes of the body of a request. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyFault } from '../../../src/channel/messages.js';
import { finishRun, readToEnd, setUp } from '../support/one-worker.js';
import { answer, body, bodyEnd, head, request } from '../support/requests.js';

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
