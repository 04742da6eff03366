/** Lines of the access log that are written as bytes: the same as those that are put together as text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeParams } from '../../src/fcgi/params.js';
import {
  AccessFormat,
  type AccessRecord,
  DEFAULT_ACCESS_FORMAT,
  FIELD_BYTES,
  FIELDS,
} from '../../src/logging/access-format.js';
import { NOT_PLAIN, PlainLines } from '../../src/logging/plain-line.js';

const RECORD: AccessRecord = {
  arrivedMs: Date.UTC(2026, 1, 3, 4, 5, 6, 78),
  durationMs: 12.3456,
  waitMs: 0,
  cpuMs: 0.25,
  memoryBytes: 123_456,
  request: '68d1a0-3f',
  script: '/srv/page.lua',
  state: 3,
  worker: 0,
  role: 'RESPONDER',
  method: 'GET',
  status: 200,
  outcome: 'done',
  sentBytes: 1_000_000,
  receivedBytes: 0,
  params: params({ REMOTE_ADDR: '192.0.2.7', REQUEST_URI: '/page.lua?a=1', HTTP_HOST: 'www.example.org' }),
};

function params(values: Readonly<Record<string, string>>): Uint8Array {
  return encodeParams(Object.entries(values));
}

/** Both forms of a line; the first is undefined where it is not written as bytes. */
function bothOf(format: string, record: AccessRecord, roomBytes = 100_000): [string | undefined, string] {
  const access = new AccessFormat(format);
  const bytes = new Uint8Array(roomBytes + 20).fill(0x7e);
  const end = new PlainLines(access).write(record, bytes, 10, 10 + roomBytes);
  assert.ok(
    bytes.subarray(10 + roomBytes).every((byte) => byte === 0x7e),
    'nothing behind the room is written',
  );
  const written = end === NOT_PLAIN ? undefined : Buffer.from(bytes.subarray(10, end)).toString();
  return [written, `${access.line(record)}\n`];
}

const everything = Object.keys(FIELDS)
  .map((name) => `${name}={${name}}`)
  .join(' ');

describe('a line of the access log that is written as bytes', () => {
  it('is the same as that which is put together as text', () => {
    const none = {
      cpuMs: undefined,
      memoryBytes: undefined,
      state: undefined,
      script: '',
      status: 0,
      waitMs: undefined,
    };
    for (const format of [DEFAULT_ACCESS_FORMAT, everything, '{{{param:HTTP_X_NAME}}} "{uri}" \u010d', '{status}']) {
      for (const changes of [
        {},
        none,
        { durationMs: 0, sentBytes: 0 },
        { durationMs: 9.9996, memoryBytes: 2 ** 40 },
        { durationMs: 1e6, state: 999, status: 500, outcome: 'failed' as const },
        { params: params({}) },
        { params: params({ REMOTE_ADDR: '', REQUEST_URI: '/a', HTTP_X_NAME: 'x~|{}' }) },
        // Of a name that comes twice the last value counts.
        {
          params: encodeParams([
            ['REQUEST_URI', '/first'],
            ['REQUEST_URI', '/last'],
          ]),
        },
      ]) {
        const [written, text] = bothOf(format, { ...RECORD, ...changes });
        assert.equal(written, text);
      }
    }
  });

  it('is left to the other way where a value has to be escaped or cut, or is no number for it (attacks: forged lines)', () => {
    for (const uri of [
      '/a b',
      '/a"b',
      '/a\\b',
      '/a\nb',
      '/\x1b[0m',
      '/caf\xc3\xa9',
      '/\x7f',
      `/${'x'.repeat(FIELD_BYTES)}`,
    ]) {
      const changed = { ...RECORD, params: params({ REQUEST_URI: uri }) };
      assert.equal(bothOf('{uri}', changed)[0], undefined, JSON.stringify(uri.slice(0, 20)));
      assert.equal(bothOf('{script}', { ...RECORD, script: uri })[0], undefined);
    }
    for (const sentBytes of [-1, 0.5, Number.NaN, 2 ** 60]) {
      assert.equal(bothOf('{sent_bytes}', { ...RECORD, sentBytes })[0], undefined);
    }
    for (const durationMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 50]) {
      assert.equal(bothOf('{duration_ms}', { ...RECORD, durationMs })[0], undefined);
    }
  });

  it('is not written where it does not fit, and never behind its room', () => {
    const [whole] = bothOf(everything, RECORD);
    const { length } = whole as string;
    assert.equal(bothOf(everything, RECORD, length)[0], whole);
    for (let roomBytes = 0; roomBytes < length; roomBytes += 1) {
      assert.equal(bothOf(everything, RECORD, roomBytes)[0], undefined, `${roomBytes} bytes`);
    }
  });
});
