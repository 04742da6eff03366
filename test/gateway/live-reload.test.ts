/** Pages are loaded anew when a file changes: what they get for it, and what they are told. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startGateway } from '../../src/gateway/gateway.js';
import { tempDir } from '../support/cleanup.js';
import { startResponder } from '../support/fcgi-responder.js';
import { fetchHttp, HttpExchange } from '../support/http.js';
import { eventually } from '../support/shared.js';

const SHOWN = { 'Sec-Fetch-Dest': 'document' };
const TAG = /\n<script src="\/\.luafcgid\/reload\.js"(?: nonce="[\w+/=]+")?><\/script>\n$/;

async function setUp(
  t: TestContext,
  answer = 'Content-Type: text/html\r\nContent-Length: 9\r\n\r\n<p>script',
  watches: readonly string[] = [],
  printed: readonly string[] = [],
) {
  const root = tempDir(t);
  writeFileSync(join(root, 'app.lua'), '');
  writeFileSync(join(root, 'page.html'), '<p>page');
  writeFileSync(join(root, 'style.css'), 'p { color: red }');
  const { socket } = await startResponder(t, (exchange) => exchange.end(answer));
  const done: string[] = [];
  const asked: string[] = [];
  const logged: string[] = [];
  const gateway = await startGateway({
    root,
    port: 0,
    socket,
    log: (_level, text) => void logged.push(text),
    reloads: true,
    watches,
    collectNotes: (script) => {
      asked.push(script);
      return () => printed;
    },
    beforeScript: async () => void done.push('looked for changes'),
    onAnswered: ({ method, url, status }) => done.push(`${method} ${url} ${status}`),
  });
  t.after(() => gateway.close(0));
  const fetch = (path: string, headers: Record<string, string> = SHOWN, method = 'GET') =>
    fetchHttp({ port: gateway.port, path, headers, method });
  return { root, gateway, fetch, done, asked, logged };
}

describe('a page that the browser shows', () => {
  it('gets the script at its end, whoever made it', async (t) => {
    const { fetch } = await setUp(t);
    for (const [path, begin] of [
      ['/app.lua', '<p>script'],
      ['/page.html', '<p>page'],
      ['/missing.html', '<!doctype html>'],
      ['/', '<!doctype html>'],
    ] as const) {
      const { text } = await fetch(path);
      assert.ok(text.startsWith(begin), text);
      assert.match(text, TAG, path);
    }
    const script = await fetch('/.luafcgid/reload.js', {});
    assert.equal(script.header('content-type'), 'text/javascript; charset=utf-8');
    assert.doesNotThrow(() => new Function(script.text));
  });

  it('has none when it is fetched by anybody else, or is no HTML', async (t) => {
    const { fetch } = await setUp(t);
    for (const path of ['/app.lua', '/page.html', '/missing.html']) {
      assert.doesNotMatch((await fetch(path, {})).text, /script src/, path);
      assert.equal((await fetch(path, SHOWN, 'HEAD')).text, '');
    }
    assert.equal((await fetch('/style.css')).text, 'p { color: red }');
  });

  it('has leave for the script in its own policy, or none of it where that cannot be (users B7)', async (t) => {
    const withPolicy = (policy: string) =>
      setUp(t, `Content-Type: text/html\r\nContent-Security-Policy: ${policy}\r\n\r\n<p>script`, [], ['printed']);
    const strict = await withPolicy("default-src 'none'");
    const answer = await strict.fetch('/app.lua');
    const host = answer.header('content-security-policy')?.match(/script-src-elem (\S+);/)?.[1];
    assert.equal(host, `127.0.0.1:${strict.gateway.port}/.luafcgid/reload.js`);
    assert.match(answer.text, TAG);
    assert.equal((await strict.fetch('/app.lua', {})).header('content-security-policy'), "default-src 'none'");
    const dynamic = await (await withPolicy("script-src 'strict-dynamic' 'nonce-a'")).fetch('/app.lua');
    const nonce = /nonce="([^"]+)"/.exec(dynamic.text)?.[1];
    assert.ok(dynamic.header('content-security-policy')?.endsWith(` 'nonce-${nonce}'`));
    const sandbox = await withPolicy('sandbox');
    for (let times = 0; times < 2; times += 1) {
      const { text, header } = await sandbox.fetch('/app.lua');
      assert.deepEqual([text, header('content-security-policy')], ['<p>script', 'sandbox']);
    }
    assert.equal(sandbox.logged.filter((line) => /not loaded anew/.test(line)).length, 1);
  });

  it('is left as it is when it is compressed', async (t) => {
    const { fetch } = await setUp(t, 'Content-Type: text/html\r\nContent-Encoding: gzip\r\n\r\nbytes');
    assert.equal((await fetch('/app.lua')).text, 'bytes');
  });
});

describe('what a script has printed', () => {
  const answers = (t: TestContext, lines: readonly string[], type = 'text/html') =>
    setUp(t, `Content-Type: ${type}\r\nContent-Length: 9\r\n\r\n<p>script`, [], lines);

  it('stands at the foot of its page, escaped and of bounded size: users.md section 3', async (t) => {
    const many = Array.from({ length: 500 }, (_, index) => `line ${index}`);
    const { fetch, asked } = await answers(t, ['<b>one</b>', 'x'.repeat(5000), ...many]);
    const { text } = await fetch('/app.lua');
    assert.match(text, /^<p>script\n<details open [^>]*><summary[^>]*>502 lines printed<\/summary>/);
    assert.ok(text.includes('&lt;b&gt;one&lt;/b&gt;') && !text.includes('<b>'));
    assert.match(text, /\nx{500}\.\.\.\n[\s\S]*\n\.\.\. and 302 lines more, in the terminal</);
    assert.match(text, TAG);
    assert.match(asked[0] as string, /\/app\.lua$/);
  });

  it('is in no other answer', async (t) => {
    const { fetch } = await answers(t, ['printed']);
    assert.equal((await fetch('/app.lua', {})).text, '<p>script', 'whoever else requests it');
    assert.doesNotMatch((await fetch('/page.html')).text, /printed/);
    const plain = await answers(t, ['printed'], 'text/plain');
    assert.equal((await plain.fetch('/app.lua')).text, '<p>script');
    const silent = await answers(t, []);
    assert.doesNotMatch((await silent.fetch('/app.lua')).text, /details/);
  });
});

describe('an edit', () => {
  it('is told to each page, also one in a folder that came later (users B7)', async (t) => {
    const { root, gateway } = await setUp(t);
    const pages = [0, 1].map(() => new HttpExchange({ port: gateway.port, path: '/.luafcgid/events' }));
    for (const page of pages) {
      page.end();
      await page.bodyUntil(':\n\n');
    }
    const told = (text: string) => Promise.all(pages.map((page) => page.bodyUntil(text)));
    writeFileSync(join(root, 'style.css'), 'p { color: blue }');
    await told('event: change\ndata: 1\n\n');
    mkdirSync(join(root, 'deep'));
    await told('event: change\ndata: 2\n\n');
    writeFileSync(join(root, 'deep/new.lua'), '');
    await told('event: change\ndata: 3\n\n');
  });

  it('is told as well when it is one of the application that the pages belong to', async (t) => {
    const application = tempDir(t);
    mkdirSync(join(application, 'templates'));
    const { gateway } = await setUp(t, undefined, [application]);
    const page = new HttpExchange({ port: gateway.port, path: '/.luafcgid/events' });
    page.end();
    await page.bodyUntil(':\n\n');
    writeFileSync(join(application, 'templates/page.html'), '<p>');
    await page.bodyUntil('event: change\ndata: 1\n\n');
  });
});

describe('a request', () => {
  it('for a script is preceded by a look at changed files, and each is told when it is over', async (t) => {
    const { fetch, done } = await setUp(t);
    await fetch('/app.lua?x=1');
    await fetch('/style.css');
    await fetch('/.luafcgid/reload.js');
    await fetch('/missing');
    await eventually('the last one', () => done.length >= 4);
    assert.deepEqual(done, ['looked for changes', 'GET /app.lua?x=1 200', 'GET /style.css 200', 'GET /missing 404']);
  });
});
