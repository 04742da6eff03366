/** Scripts written for LuaSQL and lsqlite3, on the data sources of the configuration (issue 13 point 7; cases/users F9). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startMariadb } from '../support/mariadb.js';
import { startPostgres } from '../support/postgres.js';
import { type Server, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

async function run(server: Server, body: string, status = 200): Promise<string> {
  const name = `s${Math.random().toString(36).slice(2)}.lua`;
  server.write(name, body);
  const answer = await ask(server, name);
  assert.equal(answer.status, status, answer.text);
  return answer.text;
}

/** What each of LuaSQL's drivers does. `%s` is the driver. */
const LUASQL = `local luasql = require("luasql.%s")
function main(_, con)
  local env = luasql.%s()
  local db = assert(env:connect("main", "somebody", "something"))
  con:puts(db:execute("create table people (id integer primary key, name varchar(50))") , "\\n")
  con:puts(db:execute("insert into people values (1, '" .. db:escape("O'Hara") .. "')"), "\\n")
  con:puts(db:execute("insert into people values (2, null), (3, 'Zoë')"), "\\n")
  local cursor = assert(db:execute("select id, name from people order by id"))
  con:puts(table.concat(cursor:getcolnames(), ","), " ", cursor:numrows(), "\\n")
  local row = cursor:fetch({}, "a")
  while row do
    con:puts(type(row.id), row.id, tostring(row.name), ";")
    row = cursor:fetch(row, "a")
  end
  con:puts(tostring(cursor:close()), "\\n")
  local id, name = db:execute("select id, name from people where id = 3"):fetch()
  con:puts(id, name, "\\n")
  local both = db:execute("select a.id, b.id from people a, people b where a.id = 1 and b.id = 2"):fetch({}, "n")
  con:puts(both[1], both[2], "\\n")
  local none, message = db:execute("select nonsense from nowhere")
  con:puts(tostring(none), type(message), "\\n")
  db:setautocommit(false)
  db:execute("delete from people")
  con:puts(db:execute("select count(*) from people"):fetch(), "")
  db:rollback()
  con:puts(db:execute("select count(*) from people"):fetch(), "")
  db:execute("delete from people where id = 3")
  con:puts(tostring(db:commit()), "")
  db:setautocommit(true)
  con:puts(db:execute("select count(*) from people"):fetch(), "\\n")
  con:puts(tostring(db:close()), tostring(db:close()), tostring(env:close()), tostring(pcall(db.execute, db, "select 1")), "\\n")
end`;

/** None that a busy machine comes to. */
const LIMITS = ', waittimeout = 60, connecttimeout = 60';

const expected = (type: string): string[] => [
  '0',
  '1',
  '2',
  'id,name 3',
  `${type}1O'Hara;${type}2nil;${type}3Zoë;false`,
  '3Zoë',
  '12',
  'nilstring',
  '03true2',
  'truefalsetruefalse',
  '',
];

describe('a script written for LuaSQL', () => {
  it('runs on SQLite, whose values keep their types, and a file names a source', async (t) => {
    const server = await startServer(t, { config: 'workers = 1 data = { main = "sqlite:main.db" }' });
    const script = LUASQL.replaceAll('%s', 'sqlite3');
    assert.deepEqual(
      (await run(server, script.replace('"main"', '"/srv/app/main.db"'))).split('\n'),
      expected('number'),
    );
  });

  it('runs on PostgreSQL', async (t) => {
    const { port } = await startPostgres(t);
    const server = await startServer(t, {
      config: `workers = 1 data = { main = { "postgres://postgres@127.0.0.1:${port}/postgres"${LIMITS} } }`,
    });
    assert.deepEqual((await run(server, LUASQL.replaceAll('%s', 'postgres'))).split('\n'), expected('string'));
    const text = await run(
      server,
      `local db = require("luasql.postgres").postgres():connect("main")
      function main(_, con)
        local t, f, n = db:execute("select true, false, 0.1::float8"):fetch()
        con:puts(t, f, n)
      end`,
    );
    assert.equal(text, 'tf0.1');
  });

  it('runs on MariaDB', async (t) => {
    const { socket } = await startMariadb(t);
    const server = await startServer(t, {
      config: `workers = 1 data = { main = { "mysql://root@/test?socket=${socket}"${LIMITS} } }`,
    });
    assert.deepEqual((await run(server, LUASQL.replaceAll('%s', 'mysql'))).split('\n'), expected('string'));
  });

  it('shows no other request what it has not committed, and is told of a source that is not there', async (t) => {
    const server = await startServer(t, { config: 'workers = 1 clones = 1 data = { main = "sqlite:main.db" }' });
    server.write(
      'open.lua',
      `local db = require("luasql.sqlite3").sqlite3():connect("main")
      function main(_, con)
        db:execute("create table if not exists t (n)")
        con:puts(db:execute("select count(*) from t"):fetch())
        db:execute("begin")
        con:puts(" ", db:execute("insert into t values (1)"))
      end`,
    );
    for (let count = 0; count < 3; count += 1) assert.equal((await ask(server, 'open.lua')).text, '0 1');
    const text = await run(
      server,
      `function main(_, con)
        local env = require("luasql.sqlite3").sqlite3()
        local db, message = env:connect("other")
        con:puts(tostring(db), message, tostring(select(2, require("luasql.postgres").postgres():connect("main"))))
      end`,
    );
    assert.match(text, /^nil.*no data source other.*main is sqlite: luasql\.postgres cannot use it/);
  });
});

describe('a script written for lsqlite3', () => {
  it('runs on a data source, with statements, parameters and rows as it knows them', async (t) => {
    const server = await startServer(t, { config: 'workers = 1 data = { main = "sqlite:main.db" }' });
    const text = await run(
      server,
      `local sqlite3 = require("lsqlite3")
      function main(_, con)
        local db = assert(sqlite3.open("main.db"))
        local code = db:exec([[
          -- Two statements and a trigger; "a;b" is no end.
          create table t (id integer primary key, name text, x real);
          create table log (text);
          create trigger tr after insert on t begin insert into log values ('a;b'); insert into log values (new.name); end;
        ]])
        con:puts(code, db:errmsg(), "\\n")
        local insert = db:prepare("insert into t (name, x) values (?, ?)")
        for _, name in ipairs({ "one", "it's" }) do
          insert:bind_values(name, 1.5)
          con:puts(insert:step(), " ", db:last_insert_rowid(), " ", db:changes(), ";")
          insert:reset()
        end
        insert:finalize()
        local named = db:prepare("insert into t (name) values (@name)")
        named:bind_names({ name = "three" })
        con:puts(named:step() == sqlite3.DONE and "done" or "not", "\\n")
        for row in db:nrows("select * from t order by id") do con:puts(row.id, row.name, tostring(row.x), ";") end
        for row in db:rows("select id, name from t where id = 2") do con:puts(row[1], row[2], ";") end
        for id, name in db:urows("select id, name from t where id = 3") do con:puts(id, name, "\\n") end
        local select = db:prepare("select id, name from t where id > ? order by id")
        select:bind(1, 1)
        while select:step() == sqlite3.ROW do con:puts(select:get_value(0), select:get_named_values().name, ";") end
        con:puts(select:columns(), table.concat(select:get_names(), ","), "\\n")
        db:exec("select name from t where id < 3", function(udata, count, values, names)
          con:puts(udata, count, values[1], names[1], ";")
          return 0
        end, "u")
        con:puts(db:exec("select * from nowhere"), db:errcode() == sqlite3.ERROR and "error" or "other", "\\n")
        db:exec("BEGIN TRANSACTION") db:exec("delete from t") db:exec("ROLLBACK")
        db:exec("begin; delete from log; commit;")
        for n, m in db:urows("select (select count(*) from t), (select count(*) from log)") do con:puts(n, m, "\\n") end
        con:puts(db:exec("insert into t (id) values (1)"), " ", db:close(), tostring(db:isopen()), tostring(pcall(db.exec, db, "x")))
      end`,
    );
    assert.deepEqual(text.split('\n'), [
      '0not an error',
      '101 1 1;101 2 1;done',
      "1one1.5;2it's1.5;3threenil;2it's;3three",
      "2it's;3three;2id,name",
      "u1onename;u1it'sname;1error",
      '30',
      '19 0falsefalse',
    ]);
  });
});
