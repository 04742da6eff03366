/** The test client against bytes written by hand from the specification, and against small scripted applications. */
import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  beginRequest,
  endRequest,
  FcgiConnection,
  headerValues,
  pairLength,
  pairs,
  parseCgiAnswer,
  parsePairs,
  RecordReader,
  record,
  request,
  requestBytes,
  splitAt,
  splitEvery,
  stream,
  TYPE,
} from './fcgi-client.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('bytes built by hand', () => {
  const vectors: readonly (readonly [string, Buffer, string])[] = [
    ['BEGIN_REQUEST of a Responder, kept', beginRequest(1, { keepConn: true }), '0101000100080000 0001010000000000'],
    ['BEGIN_REQUEST of a Filter, id 65535', beginRequest(65535, { role: 3 }), '0101ffff00080000 0003000000000000'],
    ['an empty PARAMS record', record(TYPE.PARAMS, 1), '0104000100000000'],
    ['content and padding', record(TYPE.STDIN, 258, 'ab', 6), '0105010200020600 6162 000000000000'],
    ['padding with content', record(TYPE.STDIN, 1, '', 'zz'), '0105000100000200 7a7a'],
    ['END_REQUEST', endRequest(1, 0x01020304, 3), '0103000100080000 0102030403000000'],
    ['a pair of short lengths', pairs({ A: 'bc' }), '0102 416263'],
    ['a pair of forced long lengths', pairs([['A', 'bc', 4, 4]]), '80000001 80000002 416263'],
    ['an empty pair', pairs([['', '']]), '0000'],
    ['the longest short length', pairLength(127), '7f'],
    ['the shortest long length', pairLength(128), '80000080'],
    ['the longest length', pairLength(0x7fffffff), 'ffffffff'],
    [
      'a whole request',
      requestBytes({ params: { A: 'b' }, body: 'xy' }),
      `0101000100080000 0001000000000000 0104000100040000 0101 4162 0104000100000000
       0105000100020000 7879 0105000100000000`.replaceAll('\n', ''),
    ],
  ];
  for (const [name, bytes, expected] of vectors) {
    it(name, () => assert.equal(bytes.toString('hex'), hex(expected).toString('hex')));
  }

  it('cuts a stream into records', () => {
    const bytes = stream(TYPE.STDIN, 1, 'abcde', { recordBytes: 2, padding: 1 });
    const contents = new RecordReader().push(bytes).map((entry) => [entry.content.toString(), entry.paddingBytes]);
    assert.deepEqual(contents, [
      ['ab', 1],
      ['cd', 1],
      ['e', 1],
      ['', 0],
    ]);
  });

  it('refuses what does not fit', () => {
    assert.throws(() => record(TYPE.STDIN, 1, Buffer.alloc(65536)), RangeError);
    assert.throws(() => record(TYPE.STDIN, 1, '', 256), RangeError);
    assert.throws(() => pairLength(128, 1), RangeError);
    assert.throws(() => record(TYPE.STDIN, 1, '€'), RangeError);
  });

  it('splits at offsets and into pieces', () => {
    assert.deepEqual(splitAt(Buffer.from('abcdef'), 1, 3).map(String), ['a', 'bc', 'def']);
    assert.deepEqual(splitEvery(Buffer.from('abcde'), 2).map(String), ['ab', 'cd', 'e']);
  });
});

describe('bytes read back', () => {
  const bytes = Buffer.concat([record(TYPE.STDOUT, 7, 'hello', 3), record(TYPE.STDOUT, 7), endRequest(7)]);

  it('gives the same records whole and byte by byte', () => {
    const whole = new RecordReader().push(bytes);
    const reader = new RecordReader();
    assert.deepEqual(
      splitEvery(bytes, 1).flatMap((byte) => reader.push(byte)),
      whole,
    );
    assert.deepEqual(
      whole.map((entry) => [entry.type, entry.id, entry.content.toString('latin1'), entry.paddingBytes]),
      [
        [6, 7, 'hello', 3],
        [6, 7, '', 0],
        [3, 7, '\0\0\0\0\0\0\0\0', 0],
      ],
    );
  });

  it('says how much of an incomplete record there is', () => {
    const reader = new RecordReader();
    reader.push(bytes.subarray(0, 10));
    assert.equal(reader.pendingBytes, 10);
  });

  it('parses pairs strictly', () => {
    const list = [
      ['A', 'x'.repeat(300)],
      ['', ''],
      ['\0\xff', '\n'],
    ] as const;
    assert.deepEqual(parsePairs(pairs(list)), list);
    assert.throws(() => parsePairs(hex('0102 4162')), RangeError);
    assert.throws(() => parsePairs(hex('01')), RangeError);
    assert.throws(() => parsePairs(hex('8000')), RangeError);
  });
});

describe('CGI answers', () => {
  const answer = (text: string) => parseCgiAnswer(Buffer.from(text, 'latin1'));

  it('splits headers from the body', () => {
    const { status, reason, headers, body } = answer(
      'Status: 404 Not Here\r\nSet-Cookie: a\r\nset-cookie:  b \r\n\r\n\n\r\n',
    );
    assert.deepEqual([status, reason, body.toString()], [404, 'Not Here', '\n\r\n']);
    assert.deepEqual(headerValues(headers, 'SET-COOKIE'), ['a', 'b']);
  });

  it('takes 302 for a Location, 200 else, 0 for no output', () => {
    assert.equal(answer('Location: /x\n\n').status, 302);
    assert.equal(answer('Content-Type: text/plain\n\nx').status, 200);
    assert.equal(answer('').status, 0);
  });

  for (const [name, text] of [
    ['no end', 'A: b\r\n'],
    ['a line without a colon', 'A: b\r\nnonsense\r\n\r\n'],
    ['a status that is none', 'Status: ok\r\n\r\n'],
    ['a carriage return in a value', 'A: b\rc\r\n\r\n'],
    ['a space in a name', 'A b: c\r\n\r\n'],
  ] as const) {
    it(`refuses a header block with ${name}`, () => assert.throws(() => answer(text), /header|Status/));
  }
});

/** An application that answers the first bytes it gets with the given bytes, and then closes unless told otherwise. */
async function application(
  t: TestContext,
  answer: Uint8Array,
  options: { readonly open?: boolean } = {},
): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => (options.open ? socket.write(answer) : socket.end(answer)));
  });
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const out = (text: string) => stream(TYPE.STDOUT, 1, text);
const page = 'Content-Type: text/plain\r\n\r\nhello';

describe('a connection', () => {
  it('gives a whole answer', async (t) => {
    const err = stream(TYPE.STDERR, 1, 'oops');
    const port = await application(t, Buffer.concat([err, out(`Status: 201\r\n${page}`), endRequest(1, 5)]));
    const answer = await request({ socket: port, params: { A: 'b' } });
    assert.deepEqual(
      [answer.status, answer.body.toString(), answer.stderr.toString(), answer.appStatus, answer.protocolStatus],
      [201, 'hello', 'oops', 5, 0],
    );
  });

  it('keeps interleaved requests apart', async (t) => {
    const bytes = Buffer.concat([
      record(TYPE.STDOUT, 2, 'two'),
      record(TYPE.STDOUT, 1, 'one'),
      stream(TYPE.STDOUT, 2, '!'),
      endRequest(2),
      stream(TYPE.STDOUT, 1, '!'),
      endRequest(1),
    ]);
    const connection = await FcgiConnection.connect(await application(t, bytes));
    connection.send(beginRequest(1), beginRequest(2));
    assert.equal((await connection.response(1)).stdout.toString(), 'one!');
    assert.equal((await connection.response(2)).stdout.toString(), 'two!');
    assert.equal((await connection.nextRecord()).id, 2);
    assert.equal((await connection.nextRecord()).id, 1);
    assert.equal((await connection.closed()).error, undefined);
  });

  it('lets a test see output before its end', async (t) => {
    const connection = await FcgiConnection.connect(
      await application(t, record(TYPE.STDOUT, 1, 'abc'), { open: true }),
    );
    connection.begin(1);
    assert.equal((await connection.stdoutUntil(1, 'bc')).toString(), 'abc');
    connection.destroy();
    await assert.rejects(connection.response(1), /connection closed while waiting for the response to request 1/);
  });

  it('reads answers to management records', async (t) => {
    const bytes = Buffer.concat([
      record(TYPE.GET_VALUES_RESULT, 0, pairs({ FCGI_MPXS_CONNS: '1' })),
      record(TYPE.UNKNOWN_TYPE, 0, Buffer.of(99, 0, 0, 0, 0, 0, 0, 0)),
    ]);
    const connection = await FcgiConnection.connect(await application(t, bytes));
    assert.deepEqual(await connection.getValues('FCGI_MPXS_CONNS'), [['FCGI_MPXS_CONNS', '1']]);
    assert.equal((await connection.nextManagementRecord()).content[0], 99);
  });

  it('takes an aborted request without streams, and a refused one', async (t) => {
    for (const [abort, protocolStatus] of [
      [true, 0],
      [false, 1],
      [false, 2],
      [false, 3],
    ] as const) {
      const connection = await FcgiConnection.connect(await application(t, endRequest(1, 0, protocolStatus)));
      connection.send(beginRequest(1), abort ? record(TYPE.ABORT_REQUEST, 1) : '');
      assert.equal((await connection.response(1)).protocolStatus, protocolStatus);
    }
  });

  it('says what it has seen when nothing more comes', async (t) => {
    const port = await application(t, record(TYPE.STDOUT, 1, 'partial'), { open: true });
    const connection = await FcgiConnection.connect(port, { guardMs: 50 });
    t.after(() => connection.destroy());
    connection.begin(1);
    while (connection.receivedBytes === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await assert.rejects(connection.response(1), /within 50 ms.*STDOUT#1\(7\).*partial.*connection open/);
  });

  it('hands output to a sink without keeping it', async (t) => {
    const seen: string[] = [];
    const connection = await FcgiConnection.connect(await application(t, Buffer.concat([out('abc'), endRequest(1)])), {
      sink: (_id, _type, content) => seen.push(content.toString()),
    });
    connection.begin(1);
    assert.equal((await connection.response(1)).stdout.length, 0);
    assert.deepEqual(seen, ['abc']);
  });
});

describe('a violation of the protocol is found:', () => {
  const flawed = (bytes: Buffer, at: number, value: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return copy;
  };
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['version 2', Buffer.concat([flawed(out(page), 0, 2), endRequest(1)]), /version 2/],
    ['a reserved byte', Buffer.concat([flawed(out(page), 7, 1), endRequest(1)]), /reserved byte/],
    ['END_REQUEST twice', Buffer.concat([out(page), endRequest(1), endRequest(1)]), /not active/],
    ['output after END_REQUEST', Buffer.concat([out(page), endRequest(1), out('x')]), /not active/],
    ['a foreign id', Buffer.concat([stream(TYPE.STDOUT, 2, page), endRequest(2)]), /not active/],
    [
      'STDOUT that does not end',
      Buffer.concat([record(TYPE.STDOUT, 1, page), endRequest(1)]),
      /before the end of STDOUT/,
    ],
    [
      'STDERR that does not end',
      Buffer.concat([out(page), record(TYPE.STDERR, 1, 'x'), endRequest(1)]),
      /end of STDERR/,
    ],
    [
      'STDOUT that ends twice',
      Buffer.concat([out(page), record(TYPE.STDOUT, 1), endRequest(1)]),
      /after the end of STDOUT/,
    ],
    ['content after the end', Buffer.concat([out(page), record(TYPE.STDOUT, 1, 'x'), endRequest(1)]), /after the end/],
    ['no output at all', endRequest(1), /before the end of STDOUT/],
    [
      'a record of the web server',
      Buffer.concat([stream(TYPE.STDIN, 1, 'x'), out(page), endRequest(1)]),
      /STDIN of id 1/,
    ],
    ['a short END_REQUEST', Buffer.concat([out(page), record(TYPE.END_REQUEST, 1, '1234')]), /4 bytes, not 8/],
    ['reserved bytes in END_REQUEST', Buffer.concat([out(page), flawed(endRequest(1), 15, 1)]), /reserved bytes/],
    ['an unknown protocolStatus', Buffer.concat([out(page), endRequest(1, 0, 9)]), /protocolStatus 9/],
    ['a record cut short', Buffer.concat([out(page), endRequest(1), Buffer.of(1, 6)]), /middle of a record/],
    ['STDOUT as management record', Buffer.concat([stream(TYPE.STDOUT, 0, page)]), /no management record/],
  ];
  for (const [name, bytes, message] of cases) {
    it(name, async (t) => {
      await assert.rejects(request({ socket: await application(t, bytes), params: {} }), message);
    });
  }

  it('a connection left open without KEEP_CONN', async (t) => {
    const port = await application(t, Buffer.concat([out(page), endRequest(1)]), { open: true });
    // The answer comes within this time also on a busy machine; the end of the connection never does.
    await assert.rejects(request({ socket: port, params: {}, timeoutMs: 3000 }), /connection to close within 3000 ms/);
  });
});
