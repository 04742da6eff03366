/** Records and their bytes, written by hand from the specification (FastCGI 1.0, 3.3 and 8). */

export interface Vector {
  readonly name: string;
  readonly type: number;
  readonly id: number;
  readonly content: Uint8Array;
  readonly bytes: Uint8Array;
  /** The encoder makes exactly these bytes, too: it pads to eight bytes with zeros. */
  readonly isEncoded: boolean;
}

function text(value: string): number[] {
  return [...Buffer.from(value, 'latin1')];
}

function vector(
  name: string,
  type: number,
  id: number,
  content: readonly number[],
  bytes: readonly number[],
  isEncoded = true,
): Vector {
  return { name, type, id, content: Uint8Array.from(content), bytes: Uint8Array.from(bytes), isEncoded };
}

export const VECTORS: readonly Vector[] = [
  vector(
    'BEGIN_REQUEST of a Responder, KEEP_CONN',
    1,
    1,
    [0, 1, 1, 0, 0, 0, 0, 0],
    [1, 1, 0, 1, 0, 8, 0, 0, /**/ 0, 1, 1, 0, 0, 0, 0, 0],
  ),
  vector(
    'BEGIN_REQUEST of a Filter with the highest id',
    1,
    65535,
    [0, 3, 0, 0, 0, 0, 0, 0],
    [1, 1, 255, 255, 0, 8, 0, 0, /**/ 0, 3, 0, 0, 0, 0, 0, 0],
  ),
  vector('ABORT_REQUEST', 2, 258, [], [1, 2, 1, 2, 0, 0, 0, 0]),
  vector(
    'END_REQUEST with appStatus 0x01020304, OVERLOADED',
    3,
    1,
    [1, 2, 3, 4, 2, 0, 0, 0],
    [1, 3, 0, 1, 0, 8, 0, 0, /**/ 1, 2, 3, 4, 2, 0, 0, 0],
  ),
  vector(
    'PARAMS with one pair, padded',
    4,
    1,
    [1, 1, ...text('Ab')],
    [1, 4, 0, 1, 0, 4, 4, 0, /**/ 1, 1, 65, 98, /**/ 0, 0, 0, 0],
  ),
  vector('PARAMS at its end', 4, 1, [], [1, 4, 0, 1, 0, 0, 0, 0]),
  vector('STDIN of one byte', 5, 7, [255], [1, 5, 0, 7, 0, 1, 7, 0, /**/ 255, /**/ 0, 0, 0, 0, 0, 0, 0]),
  vector('STDIN of eight bytes, no padding', 5, 7, text('8 bytes!'), [1, 5, 0, 7, 0, 8, 0, 0, ...text('8 bytes!')]),
  vector('STDIN at its end', 5, 7, [], [1, 5, 0, 7, 0, 0, 0, 0]),
  vector('STDOUT', 6, 1, text('hello'), [1, 6, 0, 1, 0, 5, 3, 0, ...text('hello'), 0, 0, 0]),
  vector('STDERR', 7, 1, text('oops'), [1, 7, 0, 1, 0, 4, 4, 0, ...text('oops'), 0, 0, 0, 0]),
  vector('DATA', 8, 1, text('data'), [1, 8, 0, 1, 0, 4, 4, 0, ...text('data'), 0, 0, 0, 0]),
  vector('GET_VALUES that asks nothing', 9, 0, [], [1, 9, 0, 0, 0, 0, 0, 0]),
  vector(
    'GET_VALUES_RESULT',
    10,
    0,
    [15, 1, ...text('FCGI_MPXS_CONNS1')],
    [1, 10, 0, 0, 0, 18, 6, 0, /**/ 15, 1, ...text('FCGI_MPXS_CONNS1'), /**/ 0, 0, 0, 0, 0, 0],
  ),
  vector('UNKNOWN_TYPE', 11, 0, [99, 0, 0, 0, 0, 0, 0, 0], [1, 11, 0, 0, 0, 8, 0, 0, /**/ 99, 0, 0, 0, 0, 0, 0, 0]),
  vector(
    'a record of a type that does not exist',
    200,
    3,
    text('?'),
    [1, 200, 0, 3, 0, 1, 7, 0, 63, 0, 0, 0, 0, 0, 0, 0],
  ),
  vector('a length of two bytes', 6, 1, new Array(300).fill(46), [
    1,
    6,
    0,
    1,
    1,
    44,
    4,
    0,
    ...new Array(300).fill(46),
    0,
    0,
    0,
    0,
  ]),
  // What others may send and this encoder does not.
  vector('no padding', 5, 1, text('abc'), [1, 5, 0, 1, 0, 3, 0, 0, ...text('abc')], false),
  vector(
    'padding of 255 bytes that are not zero, and a reserved byte that is not',
    5,
    1,
    text('abc'),
    [1, 5, 0, 1, 0, 3, 255, 9, ...text('abc'), ...new Array(255).fill(1)],
    false,
  ),
  vector('an empty record with padding', 5, 1, [], [1, 5, 0, 1, 0, 0, 5, 0, 1, 1, 1, 1, 1], false),
  vector('ABORT_REQUEST with content', 2, 1, text('why'), [1, 2, 0, 1, 0, 3, 1, 0, ...text('why'), 0], false),
  vector('a stream record of id 0', 5, 0, text('abcdefghij'), [1, 5, 0, 0, 0, 10, 0, 0, ...text('abcdefghij')], false),
  vector(
    'as much content as a record holds',
    5,
    1,
    new Array(65535).fill(1),
    [1, 5, 0, 1, 255, 255, 0, 0, ...new Array(65535).fill(1)],
    false,
  ),
];
