/** What the CGI parameters mean: RFC 3875, and what web servers make of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LuafcgidError } from '../../src/base/errors.js';
import { type CgiRequest, parseRequest } from '../../src/cgi/request.js';
import { type Bytes, type Pair, pairs, parsePairs } from '../support/fcgi-wire.js';

function parse(params: Readonly<Record<string, Bytes>> | readonly Pair[]): CgiRequest {
  return parseRequest(pairs(params));
}

function scriptPath(params: Readonly<Record<string, string>>): string {
  return parse(params).scriptPath;
}

function faultOf(params: Readonly<Record<string, string>>): LuafcgidError {
  try {
    parse(params);
  } catch (error) {
    if (error instanceof LuafcgidError) return error;
    throw error;
  }
  return assert.fail('it was taken');
}

describe("the script's path", () => {
  const cases: { readonly what: string; readonly params: Readonly<Record<string, string>>; readonly path: string }[] = [
    { what: 'is SCRIPT_FILENAME', params: { SCRIPT_FILENAME: '/srv/a.lua' }, path: '/srv/a.lua' },
    {
      what: 'is SCRIPT_FILENAME whatever else there is',
      params: { SCRIPT_FILENAME: '/srv/a.lua', DOCUMENT_ROOT: '/other', SCRIPT_NAME: '/b.lua' },
      path: '/srv/a.lua',
    },
    {
      what: 'is the document root and SCRIPT_NAME without SCRIPT_FILENAME',
      params: { DOCUMENT_ROOT: '/srv', SCRIPT_NAME: '/a.lua' },
      path: '/srv/a.lua',
    },
    {
      what: 'is the document root and SCRIPT_NAME when SCRIPT_FILENAME is empty',
      params: { SCRIPT_FILENAME: '', DOCUMENT_ROOT: '/srv', SCRIPT_NAME: '/a.lua' },
      path: '/srv/a.lua',
    },
    { what: 'is SCRIPT_NAME alone where there is no document root', params: { SCRIPT_NAME: '/a.lua' }, path: '/a.lua' },
    {
      what: 'keeps a "?" of its own, whatever the query',
      params: { SCRIPT_FILENAME: '/srv/a.lua?b=c', QUERY_STRING: 'b=c' },
      path: '/srv/a.lua?b=c',
    },
    {
      what: 'lies in the URL of a proxy',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://127.0.0.1:9000/srv/a.lua' },
      path: '/srv/a.lua',
    },
    {
      what: 'lies in the URL of an IPv6 proxy',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://[::1]:9000/srv/a.lua' },
      path: '/srv/a.lua',
    },
    {
      what: 'lies in the URL of a balancer',
      params: { SCRIPT_FILENAME: 'proxy:balancer://cluster/srv/a.lua' },
      path: '/srv/a.lua',
    },
    {
      what: 'lies behind the place of a Unix socket',
      params: { SCRIPT_FILENAME: 'proxy:unix:/run/luafcgid.sock|fcgi://localhost/srv/a.lua' },
      path: '/srv/a.lua',
    },
    {
      what: 'loses the query that the proxy has added',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost/srv/a.lua?b=c', QUERY_STRING: 'b=c' },
      path: '/srv/a.lua',
    },
    {
      what: 'loses the query once',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost/srv/a.lua?b?b', QUERY_STRING: 'b' },
      path: '/srv/a.lua?b',
    },
    {
      what: 'keeps what is not exactly the query: a rule made for another name must not be passed by',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost/srv/admin.lua?x.lua', QUERY_STRING: 'y' },
      path: '/srv/admin.lua?x.lua',
    },
    {
      what: 'keeps a "?" when there is no query',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost/srv/admin.lua?', QUERY_STRING: '' },
      path: '/srv/admin.lua?',
    },
    {
      what: 'keeps a "?" when no query is told',
      params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost/srv/admin.lua?' },
      path: '/srv/admin.lua?',
    },
    {
      what: 'has one character per byte',
      params: { SCRIPT_FILENAME: Buffer.from('/srv/ä€.lua').toString('latin1') },
      path: Buffer.from('/srv/ä€.lua').toString('latin1'),
    },
    { what: 'may hold any byte but NUL', params: { SCRIPT_FILENAME: '/\x01\n\xff' }, path: '/\x01\n\xff' },
  ];
  for (const { what, params, path } of cases) it(what, () => assert.equal(scriptPath(params), path));

  const refused: { readonly what: string; readonly params: Readonly<Record<string, string>>; readonly code: string }[] =
    [
      { what: 'no parameters at all', params: {}, code: 'LUAFCGID_REQUEST_NO_SCRIPT' },
      { what: 'a document root alone', params: { DOCUMENT_ROOT: '/srv' }, code: 'LUAFCGID_REQUEST_NO_SCRIPT' },
      { what: 'empty names', params: { SCRIPT_FILENAME: '', SCRIPT_NAME: '' }, code: 'LUAFCGID_REQUEST_NO_SCRIPT' },
      { what: 'a relative path', params: { SCRIPT_FILENAME: 'a.lua' }, code: 'LUAFCGID_REQUEST_RELATIVE_SCRIPT' },
      {
        what: 'a relative document root',
        params: { DOCUMENT_ROOT: 'srv', SCRIPT_NAME: '/a.lua' },
        code: 'LUAFCGID_REQUEST_RELATIVE_SCRIPT',
      },
      {
        what: 'the URL of a proxy without a path',
        params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost:9000' },
        code: 'LUAFCGID_REQUEST_RELATIVE_SCRIPT',
      },
      {
        what: 'another URL',
        params: { SCRIPT_FILENAME: 'http://localhost/a.lua' },
        code: 'LUAFCGID_REQUEST_RELATIVE_SCRIPT',
      },
      { what: 'a NUL', params: { SCRIPT_FILENAME: '/srv/a.lua\0.png' }, code: 'LUAFCGID_REQUEST_NUL' },
      {
        what: 'a NUL in the URL of a proxy',
        params: { SCRIPT_FILENAME: 'proxy:fcgi://localhost/a.lua\0' },
        code: 'LUAFCGID_REQUEST_NUL',
      },
    ];
  for (const { what, params, code } of refused) {
    it(`is refused: ${what}`, () => {
      const fault = faultOf(params);
      assert.deepEqual([fault.code, fault.status], [code, 404]);
      assert.ok(!fault.message.includes('\0'));
    });
  }
});

describe('".." in the path of a script', () => {
  const ROOT = { DOCUMENT_ROOT: '/srv/www' };

  it('is refused where it leads out of the document root, as HAProxy passes it on (reports A1)', () => {
    for (const name of [
      '/../outside.lua',
      '/sub/../../outside.lua',
      '/./../outside.lua',
      '//../outside.lua',
      '/../www/a.lua',
      '/a/../../www/../outside.lua',
      '/..',
    ]) {
      const named: readonly Readonly<Record<string, string>>[] = [
        { ...ROOT, SCRIPT_FILENAME: `/srv/www${name}`, SCRIPT_NAME: name },
        { ...ROOT, SCRIPT_FILENAME: `/srv/www${name}` },
        { DOCUMENT_ROOT: '/srv/www/', SCRIPT_FILENAME: `/srv/www${name}` },
        { ...ROOT, SCRIPT_NAME: name },
        { SCRIPT_FILENAME: `/srv/www${name}`, SCRIPT_NAME: name },
        { ...ROOT, SCRIPT_FILENAME: `proxy:fcgi://localhost/srv/www${name}` },
      ];
      for (const params of named) {
        const fault = faultOf(params);
        assert.deepEqual([fault.code, fault.status], ['LUAFCGID_REQUEST_TRAVERSAL', 403], JSON.stringify(params));
      }
    }
  });

  it('is resolved as in a URL where it stays inside, so that no link before it leads elsewhere (reports A1)', () => {
    for (const [name, path] of [
      ['/sub/../a.lua', '/srv/www/a.lua'],
      ['/link/../a.lua', '/srv/www/a.lua'],
      ['/a/b/../../c/./d.lua', '/srv/www/c/d.lua'],
      ['/..a/b..lua', '/srv/www/..a/b..lua'],
      ['/a..', '/srv/www/a..'],
    ] as const) {
      assert.equal(scriptPath({ ...ROOT, SCRIPT_FILENAME: `/srv/www${name}`, SCRIPT_NAME: name }), path);
    }
  });

  it('may stand in what the web server is configured with', () => {
    const params = {
      DOCUMENT_ROOT: '/srv/www/../app',
      SCRIPT_FILENAME: '/srv/www/../app/a.lua',
      SCRIPT_NAME: '/a.lua',
    };
    assert.equal(scriptPath(params), '/srv/app/a.lua');
    assert.equal(scriptPath({ SCRIPT_FILENAME: '/srv/www/../app/a.lua', SCRIPT_NAME: '/a.lua' }), '/srv/app/a.lua');
  });
});

it('is named in messages as people write it', () => {
  assert.ok(faultOf({ SCRIPT_FILENAME: Buffer.from('grüße.lua').toString('latin1') }).message.includes('grüße.lua'));
});

describe('the length of the body', () => {
  const lengths: [text: string | undefined, length: number | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['0', 0],
    ['1', 1],
    ['007', 7],
    ['1048576', 1048576],
    ['999999999999999', 999_999_999_999_999],
    ['-1', undefined],
    ['+5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['5.0', undefined],
    [' 5', undefined],
    ['5 ', undefined],
    ['5\n', undefined],
    ['5, 5', undefined],
    ['five', undefined],
    ['\xb2', undefined],
    ['9'.repeat(16), undefined],
    ['9'.repeat(400), undefined],
  ];
  for (const [text, length] of lengths) {
    it(`is ${length ?? 'not known'} when CONTENT_LENGTH is ${text === undefined ? 'absent' : JSON.stringify(text)}`, () => {
      const params = { SCRIPT_FILENAME: '/a', ...(text === undefined ? {} : { CONTENT_LENGTH: text }) };
      assert.equal(parse(params).contentLength, length);
    });
  }
});

describe('the method', () => {
  it('is GET where none is told', () => {
    assert.equal(parse({ SCRIPT_FILENAME: '/a' }).method, 'GET');
    assert.equal(parse({ SCRIPT_FILENAME: '/a', REQUEST_METHOD: '' }).method, 'GET');
  });

  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'M-SEARCH', 'get']) {
    it(`${method} is served`, () =>
      assert.equal(parse({ SCRIPT_FILENAME: '/a', REQUEST_METHOD: method }).method, method));
  }

  for (const method of ['TRACE', 'CONNECT', 'GE T', 'GET\r\nX: y', '\0', 'GÉT', 'A/B']) {
    it(`${JSON.stringify(method)} is not`, () => {
      const fault = faultOf({ SCRIPT_FILENAME: '/a', REQUEST_METHOD: method });
      assert.deepEqual([fault.code, fault.status], ['LUAFCGID_REQUEST_METHOD', 405]);
    });
  }
});

describe('the parameters that the script gets', () => {
  it('name the script as a plain path, also behind a proxy that names a URL (reports A17)', () => {
    const { params } = parse([
      ['A', 'before'],
      ['SCRIPT_FILENAME', 'proxy:fcgi://localhost/srv/a.lua?b=c'],
      ['QUERY_STRING', 'b=c'],
      ['HTTP_PROXY', 'evil'],
    ]);
    assert.deepEqual(parsePairs(params), [
      ['A', 'before'],
      ['SCRIPT_FILENAME', '/srv/a.lua'],
      ['QUERY_STRING', 'b=c'],
    ]);
  });

  it('have no CONTENT_LENGTH that is no length, as Caddy sends it with chunked bodies (fidelity D-B10)', () => {
    for (const [length, isKept] of [
      ['-1', false],
      ['five', false],
      ['', true],
      ['0', true],
    ] as const) {
      const { params } = parse({ SCRIPT_FILENAME: '/a', CONTENT_LENGTH: length });
      assert.deepEqual(
        parsePairs(params).map(([name]) => name),
        isKept ? ['SCRIPT_FILENAME', 'CONTENT_LENGTH'] : ['SCRIPT_FILENAME'],
      );
    }
  });

  it('are the very bytes that came', () => {
    const bytes = pairs([
      ['SCRIPT_FILENAME', '/a'],
      ['EMPTY', '', 4, 4],
      ['', 'no name'],
      ['TWICE', '1'],
      ['TWICE', '2'],
      ['BYTES', String.fromCharCode(...Array(256).keys())],
    ]);
    assert.deepEqual(Buffer.from(parseRequest(bytes).params), bytes);
  });

  it('have no HTTP_PROXY, which a client could set, and are otherwise as they came', () => {
    const before: Pair[] = [
      ['HTTP_PROXY_NAME', 'stays'],
      ['LONG', 'x'.repeat(200)],
      ['FORM', 'four bytes', 4, 4],
    ];
    const after: Pair[] = [
      ['SCRIPT_FILENAME', '/a'],
      ['http_proxy', 'stays, too'],
    ];
    const evil: Pair[] = [
      ['HTTP_PROXY', 'http://evil'],
      ['HTTP_PROXY', '', 4, 4],
    ];
    for (const list of [
      [...evil, ...before, ...after],
      [...before, ...evil, ...after],
      [...before, ...after, ...evil],
      [evil[0] as Pair, ...before, evil[1] as Pair, ...after],
    ]) {
      assert.deepEqual(Buffer.from(parse(list).params), pairs([...before, ...after]));
    }
  });

  it('count as they do for the script: of a name that comes twice the last one', () => {
    const {
      scriptPath: path,
      contentLength,
      method,
    } = parse([
      ['SCRIPT_FILENAME', '/first'],
      ['CONTENT_LENGTH', '5'],
      ['REQUEST_METHOD', 'GET'],
      ['REQUEST_METHOD', 'POST'],
      ['SCRIPT_FILENAME', '/last'],
      ['CONTENT_LENGTH', '7'],
    ]);
    assert.deepEqual([path, contentLength, method], ['/last', 7, 'POST']);
  });

  it('that are malformed are a fault of the connection, not of the request', () => {
    assert.throws(() => parseRequest(Uint8Array.of(5, 5, 65)), { code: 'LUAFCGID_FCGI_PARAMS', status: 0 });
  });

  it('of any pairs are taken without HTTP_PROXY, or refused with a status', () => {
    const name = fc.oneof(
      fc.constantFrom('SCRIPT_FILENAME', 'SCRIPT_NAME', 'DOCUMENT_ROOT', 'QUERY_STRING', 'REQUEST_METHOD'),
      fc.constantFrom('CONTENT_LENGTH', 'HTTP_PROXY', 'HTTP_COOKIE', ''),
    );
    const value = fc.oneof(
      fc.constantFrom('/a', 'proxy:fcgi://h/a?b', 'proxy:', 'proxy://', 'b', '', '5', 'GET', '?'),
      fc.uint8Array({ maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (list) => {
        try {
          const request = parse(list);
          assert.ok(request.scriptPath.startsWith('/') && !request.scriptPath.includes('\0'));
          const all = parsePairs(pairs(list));
          const last = new Map(all);
          const kept = all
            .filter(([each]) => each !== 'HTTP_PROXY')
            .filter(([each]) => each !== 'CONTENT_LENGTH' || /^[0-9]{0,15}$/.test(last.get(each) as string))
            .map(([each, text]) => [
              each,
              each === 'SCRIPT_FILENAME' && last.get(each)?.startsWith('proxy:') ? request.scriptPath : text,
            ]);
          assert.deepEqual(parsePairs(request.params), kept);
        } catch (error) {
          assert.ok(error instanceof LuafcgidError && error.status >= 400, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
