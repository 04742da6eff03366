/**
 * The same questions for every web server with the configuration that lies in examples/: fidelity part B. What a server
 * does otherwise stands in `others`, and for people in docs/web-servers.md.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import net from 'node:net';
import { describe, it } from 'node:test';
import { EXAMPLE_SERVERS, type ExampleServer } from '../support/example-servers.js';
import { fetchHttp, type HttpAnswer, type HttpOptions } from '../support/http.js';
import { startServer } from '../support/server.js';
import { shared } from '../support/shared.js';
import { findProgram } from '../support/web-server.js';

const ECHO = `function main(env, con)
  con:type("text/plain")
  local body = con:gets() or ""
  con:puts(env.REQUEST_METHOD, "|", env.SCRIPT_NAME, "|", env.PATH_INFO or "", "|", env.QUERY_STRING or "", "|", #body)
end`;

const FILES = {
  'echo.lua': ECHO,
  'index.lua': 'function main(env, con) con:puts("index") end',
  'folder/index.lua': 'function main(env, con) con:puts("folder index ", env.QUERY_STRING or "") end',
  'folder/sp ace.lua': ECHO,
  'folder/gr\u00fc\u00dfe.lua': ECHO,
  'folder/a+b.lua': ECHO,
  'folder/50%.lua': ECHO,
  'empty.lua': 'function main(env, con) end',
  'status.lua': `function main(env, con)
    con:status(env.QUERY_STRING) con:type("text/plain") con:puts("body of ", env.QUERY_STRING)
  end`,
  'redirect.lua': `function main(env, con)
    local code, to = env.QUERY_STRING:match("^(%d+),(.*)$")
    if code == "0" then con:header("Location", to) con:puts("moved")
    else con:status(code) con:header("Location", to) con:puts("moved") end
  end`,
  'headers.lua': `function main(env, con)
    con:header("X-Two", "a") con:header("X-Two", "b") con:header("Set-Cookie", "a=1") con:header("Set-Cookie", "b=2")
    con:header("X-Bytes", "\\228\\255") con:header("ETag", '"1"')
    con:puts(env.HTTP_COOKIE or "", "|", env.HTTP_PROXY or "no proxy", "|", env.HTTP_AUTHORIZATION or "")
  end`,
  'big-header.lua':
    'function main(env, con) con:header("X-Big", ("h"):rep(tonumber(env.QUERY_STRING))) con:puts("ok") end',
  'length.lua': 'function main(env, con) con:header("Content-Length", env.QUERY_STRING) con:puts("0123456789") end',
  'error.lua': 'function main(env, con) error("trouble") end',
  'syntax.lua': 'function main(env, con',
  'no-main.lua': 'x = 1',
  'slow.lua': 'function main(env, con) con:config("watchdog", 0.2) while true do end end',
  'exit.lua': 'function main(env, con) con:puts("before") os.exit(3) end',
  'finish.lua': 'function main(env, con) con:puts("all") con:finish() end',
  'unread.lua': 'function main(env, con) con:puts("not read") end',
  'page.html': '<p>a file</p>',
  'note.txt': 'text',
};

type Name = ExampleServer['name'];
/** What an answer has: a status, a text that is all or a part of the body, headers. */
interface Expected {
  readonly status?: number | readonly number[];
  readonly text?: string | RegExp;
  readonly header?: readonly [name: string, value: string | RegExp];
}
interface Check extends Expected {
  readonly name: string;
  readonly path: string;
  readonly options?: Partial<HttpOptions>;
  /** Where the right answer is another one, or cannot be had. */
  readonly others?: Readonly<Partial<Record<Name, Expected>>>;
}

const echo = (text: string): Expected => ({ status: 200, text });
const get = (name: string, path: string, expected: Expected, others: Check['others'] = {}): Check => ({
  name,
  path,
  ...expected,
  others,
});
const send = (
  name: string,
  options: Partial<HttpOptions>,
  path: string,
  expected: Expected,
  others: Check['others'] = {},
) => ({
  ...get(name, path, expected, others),
  options,
});
const body = (bytes: number): Buffer => Buffer.alloc(bytes, 'x');

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'REPORT'].map((method) =>
  send(method, { method }, '/echo.lua?q', echo(`${method}|/echo.lua||q|0`)),
);
const STATUSES = [200, 201, 299, 404, 410, 418, 451, 500, 503, 599].map((status) =>
  get(`status ${status}`, `/status.lua?${status}`, { status, text: `body of ${status}` }),
);
/** HAProxy made all of these 302 while Status came before Location: fidelity D-B1, reports A5. */
const REDIRECTS = [201, 301, 302, 303, 307, 308].flatMap((status) =>
  ['/echo.lua', 'http://example.org/x'].map((to) =>
    get(`status ${status} with Location ${to}`, `/redirect.lua?${status},${to}`, { status, header: ['location', to] }),
  ),
);

const CHECKS: readonly Check[] = [
  ...METHODS,
  send('FOO', { method: 'FOO' }, '/echo.lua', echo('FOO|/echo.lua|||0'), { lighttpd: { status: 501 } }),
  send('TRACE', { method: 'TRACE' }, '/echo.lua', { status: [405, 400, 501] }),
  send('HEAD', { method: 'HEAD' }, '/headers.lua', { status: 200, text: '', header: ['x-two', 'a, b'] }),
  get('an empty answer', '/empty.lua', { status: 200, text: '' }),
  get('status 204', '/status.lua?204', { status: 204, text: '' }),
  get('status 304', '/status.lua?304', { status: 304, text: '' }),
  ...STATUSES,
  get('a Location alone', '/redirect.lua?0,/echo.lua', { status: 302, header: ['location', /\/echo\.lua$/] }),
  ...REDIRECTS,
  get('headers that come twice', '/headers.lua', { status: 200, header: ['x-two', 'a, b'] }),
  get('cookies that are set', '/headers.lua', { status: 200, header: ['set-cookie', 'a=1, b=2'] }),
  get('bytes in headers', '/headers.lua', { status: 200, header: ['x-bytes', '\xe4\xff'] }),
  send(
    'what the client sends',
    { headers: { Cookie: 'c=d', Proxy: 'evil', Authorization: 'Basic eDp5' } },
    '/headers.lua',
    {
      text: 'c=d|no proxy|Basic eDp5',
    },
  ),
  ...[0, 1, 8192, 1_000_000].map((bytes) =>
    send(
      `a body of ${bytes} bytes`,
      { method: 'POST', body: body(bytes) },
      '/echo.lua',
      echo(`POST|/echo.lua|||${bytes}`),
    ),
  ),
  send('a body that is not read', { method: 'POST', body: body(100_000) }, '/unread.lua', echo('not read')),
  get('a query with a ?', '/echo.lua?a?b', echo('GET|/echo.lua||a?b|0')),
  get('an encoded query', '/echo.lua?%20%C3%A4+&;', echo('GET|/echo.lua||%20%C3%A4+&;|0')),
  get('a query that is no UTF-8', '/echo.lua?%ff', echo('GET|/echo.lua||%ff|0'), { lighttpd: { status: 400 } }),
  get('PATH_INFO', '/echo.lua/more/x', echo('GET|/echo.lua|/more/x||0')),
  get('PATH_INFO /', '/echo.lua/', echo('GET|/echo.lua|/||0')),
  // fidelity D-B4 (d)
  get('PATH_INFO that ends with .lua', '/echo.lua/x.lua', echo('GET|/echo.lua|/x.lua||0')),
  get('a name with a space', '/folder/sp%20ace.lua', { status: 200, text: /^GET\|\/folder\/sp ace\.lua\|/ }),
  get('a name in UTF-8', '/folder/gr%C3%BC%C3%9Fe.lua', {
    status: 200,
    text: /^GET\|\/folder\/gr\u00fc\u00dfe\.lua\|/,
  }),
  get('a name with a +', '/folder/a+b.lua', { status: 200, text: /^GET\|\/folder\/a\+b\.lua\|/ }),
  get('a name with a %', '/folder/50%25.lua', { status: 200, text: /^GET\|\/folder\/50%\.lua\|/ }),
  get('a doubled slash', '//echo.lua', { status: 200, text: /^GET\|\/{1,2}echo\.lua\|/ }),
  // reports A1
  get('.. that leads out', '/../outside.lua', { status: [400, 403, 404] }),
  get('an encoded .. that leads out', '/%2e%2e/outside.lua', { status: [400, 403, 404] }),
  get('.. in the middle that leads out', '/folder/../../outside.lua', { status: [400, 403, 404] }),
  get('.. behind an encoded slash', '/..%2foutside.lua', { status: [400, 403, 404] }),
  get('.. that stays inside', '/folder/../echo.lua', echo('GET|/echo.lua|||0'), {
    Caddy: echo('GET|/folder/../echo.lua|||0'),
    HAProxy: { status: 400 },
  }),
  get('a NUL in the path', '/echo.lua%00', { status: [400, 404, 500] }),
  // reports Q2
  get('a line feed at the end', '/echo.lua%0a', { status: [400, 404] }),
  get('the index of /', '/', echo('index')),
  get('the index of a folder', '/folder/', echo('folder index ')),
  // fidelity D-B6
  get(
    'a folder without its slash',
    '/folder?a=1',
    { status: [301, 308], header: ['location', /\/folder\/\?a=1$/] },
    {
      HAProxy: { status: 404 },
    },
  ),
  get('a folder named like a script', '/named.lua/', { status: [403, 404] }),
  get('a file', '/page.html', { status: 200, text: '<p>a file</p>' }, { HAProxy: { status: 404 } }),
  get('no such script', '/none.lua', { status: 404 }),
  get('no such file', '/none.txt', { status: 404 }),
  get('an error', '/error.lua', { status: 500, text: /trouble/ }),
  get('a syntax error', '/syntax.lua', { status: 500 }),
  get('no main', '/no-main.lua', { status: 500, text: /main/ }),
  get('a script that takes too long', '/slow.lua', { status: 504 }),
  get('os.exit', '/exit.lua', { status: 200, text: 'before' }),
  get('con:finish', '/finish.lua', { status: 200, text: 'all' }),
  // fidelity D-B9
  get('a Content-Length that is too large', '/length.lua?50', { status: 200, text: '0123456789' }),
  get('a Content-Length that is too small', '/length.lua?5', { status: 200, text: '0123456789' }),
  // fidelity D-B3, D-B4 (b)
  get('4 KiB of answer headers', '/big-header.lua?4096', { status: 200, text: 'ok' }),
  get('7 KiB of answer headers', '/big-header.lua?7000', { status: 200, text: 'ok' }),
  get('40 KiB of answer headers', '/big-header.lua?40000', { status: 200, text: 'ok' }, { Apache: { status: 500 } }),
  send('a request header of 6 KiB', { headers: { 'X-Long': 'h'.repeat(6000) } }, '/unread.lua', echo('not read')),
  send('a body over maxpost', { method: 'POST', body: body(1_100_000) }, '/echo.lua', { status: 413 }),
];

function holds(answer: HttpAnswer, { status, text, header }: Expected): void {
  if (status !== undefined) {
    const allowed = typeof status === 'number' ? [status] : status;
    assert.ok(allowed.includes(answer.status), `status ${answer.status}, not ${allowed.join(' or ')}: ${answer.text}`);
  }
  if (typeof text === 'string') assert.equal(answer.text, text);
  else if (text !== undefined) assert.match(answer.text, text);
  if (header === undefined) return;
  const [name, value] = header;
  if (typeof value === 'string') assert.equal(answer.header(name), value);
  else assert.match(answer.header(name) ?? '', value);
}

/** Sends a request as it is written, and reads until the answer has these words. */
function raw(port: number, text: string, words: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setTimeout(90_000, () => socket.destroy(new Error(`no answer, but ${answer}`)));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (!words.test(answer)) return;
      resolve(answer);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${answer}`)));
  });
}

for (const { name, file, program, start } of EXAMPLE_SERVERS) {
  // scripts/require-packages.mjs has installed it where that is possible, and else has said what is left out.
  const skip = findProgram(program) === undefined && `${program} is not installed`;

  describe(`the check list behind ${name} with examples/${file} (fidelity part B)`, { skip }, () => {
    const server = shared(async (t) => {
      const started = await startServer(t, { files: FILES, config: 'workers = 2 socketmode = "0666"' });
      // Started as root, Apache serves as another user.
      chmodSync(started.dir, 0o755);
      mkdirSync(started.path('named.lua'));
      return started;
    });
    const web = shared((t) => start(t, server()));

    it('every answer is the one that a script means, or the one that is documented', async () => {
      const faults: string[] = [];
      for (const { name: check, path, options, others, ...expected } of CHECKS) {
        try {
          holds(await fetchHttp({ port: web().port, path, ...options }), others?.[name] ?? expected);
        } catch (error) {
          faults.push(`${check}: ${(error as Error).message}`);
        }
      }
      assert.deepEqual(faults, []);
    });

    it('a chunked body has its length and its bytes', async () => {
      const chunks = `400\r\n${'x'.repeat(1024)}\r\n`.repeat(8);
      const head =
        'POST /echo.lua HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n';
      assert.match(await raw(web().port, `${head}${chunks}0\r\n\r\n`, /POST\|\/echo\.lua\|\|\|8192/), /\|8192/);
    });

    it('a request of HTTP/1.0 gets its answer and its end', async () => {
      const answer = await raw(
        web().port,
        'GET /echo.lua HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n',
        /GET\|\/echo\.lua\|\|\|0$/,
      );
      assert.match(answer, /^HTTP\/1\.[01] 200 /);
    });
  });
}
