/** The way to the end of a server that stops. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TYPE } from '../../support/fcgi-wire.js';
import { finishRun, setUp } from '../support/one-worker.js';
import { answer, request } from '../support/requests.js';

describe('draining', () => {
  it('answers the request of a connection that was accepted at the last moment, or just before (attacks F13.10)', () => {
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

  it('answers what is on its way on a kept connection, and closes it with that answer (fidelity D-B2, users B5)', () => {
    const { rig, worker } = setUp();
    const [asks, keepsSilent] = [rig.open(), rig.open()];
    for (const kept of [asks, keepsSilent]) {
      rig.send(kept, request());
      rig.settle();
      finishRun(rig, worker);
    }
    rig.event(() => rig.front.drain(rig.nowMs));
    rig.pass(499);
    assert.deepEqual([asks.closed, keepsSilent.closed, rig.drained], ['no', 'no', 0]);
    rig.send(asks, request({ id: 2 }));
    rig.settle();
    finishRun(rig, worker);
    assert.equal(asks.stdout(2), answer('done'));
    assert.equal(asks.closed, 'now');
    rig.pass(1);
    assert.equal(keepsSilent.closed, 'now');
  });

  it('has nginx keep no connection that closes with its answer, and says nothing more to others (users B5)', () => {
    for (const [software, keepConn, isTold] of [
      ['nginx/1.22.1', true, true],
      ['nginx/1.22.1', false, false],
      ['Apache/2.4.62', true, false],
      ['', true, false],
    ] as const) {
      const { rig, worker } = setUp();
      const peer = rig.open();
      const params = { SERVER_SOFTWARE: software };
      rig.send(peer, request({ id: 1, keepConn, params }));
      rig.settle();
      const before = peer.records.length;
      rig.event(() => rig.front.drain(rig.nowMs));
      finishRun(rig, worker);
      const types = peer.records.slice(before).map(({ type }) => type);
      const end = [TYPE.STDOUT, TYPE.STDOUT, TYPE.END_REQUEST];
      assert.deepEqual(types, isTold ? [...end, TYPE.GET_VALUES_RESULT] : end, software);
      assert.equal(peer.closed, 'now');
    }
  });

  it('leaves a connection of nginx as it is until its last request is answered (users B5)', () => {
    const { rig, worker } = setUp();
    const peer = rig.open();
    const params = { SERVER_SOFTWARE: 'nginx/1.22.1' };
    rig.send(peer, request({ id: 1, params }), request({ id: 2, params }));
    rig.settle();
    rig.event(() => rig.front.drain(rig.nowMs));
    finishRun(rig, worker);
    assert.ok(peer.records.every(({ type }) => type !== TYPE.GET_VALUES_RESULT));
    finishRun(rig, worker);
    assert.equal(peer.records.at(-1)?.type, TYPE.GET_VALUES_RESULT);
  });

  it('closes other connections when their requests are answered', () => {
    const { rig, worker, peer } = setUp();
    rig.send(peer, request({ id: 1 }), request({ id: 2 }));
    rig.settle();
    rig.event(() => rig.front.drain(rig.nowMs));
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
