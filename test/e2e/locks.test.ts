/** Locks of scripts: among all workers, in turn, and released by whatever ends a request (issue 13, 6; data-access.md 4.5). */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { FcgiConnection, scriptParams } from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

/** One of each kind: the tests of the script interface run on all. */
const ENGINES = ['embedded', 'lua5.1'] as const;

const FILES = {
  // Reads and writes a number in two steps, which only a lock makes safe.
  'count.lua': `local luafcgid, lock, d = require("luafcgid"), require("luafcgid.lock"), require("luafcgid.shared").cache
function main(env, con)
  local ok, value = lock.with("count", { wait = 60 }, function(l)
    assert(l:held())
    local value = (d:get("value") or 0) + 1
    luafcgid.sleep(0.001)
    d:set("value", value)
    return value
  end)
  con:puts(tostring(ok), " ", tostring(value))
end`,
  'hold.lua': `local luafcgid, lock = require("luafcgid"), require("luafcgid.lock")
function main(env, con)
  local l = assert(lock.lock("held"))
  con:log("holds the lock")
  local how = env.QUERY_STRING
  if how == "error" then error("an error") end
  if how == "exit" then os.exit(3) end
  if how == "loop" then while true do end end
  if how == "hang" then string.find(("a"):rep(3000), ".-.-.-.-.-b") end
  if how == "sleep" then luafcgid.sleep(1000) end
  con:puts("held")
end`,
  'try.lua': `local lock = require("luafcgid.lock")
function main(env, con)
  local l, why = lock.lock("held", { wait = tonumber(env.QUERY_STRING) })
  con:puts(l and "free" or why)
end`,
  'pair.lua': `local luafcgid, lock = require("luafcgid"), require("luafcgid.lock")
function main(env, con)
  local first, second = env.QUERY_STRING:match("(.)(.)")
  lock.with(first, function()
    con:log("holds " .. first)
    if first ~= "c" then while not require("luafcgid.shared").cache:get("go") do luafcgid.sleep(0.005) end end
    local l, why = lock.lock(second, { wait = 100 })
    con:puts(l and "both" or why)
  end)
end`,
  'go.lua': 'function main(env, con) require("luafcgid.shared").cache:set("go", true) end',
  'options.lua': `local lock = require("luafcgid.lock")
function main(env, con)
  local _, unknown = pcall(lock.lock, "held", { timeout = 1 })
  con:puts(tostring(unknown))
end`,
  'inside.lua': `local lock = require("luafcgid.lock")
function main(env, con)
  con:puts(tostring(select(2, pcall(string.gsub, "x", "x", function() lock.lock("held") end))))
end`,
  'many.lua': `local luafcgid, lock = require("luafcgid"), require("luafcgid.lock")
function main(env, con)
  local count, why = 0
  while count < 20000 do
    local ok, l = pcall(lock.try, "many" .. count)
    if not ok then why = l break end
    count = count + 1
  end
  con:puts(count, " ", tostring(why), " ")
  con:flush()
  while not require("luafcgid.shared").cache:get("enough") do luafcgid.sleep(0.005) end
  con:puts(select(2, pcall(lock.try, "one more")) == why and "as before" or "otherwise")
end`,
  'enough.lua': `function main(env, con)
  local cache = require("luafcgid.shared").cache
  local l, why = require("luafcgid.lock").lock(env.QUERY_STRING, { wait = cache:get("enough") and 60 or 0 })
  con:puts(l and "free" or why)
  cache:set("enough", true)
end`,
  'fetch.lua': `local luafcgid, d = require("luafcgid"), require("luafcgid.shared").cache
function main(env, con)
  con:puts(tostring(d:fetch("page", 60, function()
    d:incr("computed", 1, 0)
    luafcgid.sleep(0.05)
    return "the page"
  end)), " ", tostring(d:get("computed")))
end`,
};

function start(t: Cleanup, config: string): Promise<Server> {
  return startServer(t, { config, files: FILES });
}

async function begin(t: TestContext, server: Server, script: string, query: string): Promise<FcgiConnection> {
  const connection = await FcgiConnection.connect(server.socket);
  t.after(() => connection.destroy());
  connection.begin(1);
  connection.params(1, scriptParams(server.path(script), { QUERY_STRING: query }));
  connection.stdin(1, '');
  return connection;
}

/** Has a request take the lock, which it keeps until its connection is destroyed. */
async function hold(t: TestContext, server: Server): Promise<FcgiConnection> {
  const times = () => server.log().split('holds the lock').length;
  const before = times();
  const holder = await begin(t, server, 'hold.lua', 'sleep');
  await eventually('the holder', () => times() > before);
  return holder;
}

const query = (QUERY_STRING: string) => ({ params: { QUERY_STRING } });

for (const engine of ENGINES) {
  describe(`with ${engine}, a lock`, () => {
    const server = shared((t) => start(t, `engine = "${engine}" workers = 2 clones = 16 states = 40`));

    it('is held by one request of all workers at a time, and no waiting request holds a worker', async () => {
      const answers = await Promise.all(Array.from({ length: 24 }, () => ask(server(), 'count.lua')));
      const values = answers.map(({ text }) => Number(/^true (\d+)/.exec(text)?.[1]));
      assert.deepEqual(
        values.sort((a, b) => a - b),
        Array.from({ length: 24 }, (_, at) => at + 1),
      );
    });

    it('is there for others, however many a script takes: one request has 256 of them', async (t) => {
      const greedy = await begin(t, server(), 'many.lua', '');
      const first = await greedy.nextRecord();
      assert.match(first.content.toString(), /256 .*holds or waits for at most 256 locks/);
      assert.equal((await ask(server(), 'enough.lua', query('many255'))).text, 'timeout');
      assert.match((await greedy.response(1)).stdout.toString(), /as before$/);
      assert.equal((await ask(server(), 'enough.lua', query('many255'))).text, 'free', 'and are given back');
    });

    it('ends with the deadlock that two requests would make, which is told', async (t) => {
      const first = await begin(t, server(), 'pair.lua', 'ab');
      const second = await begin(t, server(), 'pair.lua', 'ba');
      await server().logged(/holds a/);
      await server().logged(/holds b/);
      await ask(server(), 'go.lua');
      const texts = [first, second].map(async (one) => (await one.response(1)).stdout.toString().split('\r\n\r\n')[1]);
      assert.deepEqual((await Promise.all(texts)).sort(), ['both', 'deadlock']);
      assert.match((await ask(server(), 'pair.lua', query('cc'))).text, /^deadlock$/, 'a lock that the request holds');
    });

    it('has fetch of a shared dictionary compute once for all requests that miss the value at the same time', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server(), 'fetch.lua')));
      for (const { text } of answers) assert.equal(text, 'the page 1');
    });
  });
}

describe('a lock', () => {
  const server = shared((t) => start(t, 'workers = 2 clones = 6 watchdog = 1 onabort = "stop"'));

  for (const how of ['return', 'error', 'exit', 'loop', 'hang']) {
    it(`is released when its request ends by ${how}`, async () => {
      await ask(server(), 'hold.lua', query(how));
      assert.equal((await ask(server(), 'try.lua', query('60'))).text, 'free');
    });
  }

  it('is released when its client goes and onabort says so', async (t) => {
    const holder = await hold(t, server());
    assert.equal((await ask(server(), 'try.lua', query('0'))).text, 'timeout');
    assert.equal((await ask(server(), 'try.lua', query('0.05'))).text, 'timeout');
    holder.destroy();
    assert.equal((await ask(server(), 'try.lua', query('60'))).text, 'free');
  });

  it('is not waited for where Lua cannot be suspended: the error says where', async (t) => {
    const holder = await hold(t, server());
    assert.match((await ask(server(), 'inside.lua')).text, /cannot wait for a lock at .*inside\.lua:3/);
    holder.destroy();
  });

  it('has no options but wait: any other is an error, and no lock', async () => {
    assert.equal((await ask(server(), 'try.lua', query('60'))).text, 'free');
    assert.match((await ask(server(), 'options.lua')).text, /unknown option 'timeout' of 'lock' \(there is wait\)/);
    assert.equal((await ask(server(), 'try.lua', query('60'))).text, 'free');
  });

  it('is released when the time of its request is over', async (t) => {
    const limited = await start(t, 'workers = 2 clones = 6 requesttime = 1');
    assert.equal((await ask(limited, 'hold.lua', query('sleep'))).status, 504);
    // The answer may be there a moment before the lock is released.
    assert.equal((await ask(limited, 'try.lua', query('60'))).text, 'free');
  });

  it('of a reloaded server is the same as before', async (t) => {
    const holder = await hold(t, server());
    server().signal('SIGHUP');
    await server().logged(/reloaded: listening/);
    assert.equal(
      (await ask(server(), 'try.lua', query('0'))).text,
      'timeout',
      'held by a request of the former workers',
    );
    const waiting = ask(server(), 'try.lua', query('60'));
    holder.destroy();
    assert.equal((await waiting).text, 'free');
  });
});
