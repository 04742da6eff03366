/** Locks that lie in a data source: those of several servers, given back by whatever ends a request (issue 13, 6). */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Cleanup, tempDir } from '../support/cleanup.js';
import { FcgiConnection, scriptParams } from '../support/fcgi-client.js';
import { startRedis } from '../support/redis.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** One of each kind: the tests of the script interface run on all. */
const ENGINES = ['embedded', 'lua5.4'] as const;

const FILES = {
  // Reads and writes a number in two steps, which only a lock makes safe.
  'count.lua': `local luafcgid, lock = require("luafcgid"), require("luafcgid.lock")
local r = require("luafcgid.redis").open("main")
function main(env, con)
  local ok, value = lock.with("count", { wait = 60 }, function(l)
    assert(l:held())
    local value = tonumber(r:get("value") or 0) + 1
    luafcgid.sleep(0.001)
    r:set("value", value)
    return value
  end)
  con:puts(tostring(ok), " ", tostring(value))
end`,
  'hold.lua': `local luafcgid, lock = require("luafcgid"), require("luafcgid.lock")
function main(env, con)
  local l = assert(lock.lock("held", { wait = 60 }))
  con:log("holds the lock")
  local how = env.QUERY_STRING
  if how == "error" then error("an error") end
  if how == "exit" then os.exit(3) end
  if how == "loop" then while true do end end
  if how == "sleep" then luafcgid.sleep(1000) end
  con:puts("held ", tostring(l:held()), " ", tostring(select(2, lock.try("held"))))
end`,
  'try.lua': `local lock = require("luafcgid.lock")
function main(env, con)
  local l, why = lock.lock("held", { wait = tonumber(env.QUERY_STRING) })
  con:puts(l and "free" or why)
end`,
  'inside.lua': `local lock = require("luafcgid.lock")
function main(env, con)
  local l = lock.try("outside")
  local ok, fault
  table.sort({ 2, 1 }, function(a, b)
    ok, fault = pcall(lock.lock, "held")
    return a < b
  end)
  con:puts(tostring(ok), " ", tostring(fault))
end`,
  // In a coroutine the wait begins as one that could be suspended, and only its surroundings refuse that.
  'later.lua': `local lock = require("luafcgid.lock")
function main(env, con)
  local ok, fault
  table.sort({ 2, 1 }, function(a, b)
    coroutine.resume(coroutine.create(function() ok, fault = pcall(lock.lock, "held") end))
    return a < b
  end)
  con:log("was refused")
  local l, why = lock.lock("held", { wait = 60 })
  con:puts(tostring(ok), " ", tostring(fault), "; ", l and "had" or why)
end`,
};

async function startTwo(t: Cleanup, data: string, settings = ''): Promise<readonly [Server, Server]> {
  // The limits are none that a busy machine comes to.
  const source = `{ "${data}", waittimeout = 60, connecttimeout = 60, querytimeout = 60 }`;
  const config = `data = { main = ${source} } locks = "main" workers = 1 clones = 8 onabort = "stop" draintimeout = 1 ${settings}`;
  return Promise.all([startServer(t, { config, files: FILES }), startServer(t, { config, files: FILES })]);
}

const free = async (server: Server): Promise<void> =>
  assert.equal((await ask(server, 'try.lua', { params: { QUERY_STRING: '60' } })).text, 'free');

describe('locks in a data source', () => {
  const redis = shared((t) => startRedis(t));

  for (const [database, engine] of ENGINES.entries()) {
    it(`let one request of all servers at a time do its work, and are an error where Lua cannot wait, with ${engine}`, async (t) => {
      const [here, there] = await startTwo(t, `redis://127.0.0.1:${redis().port}/${database}`, `engine = "${engine}"`);
      const answers = await Promise.all(
        [here, there].flatMap((server) => Array.from({ length: 8 }, () => ask(server, 'count.lua'))),
      );
      const values = answers.map(({ text }) => Number(/^true (\d+)/.exec(text)?.[1] ?? text)).sort((a, b) => a - b);
      assert.deepEqual(
        values,
        answers.map((_, at) => at + 1),
      );
      assert.match((await ask(here, 'inside.lua')).text, /^true/, 'one that is free can be taken');
      const holder = await FcgiConnection.connect(there.socket);
      t.after(() => holder.destroy());
      holder.begin(1);
      holder.params(1, scriptParams(there.path('hold.lua'), { QUERY_STRING: 'sleep' }));
      holder.stdin(1, '');
      await there.logged(/holds the lock/);
      assert.match((await ask(here, 'inside.lua')).text, /^false .*cannot wait for a lock at .*inside\.lua:6/);
      // What was refused is not taken later behind the script's back.
      const later = ask(here, 'later.lua');
      await here.logged(/was refused/);
      holder.destroy();
      assert.match((await later).text, /^false .*cannot wait for a lock.*; had$/);
    });
  }

  it('are given back by whatever ends the request, also in SQLite', async (t) => {
    const [here, there] = await startTwo(t, `sqlite:${join(tempDir(t), 'locks.db')}`, 'watchdog = 2');
    assert.equal((await ask(here, 'hold.lua')).text, 'held true deadlock');
    for (const how of ['error', 'exit', 'loop']) {
      await ask(here, 'hold.lua', { params: { QUERY_STRING: how } });
      await free(there);
    }
    const holder = await FcgiConnection.connect(here.socket);
    holder.begin(1);
    holder.params(1, scriptParams(here.path('hold.lua'), { QUERY_STRING: 'sleep' }));
    holder.stdin(1, '');
    await eventually(
      'a holder',
      async () => (await ask(there, 'try.lua', { params: { QUERY_STRING: '0' } })).text === 'timeout',
    );
    holder.destroy();
    await free(there);
    // A server that stops gives back what its requests hold.
    await here.stop();
    await free(there);
  });

  it('are refused for a source that is not configured', async (t) => {
    const { port } = redis();
    await assert.rejects(
      startServer(t, { config: `data = { main = "redis://127.0.0.1:${port}" } locks = "cache"`, files: FILES }),
      /locks = "cache"|LUAFCGID_CONFIG_VALUE/,
    );
  });
});
