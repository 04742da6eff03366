/** FastCGI over the wire, against the real process: records in every order and cut that the specification allows. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  beginRequest,
  FcgiConnection,
  PROTOCOL_STATUS,
  pairs,
  parseCgiAnswer,
  record,
  request,
  requestBytes,
  scriptParams,
  splitEvery,
  stream,
  TYPE,
} from '../support/fcgi-client.js';
import { startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

const ECHO = `
function main(env, con)
  con:type("application/octet-stream")
  con:header("X-Query", env.QUERY_STRING)
  con:puts(env.REQUEST_METHOD, ":", con:gets() or "")
end`;

/** Says that it runs, then waits for the rest of its body. */
const HOLD = `
function main(env, con)
  local first = con:gets(1)
  con:puts("running ") con:flush()
  con:puts(first, con:gets() or "")
end`;

describe('the server on one FastCGI connection', () => {
  const server = shared((t) =>
    startServer(t, { files: { 'echo.lua': ECHO, 'hold.lua': HOLD }, config: 'workers = 2 bodymemory = 0' }),
  );
  const echo = (id: number, body: string, keepConn = true): Buffer =>
    requestBytes({ id, keepConn, body, params: echoParams(body, String(id)) });
  const echoParams = (body: string, query: string, script = 'echo.lua') =>
    scriptParams(server().path(script), {
      REQUEST_METHOD: 'POST',
      QUERY_STRING: query,
      CONTENT_LENGTH: String(body.length),
    });
  const body = (response: { readonly stdout: Buffer }): string => parseCgiAnswer(response.stdout).body.toString();

  it('takes a request that comes byte by byte', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    await connection.sendPieces(splitEvery(echo(1, 'hello', false), 1));
    assert.equal(body(await connection.response(1)), 'POST:hello');
    await connection.closed();
  });

  it('takes a request cut in two at any byte', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const bytes = echo(1, 'cut');
    for (let at = 1; at < bytes.length; at += 1) {
      await connection.send(bytes.subarray(0, at));
      await connection.send(bytes.subarray(at));
      assert.equal(body(await connection.response(1)), 'POST:cut', `cut at byte ${at}`);
    }
    connection.destroy();
  });

  it('takes many requests in one write', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const ids = Array.from({ length: 40 }, (_, index) => index + 1);
    connection.send(...ids.map((id) => echo(id, `body ${id}`)));
    for (const id of ids) assert.equal(body(await connection.response(id)), `POST:body ${id}`);
    connection.destroy();
  });

  it('puts parameters together that span records of any size, padded or not', async () => {
    for (const [recordBytes, padding] of [
      [1, 0],
      [7, 1],
      [100, 255],
    ] as const) {
      const answer = await request({
        socket: server().socket,
        params: echoParams('x', 'q=1'),
        body: 'x',
        stream: { recordBytes, padding },
      });
      assert.deepEqual([answer.status, answer.body.toString()], [200, 'POST:x']);
    }
  });

  it('answers interleaved requests each under its own id', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    for (const id of [3, 65_535]) {
      connection.begin(id, { keepConn: true });
      connection.params(id, echoParams(`a${'b'.repeat(6)}`, '', 'hold.lua'));
      connection.stdin(id, 'a', { end: false });
    }
    // Both run at the same time: the second one's answer begins before either's body ends.
    for (const id of [65_535, 3]) await connection.stdoutUntil(id, 'running ');
    connection.send(stream(TYPE.STDIN, 3, 'bbb', { end: false }), stream(TYPE.STDIN, 65_535, 'bbb', { end: false }));
    connection.send(stream(TYPE.STDIN, 65_535, 'bbb'), stream(TYPE.STDIN, 3, 'bbb'));
    for (const id of [3, 65_535]) assert.equal(body(await connection.response(id)), 'running abbbbbb');
    connection.destroy();
  });

  it('answers a quick request while a slow one on the same connection goes on', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    connection.begin(1, { keepConn: true });
    connection.params(1, echoParams('ab', '', 'hold.lua'));
    connection.stdin(1, 'a', { end: false });
    await connection.stdoutUntil(1, 'running ');
    for (const id of [2, 2, 2]) {
      connection.send(echo(id, 'quick'));
      assert.equal(body(await connection.response(id)), 'POST:quick');
    }
    connection.stdin(1, 'b');
    assert.equal(body(await connection.response(1)), 'running ab');
    connection.destroy();
  });

  it('keeps the connection on KEEP_CONN, whatever other flags are set, and closes it without', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    for (const text of ['one', 'two', 'three']) {
      connection.send(
        beginRequest(1, { flags: 0xff }),
        stream(TYPE.PARAMS, 1, pairs(echoParams(text, ''))),
        stream(TYPE.STDIN, 1, text),
      );
      assert.equal(body(await connection.response(1)), `POST:${text}`);
    }
    connection.send(echo(1, 'last', false));
    assert.equal(body(await connection.response(1)), 'POST:last');
    assert.equal((await connection.closed()).error, undefined);
  });

  it('answers GET_VALUES with what it knows, before and between requests', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const values = await connection.getValues('FCGI_MPXS_CONNS', 'NO_SUCH', 'FCGI_MAX_REQS', 'FCGI_MAX_CONNS');
    assert.deepEqual(values.map(([name]) => name).sort(), ['FCGI_MAX_CONNS', 'FCGI_MAX_REQS', 'FCGI_MPXS_CONNS']);
    for (const [, value] of values) assert.match(value, /^[1-9][0-9]*$/);
    assert.deepEqual(Object.fromEntries(values).FCGI_MPXS_CONNS, '1');
    assert.deepEqual(await connection.getValues(), []);
    connection.send(echo(1, 'after'));
    assert.equal(body(await connection.response(1)), 'POST:after');
    assert.deepEqual(await connection.getValues('FCGI_MPXS_CONNS'), [['FCGI_MPXS_CONNS', '1']]);
    connection.destroy();
  });

  it('answers an unknown management record with UNKNOWN_TYPE and goes on', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    for (const type of [12, 77, 255]) {
      connection.send(record(type, 0, 'something', 7));
      const answer = await connection.nextManagementRecord();
      assert.deepEqual([answer.type, [...answer.content]], [TYPE.UNKNOWN_TYPE, [type, 0, 0, 0, 0, 0, 0, 0]]);
    }
    connection.send(echo(1, 'still here'));
    assert.equal(body(await connection.response(1)), 'POST:still here');
    connection.destroy();
  });

  it('refuses roles that do not exist with a status and UNKNOWN_ROLE, and keeps the connection if asked to (fidelity D-C1)', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    for (const role of [4, 0, 4711]) {
      connection.begin(1, { role, keepConn: true });
      connection.params(1, echoParams('', ''));
      connection.stdin(1);
      const { protocolStatus, stdout } = await connection.response(1);
      assert.equal(protocolStatus, PROTOCOL_STATUS.UNKNOWN_ROLE);
      assert.match(stdout.toString(), /^Status: 501 /);
      await server().logged(new RegExp(`LUAFCGID_FCGI_ROLE: FastCGI request for the role ${role};`));
    }
    connection.send(echo(1, 'responder'));
    assert.equal(body(await connection.response(1)), 'POST:responder');
    connection.begin(1, { role: 5 });
    assert.equal((await connection.response(1)).protocolStatus, PROTOCOL_STATUS.UNKNOWN_ROLE);
    await connection.closed();
  });

  it('ignores records of requests that are not open', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    connection.send(
      record(TYPE.STDIN, 9, 'late'),
      record(TYPE.ABORT_REQUEST, 9),
      record(TYPE.PARAMS, 9, 'what'),
      record(TYPE.DATA, 9, 'data'),
      echo(1, 'ok'),
    );
    assert.equal(body(await connection.response(1)), 'POST:ok');
    connection.send(record(TYPE.ABORT_REQUEST, 1), record(TYPE.STDIN, 1, 'stale'), echo(1, 'again'));
    assert.equal(body(await connection.response(1)), 'POST:again');
    connection.destroy();
  });

  it('ends an aborted request at each stage, and takes the next one under its id', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const whole = echoParams('abc', '', 'hold.lua');
    const stages: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['begun', async () => connection.begin(1, { keepConn: true })],
      [
        'in its parameters',
        async () => {
          connection.begin(1, { keepConn: true });
          connection.params(1, whole, { end: false });
        },
      ],
      [
        'before its body',
        async () => {
          connection.begin(1, { keepConn: true });
          connection.params(1, whole);
        },
      ],
      [
        'in its body, with output',
        async () => {
          connection.begin(1, { keepConn: true });
          connection.params(1, whole);
          connection.stdin(1, 'a', { end: false });
          await connection.stdoutUntil(1, 'running ');
        },
      ],
    ];
    for (const [stage, reach] of stages) {
      await reach();
      connection.abort(1);
      const response = await connection.response(1);
      assert.equal(response.protocolStatus, PROTOCOL_STATUS.REQUEST_COMPLETE, stage);
      connection.send(echo(1, stage));
      assert.equal(body(await connection.response(1)), `POST:${stage}`);
    }
    connection.destroy();
    assert.equal((await ask(server(), 'hold.lua', { body: 'xy' })).text, 'running xy');
  });

  for (const [name, bytes, line] of [
    ['another version', Buffer.from([2, 1, 0, 1, 0, 8, 0, 0]), /LUAFCGID_FCGI_VERSION: .*version 2/],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /LUAFCGID_FCGI_VERSION: .*version 71/],
    ['a short BEGIN_REQUEST', record(TYPE.BEGIN_REQUEST, 1, 'short'), /LUAFCGID_FCGI_RECORD: .*5 bytes/],
    [
      'a second BEGIN_REQUEST under an id in use',
      Buffer.concat([beginRequest(1), beginRequest(1)]),
      /LUAFCGID_FCGI_RECORD: .*still open/,
    ],
    [
      'STDIN before the end of PARAMS',
      Buffer.concat([beginRequest(1), record(TYPE.STDIN, 1, 'x')]),
      /LUAFCGID_FCGI_RECORD: .*STDIN/,
    ],
    [
      'a pair that runs past the parameters',
      Buffer.concat([beginRequest(1), stream(TYPE.PARAMS, 1, Buffer.from([5, 200, 255, 255, 255, 65]))]),
      /LUAFCGID_FCGI_PARAMS/,
    ],
    [
      'a record that only applications send',
      Buffer.concat([beginRequest(1), record(TYPE.STDOUT, 1, 'x')]),
      /LUAFCGID_FCGI_RECORD: .*type 6/,
    ],
  ] as const) {
    it(`closes the connection that sends ${name}, with a log line, and no other`, async () => {
      const other = await FcgiConnection.connect(server().socket);
      other.begin(1, { keepConn: true });
      other.params(1, echoParams('ab', '', 'hold.lua'));
      other.stdin(1, 'a', { end: false });
      await other.stdoutUntil(1, 'running ');
      const connection = await FcgiConnection.connect(server().socket, { lenient: true });
      connection.send(bytes);
      await connection.closed();
      await server().logged(line);
      other.stdin(1, 'b');
      assert.equal(body(await other.response(1)), 'running ab');
      other.send(echo(2, 'kept'));
      assert.equal(body(await other.response(2)), 'POST:kept');
      other.destroy();
    });
  }

  it('survives garbage, whole or in the middle of a request', async () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed % below;
    };
    const begun = [Buffer.alloc(0), beginRequest(1, { keepConn: true }), echo(1, 'x').subarray(0, 100)];
    for (let round = 0; round < 300; round += 1) {
      const connection = await FcgiConnection.connect(server().socket, { lenient: true });
      const garbage = Buffer.from(Array.from({ length: random(200) }, () => random(256)));
      // Half of it with a header that makes sense, so that it is not the version that gives it away.
      const header = [[], [1, random(12), 0, random(3), 0, random(100), random(9), 0]][round % 2]!;
      await connection.send(begun[random(3)]!, Buffer.from(header), garbage);
      connection.destroy();
    }
    assert.equal((await ask(server(), 'echo.lua', { body: 'sane' })).text, 'POST:sane');
    assert.doesNotMatch(server().log(), /LUAFCGID_BUG/);
  });

  it('refuses parameters past 1 MiB with 431 and keeps the connection', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const big = { ...echoParams('', ''), HTTP_X: 'x'.repeat((1 << 20) + 1) };
    connection.begin(1, { keepConn: true });
    connection.params(1, big);
    connection.stdin(1);
    assert.equal(parseCgiAnswer((await connection.response(1)).stdout).status, 431);
    // Its script is not known, and none is named.
    await server().logged(/\[[0-9a-f]{6}-[0-9a-z]+\] LUAFCGID_FCGI_PARAMS_TOO_LARGE/);
    const fitting = { ...echoParams('x', ''), HTTP_X: 'x'.repeat((1 << 20) - 2000) };
    connection.send(requestBytes({ keepConn: true, params: fitting, body: 'x' }));
    assert.equal(body(await connection.response(1)), 'POST:x');
    connection.destroy();
  });

  it('answers a client that has closed its writing side', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    connection.send(echo(1, 'half closed'));
    connection.end();
    assert.equal(body(await connection.response(1)), 'POST:half closed');
    await connection.closed();
  });
});
