/** PostgreSQL as a data source, with a real server (issue 13; data-access 2.4 and section 3). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Action } from '../../../src/io/protocol.js';
import type { ResolvedSource } from '../../../src/io/sources.js';
import { PostgresDriver } from '../../../src/io/sql/postgres.js';
import { SqlSource } from '../../../src/io/sql/sql-source.js';
import { startPostgres } from '../../support/postgres.js';
import { closeWithRuns, code, sourceSettings, TestRun, until } from '../support/data-source.js';

const OPEN_TRANSACTIONS = "select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%'";

describe('PostgreSQL', async () => {
  const server = await startPostgres({ after });
  const log: string[] = [];

  function open(given: Partial<ResolvedSource> = {}): SqlSource {
    const settings = sourceSettings({
      kind: 'postgres',
      port: server.port,
      user: 'postgres',
      database: 'postgres',
      ...given,
    });
    const source = new SqlSource(settings, new PostgresDriver(settings), (_, text) => log.push(text));
    after(() => closeWithRuns(source));
    return source;
  }

  const source = open();

  it('gives each type as the table of values says', async () => {
    const run = new TestRun(source);
    const rows =
      await run.query(`select 7::int4 as i, 9007199254740993::int8 as big, 1.5::float8 as f, 'nan'::float8 as nan,
      1.10::numeric as n, true as b, null as nothing, 'é'::text as t, '\\x00ff'::bytea as y, date '2026-11-27' as d,
      timestamptz '2026-11-27 01:43:11.541532+01' as tz, timestamp '2026-11-27 00:43:11' as ts, array[1,2] as a, '{"a":1}'::json as j`);
    run.end();
    assert.deepEqual(rows, [
      {
        i: 7,
        big: 9007199254740993n,
        f: 1.5,
        nan: Number.NaN,
        n: '1.10',
        b: true,
        t: 'é',
        y: Buffer.from([0, 255]),
        d: '2026-11-27',
        tz: '2026-11-27T00:43:11.541532Z',
        ts: '2026-11-27T00:43:11',
        a: '{1,2}',
        j: '{"a":1}',
      },
    ]);
  });

  it('takes values of every kind, and what looks like an escape of bytea as the bytes that it is', async () => {
    const run = new TestRun(source);
    await run.execute('create table if not exists kinds (t text, y bytea, i bigint, f float8, b boolean)');
    const row = { t: 'a\\x41', y: '\\x41', i: 2 ** 40, f: 0.1, b: false };
    const insert = 'insert into kinds values (:t, :y, :i, :f, :b)';
    for (let round = 0; round < 3; round += 1) await run.query(insert, row);
    await run.query(insert, { ...row, y: new Uint8Array([0, 255]), i: 9007199254740993n, b: null });
    assert.deepEqual(await run.query('select * from kinds'), [
      row,
      row,
      row,
      { t: row.t, y: Buffer.from([0, 255]), i: 9007199254740993n, f: 0.1 },
    ]);
    run.end();
  });

  it('binds values always, and refuses two statements in one call, with and without values (finding 5)', async () => {
    const run = new TestRun(source);
    const bad = "x'; drop table kinds; --";
    assert.deepEqual(await run.query('select ?::text as v', [bad]), [{ v: bad }]);
    await assert.rejects(run.query('select 1; select 2'), code('LUAFCGID_DATA_QUERY', '42601'));
    await assert.rejects(run.query('select ?::int; select 2', [1]), code('LUAFCGID_DATA_QUERY', '42601'));
    await assert.rejects(run.query('select ?::int', []), code('LUAFCGID_DATA_ARGUMENT'));
    await assert.rejects(run.query('select ?::int', [1, 2]), code('LUAFCGID_DATA_ARGUMENT'));
    run.end();
  });

  it('tells the rows that a statement has changed', async () => {
    const run = new TestRun(source);
    await run.execute('create table if not exists counted (n int)');
    assert.deepEqual(await run.execute('insert into counted select generate_series(1, 5)'), { affected: 5 });
    assert.deepEqual(await run.execute('update counted set n = 0 where n > ?', [3]), { affected: 2 });
    assert.deepEqual(await run.execute('delete from counted'), { affected: 5 });
    run.end();
  });

  it('never has more connections than it may', async () => {
    const small = open({ connections: 3 });
    const run = new TestRun(small);
    await Promise.all(Array.from({ length: 20 }, () => run.query('select pg_sleep(0.01)')));
    const counted = (await run.query(
      "select count(*)::int as n from pg_stat_activity where application_name = 'luafcgid' and query like '%pg_sleep(0.01)%'",
    )) as { n: number }[];
    assert.ok((counted[0]?.n ?? 99) <= 3);
    assert.equal(small.status().open, 3);
    run.end();
  });

  it('breaks off a query that takes too long, on the server too, and uses the connection again', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    const pidNow = async (): Promise<string> => JSON.stringify(await run.query('select pg_backend_pid() as pid'));
    // On a busy machine the server may be told too late: then the connection is closed.
    await until(async () => {
      const pid = await pidNow();
      const error: unknown = await run.query('select pg_sleep(60)', [], { limitMs: 300 }).catch((reason) => reason);
      assert.ok(code('LUAFCGID_DATA_TIMEOUT')(error));
      const isAgain = (await pidNow()) === pid;
      if (isAgain) assert.ok(code('LUAFCGID_DATA_TIMEOUT', '57014')(error));
      return isAgain;
    }, 'the connection is used again');
    run.end();
  });

  it('waits for a connection no longer than it may, and says that, not that it cannot connect', async () => {
    const one = open({ connections: 1 });
    const waiting = new TestRun(one);
    const run = new TestRun(one);
    const tx = await run.begin();
    await assert.rejects(waiting.query('select 1', [], { limitMs: 20 }), code('LUAFCGID_DATA_WAIT'));
    waiting.end();
    await run.do(Action.ROLLBACK, tx);
    run.end();
  });

  it('breaks off what a run is at when the run ends, and others go on', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    const other = new TestRun(one);
    const long = run.query('select pg_sleep(60)');
    const ended = assert.rejects(long, code('LUAFCGID_DATA_CANCELED'));
    await until(() => one.status().busy === 1, 'the query runs');
    const next = other.query('select 1 as v');
    run.end();
    assert.deepEqual(await next, [{ v: 1 }]);
    await ended;
    other.end();
  });

  it('rolls back the transaction of a run that ends without a COMMIT', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await run.execute('create table if not exists leaked (n int)');
    const tx = await run.begin();
    await run.execute('insert into leaked values (1)', [], { handle: tx });
    run.end();
    const other = new TestRun(one);
    assert.deepEqual(await other.query('select * from leaked'), []);
    assert.deepEqual(await other.query(OPEN_TRANSACTIONS), [{ n: 0 }]);
    other.end();
  });

  it('commits, rolls back, and goes back to savepoints', async () => {
    const run = new TestRun(source);
    await run.execute('create table if not exists saved (n int)');
    const tx = await run.begin({ isolation: 'serializable' });
    await run.execute('insert into saved values (1)', [], { handle: tx });
    await run.do(Action.SAVEPOINT, tx, 's1');
    await run.execute('insert into saved values (2)', [], { handle: tx });
    await run.do(Action.ROLLBACK_TO, tx, 's1');
    assert.deepEqual(await run.query('show transaction_isolation', [], { handle: tx }), [
      { transaction_isolation: 'serializable' },
    ]);
    await run.do(Action.COMMIT, tx);
    const second = await run.begin({ readonly: true });
    await assert.rejects(
      run.execute('insert into saved values (3)', [], { handle: second }),
      code('LUAFCGID_DATA_QUERY', '25006'),
    );
    await assert.rejects(run.do(Action.COMMIT, second), code('LUAFCGID_DATA_TRANSACTION'));
    await assert.rejects(run.query('select 1', [], { handle: second }), code('LUAFCGID_DATA_TRANSACTION'));
    assert.deepEqual(await run.query('select * from saved'), [{ n: 1 }]);
    run.end();
  });

  it('finds a BEGIN that was typed by hand, rolls it back and says so', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await assert.rejects(run.execute('begin'), code('LUAFCGID_DATA_TRANSACTION'));
    assert.deepEqual(await run.query(OPEN_TRANSACTIONS), [{ n: 0 }]);
    run.end();
  });

  it('shows nobody the settings, temporary tables and locks of another run', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await run.execute("set search_path to 'elsewhere'");
    await run.execute('create temporary table mine (n int)');
    await run.query('select pg_advisory_lock(7)');
    // The run itself counts on them.
    assert.deepEqual(await run.query('select count(*)::int as n from mine'), [{ n: 0 }]);
    run.end();
    const other = new TestRun(one);
    assert.deepEqual(await other.query('show search_path'), [{ search_path: '"$user", public' }]);
    await assert.rejects(other.query('select * from mine'), code('LUAFCGID_DATA_QUERY', '42P01'));
    assert.deepEqual(await other.query("select count(*)::int as n from pg_locks where locktype = 'advisory'"), [
      { n: 0 },
    ]);
    other.end();
  });

  it('cleans a connection after a function that may have left something', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await run.execute(
      `create or replace function sly() returns text language sql as $$ select set_config('app.user', 'me', false) $$`,
    );
    assert.deepEqual(await run.query('select sly() as v'), [{ v: 'me' }]);
    run.end();
    const other = new TestRun(one);
    assert.deepEqual(await other.query("select current_setting('app.user', true) as v"), [{ v: '' }]);
    other.end();
  });

  it('refuses a result that is larger than it may be, and uses the connection again', async () => {
    const one = open({ connections: 1, maxResultBytes: 10_000 });
    const run = new TestRun(one);
    await assert.rejects(
      run.query("select repeat('x', 100) from generate_series(1, 1000000)"),
      code('LUAFCGID_DATA_RESULT_SIZE'),
    );
    assert.deepEqual(await run.query('select 1 as v'), [{ v: 1 }]);
    run.end();
  });

  it('does not keep a row that is larger than a result may be', async () => {
    const one = open({ connections: 1, maxResultBytes: 10_000 });
    const run = new TestRun(one);
    const pid = await run.query('select pg_backend_pid() as pid');
    await assert.rejects(run.query("select repeat('x', 10000000)"), code('LUAFCGID_DATA_RESULT_SIZE'));
    // Its connection was given up: the rest of the row was not read.
    assert.notDeepEqual(await run.query('select pg_backend_pid() as pid'), pid);
    run.end();
  });

  it('fetches from a cursor as much as is asked for, in a transaction beside other statements', async () => {
    const run = new TestRun(source);
    const alone = await run.openCursor('select generate_series(1, ?::int) as n', [5]);
    assert.deepEqual(await run.do(Action.FETCH, alone, 3), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.deepEqual(await run.do(Action.FETCH, alone, 3), [{ n: 4 }, { n: 5 }]);
    await assert.rejects(run.do(Action.FETCH, alone, 3), code('LUAFCGID_DATA_CURSOR'));
    const tx = await run.begin();
    const inside = await run.openCursor('select generate_series(1, 3) as n', [], tx);
    assert.deepEqual(await run.do(Action.FETCH, inside, 2), [{ n: 1 }, { n: 2 }]);
    assert.deepEqual(await run.query('select 9 as v', [], { handle: tx }), [{ v: 9 }]);
    assert.deepEqual(await run.do(Action.FETCH, inside, 2), [{ n: 3 }]);
    await run.do(Action.COMMIT, tx);
    run.end();
    await until(() => source.status().busy === 0, 'all connections are given back');
  });

  it('prepares what is asked for again, and again when the table has changed', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await run.execute('create table if not exists changing (a int)');
    for (let round = 0; round < 3; round += 1) assert.deepEqual(await run.query('select * from changing'), []);
    assert.deepEqual(
      await run.query("select count(*)::int as n from pg_prepared_statements where statement like '%changing'"),
      [{ n: 1 }],
    );
    await run.execute('alter table changing add column b int default 5');
    await run.execute('insert into changing values (1)');
    assert.deepEqual(await run.query('select * from changing'), [{ a: 1, b: 5 }]);
    run.end();
  });

  it('refuses what belongs to another run', async () => {
    const run = new TestRun(source);
    const other = new TestRun(source);
    const tx = await run.begin();
    await assert.rejects(other.query('select 1', [], { handle: tx }), code('LUAFCGID_DATA_TRANSACTION'));
    run.end();
    other.end();
  });

  it('says what is at the other end', async () => {
    assert.match(await source.probe(), /^\d+\.\d+/);
  });
});
