/** Shared dictionaries in the whole server: all workers see them, and they outlive workers and reloads (issue 13, 6; cases/users F4). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { startMariadb } from '../support/mariadb.js';
import { startPostgres } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { type Server, startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

/** One of each kind: the tests of the script interface run on all. */
const ENGINES = ['embedded', 'luajit'] as const;

const FILES = {
  'count.lua': `local cache = require("luafcgid.shared").cache
function main(env, con)
  for _ = 1, 20 do cache:incr("hits", 1, 0) end
  con:puts(tostring(cache:get("hits")))
end`,
  'read.lua': 'function main(env, con) con:puts(tostring((require("luafcgid.shared").cache:get("hits")))) end',
  'hang.lua': 'function main() string.find(("a"):rep(3000), ".-.-.-.-.-b") end',
};

async function checkCounts(server: Server): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask(server, 'count.lua')));
  for (const { status, text } of answers) assert.equal(status, 200, text);
  assert.equal((await ask(server, 'read.lua')).text, '600');
}

describe('a shared dictionary', () => {
  it('is one for all workers, and loses no change of any, without a configuration', async (t) => {
    await checkCounts(await startServer(t, { config: 'workers = 3 clones = 3', files: FILES }));
  });

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
  tell(d:set("b", true, 1000))
  tell(d:get("b"))
  tell(d:ttl("b") > 900)
  tell(d:ttl("?"))
  tell(d:expire("b", 0))
  tell(d:ttl("b") == 0)
  tell(d:incr("n", 1))
  tell(d:incr("n", 1, 41, 1000))
  tell(d:incr("n", 0.5))
  tell(d:ttl("n") > 900)
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

/** Changes the dictionary that the query names. */
const COUNTER = `function main(env, con)
  local d = require("luafcgid.shared")[env.QUERY_STRING]
  for _ = 1, 5 do d:incr("n", 1, 0) end
  con:puts(tostring(d:get("n")))
end`;

const SET = `function main(env, con)
  local ok, e = pcall(function() return require("luafcgid.shared").inRedis:set("a", 1) end)
  con:puts(tostring(ok), " ", tostring(e))
end`;

describe('a shared dictionary in a database', () => {
  const redis = shared((t) => startRedis(t));
  const postgres = shared((t) => startPostgres(t));
  const mariadb = shared((t) => startMariadb(t));

  /** A server with a dictionary in each of the databases. */
  function start(t: Cleanup, engine: string, at: number, sources: Readonly<Record<string, string>>): Promise<Server> {
    const all = { ...sources, inRedis: `redis://127.0.0.1:${redis().port}/${at}`, inSqlite: 'sqlite:main.db' };
    const names = Object.keys(all);
    // The limits are none that a busy machine comes to.
    const data = Object.entries(all).map(
      ([name, url]) => `${name} = { "${url}", waittimeout = 60, connecttimeout = 60 }`,
    );
    const dictionaries = names.map((name) => `${name} = { store = "${name}" }`);
    return startServer(t, {
      config: `engine = "${engine}" workers = 2 clones = 4 data = { ${data.join(', ')} }
        shared = { ${dictionaries.join(', ')}, near = 2^20, cache = 2^20 }`,
      files: { ...FILES, 'steps.lua': STEPS, 'counter.lua': COUNTER, 'set.lua': SET },
    });
  }

  async function check(server: Server, name: string): Promise<void> {
    const asked = { params: { QUERY_STRING: name } };
    const steps = async (of: string) => (await ask(server, 'steps.lua', { params: { QUERY_STRING: of } })).text;
    const expected = await steps('near');
    assert.match(expected, /^nil\ntrue nil false\ntrue\nnil exists false\n/);
    assert.equal(await steps(name), expected);
    const counted = await Promise.all(Array.from({ length: 16 }, () => ask(server, 'counter.lua', asked)));
    for (const { text } of counted) assert.match(text, /^[0-9]+$/);
    assert.equal(Number((await ask(server, 'counter.lua', asked)).text), 85);
  }

  for (const [at, engine] of ENGINES.entries()) {
    describe(`with ${engine}`, () => {
      // One engine is enough for databases that all of them reach in the same way.
      const isFirst = at === 0;
      const server = shared((t) =>
        start(t, engine, at, {
          ...(isFirst && {
            inPostgres: `postgres://postgres@127.0.0.1:${postgres().port}/postgres`,
            inMariadb: `mysql://root@127.0.0.1:${mariadb().port}/test`,
          }),
        }),
      );

      it('in memory is one for all workers, and loses no change of any', () => checkCounts(server()));

      for (const name of ['inRedis', 'inSqlite', ...(isFirst ? ['inPostgres', 'inMariadb'] : [])])
        it(`does what one in memory does, and loses no change of any request (${name})`, () => check(server(), name));

      if (isFirst)
        it('that is down is an error of the script', async () => {
          assert.equal((await ask(server(), 'set.lua')).text, 'true true');
          await redis().kill();
          assert.match((await ask(server(), 'set.lua')).text, /^false .*data source inRedis/);
          await redis().start();
        });
    });
  }
});
