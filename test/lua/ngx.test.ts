/** luafcgid.ngx, the part of OpenResty's `ngx` that is here, in every engine (issue 14, point 8). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, type RequestInput, type Served, serve } from './support.js';

/** Serves a request by a handler of this source, which has `ngx`. */
function answer(source: string, input: RequestInput = {}): Served {
  const { state, run } = newState();
  try {
    run(`local ngx = require("luafcgid.ngx") function main(env, con) ${source}\nend`);
    return serve(state, 'main', input);
  } finally {
    state.close();
  }
}

const said = (source: string, input: RequestInput = {}): string => answer(source, input).body;

test('say and print write strings, numbers, booleans, nil, null and lists of these', () => {
  assert.equal(
    said('ngx.say("a", 1, nil, true, ngx.null, { "b", { 2, "c" } }) ngx.print("d", "e")'),
    'a1niltruenullb2c\nde',
  );
  assert.match(
    luaError(() => answer('ngx.say(print)')).message,
    /^\/srv\/script\.lua:1: bad argument to 'print' \(string.*, got function\)/,
  );
});

test('headers are set, replaced, read and removed; the status is a number', () => {
  const { calls } =
    answer(`ngx.header["Content-Type"] = "text/plain" ngx.header.x_a = { "1", 2 } ngx.header["X-B"] = nil
    ngx.status = ngx.HTTP_CREATED ngx.say(ngx.status, ngx.headers_sent) ngx.header.Location = "/a"`);
  assert.deepEqual(calls, [
    'remove header Content-Type',
    'header Content-Type: text/plain',
    'remove header x-a',
    'header x-a: 1',
    'header x-a: 2',
    'remove header X-B',
    'status 201',
    'remove header Location',
    'header Location: /a',
  ]);
  const override = { headerValues: (name: string) => (name === 'set-cookie' ? ['a=1', 'b=2'] : []) };
  assert.equal(said('ngx.say(ngx.header.set_cookie[2], ngx.header.none)', { override }), 'b=2nil\n');
});

test('exit and redirect end the request, whatever catches errors, and keep what was said', () => {
  const ended = 'pcall(function() ngx.say("one") ngx.exit(ngx.HTTP_OK) end) ngx.say("never")';
  assert.deepEqual([said(ended), answer(ended).calls], ['one\n', ['status 200']]);
  const inside = 'coroutine.wrap(function() ngx.exit(404) end)() ngx.say("never")';
  assert.match(said(inside), /<h1>404<\/h1>/);
  assert.equal(said('ngx.say("mine") ngx.exit(404)'), 'mine\n');
  assert.deepEqual(answer('ngx.exit(0)').calls, []);
  assert.equal(answer('ngx.exit(ngx.ERROR)').calls[0], 'status 500');
  assert.deepEqual(answer('ngx.redirect("/there", 301) ngx.say("never")').calls, [
    'header Location: /there',
    'status 301',
  ]);
  assert.match(luaError(() => answer('ngx.redirect("/", 200)')).message, /allowed$/);
});

test('arguments of the query and of a form are as in OpenResty', () => {
  const params = { QUERY_STRING: 'a=1&b=2&b=x%20y&c&d=&=e' };
  const show = `local function show(t) local names = {} for name in pairs(t) do names[#names + 1] = name end table.sort(names)
    for _, name in ipairs(names) do local v = t[name] ngx.print(name, "=", type(v) == "table" and table.concat(v, "+") or v, ";") end end`;
  assert.equal(said(`${show} show(ngx.req.get_uri_args())`, { params }), 'a=1;b=2+x y;c=true;d=;');
  assert.equal(
    said('local args, why = ngx.req.get_uri_args(2) ngx.print(args.a, args.b, args.c, why)', { params }),
    '12niltruncated',
  );
  const many = Array.from({ length: 150 }, (_, at) => `n${at}=1`).join('&');
  assert.equal(
    said('local args, why = ngx.req.get_uri_args() ngx.print(args.n99, args.n100, why)', {
      params: { QUERY_STRING: many },
    }),
    '1niltruncated',
  );
  assert.equal(
    said('local args, why = ngx.req.get_uri_args(0) ngx.print(args.n149, why)', { params: { QUERY_STRING: many } }),
    '1nil',
  );
  assert.equal(said(`${show} ngx.req.read_body() show(ngx.req.get_post_args())`, { body: 'x=1&y=%26' }), 'x=1;y=&;');
  assert.equal(said('ngx.print(ngx.req.get_body_data(), ngx.req.get_body_data())', { body: 'text' }), 'texttext');
  assert.equal(said('ngx.print(ngx.req.get_body_data())'), 'nil');
  assert.equal(
    said('ngx.req.set_uri_args({ a = { 1, "b c" }, d = true }) ngx.print(ngx.var.args, " ", ngx.var.arg_a)'),
    'a=1&a=b%20c&d 1',
  );
});

test('variables and headers of the request are found by their names in nginx', () => {
  const params = {
    REQUEST_METHOD: 'PUT',
    REQUEST_URI: '/a%20b?x=1&y',
    QUERY_STRING: 'x=1&y',
    HTTP_HOST: 'Example.com:8080',
    HTTP_X_TOKEN: 't',
    HTTP_COOKIE: 'c=d',
    REMOTE_ADDR: '192.0.2.1',
    REQUEST_SCHEME: 'https',
    CONTENT_TYPE: 'text/plain',
    SERVER_PROTOCOL: 'HTTP/1.1',
  };
  const variables =
    'for _, name in ipairs({ "uri", "args", "is_args", "host", "remote_addr", "scheme", "http_x_token", "cookie_c", "arg_x", "arg_y", "request_method", "request_id", "nothing" }) do ngx.print(ngx.var[name], ";") end';
  assert.equal(said(variables, { params }), '/a b;x=1&y;?;example.com;192.0.2.1;https;t;d;1;nil;PUT;run-1;nil;');
  assert.equal(
    said('ngx.var.mine = "set" ngx.var.args = nil ngx.print(ngx.var.mine, ngx.var.args)', { params }),
    'setnil',
  );
  const headers =
    'local h = ngx.req.get_headers() ngx.print(h["x-token"], h.X_Token, h["Content-Type"], h.none, ngx.req.get_method(), ngx.req.http_version())';
  assert.equal(said(headers, { params }), 'tttext/plainnilPUT1.1');
  assert.equal(
    said(
      'ngx.req.set_header("X-Token", "new") ngx.req.clear_header("Host") local h = ngx.req.get_headers() ngx.print(h.x_token, h.host)',
      { params },
    ),
    'newnil',
  );
});

test('texts are encoded and hashed as there', () => {
  assert.equal(
    said(`ngx.say(ngx.escape_uri("a b&/"), ngx.unescape_uri("a%20b+c")) ngx.say(ngx.encode_base64("ab"), ngx.encode_base64("ab", true), ngx.decode_base64("YWI="), ngx.decode_base64("*"))
      ngx.say(ngx.md5("a"), #ngx.md5_bin("a"), #ngx.sha1_bin("a"), #ngx.hmac_sha1("k", "a")) ngx.say(ngx.quote_sql_str("a'b\\n"))
      ngx.say(ngx.encode_args({ b = 1, a = { "x y", 2 }, c = true }), " ", ngx.decode_args("a=1&b").b)`),
    "a%20b%26%2Fa b c\nYWI=YWIabnil\n0cc175b9c0f1b6a831c399e269772661162020\n'a\\'b\\n'\na=x%20y&a=2&b=1&c true\n",
  );
});

test('time is that of the machine, the log gets what is logged, and ctx lasts as long as the request', () => {
  const before = Date.now();
  const now = Number(said('ngx.print(("%.3f"):format(ngx.now()), "")')) * 1000;
  const after = Date.now();
  assert.ok(before - 1 <= now && now <= after + 1, `${before} ${now} ${after}`);
  assert.equal(
    said('ngx.print(ngx.time() - math.floor(ngx.now()) <= 1, ngx.http_time(0), " ", ngx.get_phase())'),
    'trueThu, 01 Jan 1970 00:00:00 GMT content',
  );
  assert.deepEqual(answer('ngx.log(ngx.ERR, "a", 1, nil) ngx.log(ngx.WARN, "b") ngx.log(ngx.DEBUG, "c")').calls, [
    'log error a1nil',
    'log warn b',
    'log debug c',
  ]);
  const { state, run } = newState();
  run(
    'local ngx = require("luafcgid.ngx") function main() ngx.ctx.n = (ngx.ctx.n or 0) + 1 ngx.print(ngx.ctx.n, ngx.status) end',
  );
  assert.deepEqual([serve(state, 'main').body, serve(state, 'main').body], ['10', '10']);
  run(
    'local ngx = require("luafcgid.ngx") kept = ngx.get_phase() ok, why = pcall(ngx.say, "x") function main(_, con) con:puts(kept, " ", why) end',
  );
  assert.match(serve(state, 'main').body, /^init .*ngx\.print is there while a request is answered$/);
  state.close();
});

test('what nginx alone has is not there, and dictionaries that are not configured are nil', () => {
  assert.equal(
    said('ngx.print(ngx.re, ngx.socket, ngx.location, ngx.shared.none, ngx.worker.id(), ngx.worker.exiting())'),
    'nilnilnilnil1false',
  );
  assert.equal(said('local ok, why = ngx.timer.at(0, print) ngx.print(ok, why)'), 'nilluafcgid has no timers');
  assert.equal(said('ngx.print(rawget(_G, "ngx"))'), 'nil', 'and it is no global by itself');
});

test('as an adapter the main chunk runs for each request, with ngx as a global and globals of its own', () => {
  const { state } = newState({}, { '/srv/m.lua': 'return function() ngx.say("module ", ngx.var.arg_a) end' });
  const source =
    '#!/x\ncount = (count or 0) + 1 ngx.say(count) require("m")() if ngx.var.arg_a then return ngx.exit(403) end error("bad")';
  state.adapt({ adapter: 'ngx', handler: 'main', path: '/srv/a.lua', source: Buffer.from(source) });
  for (let round = 0; round < 2; round += 1) {
    assert.equal(serve(state, 'main', { params: { QUERY_STRING: 'a=7' } }).body, '1\nmodule 7\n');
  }
  assert.match(luaError(() => serve(state, 'main')).message, /^\/srv\/a\.lua:2: bad$/);
  state.close();
  const broken = newState();
  const input = { adapter: 'ngx', handler: 'main', path: '/srv/a.lua', source: Buffer.from('x = = 1') } as const;
  assert.match(luaError(() => broken.state.adapt(input)).message, /^\/srv\/a\.lua:1: /);
  broken.state.close();
});
