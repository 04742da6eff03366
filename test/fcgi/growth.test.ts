/** Reading what clients and servers send costs no more than in proportion to its size, whatever its shape. Counted, not timed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RecordDecoder } from '../../src/fcgi/decoder.js';
import { encodeParams, forEachPair } from '../../src/fcgi/params.js';
import { AnswerReader } from '../../src/gateway/answer.js';
import { AccessFormat, type AccessRecord } from '../../src/logging/access-format.js';
import { bytesTouched, countedBytes } from '../support/work-meter.js';

const SIZE = 32_000;

/** @param perByte most that one byte may cost */
function assertLinear(workOf: (size: number) => number, perByte: number): void {
  const [small, large] = [workOf(SIZE / 2), workOf(SIZE)];
  assert.ok(large <= 2.3 * small + 2000, `${small} for ${SIZE / 2} bytes, ${large} for ${SIZE}`);
  assert.ok(large <= perByte * SIZE, `${large} for ${SIZE} bytes`);
}

describe('parameters', () => {
  const pairs: Readonly<Record<string, (size: number) => Uint8Array>> = {
    'without names and values': (size) => Buffer.alloc(size),
    'of one byte': (size) => encodeParams(Array.from({ length: size / 4 }, () => ['a', 'b'])),
    'of one name': (size) => encodeParams(Array.from({ length: size / 12 }, () => ['REMOTE_ADDR', ''])),
    'with long lengths': (size) =>
      Buffer.from([0x80, 0, 0, 0, 0x80, 0, 0, 0].flatMap((byte) => Array(size / 8).fill(byte))),
    'that are one': (size) => encodeParams([['a', 'b'.repeat(size)]]),
  };
  for (const [name, make] of Object.entries(pairs)) {
    it(`${name} are each looked at once`, () => {
      const looksAt = (size: number): number => {
        const { bytes, looks } = countedBytes(make(size));
        let visits = 0;
        try {
          forEachPair(bytes, () => {
            visits += 1;
          });
        } catch {
          // A pair that is too long ends the walk.
        }
        return looks() + visits;
      };
      assertLinear(looksAt, 2);
    });
  }
});

describe('records', () => {
  const record = (type: number, id: number, length: number): Buffer =>
    Buffer.concat([Buffer.from([1, type, 0, id, length >> 8, length & 255, 0, 0]), Buffer.alloc(length)]);
  const streams: Readonly<Record<string, (size: number) => Buffer>> = {
    'without content': (size) => Buffer.concat(Array.from({ length: size / 8 }, () => record(5, 1, 0))),
    'of a stream': (size) => record(5, 1, size),
    'of management, which are kept whole': (size) => record(9, 0, size),
  };
  for (const [name, make] of Object.entries(streams)) {
    for (const pieceBytes of [1, 7, 4096]) {
      it(`${name}, in pieces of ${pieceBytes}, are copied once at most`, () => {
        const workOf = (size: number): number => {
          const bytes = make(size);
          const decoder = new RecordDecoder();
          return bytesTouched(() => {
            for (let at = 0; at < bytes.length; at += pieceBytes) {
              decoder.feed(bytes.subarray(at, at + pieceBytes));
              while (decoder.next() !== undefined);
            }
          });
        };
        assertLinear(workOf, 2);
      });
    }
  }
});

describe('the header block of an answer', () => {
  const blocks: Readonly<Record<string, (size: number) => string>> = {
    'of one long header': (size) => `X: ${'v'.repeat(size)}\r\n\r\n`,
    'of many headers': (size) => `${'A: b\r\n'.repeat(size / 6)}\r\n`,
    'of line ends': (size) => '\r'.repeat(size),
    'of spaces': (size) => `X:${' '.repeat(size)}v${' '.repeat(size / 2)}\r\n\r\n`,
  };
  for (const [name, make] of Object.entries(blocks)) {
    for (const pieceBytes of [1, 1000]) {
      it(`${name}, in pieces of ${pieceBytes}, is copied a few times`, () => {
        const workOf = (size: number): number => {
          const bytes = Buffer.from(make(size), 'latin1');
          const reader = new AnswerReader();
          return bytesTouched(() => {
            for (let at = 0; at < bytes.length && !reader.hasHead; at += pieceBytes) {
              reader.push(bytes.subarray(at, at + pieceBytes));
            }
          });
        };
        assertLinear(workOf, 20);
      });
    }
  }
});

describe('a line of the access log', () => {
  const record = (params: Uint8Array): AccessRecord => ({
    arrivedMs: 0,
    durationMs: 1,
    waitMs: undefined,
    cpuMs: undefined,
    memoryBytes: undefined,
    request: 'r',
    script: '/a.lua',
    state: 1,
    worker: 0,
    method: 'GET',
    status: 200,
    outcome: 'done',
    sentBytes: 0,
    receivedBytes: 0,
    role: 'RESPONDER' as const,
    params,
  });
  for (const format of ['{uri} "{agent}"', 'json']) {
    for (const character of ['a', '\x01', '"', '\u202e', '\xff']) {
      it(`of ${JSON.stringify(character)} as ${format} looks at no more than its fields`, () => {
        const accessFormat = new AccessFormat(format);
        const workOf = (size: number): number => {
          const value = Buffer.from(character.repeat(size / character.length)).toString('latin1');
          const params = encodeParams([
            ['REQUEST_URI', value],
            ['HTTP_USER_AGENT', value],
          ]);
          return bytesTouched(() => accessFormat.line(record(params)));
        };
        assertLinear(workOf, 20);
        // Past what a field shows nothing grows but the copy of the value.
        assert.ok(workOf(1_000_000) < 8_000_000);
      });
    }
  }
});
