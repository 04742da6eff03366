/** Requests that scripts send (luafcgid.http), on all engines, to servers of this machine (issue 13 point 5). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { echo, serve, type TestServer } from '../io/http/support.js';
import type { Cleanup } from '../support/cleanup.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** One of each kind: the tests of the script interface run on all. */
const ENGINES = ['embedded', 'luajit'] as const;

/** A script whose handler is this, with `http`, `luafcgid`, `con`, and the URL of the upstream server as `base`. */
const script = (upstream: TestServer, body: string): string => `local http = require("luafcgid.http")
local luafcgid = require("luafcgid")
local base = "http://127.0.0.1:${upstream.port}"
function main(env, con)
  ${body}
end`;

async function run(server: Server, upstream: TestServer, body: string): Promise<string> {
  const name = `s${Math.random().toString(36).slice(2)}.lua`;
  server.write(name, script(upstream, body));
  const { status, text } = await ask(server, name);
  assert.equal(status, 200, text);
  return text;
}

async function start(
  t: Cleanup,
  upstream: TestServer,
  { engine = 'embedded', http = '', more = '' } = {},
): Promise<Server> {
  const allow = `allow = { "127.0.0.1:${upstream.port}" }`;
  return startServer(t as Parameters<typeof startServer>[0], {
    config: `workers = 1 clones = 8 engine = "${engine}" http = { ${allow} ${http} } ${more}`,
  });
}

for (const engine of ENGINES) {
  describe(`luafcgid.http with ${engine}`, () => {
    const held: (() => void)[] = [];
    const upstream = shared((t) =>
      serve(t, (request, response) => {
        if (request.url === '/none') response.writeHead(404, { 'Set-Cookie': ['a=1', 'b=2'] }).end('no');
        else if (request.url === '/large') response.end(Buffer.alloc(300_000, 'x'));
        // Each is answered when the other is there.
        else if (request.url === '/both') held.push(() => response.end('ok'));
        else if (request.url !== '/silent') echo(request, response);
        if (held.length === 2) for (const answer of held.splice(0)) answer();
      }),
    );
    const server = shared((t) => start(t, upstream(), { engine }));

    it('sends requests with bodies and headers, and gives answers', async () => {
      const text = await run(
        server(),
        upstream(),
        `local a = http.get(base .. "/x?y=" .. luafcgid.urlencode("a b"), { headers = { ["X-A"] = { "1", 2 } } })
        local seen = a:json()
        con:puts(a.status, " ", a.headers["Content-TYPE"], " ", seen.method, seen.path, seen.headers["x-a"], seen.headers["user-agent"], "\\n")
        seen = http.post(base, { json = { n = 1 } }):json()
        con:puts(seen.method, seen.headers["content-type"], seen.body, "\\n")
        seen = http.put(base, { form = { b = "ä&", a = { 1, 2 } } }):json()
        con:puts(seen.method, seen.headers["content-type"], seen.body, "\\n")
        seen = http.request({ url = base, method = "patch", body = "\\0\\255", headers = { ["Content-Type"] = "x/y" } }):json()
        con:puts(seen.method, seen.headers["content-type"], #seen.body, "\\n")
        con:puts(http.delete(base):json().method, http.head(base).status, #http.head(base).body, "\\n")
        local none = http.get(base .. "/none")
        con:puts(none.status, none.body, none.headers["set-cookie"], " ", table.concat(none:all("Set-Cookie"), "+"), tostring(none.headers.nothing))`,
      );
      assert.deepEqual(text.split('\n'), [
        '200 application/json GET/x?y=a+b1, 2luafcgid',
        'POSTapplication/json{"n":1}',
        'PUTapplication/x-www-form-urlencodeda=1&a=2&b=%C3%A4%26',
        // JSON has each byte as a character, of which the second takes two bytes.
        'PATCHx/y3',
        'DELETE2000',
        '404noa=1, b=2 a=1+b=2nil',
      ]);
    });

    it('streams, waits for several at once, and raises what gives no answer', async () => {
      const text = await run(
        server(),
        upstream(),
        `local stream, size = http.stream(base .. "/large"), 0
        local piece = stream:read()
        while piece do size = size + #piece piece = stream:read() end
        con:puts(stream.status, " ", size, tostring(stream:read()), "\\n")
        local a, b = luafcgid.all(function() return http.get(base .. "/both").body end, function() return http.get(base .. "/both").body end)
        con:puts(a, b, "\\n")
        local ok, fault = pcall(http.get, base .. "/silent", { timeout = 0.05 })
        con:puts(tostring(ok), fault.code, fault.server == base:sub(8) and "same" or "other", tostring(fault.retry), "\\n")
        local answer, fault = http.safe.get("http://127.0.0.1:1/")
        con:puts(tostring(answer), fault.code, "\\n")
        for _, options in ipairs({ { body = "x", json = 1 }, { headers = { ["X-A"] = "a\\r\\nb: c" } }, { metod = "GET" } }) do
          local answer, fault = http.safe.post(base, options)
          con:puts(tostring(answer), tostring(fault), "\\n")
        end`,
      );
      const lines = text.split('\n');
      assert.deepEqual(lines.slice(0, 4), [
        '200 300000nil',
        'okok',
        'falseLUAFCGID_HTTP_TIMEOUTsametrue',
        'nilLUAFCGID_HTTP_DENIED',
      ]);
      assert.match(lines[4] as string, /give one of them/);
      assert.match(lines[5] as string, /the header X-A has a line end/);
      assert.match(lines[6] as string, /there is no option metod/);
    });
  });
}

describe('luafcgid.http', () => {
  it('is off until the setting names a server, and for scripts that it does not name', async (t) => {
    const upstream = await serve(t, echo);
    const off = await startServer(t, { config: 'workers = 1' });
    assert.match(
      await run(off, upstream, 'local _, e = http.safe.get(base) con:puts(e.code, e.message)'),
      /HTTP_OFF.*allows no server/,
    );
    const other = await start(t, upstream, { http: ', scripts = { "/nowhere/" }' });
    assert.match(await run(other, upstream, 'local _, e = http.safe.get(base) con:puts(e.code)'), /HTTP_SCRIPT/);
    const on = await start(t, upstream);
    assert.match(
      await run(on, upstream, 'local ok, e = pcall(require("luafcgid.db").open, "http") con:puts(tostring(e))'),
      /no data source/,
    );
    assert.equal(upstream.opened, 0);
  });

  it('holds no worker: others are served while requests wait for an answer', async (t) => {
    const waiting: (() => void)[] = [];
    const upstream = await serve(t, (_request, response) => void waiting.push(() => response.end('late')));
    const server = await start(t, upstream, { http: ', connections = 2, waittimeout = 60' });
    server.write('slow.lua', script(upstream, 'con:puts(http.get(base).body)'));
    server.write('plain.lua', 'function main(env, con) con:puts("plain") end');
    const slow = Array.from({ length: 4 }, () => ask(server, 'slow.lua'));
    await eventually('two requests', () => waiting.length === 2);
    assert.equal((await ask(server, 'plain.lua')).text, 'plain');
    for (let answered = 0; answered < 4; answered += 1) {
      const answer = await eventually('a request', () => waiting.shift());
      answer();
    }
    for (const { text } of await Promise.all(slow)) assert.equal(text, 'late');
    assert.equal(upstream.mostOpen, 2);
  });

  it('breaks off what a request has under way when that ends, however it ends', async (t) => {
    const upstream = await serve(t, (_request, response) => void response.write('begins'));
    const server = await start(t, upstream, { more: 'requesttime = 3' });
    for (const [name, body] of Object.entries({
      'returns.lua': 'http.stream(base):read() con:puts("ok")',
      'error.lua': 'http.stream(base):read() error("x")',
      'exit.lua': 'http.stream(base):read() os.exit(0)',
      'late.lua': 'http.get(base)',
    })) {
      server.write(name, script(upstream, body));
      await ask(server, name);
      await eventually(`the end of the upstream connection of ${name}`, () => upstream.open === 0);
    }
    assert.equal(upstream.opened, 4);
  });
});
