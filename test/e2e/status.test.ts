/** The status socket and the status path: what they show of a real server, and whom they let do what. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseOpenMetrics } from '../status/openmetrics-parser.js';
import type { Cleanup } from '../support/cleanup.js';
import { Held, HOLD } from '../support/held.js';
import { fetchHttp } from '../support/http.js';
import { IO, type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const HELLO = 'function main(env, con) con:puts("hello") end';
const FAIL = 'function main(env, con)\n  error("broken " .. env.QUERY_STRING)\nend';
const SLEEP = 'local luafcgid = require "luafcgid"\nfunction main(env, con) luafcgid.sleep(60) end';

/** A main thread that has not answered for so long is taken for stuck; one that is not answers in a few milliseconds. */
const STUCK_MS = 1000;

interface Shown {
  readonly status: number;
  readonly text: string;
}

/** Asks the status socket. */
function look(server: Server, path: string, method = 'GET'): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: join(server.dir, 'status.sock'), path, method }, (answer) => {
      let text = '';
      answer.on('data', (piece) => {
        text += piece;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

async function statusOf(server: Server) {
  const { status, text } = await look(server, '/?json');
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

/** The status when so many requests are counted: a worker counts a request just after its answer has left. */
function statusAfter(server: Server, total: number) {
  return eventually(`${total} requests`, async () => {
    const status = await statusOf(server);
    return status.requests.total >= total && status;
  });
}

/** Asks the status path, as a web server would. */
const askPath = (server: Server, name: string, query = '', params = {}) =>
  ask(server, '/nothing', { params: { SCRIPT_NAME: name, QUERY_STRING: query, ...params } });

function start(t: Cleanup, settings = ''): Promise<Server> {
  const files = { 'hello.lua': HELLO, 'fail.lua': FAIL, 'hold.lua': HOLD, 'sleep.lua': SLEEP };
  const config = `status = "status.sock" statuspath = "/status" ${settings}`;
  return startServer(t, { config, files });
}

describe('the status of a running server', () => {
  it('tells how many states were made from images, and why a script has none (issue 16)', async (t) => {
    const server = await start(t, 'workers = 1 maxcount = 1 files = { read = { "." } }');
    server.write('open.lua', 'kept = io.open("hello.lua") function main(env, con) con:puts("open") end');
    for (const script of ['hello.lua', 'hello.lua', 'hello.lua', 'open.lua', 'open.lua']) await ask(server, script);
    const { scripts } = await statusAfter(server, 5);
    const shown = Object.fromEntries(
      scripts.map((script: Record<string, unknown>) => [
        String(script.script).replace(/.*\//, ''),
        [script.loads, script.clones, script.no_image],
      ]),
    );
    assert.deepEqual(shown, { 'hello.lua': [3, 2, {}], 'open.lua': [2, 0, { files: 2 }] });
    assert.match((await look(server, '/?text')).text, /WITHOUT IMAGE +STATES MADE.*\n.*open\.lua +2 +0 +files: 2\n/);
    assert.match(
      (await look(server, '/metrics')).text,
      /luafcgid_script_without_image_total\{.*open\.lua",reason="files"\} 2\n/,
    );
  });

  it('has every request, by outcome and script, also those that no script has answered', async (t) => {
    const server = await start(t);
    for (let at = 0; at < 3; at += 1) await ask(server, 'hello.lua');
    await ask(server, 'fail.lua');
    await ask(server, 'none.lua');
    const { requests, scripts, states, connections, server: facts } = await statusAfter(server, 5);
    assert.deepEqual(
      [requests.total, requests.by_status['2xx'], requests.by_status['5xx'], requests.failed],
      [5, 3, 1, 1],
    );
    assert.deepEqual(requests.refused, [{ code: 'LUAFCGID_SCRIPT_NOT_FOUND', status: 404, count: 1 }]);
    const hello = scripts.find(({ script }: { script: string }) => script === server.path('hello.lua'));
    assert.deepEqual([hello.requests, hello.loads, hello.failed], [3, 1, 0]);
    assert.ok(hello.run_p50_ms > 0 && hello.queue_p50_ms > 0 && hello.sent_bytes > 15 && hello.memory_bytes > 10_000);
    assert.ok(states.list.every(({ memory_bytes: bytes }: { memory_bytes: number }) => bytes > 10_000));
    assert.equal(states.total, 2);
    assert.equal(connections.opened_total, 5);
    assert.deepEqual([facts.pid, facts.configuration, facts.listeners], [server.pid, server.config, [server.socket]]);
  });

  it('counts each connection once, whether the front or a worker has accepted it', async (t) => {
    const server = await start(t, 'workers = 1');
    for (let at = 0; at < 60; at += 1) await ask(server, 'hello.lua');
    await statusAfter(server, 60);
    const opened = async (): Promise<number> => (await statusOf(server)).connections.opened_total;
    await eventually('all connections', async () => (await opened()) >= 60);
    assert.equal(await opened(), 60);
  });

  it('lists what runs and what waits, with method, path and client, and never a query: it may carry secrets (users B3)', async (t) => {
    const server = await start(t, 'workers = 1 bodymemory = 0');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    const client = { REQUEST_URI: '/hello.lua?token=secret', QUERY_STRING: 'token=secret', REMOTE_ADDR: '192.0.2.7' };
    const waiting = ask(server, 'hello.lua', { params: client });
    const status = await eventually('the request that waits', async () => {
      const seen = await statusOf(server);
      return seen.requests.waiting === 1 && seen;
    });
    assert.deepEqual(
      status.running.map(({ method, script, worker }: Record<string, unknown>) => [method, script, worker]),
      [['POST', server.path('hold.lua'), 0]],
    );
    const [{ path, client: address, stage, waits_for: waitsFor }] = status.waiting;
    assert.deepEqual([path, address, stage, waitsFor], ['/hello.lua', '192.0.2.7', 'waiting', 'a state']);
    assert.deepEqual([status.requests.waiting, status.workers[0].state], [1, 'running']);
    for (const form of ['text', 'json', 'openmetrics']) {
      assert.doesNotMatch((await look(server, `/?${form}`)).text, /secret/);
    }
    await held.release();
    assert.equal((await waiting).text, 'hello');
  });

  it('tells a request that is suspended from one that runs, and says what it waits for', async (t) => {
    const server = await start(t, 'workers = 1 draintimeout = 0');
    void ask(server, 'sleep.lua').catch(() => {});
    const [request] = await eventually('the suspended request', async () => {
      const { running } = await statusOf(server);
      return running[0]?.stage === 'suspended' && running;
    });
    assert.deepEqual([request.waits_for, request.worker], ['a time', 0]);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });

  it('says of a suspended request that it waits for its body', async (t) => {
    const server = await start(t, 'workers = 1 bodymemory = 0');
    server.write('read.lua', `local luafcgid = require "luafcgid" ${HOLD}`);
    const held = await Held.ask(t, server, 'read.lua');
    await held.running;
    const [request] = await eventually('the suspended request', async () => {
      const { running } = await statusOf(server);
      return running[0]?.stage === 'suspended' && running;
    });
    assert.equal(request.waits_for, 'its body');
    assert.match((await look(server, '/?text')).text, /suspended .* its body$/m);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
    await held.release();
  });

  it('groups errors by script and line', async (t) => {
    const server = await start(t);
    for (const query of ['a', 'b', 'c']) await ask(server, 'fail.lua', { params: { QUERY_STRING: query } });
    const errors = await eventually('all of them', async () => {
      const seen = await statusOf(server);
      return seen.errors[0]?.count >= 3 && seen.errors;
    });
    assert.deepEqual(
      errors.map(({ place, count, code }: Record<string, unknown>) => [place, count, code]),
      [[`${server.path('fail.lua')}:2`, 3, 'LUAFCGID_SCRIPT_FAILED']],
    );
  });

  it('keeps its totals when configurations are reloaded and workers are lost', async (t) => {
    const server = await start(t, 'workers = 1 watchdog = 1');
    server.write('hang.lua', 'function main() string.rep("a", 40):find(("a?"):rep(40) .. ("a"):rep(40)) end');
    for (let at = 0; at < 3; at += 1) await ask(server, 'hello.lua');
    server.signal('SIGHUP');
    await eventually('the reload', async () => (await statusOf(server)).server.reloads === 1);
    await ask(server, 'hello.lua');
    await ask(server, 'hang.lua');
    await ask(server, 'hello.lua');
    const { requests, scripts, server: facts } = await statusAfter(server, 6);
    const hello = scripts.find(({ script }: { script: string }) => script === server.path('hello.lua'));
    assert.deepEqual([hello.requests, requests.total, facts.last_reload.is_refused], [5, 6, false]);
  });

  it('is OpenMetrics that a strict parser takes, under both ways', async (t) => {
    const server = await start(t);
    await ask(server, 'hello.lua');
    await statusAfter(server, 1);
    for (const text of [(await look(server, '/metrics')).text, (await askPath(server, '/status/metrics')).text]) {
      const requests = parseOpenMetrics(text).get('luafcgid_requests')?.samples;
      assert.deepEqual(
        requests?.map(({ labels, value }) => [labels.script, labels.status, value]),
        [[server.path('hello.lua'), '2xx', 1]],
      );
    }
  });
});

describe('the status path', () => {
  const common = shared((t) => start(t));

  it('is answered before any look-up, also when every worker is busy and the queue is full', async (t) => {
    const server = await start(t, 'workers = 1 bodymemory = 0 queue = 0');
    const held = await Held.ask(t, server, 'hold.lua');
    await held.running;
    assert.equal((await ask(server, 'hello.lua')).status, 503);
    const page = await askPath(server, '/status');
    assert.equal(page.status, 200);
    assert.match(page.text, /^workers +1 of 1 busy/m);
    assert.equal(JSON.parse((await askPath(server, '/status', 'json')).text).requests.running, 1);
    assert.match((await askPath(server, '/status', '', { HTTP_ACCEPT: 'text/html' })).text, /^<!doctype html>/);
    await held.release();
  });

  // With io = "node" the front lives on the main thread.
  const skip = IO === 'node' && 'the front has no thread of its own';
  it('is answered while the main thread is stuck in a hook and all workers compute', { skip }, async (t) => {
    const hook = 'function housekeeping() while dofile("stuck.lua") do end end';
    const server = await startServer(t, {
      config: ({ dir }) => {
        writeFileSync(join(dir, 'stuck.lua'), 'return false');
        return `status = "status.sock" statuspath = "/status" workers = 2 sweep = 10 draintimeout = 0 ${hook}`;
      },
      files: { 'busy.lua': 'function main() while true do end end' },
    });
    for (let at = 0; at < 2; at += 1) void ask(server, 'busy.lua').catch(() => {});
    await eventually('two that compute', async () => (await statusOf(server)).requests.running === 2);
    const flag = join(server.dir, 'stuck.lua');
    writeFileSync(flag, 'return true');
    const isAnswered = () => Promise.race([look(server, '/ping').then(() => true), sleep(STUCK_MS, false)]);
    await eventually('the main thread to be stuck', async () => !(await isAnswered()));
    const { status, text } = await askPath(server, '/status', 'json');
    assert.equal(status, 200);
    assert.deepEqual([JSON.parse(text).requests.running, JSON.parse(text).workers.length], [2, 2]);
    writeFileSync(flag, 'return false');
    await eventually('the main thread to go on', isAnswered);
  });

  it('is no other path, and nothing without the setting', async (t) => {
    const server = await startServer(t, { files: { 'hello.lua': HELLO } });
    assert.equal((await askPath(server, '/status')).status, 404);
    for (const name of ['/statu', '/status/', '/statuspage', '/status/metrics/x', '/x/status']) {
      assert.equal((await askPath(common(), name)).status, 404, name);
    }
  });

  it('wins over a script, also on connections that workers serve by themselves', async () => {
    const server = common();
    for (let at = 0; at < 20; at += 1) await ask(server, 'hello.lua');
    const page = await ask(server, 'hello.lua', { params: { SCRIPT_NAME: '/status' } });
    assert.match(page.text, /^luafcgid /);
  });

  it('has no body for HEAD', async () => {
    const page = await askPath(common(), '/status', '', { REQUEST_METHOD: 'HEAD' });
    assert.deepEqual([page.status, page.text], [200, '']);
  });
});

describe('the status socket', () => {
  it("may be used by root and the server's user alone, and goes with the server", async (t) => {
    const server = await start(t);
    const path = join(server.dir, 'status.sock');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(path).uid, process.getuid?.());
    await server.stop();
    assert.equal(existsSync(path), false);
  });

  it('says what there is, and what is not', async (t) => {
    const server = await start(t);
    assert.deepEqual(await look(server, '/ping'), { status: 200, text: 'pong\n' });
    assert.equal((await look(server, '/other')).status, 404);
    assert.equal((await look(server, '/reload')).status, 404);
    assert.equal((await look(server, '/nothing', 'POST')).status, 404);
    assert.equal((await look(server, '/', 'DELETE')).status, 405);
  });

  it('on a loopback port shows everything and does nothing, and only to those who ask for this machine', async (t) => {
    const server = await startServer(t, {
      config: 'status = "127.0.0.1:0" loglevel = "info"',
      files: { 'hello.lua': HELLO },
    });
    const [, port] = await server.logged(/status at (?:127\.0\.0\.1):(\d+)/);
    const at = { port: Number(port) };
    assert.match((await fetchHttp({ ...at, path: '/' })).text, /^luafcgid /);
    for (const path of ['/stop', '/reload', '/reopen']) {
      assert.equal((await fetchHttp({ ...at, path, method: 'POST' })).status, 403, path);
    }
    const rebound = await fetchHttp({ ...at, path: '/', headers: { Host: 'attacker.example' } });
    assert.equal(rebound.status, 403);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });

  it('replaces the file of a server that has crashed, and leaves that of one that runs', async (t) => {
    const server = await start(t);
    chmodSync(join(server.dir, 'status.sock'), 0o600);
    server.signal('SIGKILL');
    await server.ended();
    const files = { 'hello.lua': HELLO };
    const config = `status = ${JSON.stringify(join(server.dir, 'status.sock'))}`;
    const next = await startServer(t, { config, files });
    assert.equal((await look(server, '/ping')).text, 'pong\n');
    await assert.rejects(startServer(t, { config, files }), /LUAFCGID_LISTEN_IN_USE/);
    assert.equal((await ask(next, 'hello.lua')).text, 'hello');
  });
});
