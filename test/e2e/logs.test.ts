/** The logs of the real process: what they hold, and moved away under load. See blocked-logs.test.ts, too. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { FcgiConnection, parseCgiAnswer, requestBytes, scriptParams } from '../support/fcgi-client.js';
import { Held, HOLD } from '../support/held.js';
import { IO, ROOT, runCommand, type Server, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const FILES = {
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'loop.lua': 'function main(env, con) for i = 1, 2e6 do end con:puts("done") end',
  'bad.lua': 'function main(env, con) error("oh no") end',
  'created.lua': 'function main(env, con) con:status(201) con:puts(("x"):rep(70000)) end',
  'tell.lua': 'function main(env, con) con:log("info", "told " .. env.QUERY_STRING) con:puts("ok") end',
  'hold.lua': HOLD,
};

interface AccessLine {
  readonly [field: string]: string | number;
}

function readLines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
}

function accessOf(server: Server): AccessLine[] {
  return readLines(join(server.dir, 'access.log')).map((line) => JSON.parse(line) as AccessLine);
}

/** The line of the request for an address, when it is written. */
function lineOf(server: Server, uri: string): Promise<AccessLine> {
  return eventually(`the line of ${uri}`, () => accessOf(server).find((line) => line.uri === uri));
}

/** Asks for a script over and over on a connection of its own, and counts the answers. */
async function askAgain(server: Server, script: string, times: number, params = {}): Promise<void> {
  const connection = await FcgiConnection.connect(server.socket);
  for (let n = 0; n < times; n += 1) {
    connection.send(requestBytes({ keepConn: true, params: scriptParams(server.path(script), params) }));
    assert.ok(parseCgiAnswer((await connection.response(1)).stdout).status > 0);
  }
  connection.destroy();
}

describe('the access log', () => {
  it('has a line for each request, however it ends', async (t) => {
    const server = await startServer(t, {
      files: FILES,
      config: 'accesslog = "access.log" accessformat = "json" workers = 1 queue = 0 maxpost = 100 bodymemory = 0',
    });
    const uri = (path: string) => ({ params: { REQUEST_URI: path } });
    await ask(server, 'hello.lua', uri('/hello'));
    await ask(server, 'loop.lua', uri('/loop'));
    await ask(server, 'bad.lua', uri('/bad'));
    await ask(server, 'created.lua', uri('/created'));
    await ask(server, 'none.lua', uri('/none'));
    await ask(server, 'hello.lua', { body: 'x'.repeat(101), ...uri('/large') });
    await ask(server, 'hello.lua', { method: 'TRACE', ...uri('/trace') });
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    await ask(server, 'hello.lua', uri('/busy'));
    held.connection.abort(1);
    held.connection.stdin(1, '.');

    const hello = await lineOf(server, '/hello');
    assert.deepEqual(
      [hello.method, hello.status, hello.outcome, hello.sent_bytes, hello.worker, hello.script, hello.remote],
      ['GET', 200, 'done', 5, 0, server.path('hello.lua'), '127.0.0.1'],
    );
    assert.ok(Number(hello.state) > 0 && Number(hello.memory_bytes) > 10_000 && Number(hello.duration_ms) > 0);
    const loop = await lineOf(server, '/loop');
    assert.ok(Number(loop.cpu_ms) > 0 && Number(loop.wait_ms) <= Number(loop.duration_ms), JSON.stringify(loop));
    for (const [path, outcome, status] of [
      ['/bad', 'failed', 500],
      ['/created', 'done', 201],
      ['/none', 'refused', 404],
      ['/large', 'refused', 413],
      ['/trace', 'refused', 405],
      ['/busy', 'refused', 503],
      ['/hold.lua', 'aborted', 200],
    ] as const) {
      const line = await lineOf(server, path);
      assert.deepEqual([line.uri, line.outcome, line.status], [path, outcome, status]);
    }
    assert.equal((await lineOf(server, '/created')).sent_bytes, 70_000);
    await server.stop();
    assert.equal(accessOf(server).length, 9);
  });

  it('has the format that was asked for, and one that cannot be is refused at the start', async (t) => {
    const server = await startServer(t, {
      files: FILES,
      config: `accesslog = "access.log" accessformat = '"{method} {uri}" {status} {param:HTTP_ACCEPT} {cpu_ms}'`,
    });
    await ask(server, 'hello.lua', { params: { HTTP_ACCEPT: 'a\n"b c' } });
    await server.stop();
    assert.match(
      readFileSync(join(server.dir, 'access.log'), 'utf8'),
      /^"GET \/hello\.lua" 200 a\\x0a\\x22b\\x20c \d+\.\d{3}\n$/,
    );
    const file = server.write('../wrong.lua', 'accessformat = "{status} {durations_ms}"');
    const { code, stderr } = await runCommand(['check', file]);
    assert.equal(code, 1);
    assert.match(stderr, /there is no field \{durations_ms\}[\s\S]*Did you mean \{duration_ms\}\?/);
  });
});

describe('the log', () => {
  it('of JSON has one object a line, with state and worker', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'logformat = "json" logfile = "a.log" workers = 1' });
    await ask(server, 'bad.lua');
    await ask(server, 'tell.lua', { params: { QUERY_STRING: 'LUAFCGID_BUG: x' } });
    await server.stop();
    const lines = readLines(join(server.dir, 'a.log')).map((line) => JSON.parse(line) as Record<string, unknown>);
    const failed = lines.find(({ code }) => code === 'LUAFCGID_SCRIPT_FAILED');
    assert.match(String(failed?.message), /oh no[\s\S]*stack traceback/);
    assert.deepEqual([failed?.level, failed?.script, failed?.worker], ['error', server.path('bad.lua'), 0]);
    assert.ok(Number(failed?.state) > 0);
    assert.ok(lines.some(({ message, code }) => message === 'told LUAFCGID_BUG: x' && code === undefined));
  });

  it('counts a flood, and keeps apart what else happens', async (t) => {
    const server = await startServer(t, { files: FILES });
    const beginMs = performance.now();
    await Promise.all([
      askAgain(server, 'none.lua', 1500),
      askAgain(server, 'also-none.lua', 1500),
      askAgain(server, 'tell.lua', 100, { QUERY_STRING: 'often' }),
    ]);
    await ask(server, 'bad.lua');
    await server.stop();
    const lines = server.log().split('\n');
    const none = lines.filter((line) => line.includes('LUAFCGID_SCRIPT_NOT_FOUND'));
    const counted = none.map((line) => Number(/repeated (\d+) times in \d+ s: /.exec(line)?.[1] ?? 1));
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      3000,
    );
    // Some ten lines for each ten seconds: 3000 requests take less than a minute where the machine has nothing else to do.
    const tensOfSeconds = Math.max(6, Math.ceil((performance.now() - beginMs) / 10_000) + 1);
    assert.ok(none.length <= tensOfSeconds * 11, `${none.length} lines`);
    assert.equal(lines.filter((line) => line.endsWith('told often')).length, 100);
    assert.equal(lines.filter((line) => line.includes('oh no')).length, 1);
  });

  it('goes to the log service', { skip: process.platform !== 'linux' }, async (t) => {
    const { LogService } = await import('../support/log-service.js');
    const service = new LogService(t, join(tempDir(t), 'log'));
    const server = await startServer(t, {
      files: FILES,
      config: `logfile = "syslog:local1:${service.path}" accesslog = "syslog:local2:${service.path}"`,
    });
    await ask(server, 'bad.lua');
    await server.stop();
    const messages = service.take();
    const withPriority = (priority: number) => messages.filter((text) => text.startsWith(`<${priority}>`));
    assert.match(
      withPriority(17 * 8 + 3).join('\n'),
      /luafcgid\[\d+\]: error \[.* state \d+ worker \d .*bad\.lua\] LUAFCGID_SCRIPT_FAILED/,
    );
    assert.match(withPriority(18 * 8 + 6).join('\n'), /"GET \/bad\.lua" 500/);
    const file = server.write('../wrong.lua', `listen = "a.sock" logfile = "syslog:local1:${service.path}.none"`);
    const { code, stderr } = await runCommand([file]);
    assert.equal(code, 1);
    assert.match(stderr, /cannot log to syslog at .*ENOENT[\s\S]*LUAFCGID_LOG_SYSLOG/);
  });
});

describe('log files that are moved away', () => {
  it('are opened anew on SIGUSR1, and under load no line is lost', async (t) => {
    const server = await startServer(t, {
      files: FILES,
      config: `logfile = "a.log" accesslog = "access.log" accessformat = "{query}" workers = 2`,
    });
    const file = (name: string): string => join(server.dir, name);
    const CLIENTS = 4;
    const TIMES = 400;
    let left = CLIENTS;
    const load = Array.from({ length: CLIENTS }, async (_, client) => {
      const connection = await FcgiConnection.connect(server.socket);
      for (let n = 0; n < TIMES; n += 1) {
        const params = scriptParams(server.path('tell.lua'), { QUERY_STRING: `${client}.${n}` });
        connection.send(requestBytes({ keepConn: true, params }));
        const { status, body } = parseCgiAnswer((await connection.response(1)).stdout);
        assert.equal(status, 200, body.toString());
      }
      connection.destroy();
      left -= 1;
    });
    let moves = 0;
    while (left > 0 || moves < 3) {
      moves += 1;
      for (const name of ['a.log', 'access.log']) renameSync(file(name), file(`${name}.${moves}`));
      server.signal('SIGUSR1');
      await eventually('the new files', () => existsSync(file('a.log')) && existsSync(file('access.log')));
    }
    await Promise.all(load);
    await server.stop();
    const all = (name: string): string[] => [
      ...readLines(file(name)),
      ...Array.from({ length: moves }, (_, n) => readLines(file(`${name}.${n + 1}`))).flat(),
    ];
    const sent = Array.from({ length: CLIENTS * TIMES }, (_, n) => `${Math.floor(n / TIMES)}.${n % TIMES}`).sort();
    assert.deepEqual(all('access.log').sort(), sent);
    const told = all('a.log').flatMap((line) => / told (.*)$/.exec(line)?.[1] ?? []);
    assert.deepEqual(told.sort(), sent);
    assert.doesNotMatch(server.log(), /[Dd]ebugger/);
  });

  it('stay open when they cannot be opened anew', async (t) => {
    const server = await startServer(t, { files: FILES, config: 'logfile = "a.log" accesslog = "access.log"' });
    const file = (name: string): string => join(server.dir, name);
    renameSync(file('access.log'), file('old.log'));
    mkdirSync(file('access.log'));
    server.signal('SIGUSR1');
    await eventually('the failure', () =>
      /LUAFCGID_LOG_REOPEN: .*access\.log anew: EISDIR/.test(readFileSync(file('a.log'), 'utf8')),
    );
    await ask(server, 'hello.lua');
    await server.stop();
    assert.match(readFileSync(file('old.log'), 'utf8'), /"GET \/hello\.lua" 200/);
  });

  it('do not make the signal start the debugger, whenever it comes', async (t) => {
    const dir = tempDir(t);
    const config = join(dir, 'c.lua');
    writeFileSync(config, `listen = "${dir}/s.sock" io = "${IO}"`);
    const child = spawn(process.execPath, [join(ROOT, 'bin/luafcgid'), config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (bytes) => {
      log += bytes;
    });
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    await eventually('the server', () => {
      // Once its own code runs.
      if (log !== '') child.kill('SIGUSR1');
      return log.includes('ready');
    });
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    assert.doesNotMatch(log, /[Dd]ebugger/);
  });
});
