/** Name-value pairs (FastCGI 1.0, 3.4). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LuafcgidError } from '../../src/base/errors.js';
import { decodeParams, encodeParams, forEachPair } from '../../src/fcgi/session.js';
import { type LengthForm, pairs, parsePairs } from '../support/fcgi-wire.js';

function listPairs(bytes: Uint8Array): [string, string][] {
  const buffer = Buffer.from(bytes);
  const list: [string, string][] = [];
  forEachPair(bytes, (nameStart, valueStart, valueEnd) => {
    list.push([buffer.toString('latin1', nameStart, valueStart), buffer.toString('latin1', valueStart, valueEnd)]);
  });
  return list;
}

function bytesOf(...parts: readonly (number | string)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part, 'latin1'))));
}

describe('name-value pairs', () => {
  const long = 'x'.repeat(128);
  const cases: {
    readonly name: string;
    readonly list: [string, string][];
    readonly bytes: Uint8Array;
    readonly isEncoded?: boolean;
  }[] = [
    { name: 'none', list: [], bytes: bytesOf() },
    { name: 'one', list: [['A', 'bc']], bytes: bytesOf(1, 2, 'Abc') },
    { name: 'empty name and value', list: [['', '']], bytes: bytesOf(0, 0) },
    { name: 'an empty value at the end', list: [['A', '']], bytes: bytesOf(1, 0, 'A') },
    {
      name: 'several, one twice: the last value counts (fidelity D-B8)',
      list: [
        ['A', '1'],
        ['B', ''],
        ['A', '2'],
      ],
      bytes: bytesOf(1, 1, 'A1', 1, 0, 'B', 1, 1, 'A2'),
    },
    { name: 'a value of 127 bytes', list: [['A', 'y'.repeat(127)]], bytes: bytesOf(1, 127, 'A', 'y'.repeat(127)) },
    { name: 'a value of 128 bytes', list: [['A', long]], bytes: bytesOf(1, 0x80, 0, 0, 128, 'A', long) },
    { name: 'a name of 128 bytes', list: [[long, 'v']], bytes: bytesOf(0x80, 0, 0, 128, 1, long, 'v') },
    { name: 'both of 128 bytes', list: [[long, long]], bytes: bytesOf(0x80, 0, 0, 128, 0x80, 0, 0, 128, long, long) },
    {
      name: 'a value of 1000 bytes',
      list: [['A', 'z'.repeat(1000)]],
      bytes: bytesOf(1, 0x80, 0, 3, 0xe8, 'A', 'z'.repeat(1000)),
    },
    {
      name: 'a value of 65536 bytes',
      list: [['A', 'z'.repeat(65536)]],
      bytes: bytesOf(1, 0x80, 1, 0, 0, 'A', 'z'.repeat(65536)),
    },
    {
      name: 'all byte values',
      list: [['A', String.fromCharCode(...Array(256).keys())]],
      bytes: bytesOf(1, 0x80, 0, 1, 0, 'A', ...Array(256).keys()),
    },
    {
      name: 'long forms of short lengths',
      list: [['A', 'b']],
      bytes: bytesOf(0x80, 0, 0, 1, 0x80, 0, 0, 1, 'Ab'),
      isEncoded: false,
    },
  ];
  for (const { name, list, bytes, isEncoded = true } of cases) {
    it(`are decoded: ${name}`, () => {
      assert.deepEqual(listPairs(bytes), list);
      // Somewhere inside a larger buffer, as they arrive.
      const inside = Buffer.concat([Buffer.alloc(5, 9), bytes, Buffer.alloc(5, 9)]).subarray(5, 5 + bytes.length);
      assert.deepEqual([...decodeParams(inside)], [...new Map(list)]);
    });
    if (isEncoded) {
      it(`are encoded: ${name}`, () => {
        assert.deepEqual(Buffer.from(encodeParams(list)), Buffer.from(bytes));
      });
    }
    if (bytes.length > 0 && bytes.length < 2000) {
      it(`are refused when they end too early: ${name}`, () => {
        const ends = new Set([0]);
        let at = 0;
        // Where a pair ends, fewer pairs are left and nothing is wrong.
        forEachPair(bytes, (_nameStart, _valueStart, valueEnd) => {
          at = valueEnd;
          ends.add(at);
        });
        for (let end = 0; end < bytes.length; end++) {
          if (ends.has(end)) continue;
          assert.throws(() => listPairs(bytes.subarray(0, end)), {
            code: 'LUAFCGID_FCGI_PARAMS',
            blame: 'peer',
            status: 0,
          });
        }
      });
    }
  }

  it('that claim more than there is are refused, whatever they claim', () => {
    for (const claim of [128, 33_554_431, 0x7ffffff0, 0x7fffffff]) {
      const length = [0x80 | (claim >>> 24), (claim >>> 16) & 255, (claim >>> 8) & 255, claim & 255];
      for (const bytes of [
        bytesOf(...length, 0, 'A'),
        bytesOf(1, ...length, 'A'),
        bytesOf(...length, ...length, 'AB'),
        bytesOf(...length, ...length),
        bytesOf(...length),
        bytesOf(1, 1, 'Ab', ...length, 3, 'abc'),
      ]) {
        assert.throws(() => listPairs(bytes), { code: 'LUAFCGID_FCGI_PARAMS' });
      }
    }
  });

  it('come out as they went in, in all mixes of length forms', () => {
    const form = fc.constantFrom<LengthForm>('auto', 4);
    const textOf = fc.oneof(fc.uint8Array({ maxLength: 5 }), fc.uint8Array({ minLength: 120, maxLength: 140 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(textOf, textOf, form, form)), (list) => {
        const bytes = pairs(list);
        const wanted = list.map(([name, value]) => [name, value].map((part) => Buffer.from(part).toString('latin1')));
        assert.deepEqual(listPairs(bytes), wanted);
        assert.deepEqual(parsePairs(encodeParams(wanted as [string, string][])), wanted);
      }),
      { numRuns: 300 },
    );
  });

  it('of any bytes are pairs that cover them all, or are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        let covered = 0;
        try {
          forEachPair(bytes, (nameStart, valueStart, valueEnd) => {
            assert.ok(covered < nameStart && nameStart <= valueStart && valueStart <= valueEnd);
            assert.ok(valueEnd <= bytes.length);
            covered = valueEnd;
          });
          assert.equal(covered, bytes.length);
        } catch (error) {
          assert.ok(error instanceof LuafcgidError && error.code === 'LUAFCGID_FCGI_PARAMS', String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });
});
