/** The applications of examples/, driven as browsers and programs use them, on the configuration that `npm start` has. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { fetchHttp, type HttpAnswer, type HttpOptions } from '../support/http.js';
import { startPostgres } from '../support/postgres.js';
import { ROOT, startServer } from '../support/server.js';
import { shared } from '../support/shared.js';

const URLENCODED = 'application/x-www-form-urlencoded';
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** `npm start` on a copy of the examples: they store something. */
async function startExamples(t: Cleanup, env: Readonly<Record<string, string>> = {}): Promise<number> {
  const server = await startServer(t, {
    env,
    args: ({ dir }) => {
      const copy = join(dir, 'examples');
      cpSync(join(ROOT, 'examples'), copy, {
        recursive: true,
        filter: (source) => !/\/data\/.*\.db/.test(source),
      });
      const config = join(copy, 'config/config.lua');
      return ['serve', copy, '--port', '0', '--front', 'index.lua', '--config', config];
    },
    ready: /http:\/\/127\.0\.0\.1:\d+\//,
  });
  return Number((await server.logged(/http:\/\/127\.0\.0\.1:(\d+)\//))[1]);
}

/** Keeps cookies, and sends forms with the token of the page before. */
class Browser {
  readonly #port: number;
  readonly #base: string;
  readonly #cookies = new Map<string, string>();
  token = '';

  constructor(port: number, base: string) {
    this.#port = port;
    this.#base = base;
  }

  async ask(path: string, options: Partial<HttpOptions> = {}): Promise<HttpAnswer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(cookie !== '' && { cookie }), ...options.headers };
    const answer = await fetchHttp({ port: this.#port, path: this.#base + path, ...options, headers });
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(answer.header('set-cookie') ?? '') ?? [];
    if (name !== undefined) this.#cookies.set(name, value ?? '');
    this.token = /name="csrf" value="([\w-]+)"/.exec(answer.text)?.[1] ?? this.token;
    return answer;
  }

  send(path: string, fields: Readonly<Record<string, string>>, token = this.token): Promise<HttpAnswer> {
    const body = new URLSearchParams({ ...fields, ...(token !== '' && { csrf: token }) }).toString();
    return this.ask(path, { method: 'POST', headers: { 'content-type': URLENCODED }, body });
  }

  upload(path: string, text: string, file: Buffer, token = this.token): Promise<HttpAnswer> {
    const part = (head: string): string => `--XX\r\nContent-Disposition: form-data; ${head}\r\n\r\n`;
    const body = Buffer.concat([
      Buffer.from(`${part('name="csrf"')}${token}\r\n${part('name="text"')}${text}\r\n`),
      Buffer.from(part('name="photo"; filename="p.png"')),
      file,
      Buffer.from('\r\n--XX--\r\n'),
    ]);
    return this.ask(path, { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=XX' }, body });
  }

  async follow(answer: HttpAnswer): Promise<HttpAnswer> {
    assert.equal(answer.status, 303, answer.text);
    return this.ask((answer.header('location') ?? '').slice(this.#base.length));
  }
}

async function checkGuestbook(port: number): Promise<void> {
  const base = '/guestbook';
  const ann = new Browser(port, base);
  assert.match((await ann.ask('/')).text, /Nobody has written anything yet/);
  await ann.ask('/login');
  const password = 'correct horse';
  assert.match((await ann.send('/register', { name: 'a b', password })).text, /A name has 2 to 40 letters/);
  const home = await ann.follow(await ann.send('/register', { name: 'ann', password }));
  assert.match(home.text, /Welcome, ann\./);
  assert.doesNotMatch((await ann.ask('/')).text, /Welcome/, 'a message is shown once');

  const text = '<b>bold</b> & "quoted" \u00e4';
  const written = await ann.follow(await ann.upload('/entries', text, PNG));
  assert.match(written.text, /&lt;b&gt;bold&lt;\/b&gt; &amp; &quot;quoted&quot; \u00e4/);
  const [, photo = '', id = ''] = /<img src="\/guestbook(\/photos\/(\w+))"/.exec(written.text) ?? [];
  const image = await ann.ask(photo);
  assert.deepEqual([image.header('content-type'), image.body.equals(PNG)], ['image/png', true]);
  assert.equal((await ann.ask(photo, { headers: { 'if-none-match': `"${id}"` } })).status, 304);

  // What is no photo is no photo, and what is no form of this site is none.
  const html = await ann.upload('/entries', 'evil', Buffer.from('<script>alert(1)</script>'));
  assert.deepEqual(
    [html.status, /A photo is a PNG/.test(html.text), /evil<\/textarea>/.test(html.text)],
    [422, true, true],
  );
  assert.equal((await ann.upload('/entries', 'foreign', PNG, '')).status, 403);
  assert.equal((await ann.send('/logout', {}, 'x'.repeat(64))).status, 403);
  assert.equal((await ann.send('/entries', { text: '' })).status, 422);

  // Another visitor sees it, and cannot remove it.
  const eve = new Browser(port, base);
  await eve.ask('/login');
  assert.match((await eve.send('/register', { name: 'ann', password })).text, /This name is taken/);
  assert.match(
    (await eve.send('/login', { name: 'ann', password: 'wrong horse!' })).text,
    /name or the password is wrong/,
  );
  assert.match((await eve.send('/login', { name: 'nobody', password })).text, /name or the password is wrong/);
  await eve.follow(await eve.send('/register', { name: 'eve', password }));
  assert.doesNotMatch((await eve.ask('/')).text, /Delete/);
  assert.equal((await eve.send(`/entries/${id}/delete`, {})).status, 404);

  // JSON: read by all, written by who has a session and its token.
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  const post = (who: Browser, body: string, token: string) =>
    who.ask('/api/entries', { method: 'POST', headers: { ...headers, 'x-csrf-token': token }, body });
  assert.equal((await post(eve, '{"text":"by program"}', eve.token)).status, 201);
  const refused = await post(eve, '{"text":"forged"}', 'x'.repeat(64));
  assert.deepEqual([refused.status, typeof JSON.parse(refused.text).error], [403, 'string']);
  assert.equal((await post(eve, '{"text":', eve.token)).status, 400);
  assert.deepEqual(JSON.parse((await post(eve, '{"txt":7}', eve.token)).text), {
    error: 'Write a text of at most 1000 characters.',
  });
  const listed = JSON.parse((await new Browser(port, base).ask('/api/entries')).text);
  assert.deepEqual(
    listed.entries.map((entry: { author: string; text: string }) => `${entry.author}: ${entry.text}`).sort(),
    [`ann: ${text}`, 'eve: by program'],
  );

  // Out and in again; the password is kept as a hash.
  await ann.ask('/');
  await ann.follow(await ann.send('/logout', {}));
  assert.match((await ann.ask('/')).text, /Log in or register/);
  await ann.ask('/login');
  await ann.follow(await ann.send('/login', { name: 'ann', password }));
  const deleted = await ann.follow(await ann.send(`/entries/${id}/delete`, {}));
  assert.match(deleted.text, /The entry is gone/);
  assert.equal((await ann.ask(photo)).status, 404);
  assert.equal((await ann.ask('/nothing')).status, 404);
  assert.ok((await ann.ask('/source')).text.includes(readFileSync(join(ROOT, 'examples/guestbook/index.lua'), 'utf8')));
}

describe('the applications of examples/', () => {
  /** All of them are in one place, and count requests apart from each other. */
  const port = shared((t) => startExamples(t));

  describe('the guestbook', () => {
    it('has users, entries with photos, and an API, on SQLite', () => checkGuestbook(port()));

    it('lets nobody guess passwords for long', async () => {
      const eve = new Browser(port(), '/guestbook');
      await eve.ask('/login');
      const guess = (_: unknown, at: number) => eve.send('/login', { name: 'ann', password: `guess number ${at}` });
      const answers = await Promise.all(Array.from({ length: 12 }, guess));
      assert.ok(answers.some(({ status }) => status === 429));
    });

    it('answers under the address of its script, too', async () => {
      const { text } = await fetchHttp({ port: port(), path: '/guestbook/index.lua/login' });
      assert.match(text, /action="\/guestbook\/index\.lua\/login"/);
    });

    it('runs on PostgreSQL by configuration alone', async (t) => {
      const database = await startPostgres(t);
      const data = `postgres://postgres@127.0.0.1:${database.port}/postgres`;
      await checkGuestbook(await startExamples(t, { GUESTBOOK_DATA: data }));
    });
  });

  describe('the link shortener', () => {
    const json = { 'content-type': 'application/json', accept: 'application/json' };

    it('makes short addresses, leads to the long ones, and counts', async () => {
      const ann = new Browser(port(), '/links');
      assert.match((await ann.ask('/')).text, /<h1>/);
      const made = await ann.follow(await ann.send('/', { url: 'https://example.com/a?b=<c>&d' }));
      const code = /\/links\/(\w{6})\/stats/.exec(made.text)?.[1] ?? '';
      assert.match(made.text, /https:\/\/example\.com\/a\?b=&lt;c&gt;&amp;d/);
      for (let round = 0; round < 3; round += 1) {
        const answer = await new Browser(port(), '/links').ask(`/${code}`);
        assert.deepEqual([answer.status, answer.header('location')], [302, 'https://example.com/a?b=<c>&d']);
      }
      assert.match((await ann.ask(`/${code}/stats`)).text, /<b>3<\/b>/);
      assert.equal((await ann.ask('/nothing')).status, 404);
    });

    it('refuses addresses that lead nowhere or run something, and forms of other sites', async () => {
      const ann = new Browser(port(), '/links');
      await ann.ask('/');
      for (const url of [
        '',
        'javascript:alert(1)',
        'ftp://x',
        'https://',
        'https://a b',
        'https://a\nb',
        `https://a/${'x'.repeat(2000)}`,
      ]) {
        assert.equal((await ann.send('/', { url })).status, 422, url);
      }
      assert.equal((await ann.send('/', { url: 'https://example.com/' }, '')).status, 403);
    });

    it('has an API, and lets nobody make too many', async () => {
      const program = new Browser(port(), '/links');
      const make = () =>
        program.ask('/api/links', { method: 'POST', headers: json, body: '{"url":"https://example.com/api"}' });
      const made = await make();
      assert.equal(made.status, 201, made.text);
      const { code, short } = JSON.parse(made.text);
      assert.equal(short, `/links/${code}`);
      await program.ask(`/${code}`);
      const stats = JSON.parse((await program.ask(`/api/links/${code}`, { headers: json })).text);
      assert.deepEqual([stats.url, stats.hits], ['https://example.com/api', 1]);
      let last = made;
      for (let round = 0; round < 25 && last.status !== 429; round += 1) last = await make();
      assert.equal(last.status, 429);
      assert.equal(last.header('retry-after'), '60');
    });
  });

  describe('the wiki, a WSAPI application', () => {
    const origin = (): Record<string, string> => ({
      origin: `http://127.0.0.1:${port()}`,
      host: `127.0.0.1:${port()}`,
    });
    const post = (path: string, fields: Readonly<Record<string, string>>, headers = origin()): Promise<HttpAnswer> =>
      new Browser(port(), '/wiki').ask(path, {
        method: 'POST',
        headers: { 'content-type': URLENCODED, ...headers },
        body: new URLSearchParams(fields).toString(),
      });
    const get = (path: string): Promise<HttpAnswer> => new Browser(port(), '/wiki').ask(path);

    it('shows pages with links between them, escaped', async () => {
      assert.match((await get('/')).text, /<a href="\/wiki\/page\/Names%20of%20pages" class="new">Names of pages<\/a>/);
      assert.equal((await get('/page/Names%20of%20pages')).status, 404);
      const text = 'A <script> & [[Home]], [[a "b" <c>]], *bold*\r\n\r\nnext';
      const saved = await post('/edit/Names%20of%20pages', { text, revision: '0' });
      assert.deepEqual([saved.status, saved.header('location')], [302, '/wiki/page/Names%20of%20pages'], saved.text);
      const page = await get('/page/Names%20of%20pages');
      assert.match(
        page.text,
        /A &lt;script&gt; &amp; <a href="\/wiki\/page\/Home">Home<\/a>, <a href="[^"]*" class="new">a &quot;b&quot; &lt;c&gt;<\/a>/,
      );
      assert.match(page.text, /<strong>bold<\/strong><\/p>\n<p>next<\/p>/);
      assert.match(page.text, /Revision 1, \d{4}-/);
      assert.match((await get('/pages')).text, /<li><a href="\/wiki\/page\/Names%20of%20pages">/);
      assert.match(
        (await get('/edit/Names%20of%20pages')).text,
        /<textarea[^>]*>\nA &lt;script&gt;[\s\S]*name="revision" value="1"/,
      );
      assert.match((await get('/source')).text, /A wiki as a WSAPI application/);
    });

    it('loses no text when two save at the same time, and takes no form of another site', async () => {
      assert.equal((await post('/edit/Race', { text: 'first', revision: '0' })).status, 302);
      const late = await post('/edit/Race', { text: 'second', revision: '0' });
      assert.deepEqual(
        [late.status, /second<\/textarea>/.test(late.text), /value="1"/.test(late.text)],
        [409, true, true],
      );
      assert.equal((await post('/edit/Race', { text: 'third', revision: '1' })).status, 302);
      for (const headers of [{ host: origin().host! }, { ...origin(), origin: 'https://evil.example' }]) {
        assert.equal(
          (await post('/edit/Race', { text: 'forged', revision: '2' }, headers as Record<string, string>)).status,
          403,
        );
      }
      assert.match((await get('/page/Race')).text, /<p>third<\/p>/);
    });

    it('refuses what is no page', async () => {
      for (const fields of [{ text: '', revision: '0' }, { text: 'x' }, { text: 'x'.repeat(20_001), revision: '0' }]) {
        assert.equal((await post('/edit/New', fields as Record<string, string>)).status, 422);
      }
      for (const path of ['/nothing', '/page/', `/page/${'x'.repeat(61)}`, '/page/a%0ab', '/move/Home']) {
        assert.equal((await get(path)).status, 404, path);
      }
    });
  });
});
