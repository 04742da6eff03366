import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { LuafcgidError } from '../../src/base/errors.js';
import type { LuaError } from '../../src/lua/state.js';
import { allBytes, luaError, newState, type RequestInput, serve, serveSource } from './support.js';

const { state, run } = newState();
after(() => state.close());
run(`
  local function show(value)
    if type(value) ~= "table" then return value end
    if value.filename then return "file(" .. value.filename .. "|" .. value.type .. "|" .. value.content .. ")" end
    local parts = {}
    for i = 1, #value do parts[i] = show(value[i]) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  function main(env, con)
    local lines = {}
    for name, value in pairs(con[env.METHOD](con)) do lines[#lines + 1] = name .. "=" .. show(value) end
    table.sort(lines)
    con:puts(table.concat(lines, ";"))
  end`);

const form = (type: string, body: string, pieceBytes = 7) =>
  serve(state, 'main', { params: { METHOD: 'form', CONTENT_TYPE: type }, body, pieceBytes }).body;
const cookies = (header: string) => serve(state, 'main', { params: { METHOD: 'cookies', HTTP_COOKIE: header } }).body;

const multipart = 'multipart/form-data; boundary=XX';
const part = (head: string, content: string) => `--XX\r\n${head}\r\n\r\n${content}\r\n`;
const field = (name: string, content: string) => part(`Content-Disposition: form-data; name="${name}"`, content);

test('an urlencoded form', () => {
  assert.equal(form('application/x-www-form-urlencoded', 'a=1&b=%20&a=2'), 'a={1,2};b= ');
  assert.equal(form('Application/X-WWW-Form-URLencoded; charset=UTF-8', 'a=1'), 'a=1');
  assert.equal(form('application/x-www-form-urlencoded', ''), '');
});

test('a multipart form with fields and files', () => {
  const body =
    field('a', 'one') +
    field('b', '') +
    field('a', 'two') +
    part('Content-Disposition: form-data; name="f"; filename="x.png"\r\nContent-Type: image/png', allBytes) +
    part('content-type: text/plain; charset=x\r\nCONTENT-DISPOSITION: form-data; filename="y"; name="g"', 'text') +
    part('Content-Disposition: form-data; name="g"; filename=""', '') +
    '--XX--\r\n';
  assert.equal(
    form(multipart, body),
    `a={one,two};b=;f=file(x.png|image/png|${allBytes});g={file(y|text/plain; charset=x|text),file(|application/octet-stream|)}`,
  );
});

test('an input for files in which none was chosen is a file without a name and of no bytes (users D12)', () => {
  const body = `${part('Content-Disposition: form-data; name="photo"; filename=""\r\nContent-Type: application/octet-stream', '')}--XX--\r\n`;
  assert.equal(form(multipart, body), 'photo=file(|application/octet-stream|)');
});

test('multipart forms as they are seen in the wild', () => {
  const cases: [what: string, type: string, body: string, wanted: string][] = [
    [
      'quoted boundary',
      'multipart/form-data; boundary="X X"',
      '--X X\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--X X--',
      'a=1',
    ],
    ['other parameters first', 'multipart/form-data; charset=utf-8; Boundary=XX', `${field('a', '1')}--XX--`, 'a=1'],
    ['preamble and epilogue', multipart, `preamble\r\n${field('a', '1')}--XX--\r\nepilogue --XX`, 'a=1'],
    [
      'padding after the boundary',
      multipart,
      '--XX \t\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--XX  \r\nContent-Disposition: form-data; name="b"\r\n\r\n2\r\n--XX--',
      'a=1;b=2',
    ],
    [
      'line ends and boundary-like lines in values',
      multipart,
      `${field('a', '\r\n--XY\r\n--XXX\r\n--X\r\n')}--XX--`,
      'a=\r\n--XY\r\n--XXX\r\n--X\r\n',
    ],
    ['names with escapes', multipart, `${field('a%22b%0D%0Ac%41', '1')}--XX--`, 'a"b\r\nc%41=1'],
    [
      'a backslash escape',
      multipart,
      `${part('Content-Disposition: form-data; name="a\\"b"; filename="C:\\dir\\x.txt"', '1')}--XX--`,
      'a"b=file(C:\\dir\\x.txt|application/octet-stream|1)',
    ],
    [
      'a part without a name',
      multipart,
      `${part('Content-Disposition: form-data', 'x')}${field('a', '1')}--XX--`,
      'a=1',
    ],
    ['a part without headers', multipart, `--XX\r\n\r\nx\r\n${field('a', '1')}--XX--`, 'a=1'],
    ['no parts', multipart, '--XX--\r\n', ''],
    ['no body', multipart, '', ''],
    [
      'pattern characters in the boundary',
      'multipart/form-data; boundary=(%a+)',
      '--(%a+)\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--(%a+)--',
      'a=1',
    ],
  ];
  for (const [what, type, body, wanted] of cases) assert.equal(form(type, body), wanted, what);
});

test('a multipart form that lost something is an error of con:form, with status 400 (reports A15, users D5)', () => {
  const head = 'Content-Disposition: form-data; name="b"';
  const unclosed = 'it ends before its last boundary';
  const cases: [what: string, type: string, body: string, fault: string][] = [
    ['no last boundary', multipart, field('a', '1') + field('b', '2'), unclosed],
    ['a last part without an end', multipart, `${field('a', '1')}--XX\r\n${head}\r\n\r\n2`, unclosed],
    ['a file alone', multipart, part(`${head}; filename="f"`, 'x'), unclosed],
    ['a cut boundary', multipart, `${field('a', '1')}--XX-`, unclosed],
    ['a boundary that never comes', multipart, 'anything at all', unclosed],
    ['another boundary', multipart, '--YY\r\n\r\nx\r\n--YY--\r\n', unclosed],
    ['no boundary', 'multipart/form-data', field('a', '1'), 'its Content-Type names no boundary'],
    ['an empty boundary', 'multipart/form-data; boundary=', field('a', '1'), 'its Content-Type names no boundary'],
    [
      'a part that is only a head',
      multipart,
      '--XX\r\nA\r\n--XX--',
      'a part of it has no empty line after its headers',
    ],
    [
      'an endless boundary',
      `multipart/form-data; boundary=${'x'.repeat(201)}`,
      field('a', '1'),
      'its boundary is none: it has more than 200 characters, or control characters',
    ],
    [
      'a boundary of control characters',
      'multipart/form-data; boundary="\r\r"',
      field('a', '1'),
      'its boundary is none: it has more than 200 characters, or control characters',
    ],
  ];
  for (const [what, type, body, fault] of cases) {
    const { message, hostError } = luaError(() => form(type, body));
    assert.equal(message, `/srv/script.lua:11: malformed multipart/form-data body: ${fault}`, what);
    assert.equal((hostError as LuafcgidError).status, 400);
  }
});

test('more fields than maxfields are an error with status 400 (reports A7)', () => {
  const limited = newState({ config: { maxfields: 1000 } });
  limited.run(`function main(env, con)
    local count = 0
    for _ in pairs(con[env.METHOD](con)) do count = count + 1 end
    con:puts(count)
  end`);
  const names = (count: number) => Array.from({ length: count }, (_, n) => `n${n}`);
  const ask: [what: string, (count: number) => RequestInput][] = [
    [
      'form',
      (count) => ({
        params: { METHOD: 'form', CONTENT_TYPE: 'application/x-www-form-urlencoded' },
        body: names(count).join('&'),
      }),
    ],
    [
      'form',
      (count) => ({
        params: { METHOD: 'form', CONTENT_TYPE: multipart },
        body: `${names(count)
          .map((name) => field(name, ''))
          .join('')}--XX--`,
      }),
    ],
    ['query string', (count) => ({ params: { METHOD: 'query', QUERY_STRING: names(count).join('&') } })],
    ['Cookie header', (count) => ({ params: { METHOD: 'cookies', HTTP_COOKIE: `${names(count).join('=;')}=` } })],
  ];
  for (const [what, input] of ask) {
    assert.equal(serve(limited.state, 'main', input(1000)).body, '1000', what);
    const { message, hostError } = luaError(() => serve(limited.state, 'main', input(1001)));
    assert.equal(message, `/srv/script.lua:3: ${what} with more than 1000 fields`);
    assert.equal((hostError as LuafcgidError).code, 'LUAFCGID_REQUEST_FIELDS');
    assert.equal((hostError as LuafcgidError).status, 400);
  }
  limited.state.close();
});

test('the module parses texts with any number of fields', () => {
  const { evaluate, state: other } = newState({ config: { maxfields: 10 } });
  assert.equal(evaluate('#require("luafcgid").parse(("a=1&"):rep(5000)).a'), '5000');
  other.close();
});

test('a multipart form gives back what was written, and never fails on anything', () => {
  const names = fc.stringMatching(/^[a-z]{1,5}$/);
  const contents = fc
    .array(fc.constantFrom('\r\n', '--', 'X', '--XX', '\r', '\n', 'a', '\0', '\xff'), { maxLength: 12 })
    .map((parts) => parts.join(''))
    // What a browser avoids by the choice of its boundary.
    .filter((content) => !/\r\n--XX(--|[ \t]*\r\n)/.test(`\r\n${content}\r\n`));
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(names, contents), { selector: ([name]) => name, maxLength: 4 }), (fields) => {
      const body = `${fields.map(([name, content]) => field(name, content)).join('')}--XX--\r\n`;
      const wanted = fields.map(([name, content]) => `${name}=${content}`);
      const sorted = wanted.map((line) => Buffer.from(line, 'latin1')).sort(Buffer.compare);
      return form(multipart, body) === sorted.map((line) => line.toString('latin1')).join(';');
    }),
  );
  const fragments = fc.constantFrom(
    '--XX',
    '\r\n',
    '--',
    'Content-Disposition: form-data; name="a"',
    ';',
    '"',
    '\\',
    'filename=',
    ':',
    ' ',
    'x',
  );
  fc.assert(
    fc.property(fc.array(fragments, { maxLength: 30 }), (parts) => {
      try {
        return typeof form(multipart, parts.join('')) === 'string';
      } catch (error) {
        return /malformed multipart/.test((error as LuaError).message);
      }
    }),
  );
});

test('a body of another type gives an empty table and stays unread', () => {
  const source = 'con:puts(tostring(next(con:form())), con:gets())';
  assert.equal(serveSource(source, { params: { CONTENT_TYPE: 'application/json' }, body: '{}' }).body, 'nil{}');
  assert.equal(serveSource(source, { body: 'x' }).body, 'nilx');
});

test('the form is parsed once, the body read once', () => {
  const input = { params: { CONTENT_TYPE: 'application/x-www-form-urlencoded' }, body: 'a=1' };
  assert.equal(
    serveSource('con:puts(tostring(con:form() == con:form()), tostring(con:gets()))', input).body,
    'truenil',
  );
  assert.match(
    luaError(() => serveSource('con:gets() con:form()', input)).message,
    /script.lua:1: con:form: the body was already read with con:gets/,
  );
});

test('query and cookies are parsed once for a request, and anew for the next', () => {
  const other = newState();
  other.run(`function main(env, con)
    con:puts(con:query().a, con:cookies().c, tostring(con:query() == con:query()), tostring(con:cookies() == con:cookies()))
  end`);
  for (const value of ['1', '2']) {
    const params = { QUERY_STRING: `a=${value}`, HTTP_COOKIE: `c=${value}` };
    assert.equal(serve(other.state, 'main', { params }).body, `${value}${value}truetrue`);
  }
  other.state.close();
  assert.equal(serveSource('con:puts(tostring(next(con:query())), tostring(next(con:cookies())))').body, 'nilnil');
});

test('cookies as browsers send them', () => {
  for (const [header, wanted] of [
    ['a=1; b=2', 'a=1;b=2'],
    ['a=1;b=2;', 'a=1;b=2'],
    [' a = 1 ;; b', 'a=1'],
    ['a="quoted"; b=x=y', 'a=quoted;b=x=y'],
    ['a=1; a=2; a=3', 'a={1,2,3}'],
    ['a=%20+%zz%', 'a= +%zz%'],
    ['a=', 'a='],
    ['=x', ''],
    ['', ''],
  ] as const) {
    assert.equal(cookies(header), wanted, header);
  }
});

test('a cookie value that was set comes back the same', () => {
  const { calls } = serveSource('con:cookie("c", env.X)', { params: { X: allBytes } });
  const [, line = ''] = /^header Set-Cookie: (.*)$/.exec(calls[0] ?? '') ?? [];
  assert.equal(cookies(line), `c=${allBytes}`);
});

test('hostile form bodies and cookies take no longer than friendly ones of their size', () => {
  // With a pattern that looks back these would take hours: the test runs into its time limit then.
  const { state } = newState();
  state.run(Buffer.from('function main(env, con) con:form() con:cookies() con:puts("done") end'), '@/x.lua');
  const line = 'x'.repeat(1_000_000);
  const body = `--b\r\n${line}\r\n\r\ncontent\r\n--b--\r\n`;
  const params = { CONTENT_TYPE: 'multipart/form-data; boundary=b', HTTP_COOKIE: `a=b${' '.repeat(1_000_000)}c` };
  assert.match(
    luaError(() => serve(state, 'main', { params, body })).message,
    /the headers of a part have more than 16 KiB/,
  );
  const longest = body.replace(line, line.slice(0, 16_000));
  assert.equal(serve(state, 'main', { params, body: longest }).body, 'done');
  state.close();
});

/** A request whose temporary file is an array. */
function uploading(): { override: RequestInput['override']; kept: () => string } {
  let kept = Buffer.alloc(0);
  return {
    kept: () => kept.toString('latin1'),
    override: {
      writeUpload(bytes) {
        kept = Buffer.concat([kept, bytes]);
        return kept.length - bytes.length;
      },
      readUpload: (offset, maxBytes) => kept.subarray(offset, offset + maxBytes),
    },
  };
}

test('a file larger than uploadmemory lies outside of the memory of the state, whatever pieces the body comes in', () => {
  const large = `${allBytes}\r\n--X\r\n--XXY`.repeat(5);
  const file = (name: string, content: string) =>
    part(`Content-Disposition: form-data; name="${name}"; filename="${name}.bin"`, content);
  const body = `${file('a', large)}${field('t', 'text')}${file('b', 'small')}${file('c', large.slice(7))}--XX--\r\n`;
  for (const pieceBytes of [1, 2, 3, 7, 64, 1000, 100_000]) {
    const { override, kept } = uploading();
    const { body: answer } = serveSource(
      `local a, b, c = con:file("a"), con:file("b"), con:file("c")
      con:puts(a.size, " ", b.size, " ", c.size, " ", con:param("t"), " ", rawget(a, "content") and "in" or "out", " ",
        rawget(b, "content") and "in" or "out", " ", b:read(3, 1), " ", tostring(b:read(3, 5)), "|", a.content, "|", c:read(1e6, 0))`,
      { params: { CONTENT_TYPE: multipart }, body, pieceBytes, override: override ?? {} },
      { config: { uploadmemory: 100 } },
    );
    const sizes = `${large.length} 5 ${large.length - 7} text out in mal nil`;
    assert.equal(answer, `${sizes}|${large}|${large.slice(7)}`, `pieces of ${pieceBytes}`);
    assert.equal(kept(), large + large.slice(7));
  }
});

test('a file of tens of thousands of almost-boundaries is written in a few pieces', () => {
  let writes = 0;
  const content = '\r\n--XXY'.repeat(20_000);
  const override = {
    writeUpload(): number {
      writes += 1;
      return 0;
    },
  };
  const body = `${part('Content-Disposition: form-data; name="a"; filename="f"', content)}--XX--`;
  const input = { params: { CONTENT_TYPE: multipart }, body, override };
  const { body: answer } = serveSource('con:puts(con:file("a").size)', input, { config: { uploadmemory: 100 } });
  assert.equal(answer, String(content.length));
  assert.ok(writes <= 4, `${writes} writes`);
});

test('a field that is no file and too large is an error with status 413', () => {
  const input = { params: { CONTENT_TYPE: multipart }, body: `${field('a', 'x'.repeat(101))}--XX--` };
  const error = luaError(() => serveSource('con:form()', input, { config: { maxfield: 100 } }));
  assert.match(error.message, /^\/srv\/script\.lua:1: a field of the form, which is no file, has more than 100 bytes/);
  assert.equal((error.hostError as LuafcgidError).status, 413);
  assert.equal(serveSource('con:puts(#con:param("a"))', input, { config: { maxfield: 101 } }).body, '101');
});

test('an upload that cannot be kept is an error of con:form', () => {
  const override = {
    writeUpload(): number {
      throw new Error('no room');
    },
  };
  const body = `${part('Content-Disposition: form-data; name="a"; filename="f"', 'x'.repeat(200))}--XX--`;
  const input = { params: { CONTENT_TYPE: multipart }, body, override };
  const error = luaError(() => serveSource('con:form()', input, { config: { uploadmemory: 100 } }));
  assert.equal(error.message, '/srv/script.lua:1: no room');
});
