/** Software written for other servers: Debian's Orbit through luafcgid.wsapi, and the settings that name adapters (issue 14, point 8). */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { headerValue } from '../support/cgi-answer.js';
import { ROOT, type Server, startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

/** Where Debian has Lua modules for Lua 5.1. */
const DEBIAN = 'path = "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"';

const FORM = { CONTENT_TYPE: 'application/x-www-form-urlencoded' };

const wsapi =
  'return function(env) local t = { "by wsapi ", env.PATH_INFO } return 200, {}, function() return table.remove(t, 1) end end';

describe('the settings adapters and handler', () => {
  it('run scripts by the ending of their names, and others as before', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 adapters = { ws = "wsapi", [".wsapp"] = "wsapi" }',
      files: {
        'a.ws': wsapi,
        'b.wsapp': `return { run = ${wsapi.replace('return', '')} }`,
        'c.lua': 'function main(env, con) con:puts("by main") end',
        'd.txt': wsapi,
        'e.ws': 'x = 1',
      },
    });
    assert.equal((await ask(server, 'a.ws', { params: { PATH_INFO: '/x' } })).text, 'by wsapi /x');
    assert.equal((await ask(server, 'b.wsapp')).text, 'by wsapi /');
    assert.equal((await ask(server, 'c.lua')).text, 'by main');
    assert.equal((await ask(server, 'd.txt')).status, 403);
    assert.equal((await ask(server, 'e.ws')).status, 500);
    await server.logged(/the script gives no WSAPI application/);
    server.write('a.ws', wsapi.replace('by wsapi', 'changed'));
    server.signal('SIGHUP');
    await server.logged(/reloaded/);
    assert.equal((await ask(server, 'a.ws')).text, 'changed /');
  });

  it('make every script one of the interface that handler names, also from its image', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 handler = "wsapi" isolation = "request"',
      files: {
        'a.lua': `count = 0 ${wsapi.replace('"by wsapi "', '(function() count = count + 1 return count end)()')}`,
      },
    });
    for (let round = 0; round < 3; round += 1) assert.equal((await ask(server, 'a.lua')).text, '1/');
  });

  it('are refused when there is no such adapter', async (t) => {
    await assert.rejects(
      startServer(t, { config: 'adapters = { lp = "cgilau" }' }),
      /adapters = .*must be a table of extensions and adapters.*Did you mean \\?"cgilua\\?"/s,
    );
  });
});

/** Debian's examples of Orbit, as they are. */
function copyOrbit(server: Server): void {
  for (const name of ['hello.lua', 'hello.ws']) {
    copyFileSync(`/usr/share/doc/lua-orbit/hello/${name}`, server.path(name));
  }
}

for (const engine of ['embedded', 'lua5.1', 'luajit', 'lua5.4']) {
  describe(`Orbit on ${engine}`, () => {
    const server = shared((t) =>
      startServer(t, {
        config: `workers = 1 engine = "${engine}" ${DEBIAN} adapters = { ws = "wsapi" }
          preload = "${join(ROOT, 'packaging/lua51-names.lua')}"`,
      }),
    );

    it('runs its own example', async () => {
      copyOrbit(server());
      const home = await ask(server(), 'hello.ws');
      assert.deepEqual([home.status, /<p class="hello">Hello World!<\/p>/.test(home.text)], [200, true], home.text);
      const params = { PATH_INFO: '/say/ann', QUERY_STRING: 'greeting=Hi%20' };
      assert.match((await ask(server(), 'hello.ws', { params })).text, /Hi ann!/);
      assert.equal((await ask(server(), 'hello.ws', { params: { PATH_INFO: '/none' } })).status, 404);
    });

    it('takes forms, sets cookies and redirects', async () => {
      server().write(
        'app.ws',
        `local orbit = require("orbit")
         local app = orbit.new()
         app:dispatch_post(function(web)
           web:set_cookie("name", { value = web.input.name, path = "/" })
           return web:redirect(web:link("/hello", { name = web.input.name }))
         end, "/")
         app:dispatch_get(function(web) return "Hello, " .. (web.cookies.name or "nobody") end, "/hello")
         return app`,
      );
      const sent = await ask(server(), 'app.ws', { params: FORM, body: 'name=Ann+Lee' });
      assert.deepEqual([sent.status, headerValue(sent.headers, 'location')], [302, '/app.ws/hello?name=Ann+Lee']);
      assert.match(headerValue(sent.headers, 'set-cookie') ?? '', /^name=Ann\+Lee; path=\//);
      const params = { PATH_INFO: '/hello', HTTP_COOKIE: 'name=Ann+Lee' };
      assert.equal((await ask(server(), 'app.ws', { params })).text, 'Hello, Ann Lee');
    });
  });
}

describe('Orbit pages on lua5.1', () => {
  it('are made by the adapter orbit', async (t) => {
    const server = await startServer(t, {
      config: `workers = 1 engine = "lua5.1" ${DEBIAN} adapters = { op = "orbit" }`,
      files: { 'page.op': 'Hello, $web|method! $lua{[[ return 6 * 7 ]]}\n' },
    });
    const { status, text } = await ask(server, 'page.op');
    assert.deepEqual([status, text], [200, 'Hello, get! 42\n'], server.log());
  });
});

describe('pages of CGILua', () => {
  it('are served by their ending, keep a session, and are read again when a file that they include has changed', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 adapters = { lp = "cgilua" }',
      files: {
        'page.lp':
          '<% local s = require("cgilua.session").data s.n = (s.n or 0) + 1 %><%= s.n %> <% cgilua.doscript("part.lua") %>',
        'part.lua': 'cgilua.put("old")',
      },
    });
    const first = await ask(server, 'page.lp');
    assert.deepEqual([first.status, first.text], [200, '1 old'], first.text);
    const cookie = (headerValue(first.headers, 'set-cookie') ?? '').split(';')[0] ?? '';
    assert.equal((await ask(server, 'page.lp', { params: { HTTP_COOKIE: cookie } })).text, '2 old');
    server.write('part.lua', 'cgilua.put("new")');
    server.signal('SIGHUP');
    await server.logged(/reloaded/);
    assert.equal((await ask(server, 'page.lp')).text, '1 new');
  });

  it('show their own lines when they fail', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 showerrors = true adapters = { lp = "cgilua" }',
      files: { 'bad.lp': '<p>one</p>\n<p><%= nothing.at.all %></p>\n' },
    });
    const { status, text } = await ask(server, 'bad.lp');
    assert.equal(status, 500);
    assert.match(text, /bad\.lp:2: /);
    assert.match(text, /&lt;%= nothing\.at\.all %&gt;/);
  });
});

describe('scripts written for OpenResty', () => {
  it('run by handler = "ngx", count in shared memory, and sleep without holding the only worker', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 handler = "ngx" shared = { hits = 65536 }',
      files: {
        'count.lua': 'ngx.header.content_type = "text/plain" ngx.say((ngx.shared.hits:incr("n", 1, 0)))',
        'sleep.lua': 'repeat ngx.sleep(0.01) until ngx.shared.hits:get("shut") ngx.say(ngx.shared.hits:get("n"))',
        'shut.lua': 'ngx.shared.hits:set("shut", true) ngx.exit(ngx.HTTP_FORBIDDEN)',
      },
    });
    const sleeping = ask(server, 'sleep.lua');
    for (const n of ['1', '2']) assert.equal((await ask(server, 'count.lua')).text, `${n}\n`);
    assert.equal((await ask(server, 'shut.lua')).status, 403);
    assert.equal((await sleeping).text, '2nil\n', 'what came later was answered while it slept');
  });
});
