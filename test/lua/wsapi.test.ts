/** luafcgid.wsapi, and the modules that stand in for WSAPI's, in every engine (issue 14, point 8). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, luaError, newState, type RequestInput, type Served, serve } from './support.js';

/** Serves a request by the WSAPI application that the source returns. */
function answer(source: string, input: RequestInput = {}, files: Readonly<Record<string, string>> = {}): Served {
  const { state, run } = newState({}, files);
  try {
    run(`${compatible}local function make() ${source}\nend return require("luafcgid.wsapi").handler(make())`);
    return serve(state, 'main', input);
  } finally {
    state.close();
  }
}

function failure(source: string): string {
  return luaError(() => answer(source)).message;
}

const params = {
  REQUEST_METHOD: 'POST',
  SCRIPT_NAME: '/app.lua',
  SCRIPT_FILENAME: '/srv/app.lua',
  REQUEST_URI: '/app.lua/list?a=1',
  QUERY_STRING: 'a=1&b=x%2By&b=2',
  PATH_INFO: '/list',
  CONTENT_LENGTH: '7',
  HTTP_COOKIE: 'seen=a%20b; other=1',
};

test('an application answers by a status, headers and an iterator', () => {
  const source = `return function(env)
    local function body() coroutine.yield("one ") coroutine.yield(env.PATH_INFO) end
    return 201, { ["Content-Type"] = "text/plain", ["Set-Cookie"] = { "a=1", "b=2" } }, coroutine.wrap(body)
  end`;
  const { body, calls } = answer(source, { params });
  assert.equal(body, 'one /list');
  assert.deepEqual(calls, [
    'status 201',
    'header Content-Type: text/plain',
    'header Set-Cookie: a=1',
    'header Set-Cookie: b=2',
  ]);
  assert.equal(answer('return { run = function() return "404 Not Found", {} end }').calls[0], 'status 404 Not Found');
});

test('the name of a module stands for what it gives', () => {
  const module = 'return { run = function(env) return 200, {}, function() end end }';
  assert.deepEqual(answer('return "app.main"', {}, { '/srv/app/main.lua': module }).calls, ['status 200']);
});

test('the environment has what the web server says, and the empty text for anything else', () => {
  const source = `return function(env)
    env.error:write("bad", " ", 7)
    local texts = { env.REQUEST_METHOD, env.SCRIPT_NAME, env.PATH_INFO, env.PATH_TRANSLATED, env.APP_PATH, "[" .. env.HTTP_ABC .. "]",
      env.input.length, env.input:read(3), env.input:read(0) or "none", env.input:read(), env.input:read(5) or "end" }
    return 200, {}, function() return table.remove(texts, 1) end
  end`;
  const { body, calls } = answer(source, { params, body: 'abcdefg' });
  assert.equal(body, 'POST/app.lua/list/srv/app.lua/srv[]7abcnonedefgend');
  assert.equal(calls[0], 'log error bad 7');
});

test('where a front controller sends all paths to the script, links begin with its folder', () => {
  const source =
    'return function(env) local t = { env.SCRIPT_NAME, "+", env.PATH_INFO } return 200, {}, function() return table.remove(t, 1) end end';
  const at = (REQUEST_URI: string, PATH_INFO = '') =>
    answer(source, { params: { SCRIPT_NAME: '/shop/index.lua', REQUEST_URI, PATH_INFO } }).body;
  assert.equal(at('/shop/users/7', '/users/7'), '/shop+/users/7');
  assert.equal(at('/shop/index.lua/users/7', '/users/7'), '/shop/index.lua+/users/7');
  assert.equal(at('/shop/index.lua'), '/shop/index.lua+/');
});

test('what is no answer fails the request with a message that says what came', () => {
  assert.match(failure('return function() end'), /^a WSAPI application gives a status, .*; this one gave a nil value/);
  assert.match(
    failure('return function() return 200, "x" end'),
    /headers of a WSAPI application are a table, not a string/,
  );
  assert.match(failure('return function() return 200, {}, "x" end'), /is an iterator \(a function\), not a string/);
  assert.match(
    failure('return function() return 200, {}, function() return {} end end'),
    /gives strings; it gave a table/,
  );
  assert.match(
    failure('return function() return 200, { a = true } end'),
    /^the headers of a WSAPI application: con:header/,
  );
  assert.match(failure('return function() return 9.5, {} end'), /^the status of a WSAPI application: /);
  assert.match(failure('return 7'), /a WSAPI application is a function, a table with a function run/);
});

test('wsapi.request has queries, forms, cookies and links', () => {
  const source = `return function(env)
    local request = require("wsapi.request").new(env)
    local response = require("wsapi.response").new()
    response:write(request.method, " ", request.params.a, " ", request.GET.b[1], request.GET.b[2], " ", request.POST.c, " ",
      request.cookies.seen, " ", request:link("/x", { q = "a b", p = 1 }), " ", request:static_link("/style.css"), " ",
      tostring(request:empty_param("zzz")), tostring(request:empty_param("a")), " ", tostring(request:parse_post()))
    return response:finish()
  end`;
  const form = { ...params, CONTENT_TYPE: 'application/x-www-form-urlencoded', CONTENT_LENGTH: '9' };
  const { body, calls } = answer(source, { params: form, body: 'c=%0D%0Ad' });
  assert.equal(body, 'POST 1 x+y2 \nd a b /app.lua/x?p=1&q=a+b /style.css truefalse nil');
  assert.deepEqual(calls, ['status 200', `header Content-Length: ${body.length}`, 'header Content-Type: text/html']);
});

test('a cookie with a million spaces takes no more than to look at them (reports A2)', () => {
  const source = `return function(env)
    local cookies = require("wsapi.request").new(env).cookies
    local response = require("wsapi.response").new()
    response:write(#cookies.long, "[", cookies.seen, "]")
    return response:finish()
  end`;
  const cookie = `long=a${' '.repeat(1e6)}b; seen= y %26  `;
  const { body } = answer(source, { params: { ...params, HTTP_COOKIE: cookie } });
  assert.equal(body, '1000002[y &]');
});

test('a file of a form has its name without folders, its contents and its type', () => {
  const text =
    '--B\r\nContent-Disposition: form-data; name="f"; filename="C:\\\\dir\\\\a.txt"\r\nContent-Type: text/plain\r\n\r\nabc\r\n' +
    '--B\r\nContent-Disposition: form-data; name="g"\r\n\r\nx\r\n--B--\r\n';
  const source = `return function(env)
    local request = require("wsapi.request").new(env, { delay_post = true })
    local before = request.POST.f
    local post = request:parse_post()
    local texts = { tostring(before), " ", post.f.name, " ", post.f.contents, " ", post.f.size, " ", post.f["content-type"], " ", request.params.g }
    return 200, {}, function() return table.remove(texts, 1) end
  end`;
  const form = { CONTENT_TYPE: 'multipart/form-data; boundary=B', CONTENT_LENGTH: String(text.length) };
  assert.equal(answer(source, { params: form, body: text }).body, 'nil a.txt abc 3 text/plain x');
  const broken = 'return function(env) require("wsapi.request").new(env) end';
  const input = { params: { ...form, CONTENT_LENGTH: '9' }, body: '--B\r\nbroken' };
  assert.match(luaError(() => answer(broken, input)).message, /multipart/i);
});

test('any other body is post_data, and overwrite keeps the last value of a name', () => {
  const source = `return function(env)
    local request = require("wsapi.request").new(env, { overwrite = true })
    local texts = { request.POST.post_data, request.GET.b }
    return 200, {}, function() return table.remove(texts, 1) end
  end`;
  const json = { ...params, CONTENT_TYPE: 'application/json' };
  assert.equal(answer(source, { params: json, body: '{"a":1}' }).body, '{"a":1}2');
});

test('wsapi.response writes lists, sets cookies and redirects', () => {
  const source = `return function(env)
    local response = require("wsapi.response").new(200, { ["X-A"] = "1" })
    response:set_cookie("a", "b c&")
    response:set_cookie("s", { value = 1, path = "/", max_age = 60, secure = true, httponly = true, expires = 0 })
    response:delete_cookie("old", "/")
    response:write({ "a", { 1, "b" } }, nil, false, 2)
    if env.QUERY_STRING == "go" then return response:redirect("/there") end
    response:content_type("text/plain")
    return response:finish()
  end`;
  const { body, calls } = answer(source);
  assert.equal(body, 'a1b2');
  assert.deepEqual(calls.slice(1), [
    'header Content-Length: 4',
    'header Content-Type: text/plain',
    'header Set-Cookie: a=b+c%26',
    'header Set-Cookie: s=1; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60; path=/; secure; HttpOnly',
    'header Set-Cookie: old=xxx; expires=Thu, 01 Jan 1970 00:00:01 GMT; path=/',
    'header X-A: 1',
  ]);
  const redirected = answer(source, { params: { QUERY_STRING: 'go' } });
  assert.deepEqual([redirected.body, redirected.calls[0]], ['', 'status 302']);
  assert.ok(redirected.calls.includes('header Location: /there'));
  const forged =
    'return function() require("wsapi.response").new():set_cookie("a", { value = 1, path = "/; secure" }) end';
  assert.match(failure(forged), /path of a cookie cannot have a semicolon/);
});

test('wsapi.util makes environments for tests, which an application takes', () => {
  const source = `return function()
    local util = require("wsapi.util")
    local texts = { util.url_encode("a b\\n&"), " ", util.url_decode("a+b%26"), " ", util.sanitize("<b>"), " " }
    local env = util.make_env_post("x=1", "application/x-www-form-urlencoded", "y=2")
    local again = util.make_rewindable(env)
    local request = require("wsapi.request").new(again)
    again.input:rewind()
    texts[#texts + 1] = request.params.x .. request.params.y .. again.input:read(10) .. tostring(again.input:read(1))
    return 200, {}, function() return table.remove(texts, 1) end
  end`;
  assert.equal(answer(source).body, 'a+b%0D%0A%26 a b& &lt;b&gt; 12x=1nil');
});

test('as an adapter of the configuration it takes what a script returns, or has made by module()', () => {
  const serveAdapted = (source: string): string => {
    const { state, run } = newState();
    try {
      run(source);
      state.adapt({ adapter: 'wsapi', handler: 'main', path: '/srv/script.lua' });
      assert.equal(state.hasFunction('main', 'RESPONDER'), true);
      assert.equal(state.hasFunction('on_error'), false);
      return serve(state, 'main').body;
    } finally {
      state.close();
    }
  };
  const run = 'function() local t = { "yes" } return 200, {}, function() return table.remove(t) end end';
  assert.equal(serveAdapted(`return ${run}`), 'yes');
  assert.equal(serveAdapted(`return { run = ${run} }`), 'yes');
  assert.equal(serveAdapted(`package.loaded.script = { run = ${run} }`), 'yes');
  assert.match(luaError(() => serveAdapted('main = print')).message, /^the script gives no WSAPI application/);
  assert.match(luaError(() => serveAdapted('return 5')).message, /is a function, a table with a function run/);
});
