/**
 * What ran with the C daemon: its Debian sample settings, and scripts in the style of those that people wrote for it.
 * The scripts are written for this test; what they lean on (calls, habits, globals) was seen in the wild.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { headerValue, headerValues } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import { startNginx } from '../support/nginx.js';
import { startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** The names, values and expressions of the sample, with the paths moved to where a test may write. */
const debianSample = (dir: string): string => `
--[[ settings for luafcgid ]]--
listen = "${dir}/luafcgid.sock"
workers = 4
-- (more than workers)
states = workers * 2
clones = states
sweep = 10000
retries = 1
showerrors = true
buffering = true
headersize = 64
bodysize = 1024
headers = "X-Powered-By: Lua\\r\\n"
handler = "main"
httpstatus = "200 OK"
contenttype = "text/html"
maxpost = 1024 * 1024
logfile = "${dir}/log/luafcgid.log"
`;

/** Every setting of the C daemon that the sample leaves out. */
const OTHERS = 'watchdog = 60 daemonize = false maxcount = 0 backlog = -1';

const SCRIPTS = {
  'environment.lua': `
    -- helpers for requests
    local lf = require("luafcgid")

    function main(env, con)
      con:header("X-Powered-By", "Lua")
      con:puts("<h1>Environment</h1><pre>\\n")
      for name, value in pairs(env) do
        con:puts(string.format("%s = %s\\n", name, value))
      end
      con:puts("</pre>\\n")
      if env.REQUEST_METHOD == "GET" then
        s = {} -- a global, as many scripts have them
        params = lf.parse(env.QUERY_STRING)
        for name, value in pairs(params) do
          table.insert(s, string.format("[%s=%s]", name, value))
        end
        table.sort(s)
        con:puts(table.concat(s))
      end
      if env.REQUEST_METHOD == "POST" then
        con:puts(string.format("<textarea>%s</textarea>", con:gets()))
      end
    end`,
  'request.lua': `
    -- no module at all, and the second parameter by its older name
    s = "Hello World"
    function main(env, req)
      local line = {}
      table.insert(line, "<pre>")
      for i = 1, 100 do table.insert(line, string.format("%s + %d = %s", s, i, string.rep("*", i % 7))) end
      table.insert(line, "</pre>")
      req:puts(table.concat(line, '\\r\\n'))
    end`,
  'json.lua': `
    local lf = require("luafcgid")
    function main(env, con)
      local P, n = lf.parse(env.QUERY_STRING), 5
      if P.chan ~= nil then
        n = tonumber(P.chan)
        if n < 1 or n > 16 then n = 5 end
      end
      local t = {}
      t[#t+1] = "\\004" t[#t+1] = "\\000" t[#t+1] = string.char(n)
      S1 = string.format('{ "values": ["%d","%d"] }', n, #table.concat(t))
      con:header("Content-Type", "application/json")
      con:header("Connection",   "close")
      con:puts(S1)
    end`,
  'pages.lua': `
    local lf = require("luafcgid")
    function main(env, con)
      params = lf.parse(env.QUERY_STRING)
      page = params['p']
      if not page then home(env, con) else article(env, con) end
    end
    home = function(env, con)
      for _, title in ipairs { "one", "two" } do con:puts('<a href="?p=' .. title .. '">' .. title .. '</a><br />') end
    end
    article = function(env, con)
      succ, file = pcall(assert, io.open("data/" .. page .. ".txt"))
      if succ == true then con:puts("read") else con:puts("fail") end
    end`,
  'headers.lua': `
    function main(env, con)
      con:header("Content-Type: text/plain; charset=iso-8859-1")
      con:header("Set-Cookie", "a=1")
      con:header("Set-Cookie: b=2; path=/")
      con:header("Status", "302 Found")
      con:header("Location", "http://localhost/next")
      con:puts("moved", "\\n")
    end`,
  'numbers.lua': `
    hits = hits or 0
    started = os.time()
    function main(env, con)
      hits = hits + 1
      con:puts(hits) con:puts(" ") con:puts(1.5) con:puts("\\n")
      con:puts(os.date("%Y", started)) con:puts(" ") con:puts(tostring(os.clock() >= 0)) con:puts(" ")
      con:puts(os.difftime(os.time(), started) >= 0 and "later" or "earlier")
    end`,
  'post.lua': `
    lf = require("luafcgid")
    require('sys.config')
    require('sys.database')
    function main(env, con)
      if not dbh or not dbh:ping() then db_connect() end
      if env.QUERY_STRING then env.get = lf.parse(env.QUERY_STRING) end
      if env.REQUEST_METHOD == "POST" then env.post = lf.parse(con:gets()) end
      index(env, con)
    end
    function index(env, con)
      con:puts(config.title, ": ", env.get.a or "-", ", ", env.post and env.post.b or "-", ", ", connects)
    end`,
  'sys/config.lua': 'config = { title = "Site" }',
  'sys/database.lua': `
    connects = 0
    function db_connect() connects = connects + 1 dbh = { ping = function() return true end } end`,
  'path.lua': `
    package.path = "./inc/?.lua;" .. package.path
    local helper = require "helper"
    module("page", package.seeall)
    function _G.main(env, con) con:puts(helper.twice("ab")) end`,
  'inc/helper.lua': `
    local M = {}
    function M.twice(s) return s .. s end
    return M`,
  'errors.lua': `
    function main(env, con)
      local ok, err = pcall(function() local t = nil; return t.x end)
      con:puts(tostring(ok), " ", (string.gsub(err, "^.-:%d+: ", "")))
      local ok, err = pcall(error, { code = 42 })
      con:puts(" ", err.code)
      con:log("caught two errors")
    end`,
  'serialize.lua': `
    local lf = require "luafcgid"
    function main(env, con)
      local t = { 1, 2, name = "x", deep = { yes = true } }
      local again = loadstring("return " .. lf.serialize(t))()
      con:puts(again[2], again.name, tostring(again.deep.yes), " ", lf.urlencode("a b&c"), " ", lf.urldecode("a+b%26c"))
    end`,
  'reset.lua': `
    function main(env, con)
      con:puts("draft") con:reset() con:puts("final") con:flush() con:puts("!")
      con:puts(tostring(con:config("no such name")))
    end`,
  'setfenv.lua': `
    local sandbox = setmetatable({}, { __index = _G })
    local chunk = assert(loadstring("function render() return 'in ' .. type(string) end"))
    setfenv(chunk, sandbox)()
    function main(env, con) con:puts(sandbox.render(), " ", tostring(render), " ", table.getn({ 1, 2 }), " ", unpack({ "u" })) end`,
};

describe('with the Debian sample settings of the C daemon', () => {
  const server = shared(async (t) => {
    const started = await startServer(t, {
      files: { '../log/.keep': '', ...SCRIPTS },
      config: ({ dir }) => debianSample(dir) + OTHERS,
    });
    return started;
  });
  const socket = (): string => join(server().dir, 'luafcgid.sock');
  const nginx = shared((t) => startNginx(t, { fastcgi: socket(), root: server().scripts }));
  const get = (path: string) => fetchHttp({ port: nginx().port, path });

  it('the server starts, tells what has no effect, and logs where it was told', async () => {
    const log = await eventually('the line of the start', () => {
      const text = readFileSync(join(server().dir, 'log/luafcgid.log'), 'utf8');
      return /ready/.test(text) && text;
    });
    for (const name of ['retries']) assert.match(log, new RegExp(`${name}.*(?:no effect|foreground)`), name);
    assert.ok(existsSync(socket()));
  });

  it('a script that shows its environment gets one page for GET, another for POST', async () => {
    const page = await get('/environment.lua?a=1&b=x%20y&flag');
    assert.equal(page.status, 200);
    assert.equal(page.header('content-type'), 'text/html');
    assert.match(page.text, /REQUEST_METHOD = GET\n/);
    assert.match(page.text, /LUAFCGID_VERSION = \S+\n/);
    assert.match(page.text, /\[a=1\]\[b=x y\]\[flag=\]$/);
    const post = await fetchHttp({ port: nginx().port, method: 'POST', path: '/environment.lua', body: 'some=text' });
    assert.match(post.text, /<textarea>some=text<\/textarea>$/);
  });

  it('a script that names its second parameter req is served', async () => {
    const { text } = await get('/request.lua');
    assert.match(text, /^<pre>\r\nHello World \+ 1 = \*\r\n[\s\S]*Hello World \+ 100 = \*\*\r\n<\/pre>$/);
  });

  it('a script that answers JSON and closes the connection is served', async () => {
    const answer = await get('/json.lua?chan=7');
    assert.deepEqual([answer.header('content-type'), answer.text], ['application/json', '{ "values": ["7","3"] }']);
    assert.match((await get('/json.lua')).text, /\["5","3"\]/);
  });

  it('a script of several pages keeps its globals and survives what it cannot open', async () => {
    assert.equal((await get('/pages.lua')).text, '<a href="?p=one">one</a><br /><a href="?p=two">two</a><br />');
    assert.equal((await get('/pages.lua?p=one')).text, 'fail');
  });

  it('headers are set with one argument or two, and replace the default status and type', async () => {
    const answer = await ask(server(), 'headers.lua', { socket: socket() });
    assert.deepEqual([answer.status, answer.text], [302, 'moved\n']);
    assert.deepEqual(headerValues(answer.headers, 'content-type'), ['text/plain; charset=iso-8859-1']);
    assert.deepEqual(headerValues(answer.headers, 'set-cookie'), ['a=1', 'b=2; path=/']);
    assert.equal(headerValues(answer.headers, 'status').length, 1);
    assert.equal(headerValue(answer.headers, 'x-powered-by'), 'Lua');
  });

  it('numbers, times and globals of the module work from request to request', async () => {
    const year = new Date().getFullYear();
    const answer = new RegExp(`^(\\d+) 1\\.5\\n(?:${year}|${year + 1}) true later$`);
    // A worker that has not said yet that it is free has the script cloned, and each clone counts for itself.
    let most = 0;
    await eventually('a third request to one state', async () => {
      const { text } = await get('/numbers.lua');
      const hits = Number((answer.exec(text) ?? assert.fail(text))[1]);
      assert.ok(hits >= 1 && hits <= most + 1, `${hits} after ${most}`);
      most = Math.max(most, hits);
      return most === 3;
    });
  });

  it('a site of several files connects once and reads its form', async () => {
    assert.equal((await get('/post.lua?a=1')).text, 'Site: 1, -, 1');
    const post = await fetchHttp({ port: nginx().port, method: 'POST', path: '/post.lua?a=2', body: 'b=%26' });
    assert.equal(post.text, 'Site: 2, &, 1');
  });

  it('package.path, module and dofile idioms of Lua 5.1 work', async () => {
    assert.equal((await get('/path.lua')).text, 'abab');
    assert.equal((await get('/setfenv.lua')).text, 'in table nil 2 u');
  });

  it('pcall, error tables and the log work', async () => {
    assert.equal((await get('/errors.lua')).text, "false attempt to index local 't' (a nil value) 42");
    // The answer may be there before the line is: another thread writes that.
    const line = /errors\.lua\] caught two errors/;
    await eventually('the line', () => line.test(readFileSync(join(server().dir, 'log/luafcgid.log'), 'utf8')));
  });

  it('the module luafcgid serializes, encodes and decodes', async () => {
    assert.equal((await get('/serialize.lua')).text, '2xtrue a+b%26c a b&c');
  });

  it('reset, flush and config work as they were called', async () => {
    assert.equal((await get('/reset.lua')).text, 'final!nil');
  });
});
