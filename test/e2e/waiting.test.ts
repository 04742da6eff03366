/** Requests that wait: each holds its Lua state and nobody's worker, and however it ends, its place is free again. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection, scriptParams } from '../support/fcgi-client.js';
import { IO, type Server, startServer } from '../support/server.js';
import { ask, eventually, itOnce, shared } from '../support/shared.js';

/** How scripts are suspended on each engine: test/lua/waiting.test.ts. */
const ENGINES = IO === 'node' ? (['embedded'] as const) : (['embedded', 'lua5.4'] as const);

const FILES = {
  'sleep.lua': `local luafcgid = require("luafcgid")
count = 0
function main(env, con)
  count = count + 1
  con:log("sleeps")
  pcall(luafcgid.sleep, tonumber(env.QUERY_STRING))
  con:puts("slept ", con:gets() or "", " ", count)
end`,
  'plain.lua': 'function main(env, con) con:puts("plain") end',
  // Reads in the pieces that its query asks for, and waits between the first two.
  'reads.lua': `local luafcgid = require("luafcgid")
function main(env, con)
  local size = tonumber(env.QUERY_STRING)
  con:log("reads")
  local text = con:gets(size) or ""
  if size then luafcgid.sleep(0.01) end
  local more = con:gets(size)
  while more do text = text .. more more = con:gets(size) end
  con:puts(#text, " ", select(2, text:gsub(text:sub(1, 1), "")))
end`,
  'form.lua': `require("luafcgid")
function main(env, con)
  con:log("reads")
  local file = con:form().file
  con:puts(file.size, " ", select(2, file.content:gsub("x", "")))
end`,
  'try.lua': `local luafcgid = require("luafcgid")
function main(env, con)
  local ok, message = pcall(luafcgid.sleep, 0.3) -- one that were over at once would need no place
  con:puts(tostring(ok), " ", tostring(message))
end`,
};

const LONG = { params: { QUERY_STRING: '1000' } };

function start(t: Cleanup, config: string): Promise<Server> {
  return startServer(t, { config: `workers = 1 clones = 16 ${config}`, files: FILES });
}

/** Begins a request that sleeps, and waits until it does. */
async function sleeper(t: TestContext, server: Server, seconds: string): Promise<FcgiConnection> {
  const before = server.log().split('sleeps').length;
  const connection = await FcgiConnection.connect(server.socket);
  t.after(() => connection.destroy());
  connection.begin(1);
  connection.params(1, scriptParams(server.path('sleep.lua'), { QUERY_STRING: seconds }));
  connection.stdin(1, '');
  await eventually('the script', () => server.log().split('sleeps').length > before);
  return connection;
}

for (const engine of ENGINES) {
  describe(`a request that waits with ${engine}`, () => {
    const common = shared((t) => start(t, `engine = "${engine}" onabort = "stop" bodymemory = 1024`));

    it('leaves its worker to others, in any number', async (t) => {
      const server = common();
      const sleepers = [];
      for (let at = 0; at < 5; at += 1) sleepers.push(await sleeper(t, server, '1000'));
      assert.equal((await ask(server, 'plain.lua')).text, 'plain', 'the only worker serves others');
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => ask(server, 'sleep.lua', { params: { QUERY_STRING: '0.05' }, body: 'body' })),
      );
      for (const { text } of answers) assert.match(text, /^slept body \d+$/);
      for (const connection of sleepers) connection.destroy();
    });

    it('for its client to send more of its body leaves its worker to others', async (t) => {
      const server = common();
      const bodyBytes = 40_000;
      const readers = await Promise.all(
        ['', '', '100', '100', '3000', '3000'].map(async (size, index) => {
          const connection = await FcgiConnection.connect(server.socket);
          t.after(() => connection.destroy());
          connection.begin(1);
          const params = { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(bodyBytes), QUERY_STRING: size };
          connection.params(1, scriptParams(server.path('reads.lua'), params));
          await connection.stdin(1, String(index).repeat(5000), { end: false });
          return connection;
        }),
      );
      await eventually('all scripts', () => server.log().split('reads').length > readers.length);
      assert.equal((await ask(server, 'plain.lua')).text, 'plain', 'the only worker serves others');
      for (let sent = 5000; sent < bodyBytes; sent += 5000) {
        for (const [index, connection] of readers.entries()) {
          await connection.stdin(1, String(index).repeat(5000), { end: sent + 5000 === bodyBytes });
        }
      }
      for (const connection of readers) {
        const { stdout } = await connection.response(1);
        assert.match(stdout.toString(), new RegExp(`${bodyBytes} ${bodyBytes}$`));
      }
    });
  });
}

describe('a request that waits', () => {
  it('for more of a posted file leaves its worker to others', async (t) => {
    const server = await start(t, 'bodymemory = 1024');
    const head = '--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n';
    const body = `${head}${'x'.repeat(40_000)}\r\n--B--\r\n`;
    const params = { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(body.length) };
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    connection.begin(1);
    const type = { CONTENT_TYPE: 'multipart/form-data; boundary=B' };
    connection.params(1, scriptParams(server.path('form.lua'), { ...params, ...type }));
    await connection.stdin(1, body.slice(0, 5000), { end: false });
    await eventually('the script', () => server.log().includes('reads'));
    assert.equal((await ask(server, 'plain.lua')).text, 'plain', 'the only worker serves others');
    await connection.stdin(1, body.slice(5000, 30_000), { end: false });
    await connection.stdin(1, body.slice(30_000));
    assert.match((await connection.response(1)).stdout.toString(), /\r\n40000 40000$/);
  });

  it('for more of a body than its ring takes gets all of it, whatever it waits for between', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 clones = 4 ring = 65536 bodymemory = 1048576 maxpost = 8388608 requesttime = 50',
      files: {
        ...FILES,
        'large.lua': `local luafcgid = require("luafcgid")
function main(env, con)
  local total, told = 0, false
  local piece = con:gets(30000)
  while piece do
    total = total + #piece
    if total > 1900000 and not told then told = true con:log("half") luafcgid.sleep(0.05) end
    piece = con:gets(30000)
  end
  con:puts(total)
end`,
      },
    });
    const half = Buffer.alloc(2 * 1024 * 1024, 'x');
    const readers = [];
    for (let at = 0; at < 3; at += 1) {
      const connection = await FcgiConnection.connect(server.socket);
      t.after(() => connection.destroy());
      connection.begin(1);
      const params = { REQUEST_METHOD: 'POST', CONTENT_LENGTH: String(2 * half.length) };
      connection.params(1, scriptParams(server.path('large.lua'), params));
      void connection.stdin(1, half, { end: false });
      readers.push(connection);
    }
    await eventually('all scripts', () => server.log().split('half').length > readers.length);
    assert.equal((await ask(server, 'plain.lua')).text, 'plain', 'the only worker serves others');
    for (const connection of readers) void connection.stdin(1, half);
    for (const connection of readers) {
      assert.match((await connection.response(1)).stdout.toString(), new RegExp(`${2 * half.length}$`));
    }
  });

  it('for a body that never comes gets an error that says so', async (t) => {
    const server = await start(t, 'bodymemory = 1024 readtimeout = 1 showerrors = true');
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    connection.begin(1);
    const params = { REQUEST_METHOD: 'POST', CONTENT_LENGTH: '5000', QUERY_STRING: '' };
    connection.params(1, scriptParams(server.path('reads.lua'), params));
    await connection.stdin(1, 'x'.repeat(2000), { end: false });
    assert.match((await connection.response(1)).stdout.toString(), /LUAFCGID_REQUEST_BODY_LATE|408/);
    assert.equal((await ask(server, 'plain.lua')).text, 'plain');
  });

  itOnce('is stopped after requesttime, with the Lua stack of the place where it waits', async (t) => {
    const server = await start(t, 'requesttime = 3 showerrors = true');
    // Loading it is no part of the time that follows: on a busy machine that alone may take a second.
    assert.equal((await ask(server, 'sleep.lua', { params: { QUERY_STRING: '0' } })).text, 'slept  1');
    const { status, text } = await ask(server, 'sleep.lua', LONG);
    assert.equal(status, 504);
    assert.match(text, /took longer than 3 s and was stopped where it waits/);
    await server.logged(/LUAFCGID_REQUEST_OVERDUE[\s\S]*sleep\.lua:6:/);
    const again = await ask(server, 'sleep.lua', { params: { QUERY_STRING: '0' } });
    assert.equal(again.text, 'slept  3', 'its state lives on');
  });

  itOnce('is stopped when its client goes and onabort says so, which frees its place', async (t) => {
    const server = await start(t, 'onabort = "stop" waiting = 1');
    const connection = await sleeper(t, server, '1000');
    const refused = await ask(server, 'try.lua');
    assert.match(refused.text, /^false .*1 requests wait already/);
    connection.destroy();
    await eventually('a free place', async () => (await ask(server, 'try.lua')).text.startsWith('true'));
  });

  itOnce('is finished by a reload and by a stop', async (t) => {
    const server = await start(t, '');
    const first = await sleeper(t, server, '0.5');
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening/);
    const second = await sleeper(t, server, '0.5');
    const stopped = server.stop();
    for (const connection of [first, second]) {
      const answer = await connection.response(1);
      assert.match(answer.stdout.toString(), /slept/);
    }
    await stopped;
  });

  itOnce('goes on as it was on a kept connection that its worker serves by itself', async (t) => {
    const server = await start(t, '');
    const connection = await FcgiConnection.connect(server.socket);
    t.after(() => connection.destroy());
    for (let at = 1; at <= 6; at += 1) {
      connection.begin(1, { keepConn: true });
      const params = { QUERY_STRING: '0.01', CONTENT_LENGTH: '3', REQUEST_METHOD: 'POST' };
      connection.params(1, scriptParams(server.path('sleep.lua'), params));
      connection.stdin(1, 'abc');
      connection.stdin(1, '');
      const answer = await connection.response(1);
      assert.match(answer.stdout.toString(), new RegExp(`slept abc ${at}$`));
    }
    assert.deepEqual(connection.violations, []);
  });

  itOnce('is answered with an error that names the culprit when its worker is lost', async (t) => {
    const server = await startServer(t, {
      config: 'workers = 1 clones = 4 watchdog = 1 engine = "luajit"',
      files: {
        ...FILES,
        'hang.lua': 'function main() string.find(string.rep("a", 40), string.rep("a?", 40) .. string.rep("a", 40)) end',
      },
    });
    const connection = await sleeper(t, server, '1000');
    assert.equal((await ask(server, 'hang.lua')).status, 504);
    const answer = await connection.response(1);
    assert.match(answer.stdout.toString(), /^Status: 500[\s\S]*hang\.lua does not stop/);
    assert.equal((await ask(server, 'plain.lua')).text, 'plain');
    // A signal that comes while the program is replaced ends it.
    await server.logged(/LUAFCGID_SERVER_RESTARTS[\s\S]*ready: listening/);
  });
});
