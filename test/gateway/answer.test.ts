import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AnswerHead, AnswerReader } from '../../src/gateway/answer.js';

function read(text: string, pieceBytes = text.length): { head: AnswerHead; body: string } | undefined {
  const reader = new AnswerReader();
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const complete = reader.push(bytes.subarray(at, at + pieceBytes));
    if (!complete) continue;
    const rest = bytes.subarray(at + pieceBytes);
    return { head: complete.head, body: Buffer.concat([complete.body, rest]).toString('latin1') };
  }
  return undefined;
}

describe('the header block of an answer', () => {
  const cases: readonly (readonly [name: string, text: string, head: AnswerHead, body: string])[] = [
    [
      'has a type and a body',
      'Content-Type: text/plain\r\n\r\nhello',
      { status: 200, reason: '', headers: [['Content-Type', 'text/plain']], bodyBytes: undefined },
      'hello',
    ],
    [
      'may end its lines with LF alone',
      'A: b\nStatus: 404 Not Here\n\n\n\nx',
      { status: 404, reason: 'Not Here', headers: [['A', 'b']], bodyBytes: undefined },
      '\n\nx',
    ],
    [
      'means 302 by a Location alone',
      'Location: /x\r\n\r\n',
      { status: 302, reason: '', headers: [['Location', '/x']], bodyBytes: undefined },
      '',
    ],
    [
      'keeps the status beside a Location',
      'Status: 201\r\nLocation: /x\r\n\r\n',
      { status: 201, reason: '', headers: [['Location', '/x']], bodyBytes: undefined },
      '',
    ],
    [
      'keeps order, repetitions and every byte',
      'Set-Cookie: a\r\nX: \xe4\t\xff \r\nSet-Cookie: b\r\n\r\n',
      {
        status: 200,
        reason: '',
        headers: [
          ['Set-Cookie', 'a'],
          ['X', '\xe4\t\xff'],
          ['Set-Cookie', 'b'],
        ],
        bodyBytes: undefined,
      },
      '',
    ],
    [
      'loses what concerns one connection only',
      'Transfer-Encoding: chunked\r\nConnection: close\r\nKEEP-ALIVE: 1\r\nContent-Length: 3\r\n\r\nabc',
      { status: 200, reason: '', headers: [['Content-Length', '3']], bodyBytes: 3 },
      'abc',
    ],
  ];
  for (const [name, text, head, body] of cases) {
    it(name, () => {
      for (const pieceBytes of [text.length, 1, 2, 3, 7]) assert.deepEqual(read(text, pieceBytes), { head, body });
    });
  }

  it('is awaited until its blank line', () => {
    assert.equal(read('A: b\r\nC: d\r\n'), undefined);
    assert.equal(read('A: b\r\nC: d\r\n\r'), undefined);
  });

  const faults: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    ['a line without a colon', 'hello\r\n\r\n', /malformed header line, "hello"/],
    ['a space in a name', 'A b: c\r\n\r\n', /malformed/],
    ['a continuation line', 'A: b\r\n c\r\n\r\n', /malformed/],
    ['a control character', 'A: b\0c\r\n\r\n', /malformed/],
    ['a bare CR', 'A: b\rSet-Cookie: c\r\n\r\n', /malformed/],
    ['nothing in it', '\r\nhello', /no headers/],
    ['a status that is none', 'Status: fine\r\n\r\n', /a Status of "fine"/],
    ['an interim status', 'Status: 100 Continue\r\n\r\n', /a Status of "100/],
    ['a length that is none', 'Content-Length: -1\r\n\r\n', /Content-Length of "-1"/],
    ['no end within its limit', `A: ${'x'.repeat(70000)}`, /more than 65536 bytes/],
  ];
  for (const [name, text, message] of faults) {
    it(`is refused with ${name}`, () => {
      assert.throws(() => read(text), message);
      assert.throws(() => read(text, 1000), message);
    });
  }
});
