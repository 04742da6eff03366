/** The Filter role (FastCGI 1.0, 6.4): a body, and behind it a file of the web server. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type Bytes,
  beginRequest,
  type CgiAnswer,
  FcgiConnection,
  pairs,
  parseCgiAnswer,
  ROLE,
  record,
  scriptParams,
  splitEvery,
  stream,
  TYPE,
  toBytes,
} from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { ask as askScript, eventually, shared } from '../support/shared.js';

const FILTER = `
local luafcgid = require("luafcgid")
function main(env, con) con:puts("no filter") end
local does = {
  upper = function(env, con)
    con:header("X-About", env.FCGI_ROLE .. " " .. (env.FCGI_DATA_LENGTH or "-") .. " " .. (env.FCGI_DATA_LAST_MOD or "-"))
    con:puts((con:gets() or "no body"), ":", (con:data() or "no file"):upper())
  end,
  dataonly = function(env, con) con:puts(#(con:data() or "")) end,
  turns = function(env, con)
    con:puts(con:gets(2), con:data(3))
    luafcgid.sleep(0.01)
    con:puts(con:gets(2), con:data(3))
    luafcgid.sleep(0.01)
    con:puts(con:data(), con:gets() or "")
  end,
  pieces = function(env, con)
    local sum = 0
    while true do
      local piece = con:data(1000)
      if not piece then break end
      sum = sum + #piece
    end
    con:puts(sum)
  end,
  nothing = function(env, con) con:puts("read nothing") end,
  begun = function(env, con) con:puts("begun") con:flush() con:puts(con:data()) end,
}
function filter(env, con) return does[env.QUERY_STRING](env, con) end`;

interface Sent {
  readonly what: string;
  readonly body?: Bytes;
  /** CONTENT_LENGTH and FCGI_DATA_LENGTH; what the streams have when left out. */
  readonly length?: string;
  readonly data?: Bytes;
  readonly dataLength?: string;
  readonly script?: string;
  readonly recordBytes?: number;
  readonly endsData?: boolean;
}

function bytesOf(server: Server, sent: Sent): Buffer {
  const { what, body = '', data = '', recordBytes = 60_000, script = 'filter.lua', endsData = true } = sent;
  const [bodyBytes, dataBytes] = [toBytes(body), toBytes(data)];
  const params = {
    ...scriptParams(server.path(script)),
    REQUEST_METHOD: 'POST',
    QUERY_STRING: what,
    CONTENT_LENGTH: sent.length ?? String(bodyBytes.length),
    FCGI_DATA_LENGTH: sent.dataLength ?? String(dataBytes.length),
    FCGI_DATA_LAST_MOD: '1700000000',
  };
  return Buffer.concat([
    beginRequest(1, { role: ROLE.FILTER, keepConn: true }),
    stream(TYPE.PARAMS, 1, pairs(params)),
    ...splitEvery(bodyBytes, recordBytes).map((part) => record(TYPE.STDIN, 1, part)),
    record(TYPE.STDIN, 1),
    ...splitEvery(dataBytes, recordBytes).map((part) => record(TYPE.DATA, 1, part, 3)),
    ...(endsData ? [record(TYPE.DATA, 1)] : []),
  ]);
}

async function ask(server: Server, sent: Sent, ...pieces: readonly number[]): Promise<CgiAnswer> {
  const connection = await FcgiConnection.connect(server.socket);
  try {
    const bytes = bytesOf(server, sent);
    let at = 0;
    for (const size of pieces) {
      await connection.send(bytes.subarray(at, at + size));
      at += size;
    }
    connection.send(bytes.subarray(at));
    return parseCgiAnswer((await connection.response(1)).stdout);
  } finally {
    connection.destroy();
  }
}

describe('a Filter', () => {
  const server = shared((t) =>
    startServer(t, {
      files: { 'filter.lua': FILTER, 'page.lua': 'function main(env, con) con:puts("a page") end' },
      config: 'workers = 1 maxpost = 100000 bodymemory = 1000 readtimeout = 2 ring = 16384',
    }),
  );
  const text = ({ body }: CgiAnswer): string => body.toString();

  it('is given its body and the file, with length and time in env', async () => {
    const answer = await ask(server(), { what: 'upper', body: 'in', data: 'the file' });
    assert.equal(text(answer), 'in:THE FILE');
    assert.match(JSON.stringify([...answer.headers]), /FILTER 8 1700000000/);
    assert.equal(text(await ask(server(), { what: 'upper' })), 'no body:NO FILE');
    for (const recordBytes of [1, 7, 1000]) {
      const whole = await ask(
        server(),
        { what: 'upper', body: 'b'.repeat(50), data: 'd'.repeat(50), recordBytes },
        30,
        100,
        200,
      );
      assert.equal(text(whole), `${'b'.repeat(50)}:${'D'.repeat(50)}`);
    }
  });

  it('reads both in any order, and waits in between', async () => {
    for (const size of [4, 3000, 50_000]) {
      const [body, data] = ['b'.repeat(size), 'd'.repeat(size + 10)];
      const answer = text(await ask(server(), { what: 'turns', body, data }, 500));
      assert.equal(answer.slice(0, 10), 'bbdddbbddd');
      assert.equal(answer.length, 2 * size + 10);
      assert.equal(text(await ask(server(), { what: 'dataonly', body, data })), String(size + 10));
    }
    assert.equal(text(await ask(server(), { what: 'pieces', data: 'x'.repeat(99_999) })), '99999');
  });

  it('may leave both unread: the connection serves on', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    for (let round = 0; round < 3; round += 1) {
      const sent = { what: 'nothing', body: 'b'.repeat(40_000), data: 'd'.repeat(90_000) };
      connection.send(bytesOf(server(), sent));
      assert.match((await connection.response(1)).stdout.toString(), /read nothing$/);
    }
    connection.destroy();
  });

  it('may be given a file of unknown length: its end is that of the stream', async () => {
    for (const dataLength of ['', '-1', 'x'])
      assert.match(text(await ask(server(), { what: 'upper', data: 'abc', dataLength })), /:ABC$/);
  });

  it('is given no more than FCGI_DATA_LENGTH, which is logged', async () => {
    assert.match(text(await ask(server(), { what: 'upper', data: 'abcdef', dataLength: '4' })), /:ABCD$/);
    await server().logged(/the file is longer than its FCGI_DATA_LENGTH of 4 bytes; the rest is dropped/);
  });

  it('gets an error for a file that is shorter than announced, too large, or does not come', async () => {
    for (const what of ['upper', 'begun']) {
      const short = await ask(server(), { what, data: 'abc', dataLength: '4' });
      assert.equal(short.status, 400);
    }
    await server().logged(/LUAFCGID_REQUEST_DATA_SHORT/);
    assert.equal((await ask(server(), { what: 'upper', data: 'abc', dataLength: '100001' })).status, 413);
    const unknown = await ask(server(), { what: 'upper', data: 'x'.repeat(100_001), dataLength: '' });
    assert.equal(unknown.status, 413);
    assert.equal((await ask(server(), { what: 'upper', data: 'abc', dataLength: '4', endsData: false })).status, 408);
    const late = await ask(server(), { what: 'begun', data: 'x'.repeat(2000), dataLength: '3000', endsData: false });
    assert.match(text(late), /^begun/);
    await server().logged(/LUAFCGID_REQUEST_DATA_LATE/);
  });

  it('that the script does not define is refused with 500', async () => {
    assert.equal((await ask(server(), { what: 'upper', script: 'page.lua' })).status, 500);
    await server().logged(/page\.lua defines no global function filter/);
  });

  it('whose web server sends the file before the end of the body breaks the protocol', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    connection.send(
      beginRequest(1, { role: ROLE.FILTER, keepConn: true }),
      stream(TYPE.PARAMS, 1, pairs(scriptParams(server().path('filter.lua')))),
      record(TYPE.DATA, 1, 'early'),
    );
    await connection.closed();
    await server().logged(/DATA for request 1 before the end of its STDIN/);
  });

  it('may be aborted, or lose its client, in the middle of the file', async () => {
    const sent = { what: 'begun', data: 'x'.repeat(5000), dataLength: '9000', endsData: false };
    const connection = await FcgiConnection.connect(server().socket);
    connection.send(bytesOf(server(), sent), record(TYPE.ABORT_REQUEST, 1));
    await connection.response(1);
    connection.destroy();
    const other = await FcgiConnection.connect(server().socket);
    other.send(bytesOf(server(), sent));
    await other.nextRecord();
    other.destroy();
    await eventually('a worker', async () => text(await ask(server(), { what: 'upper', data: 'on' })).endsWith(':ON'));
  });

  it('that waits for more of its file leaves its worker to others, and gets all of it', async (t) => {
    const files = {
      'filter.lua': `require("luafcgid")
function filter(env, con)
  con:log("reads")
  local size, text = tonumber(env.QUERY_STRING), ""
  local piece = con:data(size)
  while piece do text = text .. piece piece = con:data(size) end
  con:puts((text:gsub("d", "")), " ", #text, " ", con:gets() or "no body")
end`,
      'plain.lua': 'function main(env, con) con:puts("plain") end',
    };
    for (const engine of ['embedded', 'luajit']) {
      const config = `engine = "${engine}" workers = 1 clones = 4 bodymemory = 1024 ring = 16384`;
      const other = await startServer(t, { files, config });
      const file = 'd'.repeat(40_000);
      const sent: Sent[] = [{ what: '' }, { what: '', body: 'in' }, { what: '70', body: 'in' }];
      const connections: FcgiConnection[] = [];
      for (const { what, body = '' } of sent) {
        const connection = await FcgiConnection.connect(other.socket);
        t.after(() => connection.destroy());
        const begun = { what, body, dataLength: String(file.length), data: file.slice(0, 5000) };
        connection.send(bytesOf(other, { ...begun, endsData: false }));
        connections.push(connection);
      }
      await eventually('all scripts', () => other.log().split('reads').length > sent.length);
      assert.equal(
        (await askScript(other, 'plain.lua')).text,
        'plain',
        `the only worker serves others, with ${engine}`,
      );
      for (let at = 5000; at < file.length; at += 5000) {
        for (const connection of connections) connection.send(record(TYPE.DATA, 1, file.slice(at, at + 5000)));
      }
      for (const [index, connection] of connections.entries()) {
        connection.send(record(TYPE.DATA, 1));
        const { body } = parseCgiAnswer((await connection.response(1)).stdout);
        assert.equal(body.toString(), ` 40000 ${sent[index]?.body ?? 'no body'}`, engine);
      }
    }
  });

  it('may be answered by one script for all files', async (t) => {
    const other = await startServer(t, {
      files: { 'filter.lua': FILTER, 'a.txt': 'x' },
      config: ({ scripts }) => `filterscript = ${JSON.stringify(join(scripts, 'filter.lua'))} filter = "filter"`,
    });
    assert.match(text(await ask(other, { what: 'upper', data: 'abc', script: 'a.txt' })), /:ABC$/);
  });
});
