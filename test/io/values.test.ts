/** The encoding of values between workers and the I/O thread. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Tag, ValueReader, ValueWriter } from '../../src/io/values.js';
import { encode, type Plain, toPlain } from './support/data-source.js';

describe('encoded values', () => {
  it('read as what was written, whatever it was', () => {
    const scalar = fc.oneof(
      fc.boolean(),
      fc.double({ noNaN: true }),
      fc.integer(),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
      fc.string({ unit: 'grapheme' }),
    );
    const { value } = fc.letrec<{ value: Plain }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        scalar,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__'),
          tie('value'),
          { maxKeys: 4, noNullPrototype: true },
        ),
      ),
    }));
    fc.assert(
      fc.property(value, (given) => {
        assert.deepEqual(toPlain(new ValueReader(encode(given)).read()), given);
      }),
      { numRuns: 300 },
    );
  });

  it('tell whole numbers within 2^53 from floats and from digits', () => {
    const tagOf = (write: (writer: ValueWriter) => void): number => {
      const writer = new ValueWriter(1);
      write(writer);
      return writer.bytes[0] as number;
    };
    assert.equal(
      tagOf((writer) => writer.number(5)),
      Tag.INTEGER,
    );
    assert.equal(
      tagOf((writer) => writer.number(-0)),
      Tag.FLOAT,
    );
    assert.equal(
      tagOf((writer) => writer.number(2 ** 53)),
      Tag.FLOAT,
    );
    assert.equal(
      tagOf((writer) => writer.integer('9007199254740991')),
      Tag.INTEGER,
    );
    assert.equal(
      tagOf((writer) => writer.integer('9007199254740992')),
      Tag.DIGITS,
    );
    assert.equal(
      tagOf((writer) => writer.float(5)),
      Tag.FLOAT,
    );
  });

  it('refuse bytes that are no values, and read no further than there are bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          new ValueReader(Buffer.from(bytes)).read();
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
