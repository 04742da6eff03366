/** Pages and scripts written for CGILua, in every engine (issue 14, point 8; cases/users F7). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, type RequestInput, type Served, serve, type TestState } from './support.js';

/** A state of the file, as the adapter of the configuration makes it. */
function newPage(source: string, path = '/srv/page.lp', files: Readonly<Record<string, string>> = {}): TestState {
  const test = newState({ config: { sessions: { store: 'memory', name: 'session' } } }, files);
  test.state.adapt({ adapter: 'cgilua', handler: 'main', path, source: Buffer.from(source, 'latin1') });
  return test;
}

function answer(source: string, input: RequestInput = {}, path?: string, files = {}): Served {
  const { state } = newPage(source, path, files);
  try {
    return serve(state, 'main', input);
  } finally {
    state.close();
  }
}

const body = (source: string, input: RequestInput = {}, path?: string, files = {}): string =>
  answer(source, input, path, files).body;

test('a page writes its text, its values and what its Lua writes', () => {
  assert.equal(
    body(
      '#!/usr/bin/cgilua\n<p><?lua= 6 * 7 ?></p>\n<% for at = 1, 2 do %><i><%= at %></i><% end %>\n<? cgilua.put("x", 1) ?>',
    ),
    '\n<p>42</p>\n<i>1</i><i>2</i>\nx1',
  );
  assert.equal(body('\u00ef\u00bb\u00bf<?= "byte order mark" ?>'), 'byte order mark');
  assert.equal(body('$| "old" |$<!--$$ cgilua.put("er") $$--> <? =1?>'), 'older 1');
  assert.deepEqual(answer('x').calls, ['header Content-Type: text/html']);
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
  assert.equal(body(`a${bytes}`), `a${bytes}`);
});

test('what is no Lua stays as it is', () => {
  for (const text of [
    '<?xml version="1.0"?><a/>',
    '<% never closed',
    'a < b $ c <',
    '100 $|',
    '<!-- plain -->',
    '$$',
    '<?',
    '',
  ]) {
    assert.equal(body(text), text);
  }
  assert.equal(body(`${'<%'.repeat(200_000)}`).length, 400_000, 'and takes no quadratic time');
});

test('errors name the line of the page, at compile time and at run time', () => {
  assert.match(luaError(() => answer('one\n\n<% local x = = 1 %>')).message, /^\/srv\/page\.lp:3: /);
  assert.match(luaError(() => answer('one\n<%\n\n%>two\n<%= nothing.x %>')).message, /^\/srv\/page\.lp:5: .*nothing/);
  assert.match(
    luaError(() => answer('a\n<%= nil %>')).message,
    /^\/srv\/page\.lp:2: bad argument #1 to 'puts' \(string or number expected, got nil\)$/,
  );
});

test('globals last as long as the request, modules as long as the state', () => {
  const { state } = newPage(
    '<% count = (count or 0) + 1 local m = require("m") m.n = m.n + 1 _G.other = 1 %><%= count %><%= m.n %>',
    undefined,
    {
      '/srv/m.lua': 'return { n = 0 }',
    },
  );
  assert.deepEqual([serve(state, 'main').body, serve(state, 'main').body], ['11', '12']);
  state.close();
});

test('QUERY and POST have fields, lists of values and files', () => {
  const query = { QUERY_STRING: 'a=1&b=x%20y&b=z' };
  assert.equal(
    body('<%= cgilua.QUERY.a %> <%= cgilua.QUERY.b[1] %> <%= cgilua.QUERY.b[2] %>', { params: query }),
    '1 x y z',
  );
  const form = { REQUEST_METHOD: 'POST', CONTENT_TYPE: 'application/x-www-form-urlencoded' };
  assert.equal(body('<%= cgilua.POST.name %>', { params: form, body: 'name=Ann+Lee' }), 'Ann Lee');
  const upload =
    '--B\r\nContent-Disposition: form-data; name="f"; filename="/tmp/a.txt"\r\n\r\none\ntwo\nthree\r\n--B--\r\n';
  assert.equal(
    body(
      '<% local f = cgilua.POST.f local h = f.file %><%= f.filename %> <%= f.filesize %> <%= h:read("*l") %>,<%= h:read(2) %>,<%= h:read("*a") %>,<% h:seek("set") for line in h:lines() do %>[<%= line %>]<% end h:close() %>',
      { params: { REQUEST_METHOD: 'POST', CONTENT_TYPE: 'multipart/form-data; boundary=B' }, body: upload },
    ),
    'a.txt 13 one,tw,o\nthree,[one][two][three]',
  );
  const json = { REQUEST_METHOD: 'POST', CONTENT_TYPE: 'application/json' };
  assert.equal(body('<%= cgilua.POST[1] %>', { params: json, body: '{}' }), '{}');
});

test('a script sets headers, cookies and redirects, and reads what the server says', () => {
  const script = `cgilua.contentheader("text", "plain") cgilua.header("X-A", "1")
    local cookies = require("cgilua.cookies")
    cookies.set("a", "b c", { path = "/", expires = 0 }) cookies.delete("old")
    cgilua.print(cookies.get("seen"), 7, nil) write(cgilua.servervariable("REQUEST_METHOD"), cgilua.script_file, cgilua.script_vdir)
    cgilua.errorlog("told") cgilua.put(SAPI.Request.servervariable("HTTP_HOST"))
    cgilua.redirect("other.lua", { a = "b c" })`;
  const params = {
    REQUEST_METHOD: 'GET',
    HTTP_COOKIE: 'x=1; seen=y%26',
    HTTP_HOST: 'example.com:8080',
    SCRIPT_NAME: '/app/page.lua',
  };
  const { body: text, calls } = answer(script, { params }, '/srv/app/page.lua');
  assert.equal(text, 'y&\t7\tnil\nGETpage.lua/app/example.com:8080');
  assert.deepEqual(calls, [
    'header Content-Type: text/plain',
    'header X-A: 1',
    'header Set-Cookie: a=b+c; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/',
    'header Set-Cookie: old=xxx; expires=Thu, 01 Jan 1970 00:00:01 GMT',
    'log error told',
    'header Location: http://example.com:8080/app/other.lua?a=b+c',
    'status 302',
  ]);
  const forged = 'require("cgilua.cookies").set("a", 1, { path = "/; secure" })';
  assert.match(luaError(() => answer(forged, {}, '/srv/page.lua')).message, /path of a cookie cannot have a semicolon/);
});

test('a cookie with a million spaces takes no more than to look at them (reports A2)', () => {
  const cookie = `x=1; long=a${' '.repeat(1e6)}b; seen= y %26  `;
  const script = 'local cookies = require("cgilua.cookies") write(#cookies.get("long"), "[", cookies.get("seen"), "]")';
  assert.equal(answer(script, { params: { HTTP_COOKIE: cookie } }, '/srv/page.lua').body, '1000002[y &]');
});

test('files are included beside the script, with its globals or those that are given', () => {
  const files = { '/srv/part.lp': 'part <%= x or "none" %>', '/srv/set.lua': 'cgilua.put("script ") return 5' };
  assert.equal(
    body(
      '<% require("cgilua.lp").include("part.lp", { x = 1, cgilua = cgilua }) %>, <%= cgilua.doscript("set.lua") %>, <% cgilua.handlelp("part.lp") %>, <%= tostring(cgilua.doif("missing.lua")) %>',
      {},
      undefined,
      files,
    ),
    'part 1, script 5, part none, nil',
  );
  assert.match(
    luaError(() => body('<% cgilua.doscript("none.lua") %>')).message,
    /cannot open \/srv\/none\.lua: there is no such file/,
  );
});

test('handlers of the script answer its errors, and what is to be done at its end is done', () => {
  const page =
    'before <% cgilua.seterrorhandler(function(m) return "handled " .. m:gsub("^.*: ", "") end) cgilua.seterroroutput(function(m) cgilua.put(m) end) if cgilua.QUERY.bad then error("broken") end %>';
  const { state } = newPage(page);
  serve(state, 'main');
  const failed = serve(state, 'main', { params: { QUERY_STRING: 'bad=1' } });
  assert.equal(failed.body, 'before handled broken');
  assert.ok(failed.calls.includes('status 500'));
  state.close();
  assert.equal(body('<% cgilua.addclosefunction(function() cgilua.put(" end") end) %>text'), 'text end');
});

test('one line of a script names the file; it is read when it is asked for', () => {
  const { state, run } = newState({}, { '/srv/view.lp': 'by <%= cgilua.QUERY.x %>' });
  run('return require("luafcgid.cgilua").handler("view.lp")');
  assert.equal(serve(state, 'main', { params: { QUERY_STRING: 'x=9' } }).body, 'by 9');
  run('return require("luafcgid.cgilua").handler("none.lp")');
  assert.match(luaError(() => serve(state, 'main')).message, /cannot open \/srv\/none\.lp/);
  state.close();
});
