/** Data sources from scripts, on real servers: values, transactions, and that nothing of a request is seen by another. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Cleanup } from '../support/cleanup.js';
import { startPostgres } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const ENGINES = ['embedded', 'lua5.1', 'lua5.4', 'luajit'] as const;

/** A script whose handler is this, with `db` and `con`. */
const script = (body: string, source = 'main'): string => `local M = require("luafcgid.db")
local luafcgid = require("luafcgid")
local db = M.open("${source}")
function main(env, con)
  ${body}
end`;

/** Asks for a script that is written for it. */
async function run(server: Server, body: string, source?: string): Promise<string> {
  const name = `s${Math.random().toString(36).slice(2)}.lua`;
  server.write(name, script(body, source));
  const { status, text } = await ask(server, name);
  assert.equal(status, 200, text);
  return text;
}

async function start(t: Cleanup, engine: string, data: string, more = ''): Promise<Server> {
  return startServer(t, { config: `workers = 1 clones = 8 engine = "${engine}" data = { ${data} } ${more}` });
}

/** A client of the database that has nothing to do with the server. */
async function clientOf(port: number) {
  const { Client } = (await import('pg')).default;
  const client = new Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  return client;
}

describe('data sources', () => {
  const redis = shared((t) => startRedis(t));
  /** One server for each engine. */
  const serverOf = (engine: string) =>
    shared((t) =>
      start(
        t,
        engine,
        `main = "sqlite:main.db", cache = { "redis://127.0.0.1:${redis().port}", waittimeout = 60, connecttimeout = 60 }`,
      ),
    );
  const servers: Readonly<Record<string, () => Server>> = Object.fromEntries(
    ENGINES.map((engine) => [engine, serverOf(engine)]),
  );
  const serverWith = (engine: string): Server => (servers[engine] ?? assert.fail(engine))();

  describe('luafcgid.db', () => {
    const postgres = shared((t) => startPostgres(t));

    for (const engine of ENGINES) {
      it(`binds values and gives rows on SQLite, with ${engine}`, async () => {
        const text = await run(
          serverWith(engine),
          `db:exec("create table t (id integer primary key, name text, x real)")
        db:transaction(function()
          db:exec("insert into t (name, x) values (?, ?)", "A'da", 1.5)
          db:exec("insert into t (name, x) values (:name, :x)", { name = "Bob", x = M.null })
        end)
        local rows = db:query("select * from t where name in (?) order by id", M.list({ "A'da", "Bob" }))
        con:puts(rows[1].id, rows[1].name, rows[1].x, rows[2].name, tostring(rows[2].x), " ", table.concat(rows.columns, ","))
        con:puts(" ", db:value("select count(*) from t"), " ", tostring(db:one("select id from t where id = 9")))
        local names = {} db:each("select name from t order by id", function(row) names[#names + 1] = row.name end)
        con:puts(" ", table.concat(names, "+"))`,
        );
        assert.equal(text, "1A'da1.5Bobnil id,name,x 2 nil A'da+Bob");
      });
    }

    it('rolls back what fails, keeps what a savepoint allows, and retries nothing in silence', async () => {
      const text = await run(
        serverWith('embedded'),
        `db:exec("create table r (id integer)")
      local ok, e = pcall(db.transaction, db, function() db:exec("insert into r values (1)") error("stop", 0) end)
      con:puts(tostring(ok), e, db:value("select count(*) from r"))
      db:transaction(function()
        db:exec("insert into r values (2)")
        pcall(db.transaction, db, function() db:exec("insert into r values (3)") error("inner") end)
      end)
      con:puts(" ", db:value("select group_concat(id) from r"))
      con:puts(" ", tostring(db:transaction(function() db:exec("insert into r values (4)") db:rollback() end)))
      con:puts(" ", db:value("select count(*) from r"))
      local rows, fault = db:safe():query("select nonsense")
      con:puts(" ", tostring(rows), " ", fault.code)`,
      );
      assert.equal(text, 'falsestop0 2 nil 1 nil LUAFCGID_DATA_QUERY');
    });

    it('lets requests wait for PostgreSQL at the same time on one worker', async (t) => {
      const { port } = postgres();
      const server = await start(
        t,
        'embedded',
        `main = { "postgres://postgres@127.0.0.1:${port}/postgres", connections = 6, waittimeout = 60, connecttimeout = 60 }`,
      );
      server.write('wait.lua', script('db:query("select pg_sleep(0.2)") con:puts("ok")'));
      server.write('plain.lua', 'function main(env, con) con:puts("plain") end');
      const waiting = Array.from({ length: 6 }, () => ask(server, 'wait.lua'));
      assert.equal((await ask(server, 'plain.lua')).text, 'plain');
      for (const { text } of await Promise.all(waiting)) assert.equal(text, 'ok');
      const text = await run(
        server,
        `local a, b = luafcgid.all(function() return db:value("select 1") end, function() return db:value("select 'x'::text") end)
      con:puts(a, b, " ", tostring(db:value("select 9007199254740993::int8")), " ", tostring(db:value("select true")))`,
      );
      assert.equal(text, '1x 9007199254740993 true');
    });

    it('releases what a request had open, however it ended', async (t) => {
      const { port } = postgres();
      const server = await start(
        t,
        'embedded',
        `main = { "postgres://postgres@127.0.0.1:${port}/postgres", connections = 1, waittimeout = 60, connecttimeout = 60 }`,
        'requesttime = 6',
      );
      server.write('setup.lua', script('db:exec("create table t (id int)") con:puts("ok")'));
      assert.equal((await ask(server, 'setup.lua')).text, 'ok');
      const ends = {
        'error.lua': 'db:transaction(function() db:exec("insert into t values (1)") error("x") end)',
        'exit.lua': 'db:transaction(function() db:exec("insert into t values (2)") os.exit(0) end)',
        'late.lua': 'db:transaction(function() db:exec("insert into t values (3)") luafcgid.sleep(60) end)',
        'cursor.lua': 'local c = db:cursor("select generate_series(1, 1000)") c:fetch() con:puts("ok")',
        'setting.lua': `db:exec("set application_name = 'of another request'") con:puts("ok")`,
      };
      for (const [name, body] of Object.entries(ends)) {
        server.write(name, script(body));
        await ask(server, name);
        const seen = await run(
          server,
          'con:puts(db:value("select count(*) from t"), db:value("show application_name"))',
        );
        assert.doesNotMatch(seen, /another request/, name);
        assert.match(seen, /^0/, name);
      }
    });

    it('fails with a clear error while the database is down, and works again when it is back', async (t) => {
      const database = postgres();
      const server = await start(t, 'embedded', `main = "postgres://postgres@127.0.0.1:${database.port}/postgres"`);
      server.write('one.lua', script('con:puts(db:value("select 1"))'));
      assert.equal((await ask(server, 'one.lua')).text, '1');
      await database.kill();
      const down = await eventually('the error', async () => {
        const answer = await ask(server, 'one.lua');
        return answer.status === 500 && answer;
      });
      assert.match(down.text, /data source main/);
      await database.start();
      await eventually('the database', async () => (await ask(server, 'one.lua')).text === '1');
    });

    it('answers every request while it is reloaded and stopped with connections that are lent', async (t) => {
      const { port } = postgres();
      const limits = 'waittimeout = 60, connecttimeout = 60, querytimeout = 60';
      const server = await start(
        t,
        'embedded',
        `main = { "postgres://postgres@127.0.0.1:${port}/postgres", connections = 4, ${limits} },
         cache = { "redis://127.0.0.1:${redis().port}", ${limits} }`,
        'workers = 2',
      );
      const both = `local cache = require("luafcgid.redis").open("cache")
      con:puts(db:value("select 1 from (select pg_sleep(0.01)) as nap"), " ", cache:incr("lent"))`;
      server.write('both.lua', script(both));
      server.write(
        'long.lua',
        script('con:puts(db:value("select 7 from (select pg_advisory_xact_lock(42)) as held"))'),
      );
      let isOver = false;
      let answered = 0;
      const loop = async (): Promise<void> => {
        while (!isOver) {
          const { status, text } = await ask(server, 'both.lua');
          assert.equal(status, 200, text);
          assert.match(text, /^1 \d+$/);
          answered += 1;
        }
      };
      const loops = Array.from({ length: 6 }, loop);
      const reloads = () => server.log().split('reloaded: ').length - 1;
      for (let round = 1; round <= 3; round += 1) {
        const before = answered;
        await eventually('requests of these workers', () => answered > before + 20);
        server.signal('SIGHUP');
        await eventually('the reload', () => reloads() >= round);
      }
      const atEnd = answered;
      await eventually('requests after the last reload', () => answered > atEnd + 20);
      isOver = true;
      await Promise.all(loops);
      // The long request waits for a lock of the test.
      const asked = await clientOf(port);
      t.after(() => asked.end());
      await asked.query('select pg_advisory_lock(42)');
      const last = ask(server, 'long.lua');
      const count = async (more = ''): Promise<number> => {
        const { rows } = await asked.query(
          `select count(*)::int as n from pg_stat_activity where application_name = 'luafcgid' ${more}`,
        );
        return (rows[0] as { n: number }).n;
      };
      await eventually(
        'the long request',
        async () => (await count("and query like '%pg_advisory_xact_lock(42)%' and state = 'active'")) > 0,
      );
      // Processes of connections that were closed end a moment later.
      await eventually('no more than there may be', async () => (await count()) <= 4);
      const stopped = server.stop();
      await server.logged(/stopping/);
      await asked.query('select pg_advisory_unlock(42)');
      assert.equal((await last).text, '7');
      await stopped;
      await eventually('no connection', async () => (await count()) === 0);
    });

    it('refuses a script that the source does not name, and a name that is not configured', async (t) => {
      const server = await start(t, 'embedded', 'main = { "sqlite:main.db", scripts = { "/nowhere/" } }');
      server.write('a.lua', script('', 'main'));
      server.write('b.lua', script('', 'other'));
      assert.match((await ask(server, 'a.lua')).text, /may not use the data source main/);
      assert.match((await ask(server, 'b.lua')).text, /no data source other; configured are main/);
    });
  });

  describe('luafcgid.redis', () => {
    for (const engine of ENGINES) {
      it(`sends commands, pipelines and transactions, with ${engine}`, async () => {
        const server = serverWith(engine);
        server.write(
          'r.lua',
          `local r = require("luafcgid.redis").open("cache")
        local k, n = "k ${engine}", "n ${engine}"
        function main(env, con)
          r:set(k, "v\\0\\255", "EX", 60)
          con:puts(#r:get(k), " ", tostring(r:get("none")), " ")
          local out = r:pipeline(function(p) p:incr(n) p:incrby(n, 5) end)
          con:puts(out[1], ",", out[2], " ", r:multi(function(m) m:incr(n) end)[1], " ")
          local ok, e = pcall(r.lpush, r, k, 1)
          con:puts(tostring(ok), " ", tostring(tostring(e):match("WRONGTYPE")), " ")
          con:puts(tostring(pcall(r.subscribe, r, "x")))
        end`,
        );
        assert.equal((await ask(server, 'r.lua')).text, '3 nil 1,6 7 false WRONGTYPE false');
      });
    }
  });
});
