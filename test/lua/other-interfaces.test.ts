/**
 * Adapters for mod_lua (and Sailor upon it), luafcgid2, Lapis and Pegasus, in every engine (issue 14, point 8). Users F8. Those frameworks are in no
 * registry that the tests use: what they call stands here, written in their style.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { luaError, newState, type RequestInput, type Served, serve } from './support.js';

const post = { REQUEST_METHOD: 'POST', CONTENT_TYPE: 'application/x-www-form-urlencoded' };

function adapted(
  adapter: 'mod_lua' | 'luafcgid2',
  source: string,
  input: RequestInput = {},
  config: Readonly<Record<string, unknown>> = {},
): Served {
  const { state } = newState({ config: config as never });
  try {
    state.adapt({ adapter, handler: 'main', path: '/srv/script.lua', source: Buffer.from(source) });
    return serve(state, 'main', input);
  } finally {
    state.close();
  }
}

/** A script of one line, with modules of a framework beside it. */
function oneLine(source: string, input: RequestInput = {}, files: Readonly<Record<string, string>> = {}): Served {
  const { state, run } = newState({}, files);
  try {
    run(source);
    return serve(state, 'main', input);
  } finally {
    state.close();
  }
}

test('mod_lua: handle(r) reads fields and headers, writes, and sets type, status, headers and cookies', () => {
  const source = `function handle(r)
    r.content_type = "text/plain"
    local args, all = r:parseargs()
    local body = r:parsebody()
    r:puts(r.method, " ", args.a, #all.a, " ", body.x, " ", r.headers_in["X-Token"], " ", r.hostname, " ", tostring(r.is_https), " ")
    r:write(r:escape("a b"), r:unescape("a+b"), r:escape_html("<"), r:base64_decode(r:base64_encode("z")), #r:md5("a"), #r:sha1("a"))
    r.headers_out["X-Out"] = "1"
    r:setcookie{ key = "c", value = "v", path = "/" }
    r:warn("told")
    r.status = 201
    return apache2.OK
  end`;
  const params = { ...post, QUERY_STRING: 'a=1&a=2', HTTP_X_TOKEN: 't', HTTP_HOST: 'example.com:80', HTTPS: 'on' };
  const { body, calls } = adapted('mod_lua', source, { params, body: 'x=y' });
  assert.equal(body, 'POST 12 y t example.com true a+ba b&lt;z3240');
  assert.deepEqual(calls, [
    'header Set-Cookie: c=v; Path=/',
    'log warn told',
    'header Content-Type: text/plain',
    'status 201',
    'header X-Out: 1',
  ]);
});

test('mod_lua: what handle returns is the status; a script without it is no script', () => {
  const returning = (what: string) => adapted('mod_lua', `function handle(r) return ${what} end`).calls;
  assert.deepEqual(
    [returning('apache2.OK'), returning('403'), returning('apache2.DECLINED')],
    [[], ['status 403'], ['status 404']],
  );
  assert.match(
    luaError(() => adapted('mod_lua', 'x = 1')).message,
    /^there is no function 'handle': the global is a nil value$/,
  );
  assert.match(luaError(() => adapted('mod_lua', '\nx = = 1')).message, /^\/srv\/script\.lua:2: /);
  assert.match(luaError(() => adapted('mod_lua', 'error("top")')).message, /^\/srv\/script\.lua:1: top$/);
});

test('mod_lua: a framework that sets handle, as Sailor does, runs by one line', () => {
  const files = {
    '/srv/sailor.lua':
      'return { launch = function() function handle(r) r.content_type = "text/html" r.headers_out["Location"] = "/in" r:write("page ", r:parseargs().r) return 302 end end }',
  };
  const source =
    'local mod_lua = require("luafcgid.mod_lua") require("sailor").launch() return mod_lua.handler(handle)';
  const { body, calls } = oneLine(source, { params: { QUERY_STRING: 'r=main' } }, files);
  assert.equal(body, 'page main');
  assert.deepEqual(calls, ['header Content-Type: text/html', 'status 302', 'header Location: /in']);
});

test('mod_lua: an application in the style of Sailor has its routes, forms, redirects and cookies (issue 14, 8)', () => {
  const files = {
    '/srv/sailor.lua': `local M = {}
      local function open(r)
        local POST, all = r:parsebody(1048576)
        local page = { r = r, GET = r:parseargs(), POST = POST, POSTMULTI = all }
        function page:write(...) r:write(...) end
        function page:redirect(route)
          if r.redirect then return r.redirect(route) end
          r.headers_out["Location"] = "?r=" .. route
          r.status = 302
          return r.status
        end
        return page
      end
      function M.launch()
        assert(apr_table ~= nil, "this is mod_lua")
        handle = function(r)
          r.content_type = "text/html"
          local page = open(r)
          local controller, action = (page.GET.r or "main/index"):match("([^/]+)/?([^/]*)")
          local ok, result = xpcall(function() return require("controllers." .. controller)[action](page) end, debug.traceback)
          if not ok then r.status = 500 page:write(result) end
          return ok and result or apache2.OK or r.status or 200
        end
      end
      return M`,
    '/srv/controllers/main.lua': `local M = {}
      function M.index(page) page:write("<p>", page.r.uri, " ", page.r.filename, "</p>") end
      function M.save(page)
        page.r.headers_out["Set-Cookie"] = "user=" .. page.POST.name .. ";Path=/;"
        page:write(#page.POSTMULTI.name, (page.r.headers_in["Cookie"] or ""):match("old=([^;]+)"))
        return page:redirect("main/index")
      end
      function M.wrong() error("a fault") end
      return M`,
  };
  const source =
    'local mod_lua = require("luafcgid.mod_lua") require("sailor").launch() return mod_lua.handler(handle)';
  const index = oneLine(source, { params: { SCRIPT_NAME: '/site.lua', SCRIPT_FILENAME: '/srv/site.lua' } }, files);
  assert.equal(index.body, '<p>/site.lua /srv/site.lua</p>');
  const params = { ...post, QUERY_STRING: 'r=main/save', HTTP_COOKIE: 'old=1; b=2' };
  const saved = oneLine(source, { params, body: 'name=Ann&name=Bob' }, files);
  assert.equal(saved.body, '21');
  assert.deepEqual([...saved.calls].sort(), [
    'header Content-Type: text/html',
    'header Location: ?r=main/index',
    'header Set-Cookie: user=Ann;Path=/;',
    'status 302',
  ]);
  const wrong = oneLine(source, { params: { QUERY_STRING: 'r=main/wrong' } }, files);
  assert.match(wrong.body, /main\.lua:8: a fault\nstack traceback:/);
  assert.ok(wrong.calls.includes('status 500'));
});

test('luafcgid2: its functions and tables are there, and its entry point is called', () => {
  const source = `local loaded = lf.urlencode("a b") .. Response[404] .. tostring(Response[999])
    function main()
      RespStatus(Response[201]) RespContentType("text/plain") Header("X-Lost", "1") Send("lost")
      Reset()
      Header("X-A", "1") Header("X-B: 2") Log("told")
      Send(loaded) Send(lf.parse(Env.QUERY_STRING).q) Send(Receive()) Send(Cookies.c) Send(Info.State) Send(Config.greeting)
      Send(LocalConfig.name) Send(Dir()) Send(type(ThreadData()))
    end`;
  const input = {
    params: { QUERY_STRING: 'q=1', HTTP_COOKIE: 'c=one', SERVER_NAME: 'localhost', SCRIPT_FILENAME: '/srv/www/x.lua' },
    body: 'body',
  };
  const app = { greeting: 'hi', localhost: { name: 'local' } };
  const { body, calls } = adapted('luafcgid2', source, input, { app });
  assert.equal(body, 'a+b404 Not Foundnil1bodyone3hilocal/srv/wwwtable');
  assert.deepEqual(calls, [
    'status 201 Created',
    'header Content-Type: text/plain',
    'header X-Lost: 1',
    'reset',
    'status 201 Created',
    'header Content-Type: text/plain',
    'header X-A: 1',
    'header line X-B: 2',
    'log info told',
  ]);
});

test('luafcgid2: the configuration may name another entry point, and one that is not there is told', () => {
  const app = { entrypoint: 'page' };
  assert.equal(adapted('luafcgid2', 'function page() Send("page") end', {}, { app }).body, 'page');
  assert.match(luaError(() => adapted('luafcgid2', 'x = 1')).message, /there is no function 'main'/);
});

test('lapis: an application gets the request, and its answer is sent', () => {
  const app = `return { build_router = function(self) self.built = true end, dispatch = function(self, req, res)
    assert(self.built and ngx.encode_base64("a") == "YQ==")
    res:add_header("Set-Cookie", "a=1") res:add_header("Set-Cookie", "b=2") res:add_header("X-A", "1")
    res.status = 201
    res.content = table.concat({ req.method, req.relpath, req.parsed_url.host, req.parsed_url.port, req.params_get.q, req.params_post.f,
      req.headers["X-Token"], req.headers["content-type"] }, " ")
  end }`;
  const params = {
    ...post,
    SCRIPT_NAME: '/index.lua',
    SCRIPT_FILENAME: '/srv/index.lua',
    REQUEST_URI: '/users/7?q=1&q=2',
    QUERY_STRING: 'q=1&q=2',
    HTTP_HOST: 'example.com:8080',
    HTTP_X_TOKEN: 't',
  };
  const source = 'return require("luafcgid.lapis").serve("app")';
  const { body, calls } = oneLine(source, { params, body: 'f=x' }, { '/srv/app.lua': app });
  assert.equal(body, 'POST /users/7 example.com 8080 2 x t application/x-www-form-urlencoded');
  assert.deepEqual(calls, ['status 201', 'header Set-Cookie: a=1', 'header Set-Cookie: b=2', 'header X-A: 1']);
  const own = oneLine(
    source,
    { params: { ...params, REQUEST_URI: '/index.lua' }, body: 'f=x' },
    { '/srv/app.lua': app },
  );
  assert.match(own.body, /^POST \/ /, "the address of the application's own script is its root");
  const classes = 'return require("luafcgid.lapis").serve({ __base = {} })';
  assert.match(luaError(() => oneLine(classes)).message, /attempt to call/);
  assert.match(
    luaError(() => oneLine('require("luafcgid.lapis").serve(7)')).message,
    /^an application of Lapis is a table/,
  );
});

test('lapis: signatures of luaossl are those of luafcgid.crypto where that is not installed', () => {
  const source = `function main(env, con) package.path, package.cpath = "", "" local hmac = require("openssl.hmac").new("k", "sha256")
    con:puts(tostring(hmac:update("a"):final("b") == require("luafcgid.crypto").hmac("sha256", "k", "ab")), #require("openssl.rand").bytes(9)) end`;
  assert.equal(oneLine(source).body, 'true9');
});

const PEGASUS = `local Handler = {}
  function Handler:new(callback, location, plugins, log) return setmetatable({ callback = callback, log = log, plugins = plugins }, { __index = self }) end
  function Handler:processRequest(port, client)
    local head = {}
    repeat local line = client:receive("*l") head[#head + 1] = line until line == ""
    table.sort(head)
    self.log:info("got %d", #head)
    self.callback(head, function(size) return client:receive(size) end, function(text) return client:send(text) end, port, client:getpeername())
  end
  return Handler`;

test('pegasus: the request comes as over a socket, and the answer goes as it is sent', () => {
  const source = `return require("luafcgid.pegasus").handler(function(head, receive, send, port, peer)
    send("HTTP/1.1 201 Created\\r\\nDate: now\\r\\nX-A: 1\\r\\nConnection: close\\r\\n") send("Set-Cookie: a=1\\r\\nSet-Cookie: b=2\\r\\n\\r\\n")
    send(table.concat(head, "|") .. " " .. receive(3) .. receive("*a") .. tostring((receive(1))) .. port .. peer)
  end)`;
  const params = {
    ...post,
    REQUEST_URI: '/a?b=c',
    HTTP_X_TOKEN: 't',
    CONTENT_LENGTH: '5',
    SERVER_PORT: '80',
    REMOTE_ADDR: '192.0.2.1',
  };
  const { body, calls } = oneLine(source, { params, body: 'x=abc' }, { '/srv/pegasus/handler.lua': PEGASUS });
  assert.match(
    body,
    /^\|Content-Length: 5\|Content-Type: application\/x-www-form-urlencoded\|POST \/a\?b=c HTTP\/1\.1\|x-token: t x=abcnil80192\.0\.2\.1$/,
  );
  assert.deepEqual(calls, [
    'log debug got 5',
    'status 201',
    'header X-A: 1',
    'header Set-Cookie: a=1',
    'header Set-Cookie: b=2',
  ]);
});

test('pegasus: a chunked answer is put together, however its chunks are cut', () => {
  const source = `return require("luafcgid.pegasus").handler(function(head, receive, send)
    local text = "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\nA\\r\\n0123456789\\r\\n0\\r\\n\\r\\n"
    for at = 1, #text do send(text:sub(at, at)) end
  end)`;
  assert.equal(oneLine(source, {}, { '/srv/pegasus/handler.lua': PEGASUS }).body, 'abc0123456789');
});
