/** What the access log is told of a request, however it ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import { type AccessEntry, AccessRecord } from '../../../src/front/model/access-record.js';
import { abort, answer, head, request } from '../support/requests.js';
import { Rig } from '../support/rig.js';

describe('an answer', () => {
  const bytes = Buffer.from('Status: 404 Not Found\r\nX: \r\rY\r\nZ: \r\n\r\n\r\n\r\nbody');

  it('has the status of its head and the length of its body, however it is cut', () => {
    for (let size = 12; size <= bytes.length; size += 1) {
      const record = new AccessRecord();
      for (let at = 0; at < bytes.length; at += size) record.sent(bytes.subarray(at, at + size));
      assert.deepEqual([record.status, record.sentBytes], [404, '\r\n\r\nbody'.length]);
    }
  });
});

describe('a request that is over', () => {
  const only = (rig: Rig): AccessEntry => {
    assert.equal(rig.overs.size, 1);
    return [...rig.overs.values()][0] as AccessEntry;
  };
  const outcome = (rig: Rig): unknown[] => {
    const { outcome, status, sentBytes } = only(rig).record;
    return [outcome, status, sentBytes];
  };
  /** A request that a worker runs. */
  const running = (bytes: Uint8Array = request()) => {
    const rig = new Rig();
    const worker = rig.addWorker();
    const peer = rig.open();
    rig.send(peer, bytes);
    worker.listen();
    return { rig, worker, peer };
  };

  it('was answered by its script', () => {
    const { rig, worker } = running();
    rig.nowMs += 5;
    worker.output(answer('12345'));
    worker.end('678');
    rig.ring();
    assert.deepEqual(outcome(rig), ['done', 200, 8]);
    assert.deepEqual([only(rig).record.worker, only(rig).times.arrivedMs, only(rig).times.startedMs], [0, 1000, 1000]);
  });

  it('failed, as its exit status tells', () => {
    const { rig, worker } = running();
    worker.end(answer(''), false, 1);
    rig.ring();
    assert.deepEqual(outcome(rig), ['failed', 200, 0]);
  });

  it('was refused with a page', () => {
    const rig = new Rig({ findsAtOnce: false });
    const peer = rig.open();
    rig.send(peer, request());
    rig.refused(new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', { path: '/srv/a.lua' }));
    const [how, status, sentBytes] = outcome(rig);
    assert.deepEqual([how, status], ['refused', 404]);
    const length = /Content-Length: (\d+)/.exec(peer.stdout())?.[1];
    assert.equal(sentBytes, Number(length));
  });

  it('was refused by the protocol', () => {
    const rig = new Rig({ pool: { queue: 0 }, front: { overload: 'protocol' } });
    rig.send(rig.open(), request());
    assert.deepEqual(outcome(rig), ['refused', 503, 0]);
  });

  it('was refused for its parameters, which are told all the same', () => {
    const rig = new Rig();
    rig.send(rig.open(), request({ method: 'TRACE' }));
    assert.deepEqual(outcome(rig).slice(0, 2), ['refused', 405]);
  });

  it('was aborted before it had an answer', () => {
    const rig = new Rig();
    rig.send(rig.open(), head({ length: 10 }), abort());
    assert.deepEqual(outcome(rig), ['aborted', 499, 0]);
  });

  it('lost its client while its script ran, and is told when that ends', () => {
    const { rig, worker, peer } = running();
    worker.output(answer('123'));
    rig.ring();
    rig.close(peer);
    assert.equal(rig.overs.size, 0);
    worker.end('45678');
    rig.ring();
    assert.deepEqual(outcome(rig), ['aborted', 200, 3]);
  });

  it('was cut short when its worker ended', () => {
    const { rig, worker } = running();
    worker.output(answer('123'));
    rig.ring();
    rig.killWorker(worker);
    assert.deepEqual(outcome(rig), ['cut', 200, 3]);
  });

  it('lost its worker before it had an answer', () => {
    const { rig, worker } = running();
    rig.killWorker(worker);
    assert.deepEqual(outcome(rig).slice(0, 2), ['refused', 500]);
  });

  it('finished its answer before its script ended', () => {
    const { rig, worker } = running();
    worker.output(answer('123'));
    worker.finish();
    rig.ring();
    assert.equal(rig.overs.size, 0);
    worker.end();
    rig.ring();
    assert.deepEqual(outcome(rig), ['done', 200, 3]);
  });

  it('still runs when the server ends', () => {
    const { rig } = running();
    rig.front.reportUnfinished();
    assert.deepEqual(outcome(rig), ['cut', 0, 0]);
    rig.front.reportUnfinished();
    assert.equal(rig.overs.size, 1);
  });

  it('leaves no record where there is no access log', () => {
    const rig = new Rig({ front: { tracesRequests: false } });
    rig.send(rig.open(), request({ method: 'TRACE' }));
    assert.equal(rig.overs.size, 0);
  });
});
