/** Records and bytes, in both directions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LuafcgidError } from '../../src/base/errors.js';
import {
  AnswerEncoder,
  encodeBeginRequest,
  encodeEndRequest,
  encodeRecord,
  encodeStream,
  encodeStreamEnd,
  ProtocolStatus,
  RecordDecoder,
} from '../../src/fcgi/session.js';
import { RecordReader } from '../support/fcgi-wire.js';
import { byByte, cutAt, decode, joined } from './support/pieces.js';
import { VECTORS } from './support/vectors.js';

describe('a record', () => {
  for (const { name, type, id, content, bytes, isEncoded } of VECTORS) {
    const record = { type, requestId: id, content: Buffer.from(content) };

    it(`is decoded whole: ${name}`, () => {
      assert.deepEqual(decode([bytes]), [record]);
    });

    it(`is decoded byte by byte: ${name}`, () => {
      const decoder = new RecordDecoder();
      assert.deepEqual(joined(decode(byByte(bytes), decoder)), [record]);
      assert.equal(decoder.isInsideRecord, false);
    });

    it(`is decoded however it is cut in two: ${name}`, () => {
      const step = Math.max(1, Math.floor(bytes.length / 500));
      for (let at = 0; at <= bytes.length; at += step) {
        const records = joined(decode([bytes.subarray(0, at), bytes.subarray(at)]));
        assert.deepEqual(records, [record], `cut at ${at}`);
      }
    });

    it(`leaves what comes after it for later: ${name}`, () => {
      const half = [1, 6, 0, 9, 0];
      const decoder = new RecordDecoder();
      assert.deepEqual(joined(decode([Buffer.concat([bytes, Buffer.from(half)])], decoder)), [record]);
      assert.equal(decoder.isInsideRecord, true);
      assert.deepEqual(decode([Uint8Array.of(1, 0, 0, 33)], decoder), [
        { type: 6, requestId: 9, content: Buffer.from('!') },
      ]);
      const twice = joined(decode([Buffer.concat([bytes, Buffer.from([1, 2, 0, 9, 0, 0, 0, 0]), bytes])]));
      assert.deepEqual(twice, [record, { type: 2, requestId: 9, content: Buffer.alloc(0) }, record]);
    });

    if (isEncoded) {
      it(`is encoded: ${name}`, () => {
        assert.deepEqual([...encodeRecord(type, id, content)], [...bytes]);
      });
    }
  }

  it('of another version is no FastCGI, told at the first byte', () => {
    for (const version of [0, 2, 71, 255]) {
      for (const pieces of [[Uint8Array.of(version)], [Uint8Array.of(version, 1, 0, 1, 0, 0, 0, 0)]]) {
        assert.throws(() => decode(pieces), { code: 'LUAFCGID_FCGI_VERSION', blame: 'peer' });
      }
    }
  });

  it('that was decoded before a fault is still told', () => {
    const decoder = new RecordDecoder();
    decoder.feed(Uint8Array.of(1, 2, 0, 1, 0, 0, 0, 0, 9));
    assert.equal(decoder.next()?.type, 2);
    assert.throws(() => decoder.next(), LuafcgidError);
  });

  it('of a stream is handed on in pieces as it comes', () => {
    const decoder = new RecordDecoder();
    decoder.feed(Uint8Array.of(1, 5, 0, 1, 0xff, 0xf8, 0, 0, 120, 121));
    assert.deepEqual([...(decoder.next()?.content ?? [])], [120, 121]);
    assert.equal(decoder.next(), undefined);
    assert.equal(decoder.isInsideRecord, true);
  });
});

describe('special records', () => {
  it('are encoded as the specification writes them', () => {
    assert.deepEqual([...encodeBeginRequest(258, 1, true)], [1, 1, 1, 2, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    assert.deepEqual([...encodeBeginRequest(1, 515, false)], [1, 1, 0, 1, 0, 8, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(
      [...encodeEndRequest(1, 0xfffefdfc, ProtocolStatus.UNKNOWN_ROLE)],
      [1, 3, 0, 1, 0, 8, 0, 0, 0xff, 0xfe, 0xfd, 0xfc, 3, 0, 0, 0],
    );
    assert.deepEqual([...encodeEndRequest(1, -1, 0)], [1, 3, 0, 1, 0, 8, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    assert.deepEqual([...encodeStreamEnd(7, 300)], [1, 7, 1, 44, 0, 0, 0, 0]);
    assert.deepEqual(
      [...new AnswerEncoder().end(1, Buffer.from('hi'), 5, ProtocolStatus.REQUEST_COMPLETE)],
      [
        ...[1, 6, 0, 1, 0, 2, 6, 0, 104, 105, 0, 0, 0, 0, 0, 0],
        ...[1, 6, 0, 1, 0, 0, 0, 0],
        ...[1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0],
      ],
    );
  });
});

describe('a stream', () => {
  for (const size of [0, 1, 7, 8, 9, 65527, 65528, 65529, 131055, 131056, 131057, 200_000]) {
    it(`of ${size} bytes is cut into records that others can read`, () => {
      const content = Buffer.alloc(size);
      for (let at = 0; at < size; at++) content[at] = (at * 31) & 255;
      // Memory that was used before: padding has to be written, not left.
      for (let n = 0; n < 4; n++) Buffer.allocUnsafe(size).fill(0xee);
      for (const isEnd of [false, true]) {
        const bytes = isEnd ? new AnswerEncoder().end(3, content, 1, 0) : encodeStream(6, 3, content);
        const records = new RecordReader().push(bytes);
        const end = isEnd ? records.splice(-2) : [];
        assert.equal(records.length, Math.ceil(size / 65528));
        assert.deepEqual(Buffer.concat(records.map((record) => record.content)), content);
        let at = 0;
        for (const record of records) {
          assert.deepEqual([record.version, record.type, record.id, record.reserved], [1, 6, 3, 0]);
          assert.ok(record.content.length > 0);
          assert.equal((record.content.length + record.paddingBytes) % 8, 0);
          assert.ok(record.content.length + record.paddingBytes <= 65535 && record.paddingBytes < 8);
          at += 8 + record.content.length;
          assert.ok(bytes.subarray(at, at + record.paddingBytes).every((byte) => byte === 0));
          at += record.paddingBytes;
        }
        assert.deepEqual(
          end.map(({ type, id, content: { length } }) => [type, id, length]),
          isEnd
            ? [
                [6, 3, 0],
                [3, 3, 8],
              ]
            : [],
        );
        assert.equal(bytes.length, at + (isEnd ? 24 : 0));
      }
    });
  }

  it('comes out of the decoder as it went in, however it is cut', () => {
    const part = fc.record({
      type: fc.constantFrom(4, 5, 6, 7, 8),
      id: fc.constantFrom(1, 2, 65535),
      content: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.nat()), (parts, cuts) => {
        const bytes = Buffer.concat(
          parts.map(({ type, id, content }) =>
            content.length === 0 ? encodeStreamEnd(type, id) : encodeStream(type, id, content),
          ),
        );
        const wanted = parts.map(({ type, id, content }) => ({ type, requestId: id, content: Buffer.from(content) }));
        assert.deepEqual(joined(decode(cutAt(bytes, cuts))), joined(wanted));
      }),
      { numRuns: 300 },
    );
  });
});

describe('any bytes', () => {
  it('are records or a protocol error, the same ones however they are cut', () => {
    const outcome = (pieces: readonly Uint8Array[]): unknown[] => {
      const records: ReturnType<typeof decode> = [];
      const decoder = new RecordDecoder();
      try {
        for (const piece of pieces) {
          decoder.feed(piece);
          for (let record = decoder.next(); record !== undefined; record = decoder.next()) {
            records.push({ ...record, content: Buffer.from(record.content) });
          }
        }
        return [...joined(records), decoder.isInsideRecord];
      } catch (error) {
        assert.ok(error instanceof LuafcgidError && error.blame === 'peer', String(error));
        return [...joined(records), error.code, error.message];
      }
    };
    const small = fc.uint8Array({ maxLength: 12 });
    // Mostly well-formed headers with random fields, so that the cases go deep.
    const headed = fc
      .tuple(
        fc.constantFrom(1, 1, 1, 1, 1, 1, 2),
        fc.nat(12),
        fc.nat(2),
        fc.nat(20),
        fc.nat(10),
        fc.uint8Array({ maxLength: 40 }),
      )
      .map(([version, type, id, length, padding, rest]) =>
        Uint8Array.from([version, type, 0, id, 0, length, padding, 0, ...rest.subarray(0, length + padding)]),
      );
    fc.assert(
      fc.property(fc.array(fc.oneof(headed, headed, headed, small)), fc.array(fc.nat()), (parts, cuts) => {
        const bytes = Buffer.concat(parts);
        const whole = outcome([bytes]);
        assert.deepEqual(outcome(byByte(bytes)), whole);
        assert.deepEqual(outcome(cutAt(bytes, cuts)), whole);
      }),
      { numRuns: 1000 },
    );
  });
});
