/** The body of a request by itself: what is kept, what is handed on, and when nothing more will come. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyFault } from '../../../src/channel/messages.js';
import { Body } from '../../../src/front/model/body.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** A worker that takes so many bytes at once, and what it was sent. */
function receiver(roomBytes = Number.POSITIVE_INFINITY) {
  const sent: (string | number)[] = [];
  const handOn = (body: Body): void =>
    body.handOn(
      (piece) => {
        const taken = piece.subarray(0, roomBytes);
        if (taken.length > 0) sent.push(Buffer.from(taken).toString());
        return taken.length;
      },
      (fault) => sent.push(fault),
    );
  return { sent, handOn };
}

describe('a body', () => {
  it('is complete when as much has come as was announced, and at once when that is nothing', () => {
    const body = new Body(5, { bytes: 0 });
    assert.equal(body.receive(bytes('abc'), 100), 'kept');
    assert.equal(body.isComplete, false);
    assert.equal(body.receive(bytes('de'), 100), 'kept');
    assert.equal(body.isComplete, true);
    assert.equal(Buffer.from(body.kept).toString(), 'abcde');
    assert.equal(new Body(0, { bytes: 0 }).isComplete, true);
    assert.equal(new Body(undefined, { bytes: 0 }).isComplete, false);
  });

  it('drops what comes past the announced length, of which the first piece is told apart', () => {
    const body = new Body(2, { bytes: 0 });
    assert.deepEqual([body.isFirstSurplus(2), body.isFirstSurplus(3), body.isFirstSurplus(3)], [false, true, false]);
    assert.equal(body.receive(bytes('abc'), 100), 'kept');
    assert.equal(body.receive(bytes('d'), 100), 'dropped');
    assert.deepEqual([Buffer.from(body.kept).toString(), body.receivedBytes], ['ab', 2]);
  });

  it('says when it becomes too large', () => {
    const body = new Body(undefined, { bytes: 0 });
    assert.equal(body.receive(bytes('abc'), 4), 'kept');
    assert.equal(body.receive(bytes('de'), 4), 'too large');
  });

  it('is handed on as there is room, and its end once, behind the last byte', () => {
    const body = new Body(undefined, { bytes: 0 });
    const { sent, handOn } = receiver(2);
    body.receive(bytes('abc'), 100);
    body.begin();
    handOn(body);
    assert.deepEqual([sent, body.hasHandedOn], [['ab'], true]);
    body.complete();
    handOn(body);
    handOn(body);
    handOn(body);
    assert.deepEqual([sent, body.isEndSent, body.bufferedBytes], [['ab', 'c', 0], true, 0]);
  });

  it('that fails is told with its fault once, and what is not handed on is not', () => {
    const body = new Body(10, { bytes: 0 });
    const { sent, handOn } = receiver();
    body.begin();
    body.receive(bytes('abc'), 100);
    body.fail(BodyFault.SHORT, (fault) => sent.push(fault));
    body.fail(BodyFault.LATE, (fault) => sent.push(fault));
    handOn(body);
    assert.deepEqual([sent, body.isComplete, body.hasHandedOn], [[BodyFault.SHORT], true, true]);
  });

  it('of which nothing is to be sent needs no end', () => {
    const body = new Body(0, { bytes: 0 });
    body.begin();
    assert.equal(body.isEndSent, true);
  });

  it('counts its memory on its meter, and gives it back', () => {
    const [first, second] = [{ bytes: 0 }, { bytes: 0 }];
    const body = new Body(undefined, first);
    for (let piece = 0; piece < 100; piece += 1) body.receive(bytes('x'.repeat(10)), 10_000);
    assert.equal(first.bytes, body.heldBytes);
    assert.ok(first.bytes >= 1000 && first.bytes <= 2000, `${first.bytes} bytes for 1000`);
    body.meter = second;
    second.bytes = body.heldBytes;
    body.end();
    assert.equal(second.bytes, 0);
  });

  it('is late when nothing comes for the time it has, which grows with what comes', () => {
    const body = new Body(100, { bytes: 0 });
    const isLate = (): boolean => body.isLate(400, 1000, 1);
    assert.deepEqual([isLate(), isLate(), isLate()], [false, false, false]);
    body.receive(new Uint8Array(30), 1000);
    assert.equal(isLate(), true, 'thirty bytes are worth 30 ms');
    const steady = new Body(10_000, { bytes: 0 });
    for (let look = 0; look < 10; look += 1) {
      steady.receive(new Uint8Array(400), 10_000);
      assert.equal(steady.isLate(400, 1000, 1), false);
    }
  });
});
