/** The gateway between real sockets: HTTP requests on one side, hand-made FastCGI answers on the other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import { type Gateway, startGateway } from '../../src/gateway/gateway.js';
import { guarded, tempDir } from '../support/cleanup.js';
import { type Exchange, startResponder } from '../support/fcgi-responder.js';
import { endRequest, record, stream, TYPE } from '../support/fcgi-wire.js';
import { fetchHttp, HttpExchange, type HttpOptions } from '../support/http.js';

const PLAIN = 'Content-Type: text/plain\r\n\r\n';

interface Setup {
  readonly root: string;
  readonly socket: string;
  readonly gateway: Gateway;
  readonly log: string[];
  /** The next request at the FastCGI application. */
  next(): Promise<Exchange>;
  fetch(path: string, options?: Partial<HttpOptions>): ReturnType<typeof fetchHttp>;
  open(path: string, options?: Partial<HttpOptions>): HttpExchange;
}

async function setUp(t: TestContext, handle?: (exchange: Exchange) => unknown): Promise<Setup> {
  const root = tempDir(t);
  writeFileSync(join(root, 'app.lua'), '');
  const { socket, next } = await startResponder(t, handle);
  const log: string[] = [];
  const gateway = await startGateway({ root, port: 0, socket, log: (level, text) => log.push(`${level} ${text}`) });
  t.after(() => gateway.close(0));
  return {
    root,
    socket,
    gateway,
    log,
    next,
    fetch: (path, options) => fetchHttp({ port: gateway.port, path, ...options }),
    open: (path, options) => new HttpExchange({ port: gateway.port, path, ...options }),
  };
}

describe('a script request through the gateway', () => {
  it('has the parameters that a web server sends', async (t) => {
    const { root, gateway, next, open } = await setUp(t);
    const request = open('/app.lua/in%66o?x=%20&y', {
      method: 'POST',
      headers: {
        'Content-Type': 'text/x',
        'Content-Length': 2,
        Proxy: 'evil',
        'X-Two': ['a', 'b'],
        Under_score: 'no',
        'X-Bytes': '\xe4\xff',
        Cookie: 'c=d',
        Host: 'app.localhost',
      },
    });
    request.end('hi');
    const exchange = await next();
    const { REMOTE_PORT, HTTP_CONNECTION, ...params } = exchange.params;
    assert.match(REMOTE_PORT!, /^\d+$/);
    assert.equal(HTTP_CONNECTION, 'close');
    assert.deepEqual(params, {
      SCRIPT_FILENAME: `${root}/app.lua`,
      QUERY_STRING: 'x=%20&y',
      REQUEST_METHOD: 'POST',
      CONTENT_TYPE: 'text/x',
      CONTENT_LENGTH: '2',
      SCRIPT_NAME: '/app.lua',
      PATH_INFO: '/info',
      PATH_TRANSLATED: `${root}/info`,
      REQUEST_URI: '/app.lua/in%66o?x=%20&y',
      DOCUMENT_URI: '/app.lua/info',
      DOCUMENT_ROOT: root,
      SERVER_PROTOCOL: 'HTTP/1.1',
      REQUEST_SCHEME: 'http',
      GATEWAY_INTERFACE: 'CGI/1.1',
      SERVER_SOFTWARE: 'luafcgid-gateway',
      REMOTE_ADDR: '127.0.0.1',
      SERVER_ADDR: '127.0.0.1',
      SERVER_PORT: String(gateway.port),
      SERVER_NAME: '127.0.0.1',
      HTTP_X_TWO: 'a, b',
      HTTP_X_BYTES: '\xe4\xff',
      HTTP_COOKIE: 'c=d',
      HTTP_HOST: 'app.localhost',
    });
    assert.equal(exchange.pairs.length, new Set(exchange.pairs.map(([name]) => name)).size, 'no name twice');
    assert.equal(exchange.role, 1);
    assert.equal((await exchange.body()).toString(), 'hi');
    exchange.end(`Status: 201 Made\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Bytes: \xe4\xff\r\n${PLAIN}ok`);
    const { status, reason, headers, header } = await request.head();
    assert.deepEqual([status, reason, header('x-bytes')], [201, 'Made', '\xe4\xff']);
    assert.deepEqual(headers.slice(0, 2), [
      ['Set-Cookie', 'a'],
      ['Set-Cookie', 'b'],
    ]);
    assert.equal((await request.body()).toString(), 'ok');
    await exchange.closed();
  });

  it('has no length when the body is chunked', async (t) => {
    const { next, open } = await setUp(t);
    const request = open('/app.lua', { method: 'PUT' });
    request.request.setHeader('Transfer-Encoding', 'chunked');
    await request.write('ab');
    request.end('cd');
    const exchange = await next();
    assert.equal(exchange.params.CONTENT_LENGTH, undefined);
    assert.equal(exchange.params.HTTP_TRANSFER_ENCODING, undefined);
    assert.equal((await exchange.body()).toString(), 'abcd');
    exchange.end(PLAIN);
    assert.equal((await request.head()).status, 200);
  });

  it('understands a whole URL, as a proxy is asked', async (t) => {
    const { fetch } = await setUp(t, (exchange) => exchange.end(`${PLAIN}${exchange.params.QUERY_STRING}`));
    assert.equal((await fetch('http://localhost:80/app.lua?a=b')).text, 'a=b');
  });

  it('keeps every byte of both bodies', async (t) => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));
    const { fetch } = await setUp(t, async (exchange) => {
      exchange.stdout(PLAIN);
      exchange.end(await exchange.body());
    });
    const answer = await fetch('/app.lua', { method: 'POST', body: bytes });
    assert.ok(answer.body.equals(bytes));
  });

  it('streams both ways at once', async (t) => {
    const { next, open } = await setUp(t);
    const request = open('/app.lua', { method: 'POST' });
    await request.write('one');
    const exchange = await next();
    await exchange.bodyUntil('one');
    exchange.stdout(`${PLAIN}`);
    assert.equal((await request.head()).status, 200, 'headers come alone');
    exchange.stdout('eins');
    await request.bodyUntil('eins');
    await request.write('two');
    await exchange.bodyUntil('two');
    exchange.stdout('zwei');
    await request.bodyUntil('zwei');
    request.end();
    await exchange.body();
    exchange.end();
    assert.equal((await request.body()).toString(), 'einszwei');
  });

  it('waits for a slow client instead of collecting its answer', async (t) => {
    const { next, open, fetch } = await setUp(t);
    const request = open('/app.lua');
    request.end();
    const exchange = await next();
    exchange.stdout(PLAIN);
    await request.head();
    request.pause();
    // More than all buffers between here and there hold: some of it must wait at the application.
    const part = stream(TYPE.STDOUT, exchange.id, Buffer.alloc(65535), { end: false });
    const parts = 1000;
    for (let sent = 0; sent < parts; sent += 1) exchange.send(part);
    await untilSettled(fetch);
    assert.ok(exchange.unsentBytes > 0, 'the gateway has taken everything');
    request.resume();
    exchange.end();
    assert.equal((await request.body()).length, parts * 65535);
  });

  it('waits for a slow application instead of collecting the body', async (t) => {
    const { next, open, fetch } = await setUp(t);
    const size = 64 * 1024 * 1024;
    const request = open('/app.lua', { method: 'POST', headers: { 'Content-Length': size } });
    await request.write(Buffer.alloc(1));
    const exchange = await next();
    exchange.pause();
    let isSent = false;
    const sent = request.write(Buffer.alloc(size - 1)).then(() => {
      isSent = true;
    });
    await untilSettled(fetch);
    assert.equal(isSent, false, 'the gateway has taken everything');
    exchange.resume();
    request.end();
    assert.equal((await exchange.body()).length, size);
    await sent;
    exchange.end(PLAIN);
    assert.equal((await request.head()).status, 200);
  });

  it('answers HEAD without a body, but with its length', async (t) => {
    const { fetch } = await setUp(t, (exchange) => exchange.end(`Content-Length: 5\r\n${PLAIN}hello`));
    const answer = await fetch('/app.lua', { method: 'HEAD' });
    assert.deepEqual([answer.status, answer.header('content-length'), answer.text], [200, '5', '']);
  });

  it('serves several requests on one connection, also after a body that nobody read', async (t) => {
    const { fetch } = await setUp(t, (exchange) => exchange.end(`${PLAIN}${exchange.params.REQUEST_METHOD}`));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (const method of ['POST', 'GET', 'PUT', 'DELETE']) {
      const body = method === 'GET' ? undefined : Buffer.alloc(300_000);
      const answer = await fetch('/app.lua', { agent, method, ...(body && { body }) });
      assert.equal(answer.text, method);
    }
  });

  it('gives pipelined requests their answers in order', async (t) => {
    const { gateway } = await setUp(t, (exchange) => exchange.end(`${PLAIN}${exchange.params.QUERY_STRING};`));
    const socket = net.connect(gateway.port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(['1', '2', '3'].map((n) => `GET /app.lua?q${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
    let text = '';
    for await (const chunk of socket) {
      text += chunk;
      if (text.includes('q3;')) break;
    }
    assert.deepEqual(text.match(/q\d/g), ['q1', 'q2', 'q3']);
  });

  it('is dropped when its client goes before or in the middle of the answer', async (t) => {
    const { next, open } = await setUp(t);
    for (const begun of [false, true]) {
      const request = open('/app.lua');
      request.end();
      const exchange = await next();
      if (begun) {
        exchange.stdout(`${PLAIN}x`);
        await request.bodyUntil('x');
      }
      request.destroy();
      await exchange.closed();
    }
  });

  it('is dropped when its client goes in the middle of the body', async (t) => {
    const { next, open } = await setUp(t);
    const request = open('/app.lua', { method: 'POST', headers: { 'Content-Length': 10 } });
    await request.write('x');
    const exchange = await next();
    await exchange.bodyUntil('x');
    request.destroy();
    await exchange.closed();
    assert.equal(exchange.bodyHasEnded, false);
  });

  it('is dropped when its client goes while it waits behind another', async (t) => {
    const { gateway, next } = await setUp(t);
    const socket = net.connect(gateway.port, '127.0.0.1');
    socket.write('GET /app.lua HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(2));
    const [first, second] = [await next(), await next()];
    socket.destroy();
    await Promise.all([first.closed(), second.closed()]);
  });

  it('logs what the script writes to STDERR, line by line', async (t) => {
    const { fetch, log } = await setUp(t, (exchange) => {
      const { id } = exchange;
      exchange.send(record(TYPE.STDERR, id, 'one\ntw'), record(TYPE.STDERR, id, 'o\r\nthree'), record(TYPE.STDERR, id));
      exchange.end(`${PLAIN}ok`);
    });
    assert.equal((await fetch('/app.lua')).text, 'ok');
    assert.deepEqual(log, ['warn GET /app.lua: one', 'warn GET /app.lua: two', 'warn GET /app.lua: three']);
  });

  it('gets its answer although the application refuses the rest of the body', async (t) => {
    const { open, next } = await setUp(t);
    const request = open('/app.lua', { method: 'POST', headers: { 'Content-Length': 50_000_000 } });
    await request.write(Buffer.alloc(100_000));
    const exchange = await next();
    exchange.end(`Status: 413\r\n${PLAIN}too much`);
    assert.equal((await request.head()).status, 413);
    request.end(Buffer.alloc(49_900_000));
    assert.equal((await request.body()).toString(), 'too much');
  });
});

describe('a failure behind the gateway', () => {
  const cases: readonly (readonly [name: string, status: number, text: RegExp, fail: (exchange: Exchange) => void])[] =
    [
      ['a connection closed at once', 502, /closed the connection before the end/, (x) => x.hangUp()],
      ['no output', 502, /without any output/, (x) => x.end()],
      ['headers that do not end', 502, /headers that do not end/, (x) => x.end('A: b\r\n')],
      ['a malformed header', 502, /malformed header line, &quot;hello&quot;/, (x) => x.end('hello\r\n\r\n')],
      ['an overloaded server', 503, /more requests than it takes/, (x) => x.send(endRequest(x.id, 0, 2))],
      ['a role refused', 502, /protocol status 3/, (x) => x.send(endRequest(x.id, 0, 3))],
      ['no FastCGI', 502, /version 72/, (x) => x.send('HTTP/1.1 200 OK\r\n\r\n')],
      ['a short END_REQUEST', 502, /4 bytes instead of 8/, (x) => x.send(record(TYPE.END_REQUEST, x.id, 'abcd'))],
    ];
  for (const [name, status, text, fail] of cases) {
    it(`gives a page: ${name}`, async (t) => {
      const { fetch, log } = await setUp(t, fail);
      const answer = await fetch('/app.lua');
      assert.equal(answer.status, status);
      assert.match(answer.text, text);
      assert.equal(log.length, 1);
      assert.match(log[0]!, /^error GET \/app\.lua: /);
    });
  }

  it('names the address when nobody listens there', async (t) => {
    const { root } = await setUp(t);
    const gateway = await startGateway({ root, port: 0, socket: join(root, 'no.sock'), log: () => {} });
    t.after(() => gateway.close(0));
    const answer = await fetchHttp({ port: gateway.port, path: '/app.lua' });
    assert.equal(answer.status, 502);
    assert.match(
      answer.text,
      /no answer from the FastCGI server at .*no\.sock: .*ENOENT[\s\S]*Start the FastCGI server/,
    );
  });

  it('breaks the connection when the answer has begun', async (t) => {
    for (const fail of [
      (exchange: Exchange) => exchange.hangUp(),
      (exchange: Exchange) => exchange.send(endRequest(exchange.id, 0, 2)),
    ]) {
      const { open, next } = await setUp(t);
      const request = open('/app.lua');
      request.end();
      const exchange = await next();
      exchange.stdout(`${PLAIN}half`);
      await request.bodyUntil('half');
      fail(exchange);
      await assert.rejects(request.body(), /aborted|reset/);
    }
  });

  it('keeps an answer from running over or under its Content-Length', async (t) => {
    const long = await setUp(t, (exchange) => exchange.end(`Content-Length: 3\r\n${PLAIN}abcdef`));
    assert.equal((await long.fetch('/app.lua')).text, 'abc');
    assert.match(long.log.join(), /longer than its Content-Length/);
    const short = await setUp(t, (exchange) => exchange.end(`Content-Length: 9\r\n${PLAIN}abcdef`));
    await assert.rejects(short.fetch('/app.lua'), /aborted|reset/);
    assert.match(short.log.join(), /3 bytes short/);
  });
});

describe('files and folders at the gateway', () => {
  it('sends a file with its type, and 304 when the client has it', async (t) => {
    const { root, fetch } = await setUp(t);
    writeFileSync(join(root, 'style.css'), 'body {}');
    const first = await fetch('/style.css?v=1');
    assert.deepEqual(
      [first.status, first.header('content-type'), first.text],
      [200, 'text/css; charset=utf-8', 'body {}'],
    );
    const etag = first.header('etag')!;
    const modified = first.header('last-modified')!;
    for (const headers of [{ 'If-None-Match': `"x", ${etag}` }, { 'If-Modified-Since': modified }]) {
      const again = await fetch('/style.css', { headers });
      assert.deepEqual([again.status, again.text, again.header('etag')], [304, '', etag]);
    }
    utimesSync(join(root, 'style.css'), 1, 1);
    assert.equal((await fetch('/style.css', { headers: { 'If-None-Match': etag } })).status, 200);
    const head = await fetch('/style.css', { method: 'HEAD' });
    assert.deepEqual([head.status, head.header('content-length'), head.text], [200, '7', '']);
  });

  it('sends empty and large files', async (t) => {
    const { root, fetch } = await setUp(t);
    writeFileSync(join(root, 'empty'), '');
    writeFileSync(join(root, 'large'), Buffer.alloc(5_000_000, 'x'));
    const empty = await fetch('/empty');
    assert.deepEqual([empty.status, empty.header('content-type'), empty.text], [200, 'application/octet-stream', '']);
    assert.equal((await fetch('/large')).body.length, 5_000_000);
  });

  it('lists a folder that has no index, and nothing hidden', async (t) => {
    const { root, fetch } = await setUp(t);
    mkdirSync(join(root, 'folder'));
    for (const name of ['b.lua', 'a "<i>".html', 'http:x', '.hidden.lua'])
      writeFileSync(join(root, 'folder', name), '');
    mkdirSync(join(root, 'folder', 'z'));
    const listing = await fetch('/folder/');
    assert.equal(listing.status, 200);
    const links = [...listing.text.matchAll(/<a href="([^"]*)">([^<]*)<\/a>/g)].map(([, href, text]) => [href, text]);
    assert.deepEqual(links, [
      ['./z/', 'z/'],
      ['./a%20%22%3Ci%3E%22.html', 'a &quot;&lt;i&gt;&quot;.html'],
      ['./b.lua', 'b.lua'],
      ['./http:x', 'http:x'],
    ]);
  });

  it('answers under the names of this machine only, so that no other name can be made to lead here (attacks F13.12)', async (t) => {
    const { root, gateway, fetch } = await setUp(t);
    writeFileSync(join(root, 'page.html'), 'page');
    for (const host of [
      'localhost',
      'LOCALHOST:8080',
      'a.localhost',
      '127.0.0.1:80',
      '192.0.2.1',
      '[::1]:80',
      hostname(),
    ]) {
      assert.equal((await fetch('/page.html', { headers: { host } })).status, 200, host);
    }
    for (const host of [
      'evil.example',
      'evil.example:8080',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'a b',
      '[x]',
    ]) {
      assert.equal((await fetch('/page.html', { headers: { host } })).status, 421, host);
    }
    assert.equal((await fetch('http://evil.example/page.html')).status, 421);
    const two = net.connect(gateway.port, '127.0.0.1');
    two.write('GET /page.html HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const [answer] = await once(two, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 400 /);
  });

  it('refuses what it must, with a page', async (t) => {
    const { root, fetch, open } = await setUp(t);
    writeFileSync(join(root, 'page.html'), '');
    mkdirSync(join(root, 'folder'));
    for (const [method, path, status] of [
      ['GET', '/nothing.lua', 404],
      ['GET', '/../etc/passwd', 400],
      ['GET', '/.git/config', 404],
      ['POST', '/page.html', 405],
      ['TRACE', '/app.lua', 405],
      // attacks F13.12
      ['TRACE', '/', 405],
      ['TRACE', '/nothing', 405],
      ['PUT', '/', 405],
      ['DELETE', '/', 405],
      ['POST', '/', 405],
      ['DELETE', '/folder', 405],
      ['DELETE', '/page.html', 405],
      ['OPTIONS', '*', 400],
    ] as const) {
      const answer = await fetch(path, { method });
      assert.equal(answer.status, status, `${method} ${path}`);
      assert.match(answer.text, new RegExp(`<h1>${status} `));
    }
    const moved = await fetch('/folder?a=b');
    assert.deepEqual([moved.status, moved.header('location')], [301, '/folder/?a=b']);
    // A client that goes away from a file leaves nothing behind.
    writeFileSync(join(root, 'large'), Buffer.alloc(50_000_000));
    const request = open('/large');
    request.end();
    await request.head();
    request.destroy();
    assert.equal((await fetch('/page.html')).status, 200);
  });
});

describe('starting and stopping the gateway', () => {
  const codeOf = (code: string) => (error: unknown) => error instanceof LuafcgidError && error.code === code;

  it('says when the port is in use', async (t) => {
    const { root, socket, gateway } = await setUp(t);
    const options = { root, port: gateway.port, socket, log: () => {} };
    await assert.rejects(startGateway(options), codeOf('LUAFCGID_GATEWAY_PORT'));
    await assert.rejects(startGateway({ ...options, host: '192.0.2.1' }), codeOf('LUAFCGID_GATEWAY_LISTEN'));
  });

  it('says when there is no such folder', async () => {
    const options = { root: '/no/such/folder', port: 0, socket: '/x', log: () => {} };
    await assert.rejects(startGateway(options), codeOf('LUAFCGID_GATEWAY_ROOT'));
  });

  it('finishes running requests and does not wait for idle connections', async (t) => {
    const { gateway, next, open } = await setUp(t);
    const idle = net.connect(gateway.port, '127.0.0.1');
    idle.on('error', () => {});
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const request = open('/app.lua', { agent });
    request.end();
    const exchange = await next();
    exchange.stdout(`${PLAIN}a`);
    await request.bodyUntil('a');
    const closed = gateway.close();
    exchange.end('b');
    assert.equal((await request.body()).toString(), 'ab');
    await guarded(closed, 90_000, () => 'the gateway does not close');
    assert.equal(await refuses(gateway.port), true);
  });

  it('breaks off what does not finish', async (t) => {
    const { gateway, next, open } = await setUp(t);
    const request = open('/app.lua');
    request.end();
    const exchange = await next();
    await gateway.close(0);
    await exchange.closed();
    await assert.rejects(request.head());
  });
});

/** Gives a gateway that collects data time to do so: it answers many other requests meanwhile. */
async function untilSettled(fetch: Setup['fetch']): Promise<void> {
  for (let count = 0; count < 300; count += 1) await fetch('/nothing');
}

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });
}
