/** The HTTP client of the I/O thread, with real servers on this machine (issue 13 point 5; data-access 2.5 and 3). */
import assert from 'node:assert/strict';
import { createServer as createTlsServer } from 'node:https';
import { describe, it } from 'node:test';
import { loadDriver } from '../../../src/io/source.js';
import { makeCertificate } from '../../support/certificate.js';
import { code, until } from '../support/data-source.js';
import { echo, listen, serve, serveBytes, startClient, TestNetwork } from './support.js';

const at = (port: number, path = '/'): string => `http://127.0.0.1:${port}${path}`;

describe('a request', () => {
  it('without the package that sends it fails with an error that names it', async () => {
    const missing = loadDriver('HTTP', 'undici', () => import(String('no-such-package')), 'LUAFCGID_HTTP_DRIVER');
    await assert.rejects(missing, (error) => {
      return code('LUAFCGID_HTTP_DRIVER')(error) && /the package undici: it is not installed/.test(String(error));
    });
  });

  it('is answered with status, headers and body, as they are', async (t) => {
    const server = await serve(t, echo);
    const client = startClient(t, [server.port]);
    const { status, headers, body, url } = await client.request({
      url: at(server.port, '/a?b=c'),
      method: 'POST',
      headers: ['X-A', '1', 'X-A', '2'],
      body: Buffer.from([0, 255, 10]),
    });
    assert.deepEqual([status, url], [200, at(server.port, '/a?b=c')]);
    assert.ok(headers.includes('application/json'));
    const seen = JSON.parse(body);
    assert.deepEqual([seen.method, seen.path, seen.body], ['POST', '/a?b=c', '\x00\xff\n']);
    assert.equal(seen.headers['x-a'], '1, 2');
    assert.equal(seen.headers['content-length'], '3');
    assert.equal(seen.headers.host, `127.0.0.1:${server.port}`);
    assert.equal((await client.request({ url: at(server.port), method: 'HEAD' })).body, '');
  });

  it('with an answer like 404 or 500 is answered', async (t) => {
    const server = await serve(t, (request, response) => response.writeHead(Number(request.url?.slice(1))).end('x'));
    const client = startClient(t, [server.port]);
    for (const status of [404, 500, 503]) {
      assert.equal((await client.request({ url: at(server.port, `/${status}`) })).status, status);
    }
    assert.equal((await client.request({ url: at(server.port, '/204') })).body, '');
  });

  it('passes over answers that only inform', async (t) => {
    const server = await serveBytes(t, (socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    const client = startClient(t, [server.port]);
    const { status, body } = await client.request({ url: at(server.port) });
    assert.deepEqual([status, body], [200, 'ok']);
  });
});

describe('connections', () => {
  it('are kept for other requests, and are never more than the setting says', async (t) => {
    const server = await serve(t, echo);
    const client = startClient(t, [server.port], { connections: 3 });
    for (let count = 0; count < 3; count += 1) await client.request({ url: at(server.port) });
    assert.equal(server.opened, 1);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => client.request({ url: at(server.port, `/${index}`) }, client.newRun())),
    );
    assert.deepEqual(
      answers.map(({ body }) => JSON.parse(body).path),
      answers.map((_, index) => `/${index}`),
    );
    assert.equal(server.mostOpen, 3);
    assert.equal(client.source.status().open, 3);
  });

  it('that their server has closed meanwhile cost a request that may be repeated nothing', async (t) => {
    const server = await serveBytes(t, (socket, count) => {
      // The second request finds a connection that closes as it comes.
      if (count === 2) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    const client = startClient(t, [server.port]);
    await client.request({ url: at(server.port) });
    assert.equal((await client.request({ url: at(server.port) })).body, 'ok');
    assert.equal(server.opened, 2);
  });

  it('that break repeat no POST, nothing on a new connection, and nothing of which an answer had begun', async (t) => {
    let answer = '';
    const server = await serveBytes(t, (socket, count) => {
      if (count % 2 === 1 && answer !== 'none') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else socket.end(answer === 'none' ? '' : answer);
    });
    const client = startClient(t, [server.port]);
    const url = at(server.port);
    await client.request({ url });
    await assert.rejects(client.request({ url, method: 'POST', body: 'x' }), code('LUAFCGID_HTTP_CLOSED'));
    answer = 'HTTP/1.1 200 OK\r\nContent-Le';
    await client.request({ url });
    await assert.rejects(client.request({ url }), /LUAFCGID|lost|HTTP/);
    answer = 'none';
    const opened = server.opened;
    await assert.rejects(client.request({ url }), code('LUAFCGID_HTTP_CLOSED'));
    assert.equal(server.opened, opened + 1);
  });

  it('to more servers than the setting says push out those that nobody uses, and else are refused', async (t) => {
    const servers = await Promise.all([serve(t, echo), serve(t, echo), serve(t, () => {})]);
    const client = startClient(
      t,
      servers.map(({ port }) => port),
      { servers: 2 },
    );
    const [first, second, silent] = servers;
    await client.request({ url: at(first.port) });
    const run = client.newRun();
    const waiting = client.request({ url: at(silent.port) }, run);
    waiting.catch(() => {});
    await until(() => silent.requests.length === 1, 'the request is there');
    await client.request({ url: at(second.port) });
    await until(() => first.open === 0, 'the first connection is closed');
    const stream = await client.open({ url: at(second.port) });
    const held = client.open({ url: at(second.port) });
    await held;
    run.end();
    await until(() => silent.open === 0, 'the request of a run that is over is broken off');
    assert.equal(await client.read(stream.handle).then(Boolean), true);
  });

  it('wait in a queue of bounded length for a bounded time', async (t) => {
    const server = await serve(t, (request, response) => void (request.url === '/first' && response.end()));
    const client = startClient(t, [server.port], { connections: 1, queue: 1, waitMs: 50 });
    // The time is for its connection, too.
    const answered = (): Promise<boolean> =>
      client.request({ url: at(server.port, '/first') }).then(
        () => true,
        () => false,
      );
    await until(answered, 'its connection is open');
    const url = at(server.port);
    const first = client.request({ url }, client.newRun());
    first.catch(() => {});
    await until(() => server.requests.some((request) => request.url === '/'), 'the request is there');
    const second = client.request({ url }, client.newRun());
    const third = client.request({ url }, client.newRun());
    await assert.rejects(third, code('LUAFCGID_HTTP_QUEUE'));
    await assert.rejects(second, code('LUAFCGID_HTTP_WAIT'));
  });

  it('fail at once while a server is down, and work again when it is back', async (t) => {
    const server = await serve(t, echo);
    const client = startClient(t, [server.port, 1], { connectMs: 1000 });
    const down = 'http://127.0.0.1:1/';
    const { port } = server;
    const one = startClient(t, [1], { allow: ['127.0.0.1:1'] });
    await assert.rejects(one.request({ url: down }), code('LUAFCGID_HTTP_CONNECT'));
    await assert.rejects(one.request({ url: down }), code('LUAFCGID_HTTP_DOWN'));
    assert.equal((await client.request({ url: at(port) })).status, 200);
  });
});

describe('servers that misbehave', () => {
  it('that say nothing are given up after answertimeout, and those that stop in the middle too', async (t) => {
    const silent = await serve(t, () => {});
    const stopping = await serveBytes(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this');
    });
    const client = startClient(t, [silent.port, stopping.port], { answerMs: 60 });
    for (const server of [silent, stopping]) {
      await assert.rejects(client.request({ url: at(server.port) }), code('LUAFCGID_HTTP_TIMEOUT'));
      await until(() => server.open === 0, 'its connection is closed');
    }
  });

  it('that never come to an end are given up after timeout, and after maxbody', async (t) => {
    const endless = await serve(t, (request, response) => {
      const piece = Buffer.alloc(request.url === '/fast' ? 16_384 : 1, 'x');
      const timer = setInterval(() => response.write(piece), 5);
      response.on('close', () => clearInterval(timer));
    });
    const client = startClient(t, [endless.port]);
    const slow = client.request({ url: at(endless.port), timeout: 0.2 });
    await assert.rejects(slow, code('LUAFCGID_HTTP_TIMEOUT'));
    await assert.rejects(client.request({ url: at(endless.port, '/fast') }), code('LUAFCGID_HTTP_SIZE'));
    await until(() => endless.open === 0, 'their connections are closed');
  });

  it('that send headers without end are given up', async (t) => {
    const server = await serveBytes(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write(`X-A: ${'x'.repeat(8000)}\r\n`), 1);
      socket.on('close', () => clearInterval(timer));
    });
    const client = startClient(t, [server.port]);
    await assert.rejects(client.request({ url: at(server.port) }), code('LUAFCGID_HTTP_SIZE'));
  });

  it('that lie about their length fail their own request and no other', async (t) => {
    const answers = [
      'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
      'SSH-2.0-OpenSSH\r\n',
    ];
    const server = await serveBytes(t, (socket, count) => {
      const answer = answers[count - 1] as string;
      socket.write(answer);
      if (count !== 2) socket.end();
    });
    const client = startClient(t, [server.port]);
    const outcomes: string[] = [];
    for (const _ of answers) {
      outcomes.push(
        await client.request({ url: at(server.port), method: 'POST' }).then(
          ({ body }) => body,
          (error) => error.code,
        ),
      );
    }
    assert.equal(outcomes[1], 'ok');
    for (const [index, outcome] of outcomes.entries()) {
      if (index !== 1) assert.match(outcome, /^LUAFCGID_HTTP_(ANSWER|CLOSED)$/, answers[index]);
    }
    // What came behind the second answer was never taken for the third.
    assert.ok(!outcomes.includes('forged'));
  });

  it('that answer less than they announce, and close, fail the request', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('part');
      setImmediate(() => response.socket?.destroy());
    });
    const client = startClient(t, [server.port]);
    await assert.rejects(client.request({ url: at(server.port) }), /LUAFCGID|lost|HTTP/);
  });
});

describe('a stream', () => {
  it('gives an answer piece by piece, and holds its server back while nobody reads', async (t) => {
    const total = 8 * 1024 * 1024;
    const state = { sent: 0, waits: 0 };
    const server = await serve(t, (_request, response) => {
      const piece = Buffer.alloc(64 * 1024, 'x');
      const more = (): void => {
        while (state.sent < total) {
          state.sent += piece.length;
          if (!response.write(piece)) {
            state.waits += 1;
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
    });
    const client = startClient(t, [server.port]);
    const { status, handle } = await client.open({ url: at(server.port) });
    assert.equal(status, 200);
    let before = -1;
    // What the kernel takes for both ends is taken, and then nothing more.
    await until(async () => {
      const isSame = before === state.sent;
      before = state.sent;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return isSame && before === state.sent;
    }, 'the server waits');
    assert.ok(state.sent < total, 'the server was not held back');
    let received = 0;
    for (let piece = await client.read(handle); piece !== undefined; piece = await client.read(handle)) {
      received += piece.length;
    }
    assert.equal(received, total);
    await assert.rejects(client.read(handle), code('LUAFCGID_HTTP_STREAM'));
    assert.equal((await client.open({ url: at(server.port) })).status, 200);
    assert.equal(server.opened, 1);
  });

  it('ends with close, with its run and with its time, each of which closes the connection', async (t) => {
    const server = await serve(t, (_request, response) => void response.write('begins'));
    const client = startClient(t, [server.port]);
    const url = at(server.port);
    const { handle } = await client.open({ url });
    assert.equal(await client.read(handle), 'begins');
    await client.end(handle);
    await until(() => server.open === 0, 'closed');
    await assert.rejects(client.read(handle), code('LUAFCGID_HTTP_STREAM'));
    const run = client.newRun();
    const ofRun = await client.open({ url }, run);
    await client.read(ofRun.handle, run);
    await assert.rejects(client.read(ofRun.handle), code('LUAFCGID_HTTP_STREAM'));
    run.end();
    await until(() => server.open === 0, 'closed with its run');
    const late = await client.open({ url, timeout: 2 });
    await client.read(late.handle);
    await assert.rejects(client.read(late.handle), code('LUAFCGID_HTTP_TIMEOUT'));
    await until(() => server.open === 0, 'closed with its time');
    assert.equal(client.source.status().busy, 0);
  });
});

describe('a run that is over', () => {
  it('takes its request with it, wherever that is', async (t) => {
    const server = await serve(t, () => {});
    const client = startClient(t, [server.port], { connections: 1 });
    const [first, second] = [client.newRun(), client.newRun()];
    const failed = [first, second].map((run) => assert.rejects(client.request({ url: at(server.port) }, run)));
    await until(() => server.requests.length === 1, 'the request is there');
    second.end();
    first.end();
    await Promise.all(failed);
    await until(() => server.open === 0, 'its connection is closed');
    const { busy, waiting } = client.source.status();
    assert.deepEqual([busy, waiting], [0, 0]);
  });
});

describe('a connection', () => {
  it('that is open when nobody waits for it any more is closed like others that nobody uses', async (t) => {
    const server = await serve(t, echo);
    const network = new TestNetwork();
    network.names['a.example'] = ['127.0.0.1'];
    let resolve = (): void => {};
    const known = new Promise<void>((is) => {
      resolve = is;
    });
    const { resolve: look } = network;
    let isAsked = false;
    network.resolve = async (name) => {
      isAsked = true;
      await known;
      return look.call(network, name);
    };
    const client = startClient(t, [server.port], { networks: ['127.0.0.1/32'], idleMs: 100 }, network);
    const run = client.newRun();
    const request = client.request({ url: `http://a.example:${server.port}/` }, run);
    request.catch(() => {});
    await until(() => isAsked, 'the connection is begun');
    run.end();
    await assert.rejects(request);
    resolve();
    await until(() => server.opened === 1, 'it is open');
    await until(() => server.open === 0, 'it is closed');
  });
});

describe('names and redirects', () => {
  it('lead to no address that is not public, and nothing is sent there', async (t) => {
    const server = await serve(t, echo);
    const { port } = server;
    const client = startClient(t, [port], { allow: [`*:${port}`, `pinned.example:${port}`] });
    const { network } = client;
    Object.assign(network.names, {
      'inside.example': ['10.0.0.1'],
      'metadata.example': ['169.254.169.254'],
      'mapped.example': ['::ffff:127.0.0.1'],
      'self.example': ['127.0.0.1', '::1'],
      'unique-local.example': ['fd00::1'],
    });
    for (const name of Object.keys(network.names)) {
      await assert.rejects(client.request({ url: `http://${name}:${port}/` }), code('LUAFCGID_HTTP_BLOCKED'), name);
      // As long as it stays so, the error does too.
      await assert.rejects(client.request({ url: `http://${name}:${port}/` }), code('LUAFCGID_HTTP_BLOCKED'), name);
    }
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:7f00:1]', '0x7f.1', '2130706433', '0', 'localhost']) {
      await assert.rejects(
        client.request({ url: `http://${host}:${port}/` }),
        /LUAFCGID_HTTP|not allowed|public|resolved/,
        host,
      );
    }
    assert.deepEqual(network.connected, []);
    assert.equal(server.opened, 0);
  });

  it('are connected to where they were checked: a name that changes meanwhile changes nothing', async (t) => {
    const server = await serve(t, echo);
    const client = startClient(t, [server.port], { networks: ['127.0.0.1/32'] });
    const { network } = client;
    network.names['a.example'] = ['10.0.0.1', '127.0.0.1', '169.254.169.254'];
    const { body } = await client.request({ url: `http://a.example:${server.port}/` });
    assert.equal(JSON.parse(body).headers.host, `a.example:${server.port}`);
    assert.deepEqual(network.connected, [`127.0.0.1 ${server.port}`]);
    assert.deepEqual(network.resolved, ['a.example']);
  });

  it('are followed only as often as was asked, with every check again', async (t) => {
    const server = await serve(t, (request, response) => {
      const to = new URL(request.url ?? '', 'http://x').searchParams.get('to');
      if (to === null) return echo(request, response);
      response.writeHead(302, { location: to }).end('moved');
    });
    const { port } = server;
    const client = startClient(t, [port], { networks: ['127.0.0.1/32'] });
    const to = (location: string): string => at(port, `/?to=${encodeURIComponent(location)}`);
    assert.equal((await client.request({ url: to('/x') })).status, 302);
    const followed = await client.request({ url: to('/x'), redirects: 1 });
    assert.deepEqual([followed.status, followed.url, JSON.parse(followed.body).path], [200, at(port, '/x'), '/x']);
    assert.equal(server.opened, 1);
    await assert.rejects(client.request({ url: to(to('/x')), redirects: 1 }), code('LUAFCGID_HTTP_REDIRECT'));
    client.network.names['inside.example'] = ['169.254.169.254'];
    for (const [location, expected] of [
      [`http://169.254.169.254:${port}/latest/meta-data`, 'LUAFCGID_HTTP_BLOCKED'],
      [`http://inside.example:${port}/`, 'LUAFCGID_HTTP_BLOCKED'],
      [`http://10.0.0.1:${port}/`, 'LUAFCGID_HTTP_BLOCKED'],
      ['http://127.0.0.1:1/', 'LUAFCGID_HTTP_DENIED'],
      ['file:///etc/passwd', 'LUAFCGID_HTTP_REDIRECT'],
      ['//', 'LUAFCGID_HTTP_REDIRECT'],
    ] as const) {
      await assert.rejects(client.request({ url: to(location), redirects: 5 }), code(expected), location);
    }
    assert.ok(client.network.connected.every((each) => each === `127.0.0.1 ${port}`));
  });

  it('that cannot be resolved say so', async (t) => {
    const client = startClient(t, [80]);
    await assert.rejects(client.request({ url: 'http://nowhere.example/' }), code('LUAFCGID_HTTP_DNS'));
  });
});

describe('https', () => {
  it('trusts the certificates of the setting, for the name that was asked for, and no others', async (t) => {
    const certificate = makeCertificate(t, 'secure.example');
    const server = await listen(t, createTlsServer({ key: certificate.key, cert: certificate.certificate }, echo));
    const networks = ['127.0.0.1/32'];
    const trusting = startClient(t, [server.port], { networks, caFile: certificate.certificateFile });
    trusting.network.names['secure.example'] = ['127.0.0.1'];
    trusting.network.names['other.example'] = ['127.0.0.1'];
    const url = `https://secure.example:${server.port}/`;
    for (let count = 0; count < 2; count += 1) {
      assert.equal(JSON.parse((await trusting.request({ url })).body).headers.host, `secure.example:${server.port}`);
    }
    assert.equal(server.opened, 1);
    const other = trusting.request({ url: `https://other.example:${server.port}/` });
    await assert.rejects(other, code('LUAFCGID_HTTP_TLS'));
    const plain = startClient(t, [server.port], { networks }, trusting.network);
    await assert.rejects(plain.request({ url }), code('LUAFCGID_HTTP_TLS'));
    assert.equal(server.requests.length, 2);
  });

  it('is not what a plain server speaks, nor the other way round', async (t) => {
    const server = await serve(t, echo);
    const client = startClient(t, [server.port]);
    await assert.rejects(client.request({ url: `https://127.0.0.1:${server.port}/` }), code('LUAFCGID_HTTP_TLS'));
    assert.equal(server.requests.length, 0);
  });
});
