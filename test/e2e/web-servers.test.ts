/** Real web servers with the configurations that lie in examples/, and what they send differently from each other. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { describe, it } from 'node:test';
import { APACHE } from '../support/apache.js';
import type { Cleanup } from '../support/cleanup.js';
import { APACHE_EXAMPLE, EXAMPLE_SERVERS } from '../support/example-servers.js';
import { fetchHttp, HttpExchange } from '../support/http.js';
import { type Server, startServer } from '../support/server.js';
import { shared } from '../support/shared.js';
import { findProgram } from '../support/web-server.js';

const FILES = {
  'index.lua': 'function main(env, con) con:puts("index") end',
  'get.lua': `
    function main(env, con)
      con:type("text/plain")
      con:header("X-Two", "a") con:header("X-Two", "b")
      con:puts(env.REQUEST_METHOD, "|", env.QUERY_STRING or "", "|", env.SCRIPT_FILENAME, "|", env.HTTP_X_TEST or "-", "|",
        env.HTTP_AUTHORIZATION or "-")
    end`,
  'post.lua':
    'function main(env, con) local body = con:gets() con:puts(env.REQUEST_METHOD, " ", body and #body or "none") end',
  'missing.lua': 'function main(env, con) con:status(404) con:puts("my own 404") end',
  'error.lua': 'function main(env, con) con:puts("half") error("trouble") end',
  'empty.lua': 'function main(env, con) end',
  'redirect.lua': 'function main(env, con) con:redirect("/get.lua", 303) end',
  'large.lua': 'function main(env, con) local s = ("x"):rep(1000) for i = 1, 3000 do con:puts(s) end end',
  'stream.lua':
    'function main(env, con) con:puts("first ") con:flush() while not loadfile("go-on.lua") do end con:puts("last") end',
};

const PRODUCTS = [
  ...EXAMPLE_SERVERS.map(({ name, file, program, start }) => ({
    name: `${name} with examples/${file}`,
    program,
    start: (t: Cleanup, server: Server) => start(t, server),
  })),
  {
    name: 'Apache that names scripts as proxy URLs on new connections',
    program: APACHE,
    start: (t: Cleanup, server: Server) =>
      APACHE_EXAMPLE.start(t, server, [
        ['ProxyFCGIBackendType GENERIC', 'ProxyFCGIBackendType FPM'],
        ['enablereuse=on', 'enablereuse=off'],
      ]),
  },
];

for (const { name, program, start } of PRODUCTS) {
  // scripts/require-packages.mjs has installed it where that is possible, and else has said what is left out.
  const skip = findProgram(program) === undefined && `${program} is not installed`;

  describe(`behind ${name}`, { skip }, () => {
    const server = shared(async (t) => {
      const started = await startServer(t, {
        files: FILES,
        config: 'workers = 2 socketmode = "0666" maxpost = 3000000',
      });
      // Started as root, Apache serves as another user.
      chmodSync(started.dir, 0o755);
      return started;
    });
    const web = shared((t) => start(t, server()));
    const fetch = (path: string, options: Partial<Parameters<typeof fetchHttp>[0]> = {}) =>
      fetchHttp({ port: web().port, path, ...options });

    it('a GET has its query, its headers and its script', async () => {
      for (let round = 0; round < 3; round += 1) {
        const answer = await fetch('/get.lua?a=b&c=%20d', {
          headers: { 'X-Test': '\u00fc', Authorization: 'Basic eDp5' },
        });
        assert.equal(answer.status, 200);
        const [method, query, script, test, authorization] = answer.body.toString('latin1').split('|');
        assert.deepEqual([method, query, test, authorization], ['GET', 'a=b&c=%20d', '\u00fc', 'Basic eDp5']);
        assert.equal(script, server().path('get.lua'), 'as a plain path, also where a proxy names a URL (reports A17)');
        assert.equal(answer.header('x-two'), 'a, b');
      }
    });

    it('a directory has its index', async () => {
      assert.equal((await fetch('/')).text, 'index');
    });

    it('HEAD has headers only', async () => {
      const answer = await fetch('/get.lua', { method: 'HEAD' });
      assert.deepEqual([answer.status, answer.body.length, answer.header('x-two')], [200, 0, 'a, b']);
    });

    it('a POST of any size has its body', async () => {
      for (const bytes of [0, 1, 10_000, 2_000_000]) {
        const answer = await fetch('/post.lua', { method: 'POST', body: Buffer.alloc(bytes, 'x') });
        assert.equal(answer.text, `POST ${bytes === 0 ? 'none' : bytes}`);
      }
    });

    it('a chunked POST has its body', async () => {
      const exchange = new HttpExchange({ port: web().port, method: 'POST', path: '/post.lua' });
      await exchange.write('x'.repeat(5000));
      await exchange.write('y'.repeat(5000));
      exchange.end();
      assert.equal((await exchange.body()).toString(), 'POST 10000');
    });

    it('a body over maxpost gets 413', async () => {
      const exchange = new HttpExchange({
        port: web().port,
        method: 'POST',
        path: '/post.lua',
        headers: { 'content-length': 4_000_000 },
      });
      exchange.write(Buffer.alloc(4_000_000)).catch(() => {}); // refused before it is all sent
      assert.equal((await exchange.head()).status, 413);
      exchange.destroy();
    });

    it('errors have pages of their own', async () => {
      const error = await fetch('/error.lua');
      assert.equal(error.status, 500);
      assert.match(error.text, /error\.lua:1: trouble/);
      const own = await fetch('/missing.lua');
      assert.deepEqual([own.status, own.text], [404, 'my own 404']);
      assert.equal((await fetch('/no-such.lua')).status, 404);
    });

    it('an empty answer, a redirect and a large answer come as they are', async () => {
      const empty = await fetch('/empty.lua');
      assert.deepEqual([empty.status, empty.text], [200, '']);
      const redirect = await fetch('/redirect.lua');
      assert.equal(redirect.status, 303);
      assert.match(redirect.header('location') ?? '', /\/get\.lua$/);
      assert.equal((await fetch('/large.lua')).body.length, 3_000_000);
    });

    it('what a script flushes arrives while it runs', async () => {
      const exchange = new HttpExchange({ port: web().port, path: '/stream.lua' });
      exchange.end();
      await exchange.bodyUntil('first ');
      server().write('go-on.lua', '');
      assert.equal((await exchange.body()).toString(), 'first last');
    });

    it('many requests at once are all answered', async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => fetch(`/get.lua?${index}`)));
      for (const [index, answer] of answers.entries()) assert.equal(answer.text.split('|')[1], String(index));
    });
  });
}
