/** The harness itself: a real nginx in front of an application made of hand-built records. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Child } from './child.js';
import { tempDir } from './cleanup.js';
import { request, scriptParams } from './fcgi-client.js';
import { startResponder } from './fcgi-responder.js';
import { fetchHttp, HttpExchange } from './http.js';
import { startNginx } from './nginx.js';
import { ROOT, runCommand, startServer } from './server.js';
import { startWebServer } from './web-server.js';

describe('nginx in front of a FastCGI application', () => {
  it('passes requests and answers', async (t) => {
    const root = tempDir(t);
    const responder = await startResponder(t, async (exchange) => {
      const body = await exchange.body();
      exchange.end(
        `Status: 201\r\nX-Path: ${exchange.params.PATH_INFO}\r\n\r\n${exchange.params.SCRIPT_FILENAME} ${body}`,
      );
    });
    const nginx = await startNginx(t, { fastcgi: responder.socket, root });
    const answer = await fetchHttp({ port: nginx.port, method: 'POST', path: '/a/b.lua/c?d=e', body: 'hello' });
    assert.deepEqual([answer.status, answer.header('x-path'), answer.text], [201, '/c', `${root}/a/b.lua hello`]);
  });

  it('keeps connections on demand', async (t) => {
    const seen: boolean[] = [];
    const responder = await startResponder(t, (exchange) => {
      seen.push(exchange.keepConn);
      exchange.end('Content-Type: text/plain\r\n\r\nok');
    });
    for (const keepConn of [true, false]) {
      const nginx = await startNginx(t, { fastcgi: responder.socket, root: '/', keepConn });
      assert.equal((await fetchHttp({ port: nginx.port, path: '/x.lua' })).text, 'ok');
    }
    assert.deepEqual(seen, [true, false]);
  });

  it('streams both ways without buffering', async (t) => {
    const responder = await startResponder(t);
    const nginx = await startNginx(t, {
      fastcgi: responder.socket,
      root: '/',
      buffering: false,
      requestBuffering: false,
    });
    const http = new HttpExchange({
      port: nginx.port,
      method: 'POST',
      path: '/x.lua',
      headers: { 'content-length': 8 },
    });
    await http.write('ping');
    const exchange = await responder.next();
    await exchange.bodyUntil('ping');
    exchange.stdout('Content-Type: text/plain\r\n\r\npong');
    await http.bodyUntil('pong');
    http.end('done');
    await exchange.bodyUntil('done');
    exchange.end('!');
    assert.equal((await http.body()).toString(), 'pong!');
  });

  it('shows its log when it does not start', async (t) => {
    await assert.rejects(
      startNginx(t, { fastcgi: '127.0.0.1:1', root: '/', server: ['no_such_directive on;'] }),
      /unknown directive "no_such_directive"/,
    );
  });

  it('says what to install when a program is missing', async (t) => {
    const product = {
      name: 'webd',
      program: 'no-such-web-server',
      install: 'apt-get install webd',
      configure: () => '',
      args: () => [],
      errorLog: 'error.log',
      stopSignal: 'SIGTERM',
      fatal: /fatal/,
    } as const;
    await assert.rejects(startWebServer(t, product), /webd is not installed: apt-get install webd/);
  });
});

describe('a child process', () => {
  const node = (script: string) => new Child({ name: 'script', command: process.execPath, args: ['-e', script] });

  it('gives its output and its end', async () => {
    const child = node('console.log("out"); console.error("err"); process.exitCode = 3');
    assert.deepEqual(await child.ended(), { code: 3, signal: null });
    assert.deepEqual([child.stdout.toString(), child.stderr.toString()], ['out\n', 'err\n']);
  });

  it('says what it wrote when it ends too early', async () => {
    await assert.rejects(
      node('console.log("oh no")').logged(/ready/),
      /without saying.*ready[\s\S]*exit code 0[\s\S]*oh no/,
    );
  });

  it('is stopped by a signal', async () => {
    const child = node(
      'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1e6); console.log("ready")',
    );
    await child.logged(/ready/);
    assert.deepEqual(await child.stop(), { code: 0, signal: null });
  });

  it('says so when there is no such program', async () => {
    const child = new Child({ name: 'nothing', command: '/no/such/program', args: [] });
    await assert.rejects(child.logged(/ready/), /ENOENT/);
  });
});

describe('scripts/require-packages.mjs', () => {
  // What it does where one is missing depends on the machine, so only this can be run everywhere.
  const runWith = (t: TestContext, programs: readonly string[]) => {
    const dir = tempDir(t);
    for (const name of programs) writeFileSync(join(dir, name), '', { mode: 0o755 });
    const script = join(ROOT, 'scripts/require-packages.mjs');
    const run = spawnSync(process.execPath, [script], { env: { PATH: dir } });
    return { status: run.status, output: run.stdout.toString() + run.stderr.toString() };
  };

  it('does nothing where all are present', (t) => {
    const webServers = ['nginx', 'apache2', 'lighttpd', 'caddy', 'haproxy'];
    const others = ['systemd-analyze', 'groff', 'chromium', 'redis-server', 'lua5.1', 'lua5.4', 'luajit'];
    assert.deepEqual(runWith(t, [...webServers, ...others]), { status: 0, output: '' });
  });
});

describe('the real server', () => {
  const hello = 'function main(env, con) con:puts("hello ", env.REQUEST_METHOD) end';

  it('is ready when it says so, and stops in order', async (t) => {
    const server = await startServer(t, { files: { 'a/hello.lua': hello } });
    const answer = await request({ socket: server.socket, params: scriptParams(server.path('a/hello.lua')) });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'hello GET']);
    await server.stop();
    assert.equal(existsSync(server.socket), false, 'its socket is gone');
  });

  it('answers behind nginx', async (t) => {
    const server = await startServer(t);
    server.write('hello.lua', hello);
    const nginx = await startNginx(t, { fastcgi: server.socket, root: server.scripts, keepConn: true });
    assert.equal((await fetchHttp({ port: nginx.port, path: '/hello.lua', method: 'POST' })).text, 'hello POST');
  });

  it('shows its output when it does not start', async (t) => {
    await assert.rejects(
      startServer(t, { config: 'nonsense = 1' }),
      /ended without saying[\s\S]*exit code 1[\s\S]*nonsense/,
    );
  });

  it('runs a command to its end', async () => {
    const { code, stdout } = await runCommand(['--version']);
    assert.deepEqual([code, /^luafcgid \d/.test(stdout)], [0, true]);
  });
});
