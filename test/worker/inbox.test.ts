import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyFault, MORE, START_CREATE, ToWorker } from '../../src/channel/messages.js';
import { NO_BODY } from '../../src/worker/inbox.js';
import type { RequestInlet } from '../../src/worker/request-channels.js';
import { Ends } from './support/ends.js';

const NOTHING = new Uint8Array(0);

function read(body: RequestInlet, maxBytes = 1000): string | null {
  const piece = body.readBody(maxBytes);
  return piece === null ? null : Buffer.from(piece).toString('latin1');
}

function readAll(body: RequestInlet, maxBytes = 1000): string {
  let text = '';
  for (let piece = read(body, maxBytes); piece !== null; piece = read(body, maxBytes)) text += piece;
  return text;
}

describe('the inbox of a worker', () => {
  it('gives messages in order, with their flags', () => {
    const ends = new Ends();
    ends.toWorker.tryWrite(ToWorker.START | START_CREATE, 7, 3, Buffer.from('payload'));
    ends.toWorker.tryWrite(ToWorker.CLOSE, 0, 9, NOTHING);
    const { type, flags, id, argument, payload } = ends.inbox.next();
    assert.deepEqual([type, flags & START_CREATE, id, argument], [ToWorker.START, START_CREATE, 7, 3]);
    assert.equal(Buffer.from(payload).toString(), 'payload');
    const { type: second, argument: state, payload: none } = ends.inbox.next();
    assert.deepEqual([second, state, none.length], [ToWorker.CLOSE, 9, 0]);
  });

  it('puts a message together that came in several frames, of any length', () => {
    const ends = new Ends(128 * 1024);
    for (const size of [1, 3, 20_000]) {
      const parts = ['a', 'b', 'c'].map((letter) => Buffer.alloc(size, letter));
      for (const [index, part] of parts.entries()) {
        ends.toWorker.tryWrite(ToWorker.START | (index < 2 ? MORE : 0), 1, 2, part);
      }
      assert.deepEqual(Buffer.from(ends.inbox.next().payload), Buffer.concat(parts));
    }
  });

  it('gives the body of the running request in pieces of the size asked for', () => {
    const ends = new Ends();
    const body = ends.inbox.bodyOf(1);
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('abcdef'));
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('gh'));
    ends.toWorker.tryWrite(ToWorker.BODY_END, 1, 0, NOTHING);
    assert.deepEqual([read(body, 4), read(body, 4), read(body, 4), read(body, 4)], ['abcd', 'ef', 'gh', null]);
    assert.equal(read(body), null);
  });

  it('gives the body and the file of a Filter apart from each other, whichever is read first', () => {
    const ends = new Ends();
    const { toWorker } = ends;
    for (const order of ['body first', 'file first', 'in turn']) {
      ends.inbox.forgetBody(1);
      const input = ends.inbox.filterInputOf(1, true, false);
      const data = { ...input, readBody: (most: number) => input.readData(most) };
      toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('abcdef'));
      toWorker.tryWrite(ToWorker.BODY_END, 1, 0, NOTHING);
      toWorker.tryWrite(ToWorker.DATA, 1, 0, Buffer.from('uvw'));
      toWorker.tryWrite(ToWorker.DATA, 1, 0, Buffer.from('xyz'));
      toWorker.tryWrite(ToWorker.DATA_END, 1, 0, NOTHING);
      if (order === 'body first') assert.deepEqual([readAll(input, 4), readAll(data, 4)], ['abcdef', 'uvwxyz']);
      if (order === 'file first') assert.deepEqual([readAll(data, 2), readAll(input, 2)], ['uvwxyz', 'abcdef']);
      if (order !== 'in turn') continue;
      assert.deepEqual([read(input, 2), read(data, 2), read(input, 2), read(data, 2)], ['ab', 'uv', 'cd', 'w']);
      assert.deepEqual([readAll(input), readAll(data), read(input), read(data)], ['ef', 'xyz', null, null]);
    }
  });

  it('tells of a file what is wrong with it', () => {
    for (const [fault, code] of [
      [BodyFault.SHORT, 'LUAFCGID_REQUEST_DATA_SHORT'],
      [BodyFault.TOO_LARGE, 'LUAFCGID_REQUEST_DATA_TOO_LARGE'],
      [BodyFault.LATE, 'LUAFCGID_REQUEST_DATA_LATE'],
    ] as const) {
      const ends = new Ends();
      const input = ends.inbox.filterInputOf(1, false, true);
      ends.toWorker.tryWrite(ToWorker.DATA, 1, 0, Buffer.from('x'));
      ends.toWorker.tryWrite(ToWorker.DATA_END, 1, fault, NOTHING);
      assert.equal(read(input), null);
      assert.equal(Buffer.from(input.readData(9) as Uint8Array).toString(), 'x');
      assert.throws(() => input.readData(9), { code });
    }
  });

  it('keeps what a request has left of a piece when it is suspended', () => {
    const ends = new Ends();
    const input = ends.inbox.bodyOf(1);
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('abcdef'));
    assert.equal(read(input, 2), 'ab');
    input.outlive();
    ends.toWorker.tryWrite(ToWorker.CLOSE, 0, 9, NOTHING);
    assert.equal(ends.inbox.next().type, ToWorker.CLOSE);
    ends.toWorker.tryWrite(ToWorker.BODY_END, 1, 0, NOTHING);
    assert.equal(readAll(input), 'cdef');
  });

  it('gives no body where there is none, without waiting for one', () => {
    assert.equal(read(NO_BODY), null);
  });

  it('passes over what is left of earlier bodies', () => {
    const ends = new Ends();
    const body = ends.inbox.bodyOf(1);
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('abcdef'));
    assert.equal(read(body, 2), 'ab');
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('more'));
    ends.toWorker.tryWrite(ToWorker.START, 2, 5, NOTHING);
    // Late news of the first request, when the second is under way.
    assert.equal(ends.inbox.next().id, 2);
    const second = ends.inbox.bodyOf(2);
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('late'));
    ends.toWorker.tryWrite(ToWorker.BODY_END, 1, BodyFault.CLIENT_GONE, NOTHING);
    ends.toWorker.tryWrite(ToWorker.BODY, 2, 0, Buffer.from('second'));
    ends.toWorker.tryWrite(ToWorker.BODY_END, 2, 0, NOTHING);
    assert.equal(readAll(second), 'second');
  });

  it('keeps messages that come among a body for afterwards', () => {
    const ends = new Ends();
    const body = ends.inbox.bodyOf(1);
    ends.toWorker.tryWrite(ToWorker.CLOSE, 0, 4, NOTHING);
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('x'));
    ends.toWorker.tryWrite(ToWorker.COLLECT, 0, 5, NOTHING);
    ends.toWorker.tryWrite(ToWorker.BODY_END, 1, 0, NOTHING);
    ends.toWorker.tryWrite(ToWorker.START, 2, 6, NOTHING);
    assert.equal(readAll(body), 'x');
    const messages = [ends.inbox.next(), ends.inbox.next(), ends.inbox.next()];
    assert.deepEqual(
      messages.map(({ type, argument }) => [type, argument]),
      [
        [ToWorker.CLOSE, 4],
        [ToWorker.COLLECT, 5],
        [ToWorker.START, 6],
      ],
    );
  });

  it('loses nothing of a body whose request is suspended in the middle of a piece, nor gives any of it twice', () => {
    const ends = new Ends();
    const [first, second] = [ends.inbox.bodyOf(1), ends.inbox.bodyOf(2)];
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('abcdef'));
    ends.toWorker.tryWrite(ToWorker.BODY, 2, 0, Buffer.from('123456'));
    assert.equal(read(first, 2), 'ab');
    first.outlive();
    // Another request goes on, which reads its own.
    assert.equal(read(second, 2), '12');
    second.outlive();
    assert.equal(read(first, 2), 'cd');
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('gh'));
    ends.toWorker.tryWrite(ToWorker.CLOSE, 0, 4, NOTHING);
    assert.equal(ends.inbox.next().type, ToWorker.CLOSE);
    ends.toWorker.tryWrite(ToWorker.BODY_END, 1, 0, NOTHING);
    ends.toWorker.tryWrite(ToWorker.BODY_END, 2, 0, NOTHING);
    assert.equal(readAll(first), 'efgh');
    assert.equal(readAll(second), '3456');
  });

  it('keeps a request with its body that comes while another one reads, in any number of pieces', () => {
    const ends = new Ends();
    const first = ends.inbox.bodyOf(1);
    ends.toWorker.tryWrite(ToWorker.START | MORE, 2, 6, Buffer.from('par'));
    ends.toWorker.tryWrite(ToWorker.START, 2, 6, Buffer.from('ams'));
    ends.toWorker.tryWrite(ToWorker.BODY, 2, 0, Buffer.from('second'));
    ends.toWorker.tryWrite(ToWorker.BODY_END, 2, 0, NOTHING);
    ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('first'));
    ends.toWorker.tryWrite(ToWorker.BODY_END, 1, 0, NOTHING);
    assert.equal(readAll(first), 'first');
    const start = ends.inbox.next();
    assert.deepEqual([start.id, Buffer.from(start.payload).toString()], [2, 'params']);
    assert.equal(readAll(ends.inbox.bodyOf(2)), 'second');
  });

  it('raises what is wrong with a body, after what came of it, each time it is read', () => {
    for (const [fault, code] of [
      [BodyFault.SHORT, 'LUAFCGID_REQUEST_BODY_SHORT'],
      [BodyFault.TOO_LARGE, 'LUAFCGID_REQUEST_BODY_TOO_LARGE'],
      [BodyFault.CLIENT_GONE, 'LUAFCGID_REQUEST_BODY_SHORT'],
    ] as const) {
      const ends = new Ends();
      const body = ends.inbox.bodyOf(1);
      ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('some'));
      ends.toWorker.tryWrite(ToWorker.BODY_END, 1, fault, NOTHING);
      assert.equal(read(body), 'some');
      assert.throws(() => read(body), { code });
      assert.throws(() => read(body), { code });
    }
  });

  it('tells the front of room that it waits for', () => {
    const ends = new Ends(128);
    const body = ends.inbox.bodyOf(1);
    while (ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('12345678')));
    assert.equal(ends.toWorker.askForRoom(), true);
    assert.equal(read(body), '12345678');
    assert.equal(ends.bells, 0);
    read(body);
    assert.equal(ends.bells, 1);
    assert.ok(ends.toWorker.tryWrite(ToWorker.BODY, 1, 0, Buffer.from('12345678')));
  });
});
