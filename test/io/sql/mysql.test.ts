/** MariaDB as a data source, with a real server (issue 13; data-access 1.2, 2.4 and section 3). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Action } from '../../../src/io/protocol.js';
import type { ResolvedSource } from '../../../src/io/sources.js';
import { MysqlDriver } from '../../../src/io/sql/mysql.js';
import { SqlSource } from '../../../src/io/sql/sql-source.js';
import { startMariadb } from '../../support/mariadb.js';
import { closeWithRuns, code, sourceSettings, TestRun, until } from '../support/data-source.js';

describe('MariaDB', async () => {
  const server = await startMariadb({ after });
  const log: string[] = [];

  function open(given: Partial<ResolvedSource> = {}): SqlSource {
    const settings = sourceSettings({ kind: 'mysql', port: server.port, user: 'root', database: 'test', ...given });
    const source = new SqlSource(settings, new MysqlDriver(settings), (_, text) => log.push(text));
    after(() => closeWithRuns(source));
    return source;
  }

  const source = open();

  it('gives each type as the table of values says, with and without values in the statement', async () => {
    const run = new TestRun(source);
    await run.execute(`create table kinds (i int, big bigint, huge bigint unsigned, f double, g float, n decimal(10,2), t text, b blob,
      d date, dt datetime(6), ts timestamp(6) null, tm time, y year, j json, nothing int)`);
    await run.execute(`insert into kinds values (7, 9007199254740993, 18446744073709551615, 1.5, 0.1, 1.10, 'é', x'00ff', '2026-11-27',
      '2026-11-27 00:43:11.541532', '2026-11-27 00:43:11.541532', '12:30:00', 2026, '{"a":1}', null)`);
    const expected = {
      i: 7,
      big: 9007199254740993n,
      huge: 18446744073709551615n,
      f: 1.5,
      g: 0.1,
      n: '1.10',
      t: 'é',
      b: Buffer.from([0, 255]),
      d: '2026-11-27',
      dt: '2026-11-27T00:43:11.541532',
      ts: '2026-11-27T00:43:11.541532Z',
      tm: '12:30:00',
      y: 2026,
      j: '{"a":1}',
    };
    assert.deepEqual(await run.query('select * from kinds'), [expected]);
    assert.deepEqual(await run.query('select * from kinds where i = ? limit ?', [7, 1]), [expected]);
    run.end();
  });

  it('takes values of every kind, bound by the server', async () => {
    const run = new TestRun(source);
    const bad = `x' or "1"="1\\`;
    const values = { t: bad, b: new Uint8Array([0, 255]), i: 9007199254740993n, n: 2 ** 40, f: 0.1, o: true, z: null };
    await run.execute('create table given (t text, b blob, i bigint, n bigint, f double, o boolean, z int)');
    await run.query('insert into given values (:t, :b, :i, :n, :f, :o, :z)', values);
    const { z: _, ...rest } = values;
    assert.deepEqual(await run.query('select * from given where t = :t and i = :i', { t: bad, i: values.i }), [
      { ...rest, b: Buffer.from(values.b), o: 1 },
    ]);
    run.end();
  });

  it('refuses two statements in one call, and USE', async () => {
    const run = new TestRun(source);
    await assert.rejects(run.query('select 1; select 2'), code('LUAFCGID_DATA_QUERY', '42000'));
    await assert.rejects(run.query('select ?; select 2', [1]), code('LUAFCGID_DATA_QUERY', '42000'));
    await assert.rejects(run.query('use mysql'), code('LUAFCGID_DATA_QUERY'));
    run.end();
  });

  it('tells what a statement has changed', async () => {
    const run = new TestRun(source);
    await run.execute('create table counted (id int auto_increment primary key, n int)');
    assert.deepEqual(await run.execute('insert into counted (n) values (1), (2)'), { affected: 2, insert_id: 1 });
    assert.deepEqual(await run.execute('insert into counted (n) values (?)', [3]), { affected: 1, insert_id: 3 });
    assert.deepEqual(await run.execute('delete from counted'), { affected: 3 });
    run.end();
  });

  it('breaks off a query that takes too long, on the server too, and uses the connection again', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    const idNow = async (): Promise<string> => JSON.stringify(await run.query('select connection_id() as id'));
    // On a busy machine the server may be told too late: then the connection is closed.
    await until(async () => {
      const id = await idNow();
      const query = run.query('select sleep(60) from kinds', [], { limitMs: 500 });
      await assert.rejects(query, code('LUAFCGID_DATA_TIMEOUT'));
      return (await idNow()) === id;
    }, 'the connection is used again');
    run.end();
  });

  it('breaks off what a run is at when the run ends, and rolls its transaction back', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await run.execute('create table leaked (n int) engine = innodb');
    const tx = await run.begin();
    await run.execute('insert into leaked values (1)', [], { handle: tx });
    const ended = assert.rejects(
      run.query('select sleep(60) from kinds', [], { handle: tx }),
      code('LUAFCGID_DATA_CANCELED'),
    );
    const other = new TestRun(one);
    const next = other.query('select * from leaked');
    await until(() => one.status().waiting === 1, 'the other one waits');
    run.end();
    assert.deepEqual(await next, []);
    await ended;
    other.end();
  });

  it('commits, rolls back, and goes back to savepoints', async () => {
    const run = new TestRun(source);
    await run.execute('create table saved (n int) engine = innodb');
    const tx = await run.begin({ isolation: 'serializable' });
    await run.execute('insert into saved values (1)', [], { handle: tx });
    await run.do(Action.SAVEPOINT, tx, 's1');
    await run.execute('insert into saved values (2)', [], { handle: tx });
    await run.do(Action.ROLLBACK_TO, tx, 's1');
    await run.do(Action.COMMIT, tx);
    const second = await run.begin({ readonly: true });
    await assert.rejects(
      run.execute('insert into saved values (3)', [], { handle: second }),
      code('LUAFCGID_DATA_QUERY', '25006'),
    );
    await run.do(Action.ROLLBACK, second);
    assert.deepEqual(await run.query('select * from saved'), [{ n: 1 }]);
    run.end();
  });

  it('says when a statement has begun or ended a transaction by itself', async () => {
    const run = new TestRun(source);
    await assert.rejects(run.execute('start transaction'), code('LUAFCGID_DATA_TRANSACTION'));
    const tx = await run.begin();
    await assert.rejects(
      run.execute('create table ddl (n int)', [], { handle: tx }),
      code('LUAFCGID_DATA_TRANSACTION'),
    );
    run.end();
  });

  it('lets nothing run outside of a transaction that a deadlock has ended', async () => {
    const run = new TestRun(source);
    const other = new TestRun(source);
    await run.execute('create table locked (id int primary key, n int) engine = innodb');
    await run.execute('insert into locked values (1, 0), (2, 0)');
    const first = await run.begin();
    const second = await other.begin();
    const update = 'update locked set n = n + 1 where id = ?';
    await run.execute(update, [1], { handle: first });
    await other.execute(update, [2], { handle: second });
    const waits = run.execute(update, [2], { handle: first }).then(
      () => 'done',
      () => 'deadlock',
    );
    const fails = other.execute(update, [1], { handle: second }).then(
      () => 'done',
      (error) => {
        assert.equal(error.retry, true);
        return 'deadlock';
      },
    );
    const [one, two] = await Promise.all([waits, fails]);
    assert.deepEqual([one, two].sort(), ['deadlock', 'done']);
    const [loser, handle] = one === 'deadlock' ? [run, first] : [other, second];
    await assert.rejects(loser.execute(update, [1], { handle }), code('LUAFCGID_DATA_TRANSACTION'));
    run.end();
    other.end();
  });

  it('shows nobody the settings, variables, temporary tables and locks of another run', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    await run.execute("set session sql_mode = 'ANSI_QUOTES'");
    await run.execute('create temporary table mine (n int)');
    await run.query("select get_lock('x', 0)");
    await run.execute('set @secret = 5');
    assert.deepEqual(await run.query('select count(*) as n, @secret as s from mine'), [{ n: 0, s: 5 }]);
    run.end();
    const other = new TestRun(one);
    assert.deepEqual(await other.query("select @secret as s, is_used_lock('x') as l, @@time_zone as z"), [
      { z: '+00:00' },
    ]);
    await assert.rejects(other.query('select * from mine'), code('LUAFCGID_DATA_QUERY', '42S02'));
    assert.deepEqual(await other.query('select "text" as v'), [{ v: 'text' }]);
    other.end();
  });

  it('refuses a result that is larger than it may be', async () => {
    const one = open({ connections: 1, maxResultBytes: 10_000 });
    const run = new TestRun(one);
    await assert.rejects(run.query("select repeat('x', 100) from seq_1_to_1000000"), code('LUAFCGID_DATA_RESULT_SIZE'));
    assert.deepEqual(await run.query('select 1 as v'), [{ v: 1 }]);
    run.end();
  });

  it('fetches from a cursor as much as is asked for, holds the server back, and closes in the middle', async () => {
    const one = open({ connections: 1 });
    const run = new TestRun(one);
    const cursor = await run.openCursor('select seq as n from seq_1_to_5 where seq > ?', [0]);
    assert.deepEqual(await run.do(Action.FETCH, cursor, 3), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.deepEqual(await run.do(Action.FETCH, cursor, 3), [{ n: 4 }, { n: 5 }]);
    const tx = await run.begin();
    const large = await run.openCursor("select repeat('x', 1000) as v from seq_1_to_10000000", [], tx);
    assert.equal(((await run.do(Action.FETCH, large, 500)) as unknown[]).length, 500);
    await assert.rejects(run.query('select 1', [], { handle: tx }), code('LUAFCGID_DATA_TRANSACTION'));
    await run.do(Action.CLOSE_CURSOR, large);
    assert.deepEqual(await run.query('select 1 as v', [], { handle: tx }), [{ v: 1 }]);
    run.end();
    await until(() => one.status().busy === 0, 'the connection is given back');
  });

  it('refuses rows of a cursor that are larger than a result may be, also in a transaction, which goes on', async () => {
    const run = new TestRun(open({ connections: 1, maxResultBytes: 10_000 }));
    const tx = await run.begin();
    const cursor = await run.openCursor("select repeat('x', 2500) as v from seq_1_to_1000", [], tx);
    assert.equal(((await run.do(Action.FETCH, cursor, 2)) as unknown[]).length, 2);
    await assert.rejects(run.do(Action.FETCH, cursor, 100), code('LUAFCGID_DATA_RESULT_SIZE'));
    assert.deepEqual(await run.query('select 1 as v', [], { handle: tx }), [{ v: 1 }]);
    await run.do(Action.COMMIT, tx);
    run.end();
  });

  it('is reached by its socket, too, and says what it is', async () => {
    assert.match(await open({ host: '', socket: server.socket }).probe(), /MariaDB/);
  });
});
