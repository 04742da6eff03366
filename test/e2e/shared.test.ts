/** Shared dictionaries in the whole server: all workers see them, and they outlive workers and reloads (issue 13, 6; cases/users F4). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { startMariadb } from '../support/mariadb.js';
import { startPostgres } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { IO, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const ENGINES = IO === 'node' ? (['embedded'] as const) : (['embedded', 'lua5.1', 'lua5.4', 'luajit'] as const);

const FILES = {
  'count.lua': `local cache = require("luafcgid.shared").cache
function main(env, con)
  for _ = 1, 20 do cache:incr("hits", 1, 0) end
  con:puts(tostring(cache:get("hits")))
end`,
  'read.lua': 'function main(env, con) con:puts(tostring((require("luafcgid.shared").cache:get("hits")))) end',
  'hang.lua': 'function main() string.find(("a"):rep(3000), ".-.-.-.-.-b") end',
};

describe('a shared dictionary', () => {
  for (const engine of ENGINES) {
    it(`is one for all workers, and loses no change of any, without a configuration (${engine})`, async (t) => {
      const server = await startServer(t, { config: `workers = 3 clones = 3 engine = "${engine}"`, files: FILES });
      const answers = await Promise.all(Array.from({ length: 30 }, () => ask(server, 'count.lua')));
      for (const { status, text } of answers) assert.equal(status, 200, text);
      assert.equal((await ask(server, 'read.lua')).text, '600');
    });
  }

  it('outlives a reload and a worker that is replaced; one whose size changes begins empty', async (t) => {
    const config = 'workers = 1 clones = 2 watchdog = 1';
    const server = await startServer(t, { config: `${config} shared = { cache = 2^20 }`, files: FILES });
    assert.equal((await ask(server, 'count.lua')).text, '20');
    assert.equal((await ask(server, 'hang.lua')).status, 504);
    assert.equal((await ask(server, 'read.lua')).text, '20', 'another worker');
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening/);
    assert.equal((await ask(server, 'read.lua')).text, '20', 'after a reload');
    writeFileSync(server.config, readFileSync(server.config, 'utf8').replace('2^20', '2^21'));
    server.signal('SIGHUP');
    await server.logged(/reloaded: listening[\s\S]*reloaded: listening/);
    assert.equal((await ask(server, 'read.lua')).text, 'nil', 'of another size');
  });
});

/** What is done to a dictionary, which the query names, and what comes of it, wherever it lies. */
const STEPS = `function main(env, con)
  local d = require("luafcgid.shared")[env.QUERY_STRING]
  local function tell(...)
    local count = select("#", ...)
    while count > 1 and select(count, ...) == nil do count = count - 1 end
    for at = 1, count do con:puts(at > 1 and " " or "", tostring((select(at, ...)))) end
    con:puts("\\n")
  end
  tell(d:get("a"))
  tell(d:set("a", "x\\0\\255"))
  tell(d:get("a") == "x\\0\\255")
  tell(d:add("a", 1))
  tell(d:replace("b", 1))
  tell(d:set("b", true, 100))
  tell(d:get("b"))
  tell(d:ttl("b") > 99)
  tell(d:ttl("?"))
  tell(d:expire("b", 0))
  tell(d:ttl("b") == 0)
  tell(d:incr("n", 1))
  tell(d:incr("n", 1, 41, 100))
  tell(d:incr("n", 0.5))
  tell(d:ttl("n") > 99)
  tell(d:incr("a", 1))
  tell(d:cas("n", 1, 2))
  tell(d:cas("n", 42.5, "new"))
  tell(d:cas("n", "new", nil))
  tell(d:get("n"))
  tell(d:rpush("l", "first"))
  tell(d:lpush("l", 2))
  tell(d:get("l"))
  tell(d:lpush("a", 1))
  tell(d:llen("l"))
  tell(d:rpop("l"))
  tell(d:lpop("l"))
  tell(d:set("f", 0.1, 0, 7))
  tell(d:get("f"))
  tell(d:fetch("made", 100, function() return "made" end))
  tell(#d:get_keys())
  d:delete("f")
  d:flush_all()
  tell(#d:get_keys())
end`;

describe('a shared dictionary in a database', () => {
  const counter = `function main(env, con)
  local d = require("luafcgid.shared").carts
  for _ = 1, 5 do d:incr("n", 1, 0) end
  con:puts(tostring(d:get("n")))
end`;
  const SOURCES: Readonly<Record<string, (t: TestContext) => Promise<string>>> = {
    SQLite: async () => 'sqlite:main.db',
    PostgreSQL: async (t) => `postgres://postgres@127.0.0.1:${(await startPostgres(t)).port}/postgres`,
    MariaDB: async (t) => `mysql://root@127.0.0.1:${(await startMariadb(t)).port}/test`,
  };

  for (const [kind, sourceFor] of Object.entries(SOURCES)) {
    for (const engine of kind === 'SQLite' ? ENGINES : (['embedded'] as const)) {
      it(`does what one in memory does, and loses no change of any request (${kind}, ${engine})`, async (t) => {
        const settings = `engine = "${engine}" workers = 2 clones = 4 data = { main = "${await sourceFor(t)}" }`;
        const files = { 'steps.lua': STEPS, 'count.lua': counter };
        const config = `${settings} shared = { carts = { store = "main" }, near = 2^20 }`;
        const server = await startServer(t, { config, files });
        const steps = async (name: string) => (await ask(server, 'steps.lua', { params: { QUERY_STRING: name } })).text;
        const expected = await steps('near');
        assert.match(expected, /^nil\ntrue nil false\ntrue\nnil exists false\n/);
        assert.equal(await steps('carts'), expected);
        const counted = await Promise.all(Array.from({ length: 16 }, () => ask(server, 'count.lua')));
        for (const { text } of counted) assert.match(text, /^[0-9]+$/);
        assert.equal(Number((await ask(server, 'count.lua')).text), 85);
      });
    }
  }
});

describe('a shared dictionary in Redis', () => {
  it('that is down is an error of the script', async (t) => {
    const redis = await startRedis(t);
    const config = `data = { main = "redis://127.0.0.1:${redis.port}" } shared = { carts = { store = "main" } }`;
    const server = await startServer(t, {
      config,
      files: {
        'set.lua': `function main(env, con)
  local ok, e = pcall(function() return require("luafcgid.shared").carts:set("a", 1) end)
  con:puts(tostring(ok), " ", tostring(e))
end`,
      },
    });
    assert.equal((await ask(server, 'set.lua')).text, 'true true');
    await redis.kill();
    assert.match((await ask(server, 'set.lua')).text, /^false .*data source main/);
    await redis.start();
  });

  for (const engine of ENGINES) {
    it(`does what one in memory does (${engine})`, async (t) => {
      const redis = await startRedis(t);
      const server = await startServer(t, {
        config: `engine = "${engine}" workers = 1 data = { main = "redis://127.0.0.1:${redis.port}" }
          shared = { far = { store = "main" }, near = 2^20 }`,
        files: { 'steps.lua': STEPS },
      });
      const steps = async (name: string) => (await ask(server, 'steps.lua', { params: { QUERY_STRING: name } })).text;
      const expected = await steps('near');
      assert.match(expected, /^nil\ntrue nil false\ntrue\nnil exists false\n/);
      assert.equal(await steps('far'), expected);
    });
  }
});
