import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, newState, serve, serveSource } from './support.js';

test('puts adds strings and numbers in order', () => {
  assert.equal(serveSource('con:puts("a", 1, 2.5, "") con:puts() con:puts(-0.1)').body, 'a12.5-0.1');
});

test('puts names the argument that is neither string nor number', () => {
  for (const [value, type] of [
    ['nil', 'nil'],
    ['{}', 'table'],
    ['true', 'boolean'],
    ['print', 'function'],
  ]) {
    assert.equal(
      failure(`con:puts("a", ${value})`),
      `/srv/script.lua:1: bad argument #2 to 'puts' (string or number expected, got ${type})`,
    );
  }
});

test('many small puts go out in few pieces, in order', () => {
  const writes: number[] = [];
  const { state, run } = newState();
  run('function main(env, con) for i = 1, 20000 do con:puts(i, ",") end end');
  const parts: string[] = [];
  serve(state, 'main', {
    override: {
      write(bytes) {
        writes.push(bytes.length);
        parts.push(Buffer.from(bytes).toString('latin1'));
      },
    },
  });
  assert.equal(parts.join(''), Array.from({ length: 20000 }, (_, at) => `${at + 1},`).join(''));
  assert.ok(writes.length <= 100, `${writes.length} pieces`);
  state.close();
});

test('a large piece goes out after what came before it', () => {
  assert.equal(serveSource('con:puts("a") con:puts(("b"):rep(40000), "c")').body, `a${'b'.repeat(40000)}c`);
});

test('flush hands over the output so far, then flushes', () => {
  assert.deepEqual(serveSource('con:puts("12345") con:flush() con:puts("6") con:flush()').calls, [
    'flush after 5',
    'flush after 6',
  ]);
});

test('reset drops what was collected and what was handed over', () => {
  const { body, calls } = serveSource('con:puts(("x"):rep(50000)) con:puts("y") con:reset() con:puts("z")');
  assert.deepEqual({ body, calls }, { body: 'z', calls: ['reset'] });
});

test('header takes a line, or a name and a value, and numbers', () => {
  assert.deepEqual(serveSource('con:header("X-A: 1") con:header("X-B", 2) con:header(3, 4.5)').calls, [
    'header line X-A: 1',
    'header X-B: 2',
    'header 3: 4.5',
  ]);
  assert.match(failure('con:header("X-A", nil)'), /bad argument #2 to 'header' \(string or number expected, got nil\)/);
  assert.match(failure('con:header("X-A", true)'), /bad argument #2 to 'header'/);
  assert.match(
    failure('con:header()'),
    /con:header takes a line, a table, or a name and a value; it was given 0 arguments/,
  );
  assert.match(failure('con:header("a", "b", "c")'), /it was given 3 arguments/);
});

test('status, type and redirect', () => {
  assert.deepEqual(
    serveSource(
      'con:status(404) con:status("418 Teapot") con:type("text/plain") con:redirect("/x") con:redirect("/y", 308)',
    ).calls,
    [
      'status 404',
      'status 418 Teapot',
      'header Content-Type: text/plain',
      'header Location: /x',
      'status 302',
      'header Location: /y',
      'status 308',
    ],
  );
  assert.match(failure('con:status(200.5)'), /whole number expected/);
  assert.match(failure('con:status()'), /bad argument #1 to 'status'/);
  assert.match(failure('con:redirect("/x", 200)'), /the code 200; use 301, 302, 303, 307 or 308/);
  assert.match(failure('con:redirect()'), /bad argument #1 to 'redirect'/);
  assert.match(failure('con:type(5)'), /bad argument #1 to 'type'/);
});

test('cookie writes its value safely and its options in a fixed order', () => {
  const cookie = (args: string) => serveSource(`con:cookie(${args})`).calls[0];
  assert.equal(cookie('"a", "b"'), 'header Set-Cookie: a=b');
  assert.equal(cookie('"a", "x; y=\\r\\n\\0,\\"%é"'), 'header Set-Cookie: a=x%3B%20y%3D%0D%0A%00%2C%22%25%E9');
  assert.equal(
    cookie(
      '"id", 7, {samesite="none", secure=true, httponly=true, maxage=60, expires=0, domain="example.com", path="/a"}',
    ),
    'header Set-Cookie: id=7; Path=/a; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60; Secure; HttpOnly; SameSite=None',
  );
  assert.equal(cookie('"a", "", {secure=false, httponly=false}'), 'header Set-Cookie: a=');
});

test('cookie refuses what would be no cookie (attacks F13.3)', () => {
  for (const [args, expected] of [
    ['"a b", "x"', /is no cookie name/],
    ['5, "x"', /the name of a cookie is a string, not a number value/],
    ['"", "x"', /is no cookie name/],
    ['"a=b", "x"', /is no cookie name/],
    ['"a\\n", "x"', /is no cookie name/],
    ['"a", nil', /bad argument #2 to 'cookie'/],
    ['"a", "x", {expire=1}', /no option expire; there are path, domain, expires, maxage, secure, httponly, samesite/],
    ['"a", "x", {path="a"}', /the option path must be a path that starts with \/, not a/],
    ['"a", "x", {path="/;x"}', /the option path/],
    ['"a", "x", {path="/\\r\\n"}', /the option path/],
    ['"a", "x", {domain="a;b"}', /the option domain must be a host name/],
    ['"a", "x", {maxage="1"}', /the option maxage must be a whole number of seconds/],
    ['"a", "x", {maxage=1.5}', /the option maxage/],
    ['"a", "x", {maxage=math.huge}', /the option maxage must be a whole number of seconds, not inf/],
    ['"a", "x", {maxage=-math.huge}', /the option maxage/],
    ['"a", "x", {maxage=0/0}', /the option maxage/],
    ['"a", "x", {maxage=1e300}', /the option maxage/],
    ['"a", "x", {expires=0/0}', /the option expires must be a time of the years 1601 to 9999/],
    ['"a", "x", {expires=math.huge}', /the option expires/],
    ['"a", "x", {expires=-1e300}', /the option expires/],
    ['"a", "x", {expires=253402300800}', /the option expires/],
    ['"a", "x", {expires="a;b"}', /the option expires/],
    ['"a", "x", {secure=1}', /the option secure must be true or false/],
    ['"a", "x", {samesite="always"}', /the option samesite must be "Strict", "Lax" or "None", not always/],
    ['"a", "x", {samesite="None"}', /SameSite=None without secure/],
    ['"a", "x", "path=/"', /bad argument #3 to 'cookie' \(table expected, got string\)/],
  ] as const) {
    assert.match(failure(`con:cookie(${args})`), expected, args);
  }
});

test('gets reads the rest, or exactly as many bytes as asked for until the end', () => {
  const input = { body: 'abcdefghij', pieceBytes: 3 };
  assert.equal(serveSource('con:puts(con:gets(), tostring(con:gets()))', input).body, 'abcdefghijnil');
  assert.equal(
    serveSource('con:puts(con:gets(4), "|", con:gets(4), "|", con:gets(4), "|", tostring(con:gets(4)))', input).body,
    'abcd|efgh|ij|nil',
  );
  assert.equal(serveSource('con:puts(con:gets(1), con:gets())', input).body, 'abcdefghij');
  assert.equal(serveSource('con:puts(tostring(con:gets()), tostring(con:gets(5)))').body, 'nilnil');
});

test('gets explains what it takes', () => {
  for (const argument of ['"*a"', '0', '-1', '1.5', '0/0', '{}']) {
    assert.match(
      failure(`con:gets(${argument})`),
      /script.lua:1: con:gets takes a number of bytes, at least 1, or nothing/,
    );
  }
});

test('config reads settings; unknown names are nil', () => {
  const config = {
    maxpost: 5,
    showerrors: false,
    listen: ['a', 'b'],
    headers: { 'X-A': 'b' },
    contenttype: 'text/html',
  };
  const source =
    'local c = con:config con:puts(tostring(c(con,"maxpost")), tostring(c(con,"showerrors")), c(con,"listen")[2], ' +
    'c(con,"headers")["X-A"], tostring(c(con,"nothing")), tostring(c(con,"constructor")))';
  const fixed = source.replace('local c = con:config', 'local c = con.config');
  assert.equal(serveSource(fixed, {}, { config }).body, '5falsebbnilnil');
});

test('config sets what may change for one request, and reads it back until the request is over', () => {
  const { state, run } = newState({ config: { contenttype: 'text/html', httpstatus: '200 OK' } });
  run(`function main(env, con)
    con:puts(con:config("contenttype"), "|")
    con:config("contenttype", "text/plain") con:config("httpstatus", 404)
    con:puts(con:config("contenttype"), "|", con:config("httpstatus"))
  end`);
  for (let time = 0; time < 2; time += 1) {
    const { body, calls } = serve(state, 'main');
    assert.equal(body, 'text/html|text/plain|404');
    assert.deepEqual(calls, ['configure contenttype text/plain', 'configure httpstatus 404']);
  }
  state.close();
});

test('config refuses to set other names and other values', () => {
  assert.match(
    failure('con:config("workers", 5)'),
    /con:config cannot set "workers"; a script may set buffering, httpstatus, contenttype, watchdog and onabort/,
  );
  assert.match(failure('con:config("buffering", "maybe")'), /buffering is true or false, not maybe/);
  assert.match(failure('con:config("contenttype", {})'), /bad argument #2 to 'config'/);
  assert.match(failure('con:config("watchdog", -1)'), /watchdog is a number of seconds from 0 to 86400, not -1/);
  assert.match(failure('con:config("watchdog", "soon")'), /watchdog is a number of seconds from 0 to 86400, not soon/);
  assert.match(failure('con:config("onabort", "die")'), /onabort is "finish" or "stop", not die/);
  assert.match(failure('con:config()'), /bad argument #1 to 'config'/);
});

test('without buffering each puts goes out at once', () => {
  const pieces: string[] = [];
  const override = { write: (bytes: Uint8Array) => pieces.push(Buffer.from(bytes).toString('latin1')) };
  const source = 'con:puts("a") con:puts("b", "c") con:config("buffering", true) con:puts("d") con:puts("e")';
  serveSource(source, { override }, { config: { buffering: false } });
  assert.deepEqual(pieces, ['a', 'bc', 'de']);
  pieces.length = 0;
  serveSource('con:puts("a") con:config("buffering", false) con:puts("b") con:puts("c")', { override });
  assert.deepEqual(pieces, ['a', 'b', 'c']);
});

test('log takes a level and text; the text is data', () => {
  assert.deepEqual(
    serveSource('con:log("%s%n") con:log("warn", "b") con:log("debug", nil) con:log("error", 5) con:log(true)').calls,
    ['log info %s%n', 'log warn b', 'log debug nil', 'log error 5', 'log info true'],
  );
  assert.match(failure('con:log("loud", "x")'), /loud is no level; use debug, info, warn or error/);
});

test('after finish the answer is closed, but the script goes on', () => {
  const source = 'con:puts("a") con:finish() con:log(con:gets()) con:log(tostring(con:config("maxpost")))';
  const { body, calls } = serveSource(source, { body: 'rest' }, { config: { maxpost: 9 } });
  assert.deepEqual({ body, calls }, { body: 'a', calls: ['finish after 1', 'log info rest', 'log info 9'] });
  for (const call of [
    'puts("x")',
    'header("A", "b")',
    'status(200)',
    'type("a/b")',
    'redirect("/")',
    'cookie("a", "b")',
    'flush()',
    'reset()',
    'finish()',
  ]) {
    const method = call.slice(0, call.indexOf('('));
    assert.equal(
      failure(`con:finish() con:${call}`),
      `/srv/script.lua:1: con:${method} after con:finish(): the answer was already sent`,
    );
  }
});

const methods = [
  'puts',
  'header',
  'status',
  'type',
  'redirect',
  'cookie',
  'flush',
  'reset',
  'finish',
  'gets',
  'config',
  'log',
  'query',
  'cookies',
  'form',
];

test('a con is dead after its request', async (t) => {
  const { state, run } = newState();
  run('function keep(env, con) kept = con end function main(env, con) kept[env.METHOD](kept, "x") end');
  run('thread = coroutine.create(function(con) while true do coroutine.yield(con:puts("x")) end end)');
  run('function resume(env, con) local ok, e = coroutine.resume(thread, con) con:puts(tostring(e)) end');
  serve(state, 'keep');
  for (const method of methods) {
    await t.test(method, () => {
      assert.throws(() => serve(state, 'main', { params: { METHOD: method } }), {
        message: `/srv/script.lua:1: con:${method}: the request of this con is over; use the con that main(env, con) was given`,
      });
    });
  }
  await t.test('also in a coroutine that outlives the request', () => {
    assert.equal(serve(state, 'resume').body, 'xnil');
    assert.match(serve(state, 'resume').body, /the request of this con is over/);
  });
  state.close();
});

test('a method called with a dot says how to call it', () => {
  for (const method of methods) {
    assert.equal(
      failure(`con.${method}("x")`),
      `/srv/script.lua:1: con.${method} was called without its con; write con:${method}(...) with a colon`,
    );
  }
});

test('a handler that returns something or nothing is served alike', () => {
  assert.deepEqual(serveSource('return 1, 2, con'), { body: '', calls: [], exitCode: 0 });
  assert.deepEqual(serveSource(''), { body: '', calls: [], exitCode: 0 });
});
