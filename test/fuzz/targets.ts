/**
 * What is fuzzed, and what must hold of it whatever the bytes are: never another exception than one of the catalogue,
 * the same meaning however the bytes are cut, buffers in proportion to the input, and what is encoded decodes to itself.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LuafcgidError } from '../../src/base/errors.js';
import { formatListenAddress, parseListenAddress } from '../../src/base/listen-address.js';
import { parseRequest } from '../../src/cgi/request.js';
import { ResponseHead } from '../../src/cgi/response.js';
import {
  decodeParams,
  encodeParams,
  encodeRecord,
  encodeStream,
  encodeStreamEnd,
  RecordDecoder,
  ServerSession,
} from '../../src/fcgi/session.js';
import { AnswerReader } from '../../src/gateway/answer.js';
import { byByte, cutAt, decode, joined, type Taken } from '../fcgi/support/pieces.js';
import { VECTORS } from '../fcgi/support/vectors.js';
import { parseCgiAnswer } from '../support/cgi-answer.js';
import {
  beginRequest,
  pairs,
  parsePairs,
  RecordReader,
  record,
  requestBytes,
  stream,
  TYPE,
} from '../support/fcgi-wire.js';
import { ROOT } from '../support/server.js';
import { allocatedBytes } from './allocations.js';

export interface Target {
  readonly name: string;
  /** Inputs to start from. */
  readonly seeds: readonly Uint8Array[];
  /** Pieces that mean something to it. */
  readonly words: readonly Uint8Array[];
  /** Fails if something does not hold. */
  run(bytes: Uint8Array): void;
}

/** What a record of a management type may take before its content has come: its length is in its header. */
const MAX_RECORD_BYTES = 65_535;

/** Several ways to cut the same bytes; the bytes themselves say where. */
function waysToCut(bytes: Uint8Array): Uint8Array[][] {
  const numbers = Array.from(bytes.subarray(0, 12), (byte, at) => byte * 37 + at * 11);
  return [[bytes], byByte(bytes), cutAt(bytes, numbers)];
}

/** The code of the catalogue's error that ends the work; every other exception is a bug. */
function codeOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof LuafcgidError) return error.code;
    throw error;
  }
}

// ---- records --------------------------------------------------------------------------------------------------------

function decodeRecords(pieces: readonly Uint8Array[]): { readonly taken: Taken[]; readonly code: string | undefined } {
  const taken: Taken[] = [];
  const decoder = new RecordDecoder();
  const code = codeOf(() => {
    for (const piece of pieces) {
      const bytes = Uint8Array.from(piece);
      decoder.feed(bytes);
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        taken.push({ type: next.type, requestId: next.requestId, content: Buffer.from(next.content) });
      }
      bytes.fill(0xab);
    }
  });
  return { taken: joined(taken), code };
}

function checkDecoder(bytes: Uint8Array): void {
  const [whole, ...others] = waysToCut(bytes).map(decodeRecords);
  assert.ok(whole);
  for (const other of others) assert.deepEqual(other, whole);
  const content = whole.taken.reduce((sum, each) => sum + each.content.length, 0);
  assert.ok(content <= bytes.length);
  // Encoded again, they are the same records. Of a stream's record that has not come to its end its begin is one.
  const encoded = whole.taken.map(({ type, requestId, content: of }) => {
    if (of.length === 0) return encodeStreamEnd(type, requestId);
    return of.length > MAX_RECORD_BYTES ? encodeStream(type, requestId, of) : encodeRecord(type, requestId, of);
  });
  assert.deepEqual(joined(decode([Buffer.concat(encoded)])), whole.taken);
  const allocated = allocatedBytes(() => {
    const decoder = new RecordDecoder();
    codeOf(() => {
      for (const piece of byByte(bytes)) {
        decoder.feed(piece);
        while (decoder.next() !== undefined);
      }
    });
  });
  // One header, and for each management record that has begun what its header says.
  const records = 1 + bytes.length / 8;
  assert.ok(allocated <= 16 + records * MAX_RECORD_BYTES, `${allocated} bytes for ${bytes.length}`);
}

// ---- sessions -------------------------------------------------------------------------------------------------------

/** What the protocol itself answers with; STDOUT has the status of a refused role. */
const REPLIES: readonly number[] = [TYPE.END_REQUEST, TYPE.GET_VALUES_RESULT, TYPE.UNKNOWN_TYPE, TYPE.STDOUT];

/** What a session tells; requests are finished when their bodies end, those of odd ids with a delay. */
function hear(pieces: readonly Uint8Array[]): { readonly events: string[]; readonly code: string | undefined } {
  const events: string[] = [];
  const replies = new RecordReader();
  /** Ids in use: whether their body may still come. */
  const open = new Map<number, 'body' | 'ended' | 'refused'>();
  let late = 0;
  const finish = (id: number): void => {
    const done = id % 2 === 0 ? id : late;
    if (id % 2 === 1) late = id;
    open.delete(done);
    if (done !== 0) session.finish(done);
  };
  const session: ServerSession = new ServerSession(
    { maxConnections: 1, maxRequests: 2 },
    {
      onRequest: (id, _role, params) => {
        assert.ok(!open.has(id), `request ${id} begins while it is open`);
        open.set(id, 'body');
        assert.ok(session.isReceiving(id));
        events.push(`request ${id} ${Buffer.from(params).toString('hex')}`);
        checkParams(params);
        checkRequest(params);
      },
      onBody: (id, bytes) => {
        assert.ok(bytes.length > 0 && open.get(id) === 'body', `body of request ${id}, which is ${open.get(id)}`);
        const text = Buffer.from(bytes).toString('latin1');
        const last = events.length - 1;
        if (events[last]?.startsWith(`body ${id} `)) events[last] += text;
        else events.push(`body ${id} ${text}`);
      },
      onBodyEnd: (id) => {
        assert.equal(open.get(id), 'body', `end of the body of request ${id}`);
        open.set(id, 'ended');
        events.push(`end ${id}`);
        finish(id);
      },
      onData: () => undefined,
      onDataEnd: () => undefined,
      onUnknownRole: () => undefined,
      onAbort: (id) => {
        assert.ok(open.has(id), `abort of request ${id}`);
        events.push(`abort ${id}`);
        finish(id);
      },
      onParamsTooLarge: (id, limit) => {
        open.set(id, 'refused');
        events.push(`too large ${id} ${limit}`);
      },
      onReply: (bytes) => {
        // What is sent back is FastCGI for a reader that shares no code.
        for (const { type, id } of replies.push(Buffer.from(bytes))) {
          assert.ok(REPLIES.includes(type), `reply ${type}`);
          assert.ok((type === TYPE.END_REQUEST || type === TYPE.STDOUT) === id > 0);
        }
        assert.equal(replies.pendingBytes, 0);
        events.push(`reply ${Buffer.from(bytes).toString('hex')}`);
      },
    },
  );
  const code = codeOf(() => {
    for (const piece of pieces) {
      const bytes = Uint8Array.from(piece);
      session.receive(bytes);
      bytes.fill(0xab);
    }
  });
  assert.ok(session.openRequests >= 0 && session.openRequests <= 128);
  return { events, code };
}

function checkSession(bytes: Uint8Array): void {
  const [whole, ...others] = waysToCut(bytes).map(hear);
  for (const other of others) assert.deepEqual(other, whole);
}

// ---- parameters -----------------------------------------------------------------------------------------------------

function checkParams(bytes: Uint8Array): void {
  let params = new Map<string, string>();
  const code = codeOf(() => {
    params = decodeParams(bytes);
  });
  let expected: [string, string][] | undefined;
  try {
    expected = parsePairs(bytes);
  } catch {
    expected = undefined;
  }
  assert.equal(code, expected === undefined ? 'LUAFCGID_FCGI_PARAMS' : undefined);
  if (expected === undefined) return;
  assert.deepEqual(params, new Map(expected));
  assert.deepEqual(decodeParams(encodeParams(params)), params);
  assert.deepEqual(parsePairs(encodeParams(expected)), expected);
}

function checkRequest(bytes: Uint8Array): void {
  const params = Uint8Array.from(bytes);
  let request: ReturnType<typeof parseRequest> | undefined;
  codeOf(() => {
    request = parseRequest(params);
  });
  if (request === undefined) return;
  assert.match(request.scriptPath, /^\//);
  assert.ok(!request.scriptPath.includes('\0'));
  assert.match(request.method, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
  if (request.contentLength !== undefined) assert.ok(Number.isSafeInteger(request.contentLength));
  assert.ok(!decodeParams(request.params).has('HTTP_PROXY'));
  assert.deepEqual(parseRequest(request.params), { ...request, params: request.params });
}

// ---- answers --------------------------------------------------------------------------------------------------------

/** The bytes are calls: each line one, its first character says which. */
function checkResponse(bytes: Uint8Array): void {
  const head = new ResponseHead({ httpStatus: '200 OK', contentType: 'text/html', headers: 'X-Default: 1\r\n' });
  const calls = Buffer.from(bytes).toString('latin1').split('\x1e');
  for (const call of calls) {
    const text = call.slice(1);
    const [name = '', ...rest] = text.split('=');
    const work = {
      s: () => head.setStatus(text),
      l: () => void head.setLine(text),
      h: () => void head.set(name, rest.join('=')),
      t: () => head.setDefault('contentType', text),
      d: () => head.setDefault('httpStatus', text),
      r: () => head.reset(),
    }[call.charAt(0)];
    if (work === undefined) continue;
    const before = head.encode();
    // A call that fails changes nothing.
    if (codeOf(work) !== undefined) assert.equal(head.encode(), before);
  }
  const block = head.encode();
  assert.ok(block.endsWith('\r\n\r\n'));
  const lines = block.slice(0, -4).split('\r\n');
  for (const line of lines) {
    assert.match(line, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: /);
    assert.doesNotMatch(line, /[\r\n\0]/);
  }
  const names = lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
  for (const once of ['status', 'content-type', 'location', 'content-length']) {
    assert.ok(names.filter((each) => each === once).length <= 1, once);
  }
  const answer = parseCgiAnswer(Buffer.from(block, 'latin1'));
  assert.equal(answer.status, head.statusCode);
  assert.ok(answer.status >= 200 && answer.status <= 599);
  assert.equal(answer.body.length, 0);
}

/** The answer of a script as the gateway, a client, reads it. */
function checkAnswer(bytes: Uint8Array): void {
  const read = (pieces: readonly Uint8Array[]): unknown => {
    const reader = new AnswerReader();
    const body: Uint8Array[] = [];
    let head: unknown;
    try {
      for (const piece of pieces) {
        if (reader.hasHead) {
          body.push(piece);
          continue;
        }
        const found = reader.push(piece);
        if (found !== undefined) {
          head = found.head;
          body.push(found.body);
        }
      }
    } catch (error) {
      // It says what is wrong; anything else is a bug.
      assert.equal((error as Error).constructor, Error);
      return String(error);
    }
    return { head, body: Buffer.concat(body).toString('latin1') };
  };
  const [whole, ...others] = waysToCut(bytes).map(read);
  for (const other of others) assert.deepEqual(other, whole);
}

/** Records of the application as a client takes them: its output put together is an answer. */
function checkClient(bytes: Uint8Array): void {
  const output = decodeRecords([bytes]).taken.filter(({ type }) => type === TYPE.STDOUT);
  checkDecoder(bytes);
  checkAnswer(Buffer.concat(output.map(({ content }) => content)));
}

// ---- addresses ------------------------------------------------------------------------------------------------------

function checkAddress(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString('utf8');
  const absolute = (name: string): string => (name.startsWith('/') ? name : `/base/${name}`);
  const address = parseListenAddress(text, absolute);
  if ('reason' in address) {
    assert.ok(address.reason.length > 0);
    assert.match(address.remedy, /^[A-Z][\s\S]*\.$/);
    return;
  }
  assert.deepEqual(parseListenAddress(formatListenAddress(address), absolute), address);
  if (address.kind === 'tcp') assert.ok(address.port >= 0 && address.port <= 65_535 && !address.host.includes('\0'));
  if (address.kind === 'unix') assert.ok(Buffer.byteLength(address.path) <= 107 && !address.path.includes('\0'));
}

// ---- seeds ----------------------------------------------------------------------------------------------------------

const text = (...texts: readonly string[]): Buffer[] => texts.map((each) => Buffer.from(each, 'latin1'));
const GOLDEN = join(ROOT, 'test/golden');
const golden = readdirSync(GOLDEN)
  .filter((name) => name.endsWith('.bin'))
  .map((name) => readFileSync(join(GOLDEN, name)));
const vectors = VECTORS.filter(({ bytes }) => bytes.length < 1000).map(({ bytes }) => bytes);
const PAIRS = { SCRIPT_FILENAME: '/a.lua', REQUEST_METHOD: 'POST', CONTENT_LENGTH: '3', HTTP_PROXY: 'x' };
const records = [
  beginRequest(1, { keepConn: true }),
  beginRequest(2, { keepConn: false }),
  beginRequest(3, { keepConn: true, role: 3 }),
  stream(TYPE.PARAMS, 1, pairs(PAIRS)),
  stream(TYPE.PARAMS, 2, pairs({})),
  record(TYPE.STDIN, 1, 'abc'),
  record(TYPE.STDIN, 1),
  record(TYPE.STDIN, 2),
  record(TYPE.ABORT_REQUEST, 1),
  record(TYPE.GET_VALUES, 0, pairs({ FCGI_MAX_CONNS: '', FCGI_MPXS_CONNS: '' })),
  record(200, 0, 'what'),
  record(TYPE.DATA, 1, 'data'),
];
const answers = text(
  'Status: 200 OK\r\nContent-Type: text/html\r\n\r\nbody',
  'Location: /x\n\n',
  'Status: 404\r\nContent-Length: 3\r\nX: y \r\n\r\nabc',
);
const pieces = text(
  '\r\n',
  '\n\n',
  ': ',
  'Status: ',
  'Location: ',
  'Content-Length: ',
  '\0',
  '9'.repeat(16),
  '\xc3\xbc',
);
const wholeRequest = requestBytes({ params: { ...PAIRS }, body: 'abc' });

export const TARGETS: readonly Target[] = [
  { name: 'decoder', seeds: [...golden, ...vectors], words: records, run: checkDecoder },
  { name: 'session', seeds: [...golden, ...records, wholeRequest], words: records, run: checkSession },
  {
    name: 'client',
    seeds: [
      ...vectors,
      ...answers.map((each) =>
        Buffer.concat([stream(TYPE.STDOUT, 1, each), record(TYPE.END_REQUEST, 1, Buffer.alloc(8))]),
      ),
    ],
    words: [
      ...answers.map((each) => record(TYPE.STDOUT, 1, each)),
      record(TYPE.STDOUT, 1),
      record(TYPE.STDERR, 1, 'oops'),
    ],
    run: checkClient,
  },
  {
    name: 'params',
    seeds: [pairs(PAIRS), pairs({ A: 'b'.repeat(200) }), pairs({ ['N'.repeat(130)]: '' }), pairs({})],
    words: [pairs({ A: 'b' }), Buffer.of(128, 0, 0, 3), Buffer.of(255, 255, 255, 255)],
    run: checkParams,
  },
  {
    name: 'cgi-request',
    seeds: [
      pairs(PAIRS),
      pairs({ SCRIPT_NAME: '/a.lua', DOCUMENT_ROOT: '/srv' }),
      pairs({ SCRIPT_FILENAME: 'proxy:fcgi://h:1/a.lua?q', QUERY_STRING: 'q' }),
    ],
    words: [
      ...Object.entries({ ...PAIRS, QUERY_STRING: '?', DOCUMENT_ROOT: '/', SCRIPT_NAME: '' }).map((each) =>
        pairs(Object.fromEntries([each])),
      ),
      ...text('proxy:', '://', '?', '\0', '/'),
    ],
    run: checkRequest,
  },
  {
    name: 'cgi-response',
    seeds: text(
      's404\x1ehX-Name=value\x1elSet-Cookie: a=b',
      's200 OK\x1ehLocation=/x\x1ehContent-Length=5',
      'ttext/plain\x1ed500\x1er\x1ehStatus=204',
      'hContent-Type=text/css\x1es304 Not Modified',
      'hX=a\nb\x1ehX=a\rb\x1elX: a\0b\x1es200 a\nb\x1eta\nb',
    ),
    words: text(
      '\x1e',
      '\x1es',
      '\x1eh',
      '\x1el',
      '\x1et',
      '\x1ed',
      '\x1er',
      '=',
      'Status',
      'Connection',
      '\r\n',
      '\r',
      '\n',
      '\0',
      '200',
    ),
    run: checkResponse,
  },
  { name: 'answer', seeds: answers, words: pieces, run: checkAnswer },
  {
    name: 'address',
    seeds: text(
      '/run/a.sock',
      'unix:a',
      '127.0.0.1:9000',
      ':0',
      '*:1',
      '[::1]:9000',
      '[fe80::1%eth0]:1',
      'fd:0',
      'systemd:web',
      'localhost:65535',
      '9000',
    ),
    words: text(
      'unix:',
      'fd:',
      'systemd:',
      ':',
      '[',
      ']',
      '::',
      '%',
      '/',
      '..',
      '\0',
      '65536',
      '999',
      '.',
      'a'.repeat(108),
    ),
    run: checkAddress,
  },
];
