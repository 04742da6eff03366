/** What the front does about records that are no plain request. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { beginRequest, PROTOCOL_STATUS, pairs, parsePairs, record, stream, TYPE } from '../../support/fcgi-wire.js';
import { finishRun, setUp } from '../support/one-worker.js';
import { answer, bodyEnd, request } from '../support/requests.js';

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

  it('refuses roles that do not exist; without KEEP_CONN the peer may finish sending', () => {
    for (const keepConn of [true, false]) {
      const { rig, peer } = setUp();
      rig.send(peer, beginRequest(1, { role: 4, keepConn }));
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
