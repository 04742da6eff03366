/** Every page of examples/, as the README's first command serves it and behind the nginx configuration that lies there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { fetchHttp, type HttpAnswer, HttpExchange, type HttpOptions } from '../support/http.js';
import { startNginxWith } from '../support/nginx.js';
import { ROOT, startServer } from '../support/server.js';
import { eventually, shared } from '../support/shared.js';

const EXAMPLES = join(ROOT, 'examples');
const PAGES = readdirSync(EXAMPLES).filter((name) => name.endsWith('.lua'));

interface Site {
  readonly port: number;
  fetch(path: string, options?: Partial<HttpOptions>): Promise<HttpAnswer>;
}

function siteAt(port: number): Site {
  return { port, fetch: (path, options) => fetchHttp({ port, path, ...options }) };
}

/** `npm start` without the build. */
async function throughGateway(t: Cleanup): Promise<Site> {
  const server = await startServer(t, {
    args: () => ['serve', EXAMPLES, '--port', '0'],
    ready: /http:\/\/127\.0\.0\.1:\d+\//,
  });
  return siteAt(Number((await server.logged(/http:\/\/127\.0\.0\.1:(\d+)\//))[1]));
}

/** examples/nginx.conf with this machine's paths. */
async function throughNginx(t: Cleanup): Promise<Site> {
  const server = await startServer(t);
  const text = readFileSync(join(EXAMPLES, 'nginx.conf'), 'utf8');
  const nginx = await startNginxWith(t, (port) =>
    replaceEach(text, [
      ['listen 80;', `listen 127.0.0.1:${port};`],
      ['/run/luafcgid/luafcgid.sock', server.socket],
      ['/srv/www', EXAMPLES],
    ]),
  );
  return siteAt(nginx.port);
}

function replaceEach(text: string, changes: readonly (readonly [from: string, to: string])[]): string {
  return changes.reduce((result, [from, to]) => {
    assert.ok(result.includes(from), `examples/nginx.conf has no ${from}`);
    return result.replace(from, to);
  }, text);
}

for (const [name, start] of [
  ['the embedded gateway', throughGateway],
  ['nginx with examples/nginx.conf', throughNginx],
] as const) {
  describe(`the examples through ${name}`, () => {
    const site = shared(start);
    const fetch: Site['fetch'] = (path, options) => site().fetch(path, options);

    it('count requests from one to the next', async () => {
      // A worker that has not said yet that it is free has the script cloned, and each clone counts for itself.
      let most = 0;
      await eventually('a third request to one state', async () => {
        const { text } = await fetch('/counter.lua');
        const [, count, noun] = /<strong>(\d+)<\/strong> (requests?)\./.exec(text) ?? assert.fail(text);
        assert.ok(Number(count) <= most + 1, `${count} after ${most}`);
        assert.equal(noun, count === '1' ? 'request' : 'requests');
        most = Math.max(most, Number(count));
        return most === 3;
      });
    });

    it('count visits of all workers, and refuse too many of one visitor', async (t) => {
      // Of its own: nobody else must have visited, nor be refused.
      const { fetch } = await start(t);
      for (let visit = 1; visit <= 20; visit += 1) {
        const { text } = await fetch('/visits.lua');
        assert.ok(text.includes(`This is visit <strong>${visit}</strong> since`), text);
      }
      // On a busy machine the time of the first ones may be over already.
      await eventually('a refusal', async () => {
        const answers = await Promise.all(Array.from({ length: 21 }, () => fetch('/visits.lua')));
        return answers.some(({ status }) => status === 429);
      });
    });

    it('are listed at /, each with a line, and each answers', async () => {
      const list = await fetch('/');
      assert.equal(list.status, 200);
      for (const page of PAGES) {
        if (page !== 'index.lua')
          assert.match(list.text, new RegExp(`<a href="${page}">[^<]+</a>.*</dt>\\s*<dd>[^<]+\\.</dd>`));
        const answer = await fetch(`/${page}`);
        assert.equal(answer.status, 200, `${page}: ${answer.text}`);
        if (answer.header('content-type')?.startsWith('text/html')) {
          assert.match(answer.text, /^<!doctype html>\n<html lang="en">[\s\S]*<\/html>\n$/, page);
        }
      }
    });

    it('say hello', async () => {
      const answer = await fetch('/hello.lua');
      assert.deepEqual(
        [answer.header('content-type'), answer.text],
        ['text/plain; charset=utf-8', 'Hello from Lua!\n'],
      );
    });

    it('show the environment, escaped', async () => {
      const { text } = await fetch('/environment.lua/more?a=<b>&c', { headers: { 'X-Test': `<i>"'&` } });
      assert.ok(text.includes('HTTP_X_TEST</th><td>&lt;i&gt;&quot;&#39;&amp;</td>'));
      assert.ok(text.includes('QUERY_STRING</th><td>a=&lt;b&gt;&amp;c</td>'));
      assert.ok(text.includes('PATH_INFO</th><td>/more</td>'));
    });

    it('read queries, forms and uploads', async () => {
      assert.ok(
        (await fetch('/form.lua?word=%3Cb%3E')).text.includes('<input id="word" name="word" value="&lt;b&gt;">'),
      );
      const posted = await fetch('/form.lua', {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: 'text=one&text=t%26o',
      });
      assert.ok(posted.text.includes('<ul><li>one</li><li>t&amp;o</li></ul>'));
      const file = Buffer.from(Array.from({ length: 1000 }, (_, index) => index & 255));
      const upload = await fetch('/form.lua', {
        method: 'POST',
        headers: { 'Content-Type': 'multipart/form-data; boundary=xyz' },
        body: Buffer.concat([
          Buffer.from('--xyz\r\nContent-Disposition: form-data; name="file"; filename="<a>.bin"\r\n'),
          Buffer.from('Content-Type: image/x\r\n\r\n'),
          file,
          Buffer.from('\r\n--xyz--\r\n'),
        ]),
      });
      assert.ok(upload.text.includes('a file named <b>&lt;a&gt;.bin</b>, image/x, 1000 bytes'), upload.text);
    });

    it('send lines while they are made', async () => {
      const { port } = site();
      const exchange = new HttpExchange({ port, path: '/stream.lua' });
      exchange.end();
      const first = await exchange.bodyUntil('Step 1 of 10');
      assert.ok(!first.includes('Step 10 of 10'), 'everything came at once');
      assert.ok((await exchange.body()).includes('That was all.'));
    });

    it('wait for two things at once', async () => {
      const { text } = await fetch('/together.lua');
      const steps = [...text.matchAll(/<li>(\w+): step \d/g)].map(([, what]) => what);
      // Neither waits for the other to end.
      assert.ok(steps.indexOf('Toast') < steps.lastIndexOf('Tea'), text);
      assert.ok(steps.indexOf('Tea') < steps.lastIndexOf('Toast'), text);
      assert.equal(steps.sort().join(), 'Tea,Tea,Tea,Toast,Toast,Toast,Toast');
      assert.match(text, /Tea is ready, and Toast is ready\./);
    });

    it('remember a name in a cookie', async () => {
      const post = (body: string) =>
        fetch('/remember.lua', {
          method: 'POST',
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
          body,
        });
      const named = await post('name=%3CAda%3E');
      assert.equal(named.status, 303);
      assert.match(named.header('location') ?? '', /remember\.lua$/);
      const cookie = /^name=[^;]+/.exec(named.header('set-cookie') ?? '')?.[0];
      const page = await fetch('/remember.lua', { headers: { Cookie: `${cookie}; visits=4` } });
      assert.ok(page.text.includes('Hello, &lt;Ada&gt;! This is visit number 5.'), page.text);
      assert.match((await post('forget=1')).header('set-cookie') ?? '', /name=; Max-Age=0/);
    });
  });
}
