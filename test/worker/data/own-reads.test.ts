/** SQLite that a worker reads by itself, compared with the way by the I/O thread (decision 0030). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createInterrupts, Interrupter } from '../../../src/channel/interrupts.js';
import { createIoChannel, createIoCommon } from '../../../src/io/channel.js';
import type { SourceGrant } from '../../../src/io/handle.js';
import { OwnConnections, placeOfSource, WaitingCounts } from '../../../src/io/loan-words.js';
import { Action } from '../../../src/io/protocol.js';
import { readLimitsOf } from '../../../src/io/read-limits.js';
import { Run } from '../../../src/io/source.js';
import { findSqlite } from '../../../src/io/sql/sqlite-driver.js';
import type { Database, OpenDatabase } from '../../../src/io/sql/sqlite-engine.js';
import { SqliteSource } from '../../../src/io/sql/sqlite-source.js';
import type { LuaValue, PostedOperation } from '../../../src/lua/state.js';
import type { DataOwner } from '../../../src/worker/data/direct-data.js';
import { OwnReads } from '../../../src/worker/data/own-reads.js';
import { decodeResult, encodeOperation } from '../../../src/worker/operation-values.js';
import { closeWithRuns, sourceSettings, TestRun, until } from '../../io/support/data-source.js';
import { tempDir } from '../../support/cleanup.js';
import { encode, field, type Given } from './support/data-worker.js';

const ID = 7;

describe('SQLite that a worker reads by itself', () => {
  const dir = tempDir({ after });
  const file = join(dir, 'main.db');
  const common = createIoCommon();
  const counts = new WaitingCounts(common.waiting);
  const settings = (given: Partial<Parameters<typeof sourceSettings>[0]> = {}) =>
    sourceSettings({
      kind: 'sqlite',
      database: file,
      connections: 4,
      readingWorkers: 2,
      maxResultBytes: 100_000,
      ...given,
    });
  let open: OpenDatabase;
  let source: SqliteSource;
  let writer: Database;
  let run: TestRun;
  let nowMs = 0;
  let runs = 0;
  const opened: OwnReads[] = [];

  afterEach(() => {
    for (const reads of opened.splice(0)) reads.close();
    assert.equal(openNow(), 0);
  });

  before(async () => {
    open = await findSqlite();
    source = new SqliteSource(settings(), () => {});
    run = new TestRun(source);
    await run.execute('create table notes (id integer primary key, title text, kind integer)');
    writer = open(file, { readOnly: false, timeout: 5000 });
    writer.exec(
      "with n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into notes select i, 'title ' || i, i % 7 from n",
    );
  });

  after(async () => {
    run.end();
    writer.close();
    await closeWithRuns(source);
  });

  /** A worker of its own. */
  function worker(given: Parameters<typeof settings>[0] = {}) {
    const grant: SourceGrant = {
      id: ID,
      name: 'main',
      kind: 'sqlite',
      scripts: [],
      reads: readLimitsOf(ID, settings(given)),
    };
    const { loans, waiting } = createIoChannel(common);
    const connections = new OwnConnections(loans, waiting);
    const calls = { begun: 0, ended: 0 };
    const interrupts = {
      beginCall() {
        calls.begun += 1;
      },
      endCall() {
        calls.ended += 1;
      },
    };
    const reads = new OwnReads({ open, sources: [grant], connections, interrupts, nowMs: () => nowMs });
    opened.push(reads);
    const perform = (action: Action, given: readonly Given[], owner: DataOwner = { id: 1 }, handle = 0) => {
      const operation: PostedOperation = { source: ID, action, handle, limitMs: 0, ...encode(given) };
      const result = reads.perform(operation, owner);
      assert.equal(calls.begun, calls.ended);
      return result;
    };
    const query = (text: string, values: readonly Given[] = [], owner?: DataOwner) =>
      perform(Action.QUERY, [text, values], owner);
    return { reads, connections, perform, query };
  }

  const openNow = (): number => counts.ownConnections(placeOfSource(ID));

  /** The same by the I/O thread's code. */
  function posted(text: string, values: readonly Given[]): Promise<LuaValue> {
    const { shape, values: given } = encode([text, values]);
    runs += 1;
    return new Promise((resolve, reject) => {
      source.start({
        run: new Run(1000 + runs),
        action: Action.QUERY,
        script: 1,
        limitMs: 0,
        handle: 0,
        body: Buffer.from(encodeOperation(shape, given)),
        done: (result) => resolve(decodeResult(result)),
        fail: reject,
      });
    });
  }

  const rowsOf = (result: LuaValue | undefined): unknown[] =>
    (field(result, 'rows') ?? assert.fail('it was not read')) as unknown[];

  it('gives the same values as the I/O thread', async () => {
    const { query } = worker();
    await run.execute(
      'create table kinds (i integer, big integer, low integer, f real, w real, t text, b blob, n, "Ä" text)',
    );
    await run.execute('insert into kinds values (?, ?, ?, ?, ?, ?, ?, ?, ?)', [
      7,
      9007199254740993n,
      -9223372036854775807n,
      1.5,
      2,
      'é€\u{1f600}',
      new Uint8Array([0, 255, 65]),
      null,
      '',
    ]);
    const statements: [string, readonly Given[]][] = [
      ['select * from kinds where rowid = ?', [1]],
      ['select i, i as i, n as i from kinds where rowid = 1', []],
      [
        'select ? as a, ? as b, ? as c, ? as d, ? as e, ? as f',
        [1, 2.5, 'é', true, undefined, new Uint8Array([200, 0])],
      ],
      ['select id, title from notes where id = ?', [12]],
      ['select id, title from notes where id = ?', [-1]],
      ['select id, title from notes order by id limit ?', [50]],
      ['select title from notes where id in (?)', [[3, 1, 2]]],
      ['select 1 as v union all select 2', []],
    ];
    for (const [text, values] of statements) {
      const own = query(text, values);
      assert.notEqual(own, undefined, `${text} is read by the worker`);
      assert.deepEqual(own, await posted(text, values), text);
    }
  });

  it('sees at once what another connection has committed, and keeps no lock', async () => {
    const { query } = worker();
    await run.execute('create table seen (id integer primary key, n)');
    for (let n = 0; n < 20; n += 1) {
      await run.execute('insert or replace into seen values (1, ?)', [n]);
      assert.deepEqual(rowsOf(query('select n from seen where id = 1')), [Object.assign(Object.create(null), { n })]);
    }
    // All of the write-ahead log can be taken over, which a reader in the middle of a read would prevent.
    assert.deepEqual(await run.query('pragma wal_checkpoint(truncate)'), [{ busy: 0, log: 0, checkpointed: 0 }]);
  });

  it('leaves to the I/O thread what writes, may take long, belongs to a transaction, or is wrong', () => {
    const { perform, query } = worker();
    for (const text of [
      'insert into notes (title) values (1) returning id',
      'select count(*) from notes',
      "select * from notes where title like '%9'",
      'select * from nothing',
      'selec',
      'select 1; select 2',
      'with n as (select 1 as v) select v from n',
      'select 1 from (select 1 from (select 1))',
      `select ${'1 + '.repeat(600)} 1`,
      'pragma user_version',
    ]) {
      assert.equal(query(text), undefined, text);
    }
    assert.equal(query('select ? as v', []), undefined);
    assert.equal(query('select ? as v', ['x'.repeat(70_000)]), undefined);
    assert.notEqual(perform(Action.QUERY, ['select 1 as v', []]), undefined);
    assert.equal(perform(Action.QUERY, ['select 1 as v', []], { id: 1 }, 3), undefined);
    assert.equal(perform(Action.EXECUTE, ['select 1 as v', []]), undefined);
    assert.equal(perform(Action.RUN, ['select 1 as v', []]), undefined);
  });

  it('leaves results of many rows and near maxresult to the I/O thread, and wide values', async () => {
    const { query } = worker();
    assert.equal(query('select title from notes'), undefined);
    await run.execute('create table wide (id integer primary key, t text)');
    await run.execute('insert into wide values (1, ?), (2, ?)', ['x'.repeat(90_000), 'x'.repeat(2_000_000)]);
    assert.equal(rowsOf(query('select t from wide where id = 1')).length, 1);
    assert.equal(query('select t, t as u from wide where id = 1'), undefined);
    assert.equal(query('select t from wide where id = 2'), undefined);
    assert.equal(rowsOf(query('select title from notes where id = 1')).length, 1);
  });

  it('judges a statement anew when the schema has changed', async () => {
    const { query } = worker();
    const text = 'select title from marked where kind = ?';
    await run.execute('create table marked (title text, kind integer)');
    await run.execute('create index marked_kind on marked (kind)');
    assert.deepEqual(rowsOf(query(text, [1])), []);
    await run.execute('drop index marked_kind');
    assert.equal(query(text, [1]), undefined);
    // Something else that is asked for shows that there is a new schema.
    await run.execute('create index marked_kind on marked (kind)');
    assert.equal(rowsOf(query('select title from notes where id = 1')).length, 1);
    assert.deepEqual(rowsOf(query(text, [1])), []);
  });

  it('prepares nothing that names a view, a virtual table or a table with computed columns', async () => {
    const views = new SqliteSource(settings({ database: join(dir, 'views.db') }), () => {});
    after(() => closeWithRuns(views));
    const other = new TestRun(views);
    await other.execute('create table plain (id integer primary key, v)');
    await other.execute('create view "Seen" as select * from plain');
    await other.execute('create table computed (id integer primary key, v, w generated always as (v || v))');
    const { query } = worker({ database: join(dir, 'views.db') });
    assert.deepEqual(rowsOf(query('select v from plain where id = 1')), []);
    for (const name of ['Seen', '"SEEN"', '[seen]', 'computed']) {
      assert.equal(query(`select v from ${name} where id = 1`), undefined, name);
    }
    other.end();
  });

  it('reads nothing for a request that has made a temporary table: the I/O thread keeps its connection', async () => {
    const { perform, query } = worker();
    const owner = { id: 3 };
    assert.notEqual(query('select 1 as v', [], owner), undefined);
    assert.equal(perform(Action.EXECUTE, ['create temporary table mine (n)', []], owner), undefined);
    assert.equal(query('select 1 as v', [], owner), undefined);
    assert.notEqual(query('select 1 as v', [], { id: 4 }), undefined);
  });

  it('has no more connections than its share, and gives its place to another worker when it ends', () => {
    const workers = [worker(), worker(), worker()] as const;
    const [first, second, third] = workers;
    assert.notEqual(first.query('select 1 as v'), undefined);
    assert.notEqual(second.query('select 1 as v'), undefined);
    assert.equal(third.query('select 1 as v'), undefined);
    assert.equal(openNow(), 2);
    first.reads.close();
    nowMs += 10_000;
    assert.notEqual(third.query('select 1 as v'), undefined);
    // The thread of one was ended, and has closed nothing by itself.
    second.connections.removeAll();
    assert.equal(openNow(), 1);
    third.reads.close();
    assert.equal(openNow(), 0);
  });

  it('leaves a file that is missing, locked or no database to the I/O thread, and reads it later', () => {
    const late = join(dir, 'late.db');
    const { query } = worker({ database: late });
    const text = 'select v from late where id = 1';
    assert.equal(query(text), undefined);
    writeFileSync(late, 'x'.repeat(5000));
    nowMs += 20_000;
    assert.equal(query(text), undefined);
    rmSync(late);
    const creator = open(late, { readOnly: false, timeout: 0 });
    creator.exec('create table late (id integer primary key, v); insert into late values (1, 2)');
    nowMs += 20_000;
    assert.equal(rowsOf(query(text)).length, 1);
    creator.exec('begin exclusive');
    assert.equal(query(text), undefined, 'it does not wait for the lock');
    creator.exec('rollback');
    nowMs += 20_000;
    assert.equal(rowsOf(query(text)).length, 1);
    creator.close();
  });

  it('looks at a file that was put in the place of another one when its connection is old', () => {
    const swapped = join(dir, 'swapped.db');
    const create = (path: string, v: number): void => {
      const creator = open(path, { readOnly: false, timeout: 0 });
      creator.exec(`create table t (id integer primary key, v); insert into t values (1, ${v})`);
      creator.close();
    };
    create(swapped, 1);
    const { query } = worker({ database: swapped, idleMs: 60_000 });
    const value = () => field(rowsOf(query('select v from t where id = 1'))[0] as LuaValue, 'v');
    assert.equal(value(), 1);
    create(`${swapped}.new`, 2);
    renameSync(`${swapped}.new`, swapped);
    nowMs += 61_000;
    assert.equal(value(), 2);
  });

  it('lets its thread be ended between two reads only, which is what SQLite survives', async () => {
    for (let round = 0; round < 8; round += 1) {
      const words = createInterrupts();
      const interrupter = new Interrupter(words);
      const thread = new Worker(new URL('./support/reading-thread.js', import.meta.url), {
        workerData: { file, words },
      });
      const ended = once(thread, 'exit');
      await once(thread, 'message');
      interrupter.abandon();
      await until(() => !interrupter.isInCall, 'it is between two reads');
      await thread.terminate();
      await ended;
    }
  });
});
