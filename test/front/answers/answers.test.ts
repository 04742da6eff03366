/** How answers end, and what a reader of one costs others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { finishRun, readToEnd, setUp } from '../support/one-worker.js';
import { answer, request } from '../support/requests.js';

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
