/** Replies of Redis as a worker reads them, compared with the package that the I/O thread uses (decision 0029). */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { type Reply as PackageReply, writeReply } from '../../../src/io/redis/replies.js';
import { ValueWriter } from '../../../src/io/values.js';
import { type Reply, ReplyError, ReplyReader } from '../../../src/worker/data/redis-replies.js';
import { decodeResult } from '../../../src/worker/operation-values.js';

const REPLIES = [
  '+OK\r\n',
  '$5\r\na\r\n\0b\r\n',
  '$-1\r\n',
  ':42\r\n',
  ':-9007199254740993\r\n',
  '(3492890328409238509324850943850943825024385\r\n',
  '_\r\n',
  '#t\r\n',
  '#f\r\n',
  ',1.5\r\n',
  ',-inf\r\n',
  ',1e300\r\n',
  '=8\r\ntxt:some\r\n',
  '*0\r\n',
  '*-1\r\n',
  '*3\r\n:1\r\n*2\r\n+a\r\n-ERR inside\r\n%1\r\n+k\r\n~2\r\n:1\r\n_\r\n',
  '>2\r\n+message\r\n+for nobody\r\n',
  '-ERR wrong \xc3\xa9\r\n',
  '!9\r\nERR large\r\n',
];

interface Decoder {
  write(chunk: Buffer): void;
}
type DecoderClass = new (config: object) => Decoder;

/** As the I/O thread would give them to Lua, with the sizes that it counts. */
function expected(bytes: Buffer): { readonly value: unknown; readonly size: number }[] {
  const require = createRequire(import.meta.url);
  const { Decoder, RESP_TYPES } = require('../../../../node_modules/@redis/client/dist/lib/RESP/decoder.js') as {
    readonly Decoder: DecoderClass;
    readonly RESP_TYPES: Record<string, number>;
  };
  const mapping: Record<number, unknown> = {};
  for (const name of ['SIMPLE_STRING', 'BLOB_STRING', 'VERBATIM_STRING']) mapping[RESP_TYPES[name] as number] = Buffer;
  for (const name of ['NUMBER', 'BIG_NUMBER']) mapping[RESP_TYPES[name] as number] = String;
  for (const name of ['MAP', 'SET']) mapping[RESP_TYPES[name] as number] = Array;
  const got: { readonly value: unknown; readonly size: number }[] = [];
  const decoder = new Decoder({
    onReply(reply: PackageReply) {
      const writer = new ValueWriter();
      writeReply(writer, reply);
      const size = writer.byteLength;
      got.push({ value: decodeResult(writer.take()), size });
    },
    onErrorReply: (error: Error) =>
      got.push({ value: new ReplyError(Buffer.from(error.message).toString('latin1')), size: 0 }),
    onPush() {},
    getTypeMapping: () => mapping,
  });
  decoder.write(bytes);
  return got;
}

/** What the worker makes of the bytes, in pieces of a size. */
function read(
  bytes: Buffer,
  pieceBytes: number,
  mostBytes = 1_000_000,
): { readonly value: Reply; readonly size: number }[] {
  const got: { readonly value: Reply; readonly size: number }[] = [];
  const reader = new ReplyReader(mostBytes, (value, size) => got.push({ value, size }));
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
    reader.feed(piece);
    // Its memory is used for what comes next.
    piece.fill(0x78);
  }
  return got;
}

describe('replies of Redis in a worker', () => {
  it('are those that the package reads, and count as many bytes, wherever they are cut', () => {
    const bytes = Buffer.from(REPLIES.join(''), 'latin1');
    const wanted = expected(bytes);
    assert.equal(wanted.length, REPLIES.length - 1);
    for (const pieceBytes of [1, 2, 3, 5, 17, bytes.length]) {
      const got = read(bytes, pieceBytes).map(({ value, size }) => ({
        value,
        size: value instanceof ReplyError ? 0 : size,
      }));
      assert.deepEqual(got, wanted, `in pieces of ${pieceBytes}`);
    }
  });

  it('that are too large are passed over, and the next ones are read', () => {
    const bytes = Buffer.from(
      `*2\r\n+a\r\n$300\r\n${'x'.repeat(300)}\r\n+next\r\n$200\r\n${'y'.repeat(200)}\r\n:1\r\n`,
    );
    for (const pieceBytes of [7, bytes.length]) {
      const got = read(bytes, pieceBytes, 100);
      assert.deepEqual(
        got.map(({ size }) => size > 100),
        [true, false, true, false],
      );
      assert.deepEqual([got[1]?.value, got[3]?.value], ['next', 1]);
    }
  });

  it('that are none are an error', () => {
    for (const text of ['HTTP/1.1 400\r\n', '$x\r\n', '$-2\r\n', '*1.5\r\n', '*1\r\n'.repeat(200), '|1\r\n']) {
      assert.throws(() => read(Buffer.from(text), 64), RangeError, text);
    }
  });
});
