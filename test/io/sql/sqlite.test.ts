/** SQLite as a data source: in threads of its own, with real files (issue 13; data-access 1.3 and 2.4). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Action } from '../../../src/io/protocol.js';
import type { ResolvedSource } from '../../../src/io/sources.js';
import { SqliteSource } from '../../../src/io/sql/sqlite-source.js';
import { tempDir } from '../../support/cleanup.js';
import { closeWithRuns, code, sourceSettings, TestRun, until } from '../support/data-source.js';

/** More rows than a test lives to see, of which none is given. */
const ENDLESS =
  'with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) as c from n where x < 0';
/** The same, giving each. */
const ENDLESS_ROWS = 'with recursive n(x) as (select 1 union all select x + 1 from n) select x from n';

describe('SQLite', () => {
  const dir = tempDir({ after });
  const log: string[] = [];

  function open(given: Partial<ResolvedSource> = {}): SqliteSource {
    const settings = sourceSettings({ kind: 'sqlite', database: join(dir, 'main.db'), connections: 3, ...given });
    const source = new SqliteSource(settings, (_, text) => log.push(text));
    after(() => closeWithRuns(source));
    return source;
  }

  const source = open();

  it('gives each type as the table of values says, and takes values of every kind', async () => {
    const run = new TestRun(source);
    await run.execute(
      'create table kinds (i integer, big integer, f real, w real, t text, b blob, o boolean, z integer)',
    );
    const values = {
      i: 7,
      big: 9007199254740993n,
      f: 1.5,
      w: 2,
      t: 'é\0x',
      b: new Uint8Array([0, 255]),
      o: true,
      z: null,
    };
    await run.query('insert into kinds values (:i, :big, :f, :w, :t, :b, :o, :z)', values);
    const { z: _, ...rest } = values;
    assert.deepEqual(await run.query('select * from kinds'), [{ ...rest, b: Buffer.from([0, 255]), o: 1 }]);
    assert.deepEqual(await run.query('select typeof(i) as i, typeof(w) as w, typeof(?) as p from kinds', [5]), [
      { i: 'integer', w: 'real', p: 'integer' },
    ]);
    run.end();
  });

  it('refuses two statements in one call, which SQLite would pass over (finding 5), and placeholders that it would leave NULL', async () => {
    const run = new TestRun(source);
    await assert.rejects(run.query('select 1; select 2'), code('LUAFCGID_DATA_STATEMENTS'));
    assert.deepEqual(await run.query('select 1 as v; -- no more'), [{ v: 1 }]);
    await assert.rejects(run.query('select @x'), code('LUAFCGID_DATA_ARGUMENT'));
    await assert.rejects(run.query('select :x', []), code('LUAFCGID_DATA_ARGUMENT'));
    await run.execute(
      'create trigger if not exists t1 after insert on kinds begin update kinds set i = case when 1 then 2 end; delete from kinds; end;',
    );
    await run.execute('drop trigger t1');
    run.end();
  });

  it('reaches no other file', async () => {
    const run = new TestRun(source);
    const other = join(dir, 'other.db');
    for (const text of [
      `attach '${other}' as o`,
      `vacuum into '${other}'`,
      'pragma journal_mode = delete',
      'pragma temp_store_directory = "/tmp"',
      'pragma busy_timeout = encoding',
      'pragma "busy_timeout" = encoding',
      'pragma [foreign_keys] = user_version',
      'pragma /* encoding */ foreign_keys = user_version',
      'pragma optimize.busy_timeout = 0',
      "select load_extension('nothing')",
    ]) {
      await assert.rejects(run.execute(text), code('LUAFCGID_DATA_QUERY'), text);
    }
    assert.deepEqual(await run.query('pragma user_version'), [{ user_version: 0 }]);
    assert.deepEqual(await run.query(' Pragma main . Application_Id;'), [{ application_id: 0 }]);
    run.end();
  });

  it('counts rows also where they have no values to count', async () => {
    const run = new TestRun(open({ maxResultBytes: 100_000, connections: 1 }));
    const rows = (count: number) =>
      run.query(
        `with recursive c(n) as (select 1 union all select n + 1 from c where n < ${count}) select null as v from c`,
      );
    assert.equal(((await rows(100)) as unknown[]).length, 100);
    await assert.rejects(rows(4000), code('LUAFCGID_DATA_RESULT_SIZE'));
    run.end();
  });

  it('tells what a statement has changed', async () => {
    const run = new TestRun(source);
    await run.execute('create table counted (id integer primary key, n)');
    assert.deepEqual(await run.execute('insert into counted (n) values (1), (2)'), { affected: 2, insert_id: 2 });
    assert.deepEqual(await run.execute('update counted set n = 0 where n > ?', [1]), { affected: 1 });
    assert.deepEqual(await run.execute('create table t2 (n)'), {});
    assert.deepEqual(await run.query('insert into counted (n) values (7) returning id'), [{ id: 3 }]);
    run.end();
  });

  it('reads while another run writes, and nobody sees what is not committed', async () => {
    const run = new TestRun(source);
    await run.execute('create table saved (n)');
    const tx = await run.begin();
    await run.execute('insert into saved values (1)', [], { handle: tx });
    await run.do(Action.SAVEPOINT, tx, 's1');
    await run.execute('insert into saved values (2)', [], { handle: tx });
    await run.do(Action.ROLLBACK_TO, tx, 's1');
    const other = new TestRun(source);
    assert.deepEqual(await other.query('select * from saved'), []);
    await run.do(Action.COMMIT, tx);
    assert.deepEqual(await other.query('select * from saved'), [{ n: 1 }]);
    run.end();
    other.end();
  });

  it('rolls back the transaction of a run that ends without a COMMIT, and lets the next one write', async () => {
    const run = new TestRun(source);
    await run.execute('create table leaked (n)');
    const tx = await run.begin();
    await run.execute('insert into leaked values (1)', [], { handle: tx });
    run.end();
    const other = new TestRun(source);
    await other.execute('insert into leaked values (2)');
    assert.deepEqual(await other.query('select * from leaked'), [{ n: 2 }]);
    other.end();
  });

  it('shows nobody the temporary tables of another run, and finds a BEGIN that was typed by hand', async () => {
    const run = new TestRun(source);
    await run.execute('create temporary table mine (n)');
    await run.execute('insert into mine values (1)');
    await assert.rejects(run.execute('begin'), code('LUAFCGID_DATA_TRANSACTION'));
    run.end();
    const other = new TestRun(source);
    await assert.rejects(other.execute('insert into mine values (1)'), code('LUAFCGID_DATA_QUERY', 'SQLITE 1'));
    other.end();
    const quoting = new TestRun(source);
    await quoting.execute('create table "temp".mine (n)');
    quoting.end();
    const last = new TestRun(source);
    await assert.rejects(last.execute('insert into mine values (1)'), code('LUAFCGID_DATA_QUERY', 'SQLITE 1'));
    last.end();
  });

  it('breaks off a query that gives rows without end, and keeps its thread', async () => {
    const run = new TestRun(source);
    await assert.rejects(run.query(ENDLESS_ROWS), code('LUAFCGID_DATA_RESULT_SIZE'));
    const wide = open({ maxResultBytes: 2 ** 40, connections: 1 });
    const other = new TestRun(wide);
    await other.query('select 1');
    await assert.rejects(other.query(ENDLESS_ROWS, [], { limitMs: 50 }), code('LUAFCGID_DATA_TIMEOUT'));
    assert.deepEqual(await other.query('select 1 as v'), [{ v: 1 }]);
    run.end();
    other.end();
  });

  it('replaces the thread of a query that does not end, which stops nobody else meanwhile', async () => {
    // It ends after some seconds, so that this process can.
    const long = ENDLESS.replace('from n)', 'from n where x < 30000000)');
    const run = new TestRun(source);
    await run.query('select 1');
    const ended = assert.rejects(run.query(long, [], { limitMs: 50 }), code('LUAFCGID_DATA_TIMEOUT'));
    const other = new TestRun(source);
    assert.deepEqual(await other.query('select 1 as v'), [{ v: 1 }]);
    await ended;
    for (let round = 0; round < 4; round += 1) assert.deepEqual(await other.query('select 2 as v'), [{ v: 2 }]);
    run.end();
    other.end();
    await until(() => log.some((text) => text.includes('a query does not end')), 'the thread is given up');
    await until(() => log.some((text) => text.includes('has ended')), 'the query is over after all');
  });

  it('fetches from a cursor as much as is asked for, and closes it with its run', async () => {
    const run = new TestRun(source);
    const cursor = await run.openCursor('select value as n from json_each(?)', ['[1,2,3,4,5]']);
    assert.deepEqual(await run.do(Action.FETCH, cursor, 3), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.deepEqual(await run.query('select value as n from json_each(?)', ['[9]']), [{ n: 9 }]);
    assert.deepEqual(await run.do(Action.FETCH, cursor, 3), [{ n: 4 }, { n: 5 }]);
    const open = await run.openCursor(ENDLESS_ROWS);
    assert.deepEqual(await run.do(Action.FETCH, open, 2), [{ x: 1 }, { x: 2 }]);
    run.end();
    await until(() => source.status().busy === 0, 'the connection is given back');
  });

  it('says of a file that is no database, and of one that cannot be opened, what is wrong', async () => {
    const file = join(dir, 'corrupt.db');
    writeFileSync(file, 'no database at all, and long enough to be looked at as one: '.repeat(20));
    for (const database of [file, join(dir, 'no/such/folder.db')]) {
      const run = new TestRun(open({ database }));
      await assert.rejects(run.query('select 1'), code('LUAFCGID_DATA_CONNECT'));
      await assert.rejects(run.query('select 1'), code('LUAFCGID_DATA_DOWN'));
      run.end();
    }
  });

  it('keeps a database in memory as long as the source', async () => {
    const memory = open({ database: ':memory:' });
    const run = new TestRun(memory);
    await run.execute('create table m (n)');
    await run.execute('insert into m values (1)');
    assert.deepEqual(await run.query('select * from m'), [{ n: 1 }]);
    run.end();
    assert.match(await memory.probe(), /^3\./);
  });
});
