/** PostgreSQL on connections that are lent to a worker, compared with the way by the I/O thread (decision 0029). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { IoHandle } from '../../../src/io/handle.js';
import { LoanState } from '../../../src/io/loan-words.js';
import { Action } from '../../../src/io/protocol.js';
import type { OperationResult } from '../../../src/lua/state.js';
import { sourceSettings } from '../../io/support/data-source.js';
import { startCuttingProxy } from '../../support/cutting-proxy.js';
import { startPostgres } from '../../support/postgres.js';
import { DataWorker, field, type Given } from './support/data-worker.js';

const ON_LINUX = process.platform === 'linux';

describe('PostgreSQL on lent connections', { skip: !ON_LINUX && 'descriptors are lent on Linux only' }, async () => {
  const server = await startPostgres({ after });
  const proxy = await startCuttingProxy({ after }, server.port);
  const log: string[] = [];
  const io = new IoHandle({ log: (_, text) => log.push(text) });
  after(async () => void (await io.stop()));
  const settings = {
    kind: 'postgres',
    port: server.port,
    user: 'postgres',
    database: 'postgres',
    waitMs: 60_000,
    connectMs: 60_000,
    queryMs: 60_000,
    maxResultBytes: 100_000,
  } as const;
  const [grant, single, fresh, open, bytes, broken] = io.addSources([
    sourceSettings({ ...settings, name: 'main', connections: 4 }),
    sourceSettings({ ...settings, name: 'single', connections: 1, queue: 2 }),
    sourceSettings({ ...settings, name: 'fresh', connections: 1, waitMs: 30_000 }),
    sourceSettings({ ...settings, name: 'open', connections: 1 }),
    sourceSettings({ ...settings, name: 'bytes', database: 'bytes' }),
    sourceSettings({ ...settings, name: 'broken', port: proxy.port, connections: 1 }),
  ]);
  const main = grant?.id ?? 0;
  const only = single?.id ?? 0;
  const grants = [grant, single, fresh, open, bytes, broken].filter((one) => one !== undefined);
  const worker = new DataWorker({ after }, io, grants);
  const status = async (name = 'main') => (await io.status()).find((source) => source.name === name);
  const query = (source: number, text: string, values: readonly Given[] = [], limitMs = 0) =>
    worker.direct(source, Action.QUERY, [text, values], limitMs);
  const value = async (source: number, text: string, name = 'v') =>
    field((field((await query(source, text)).value, 'rows') as never[])[0], name);

  it('gives the same values and errors as the I/O thread', async () => {
    await worker.posted(main, Action.EXECUTE, ['create table t (id integer primary key, name text, data bytea)', []]);
    const types = `select true as a, false as b, 1::int2 as c, -7::int4 as d, 9007199254740993::int8 as e, 5::oid as f, 1.5::float4 as g,
      'NaN'::float8 as h, '\\x00ff41'::bytea as i, 'é€'::text as j, null::int as k, 12345678901234567890.5::numeric as l,
      timestamp '2026-11-27 00:43:11.541532' as m, timestamptz '2026-11-27 01:43:11+01' as n, timestamp 'infinity' as o, date '2026-11-27' as p,
      '{"a":[1]}'::jsonb as q, array[1,2] as r, interval '1 day 2 hours' as s, 0 as "Ä", 1 as "Ä"`;
    const statements: [Action, readonly Given[]][] = [
      [Action.QUERY, [types, []]],
      [
        Action.QUERY,
        [
          'select ?::int as a, ?::text as b, ?::bool as c, ?::text as d, ?::float8 as e',
          [1, 'é', true, undefined, 0.1],
        ],
      ],
      [Action.QUERY, ['select ?::bytea as a, ?::text as b', [new Uint8Array([0, 255, 92]), 'a\\b']]],
      [Action.QUERY, ['select ?::text as a', ['c\\d']]],
      [Action.QUERY, ['select 1 as a where false', []]],
      [Action.QUERY, ['values (1, 2), (3, 4)', []]],
      [Action.EXECUTE, ['insert into t values (?, ?, ?)', [1, 'one', new Uint8Array([1, 92, 200])]]],
      [Action.EXECUTE, ['insert into t values (?, ?, ?)', [1, 'again', 'x']]],
      [Action.EXECUTE, ['update t set name = ? where id in (?)', ['two', [1, 2, 3]]]],
      [Action.QUERY, ['update t set name = name returning id, name', []]],
      [Action.EXECUTE, ['select 1', []]],
      [Action.EXECUTE, ['delete from t', []]],
      [Action.QUERY, ['delete from t', []]],
      [Action.QUERY, ['select * from nowhere', []]],
      [Action.QUERY, ['select 1; select 2', []]],
      [Action.QUERY, ['select 1 / ?::int as a', [0]]],
      [Action.QUERY, ['select ?::int as a', ['no number']]],
      [Action.QUERY, ["select repeat('x', 200000) as a", []]],
      [Action.QUERY, ["select repeat('x', 1000) as a from generate_series(1, 5000)", []]],
      [Action.QUERY, ["select repeat('x', 3000000) as a", []]],
      [Action.QUERY, ['select from generate_series(1, 4000)', []]],
      [Action.QUERY, ['select null as a from generate_series(1, 4000)', []]],
      [Action.EXECUTE, ["select repeat('x', 1000) as a from generate_series(1, 50)", []]],
      [Action.QUERY, ['select count(*) as a from t', []]],
    ];
    const direct = [];
    const posted = [];
    for (const [action, given] of statements) direct.push(await worker.direct(main, action, given));
    for (const [action, given] of statements) posted.push(await worker.posted(main, action, given));
    for (const [at, [, given]] of statements.entries()) {
      assert.deepEqual(direct[at], posted[at], JSON.stringify(given).slice(0, 200));
    }
    for (const text of ['select', 'select null as a'])
      assert.equal(
        field((await query(main, `${text} from generate_series(1, 4000)`)).value, 'code'),
        'LUAFCGID_DATA_RESULT_SIZE',
      );
    assert.equal(
      (await value(main, "select count(*) as v from pg_prepared_statements where name like 'w%'")) !== 0,
      true,
    );
  });

  it('leaves to the I/O thread what leaves something on its connection, and what is wrong', async () => {
    await query(main, 'select 1');
    for (const text of ['begin', 'create table u (id int)', 'select myfunction()', 'selec 1', 'show all']) {
      assert.equal(worker.begin(main, Action.QUERY, [text, []], 20), undefined, text);
    }
    const own = { id: 21 };
    assert.equal(worker.begin(main, Action.QUERY, ['select ?', []], 20), undefined, 'a value is missing');
    assert.equal(worker.beginFor(own, main, Action.QUERY, ["set statement_timeout = '1min'", []]), undefined);
    assert.equal(
      worker.beginFor(own, main, Action.QUERY, ['select 1', []]),
      undefined,
      'its setting is on another connection',
    );
  });

  it('runs several at a time, no more than there may be connections, and the others wait', async () => {
    const begin = (text: string) => worker.begin(main, Action.QUERY, [text, []]) as number;
    const long = Array.from({ length: 4 }, () => begin('select pg_sleep(60)'));
    const others = Array.from({ length: 4 }, () => begin('select 1'));
    await worker.until(async () => ((await status())?.busy ?? 0) > 1, 'more than one runs');
    const during = await status();
    assert.ok(during !== undefined && during.open <= during.connections);
    for (const token of long) worker.abandon(token);
    for (const token of others) assert.equal((await worker.result(token)).isError, false);
    await worker.until(async () => (await status())?.busy === 0, 'nothing is in use');
    assert.equal((await status())?.waiting, 0);
  });

  it('refuses what would wait when the queue is full, and counts who waits', async () => {
    assert.equal(await value(only, 'select 1 as v'), 1);
    const slow = worker.begin(only, Action.QUERY, ['select pg_sleep(60)', []], 30) as number;
    const waiting = [1, 2].map(() => worker.begin(only, Action.QUERY, ['select 1', []]) as number);
    const refused = worker.begin(only, Action.QUERY, ['select 1', []]) as number;
    assert.equal(field((await worker.result(refused)).value, 'code'), 'LUAFCGID_DATA_QUEUE');
    assert.equal(
      field((await worker.posted(only, Action.QUERY, ['select 1', []])).value, 'code'),
      'LUAFCGID_DATA_QUEUE',
    );
    const during = await status('single');
    assert.deepEqual([during?.busy, during?.waiting, during?.open], [1, 2, 1]);
    worker.abandon(slow);
    for (const token of waiting) assert.equal((await worker.result(token)).isError, false);
    await worker.until(async () => (await status('single'))?.busy === 0, 'nothing is in use');
  });

  it('breaks off what takes too long, and what a request has left', async () => {
    // On a busy machine the server may be told too late: then the connection is closed, and the error has no word of the server.
    await worker.until(async () => {
      const { isError, value: late } = await query(main, 'select pg_sleep(60)', [], 1_000);
      assert.deepEqual([isError, field(late, 'code')], [true, 'LUAFCGID_DATA_TIMEOUT']);
      return field(late, 'sqlstate') === '57014';
    }, 'the server has stopped it');
    const left = worker.begin(main, Action.QUERY, ['select pg_sleep(61)', []], 40) as number;
    worker.abandon(left);
    const running =
      "select count(*) as v from pg_stat_activity where query like '%pg_sleep(61)%' and state = 'active' and pid <> pg_backend_pid()";
    await worker.until(async () => (await value(main, running)) === 0, 'it is broken off');
    assert.equal(worker.hasResult(left), false);
  });

  it('prepares a statement anew when its table has changed, or the server has forgotten it', async () => {
    await worker.posted(main, Action.EXECUTE, ['create table changing (a int)', []]);
    await worker.posted(main, Action.EXECUTE, ['insert into changing values (1)', []]);
    for (let at = 0; at < 3; at += 1) await query(main, 'select * from changing');
    await worker.posted(main, Action.EXECUTE, ["alter table changing add column b text default 'new'", []]);
    const rows = field((await query(main, 'select * from changing')).value, 'rows');
    assert.deepEqual({ ...((rows as never[])[0] as unknown as object) }, { a: 1, b: 'new' });
  });

  it('does not keep a connection from what waited while it was opened to be lent', async () => {
    const source = fresh?.id ?? 0;
    assert.equal(worker.begin(source, Action.QUERY, ['select 1', []]), undefined, 'it is asked for');
    assert.equal((await worker.posted(source, Action.QUERY, ['select 1', []], 60)).isError, false);
  });

  it('goes on with a connection that it takes back as soon as it was lent', async () => {
    const source = open?.id ?? 0;
    assert.equal((await worker.posted(source, Action.QUERY, ['select 1', []], 61)).isError, false);
    assert.equal(worker.begin(source, Action.QUERY, ['select 1', []]), undefined, 'it is asked for');
    assert.equal((await worker.posted(source, Action.QUERY, ['select 1', []], 62)).isError, false);
  });

  it('reads text of a database that takes any bytes for text as the I/O thread does: UTF-8, or an error of the server', async () => {
    const create = "create database bytes encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0";
    assert.equal((await worker.posted(main, Action.EXECUTE, [create, []])).isError, false);
    const source = bytes?.id ?? 0;
    for (const [text, sqlstate] of [
      ['\\xc3\\xa9A', undefined],
      ['\\xffA', '22021'],
      ['\\xc3', '22021'],
    ]) {
      const statement = [`select E'${text}' as v`, []] as const;
      const own = await worker.direct(source, Action.QUERY, statement);
      assert.deepEqual(own, await worker.posted(source, Action.QUERY, statement));
      assert.equal(field(own.value, 'sqlstate'), sqlstate);
    }
  });

  it('gives connections back to those who wait in the I/O thread, and lends them again', async () => {
    assert.equal(await value(only, 'select 1 as v'), 1);
    const isWell = async (result: Promise<OperationResult>): Promise<void> => {
      const { isError, value: given } = await result;
      assert.equal(isError, false, JSON.stringify(given));
    };
    await isWell(worker.posted(only, Action.QUERY, ['select 1', []]));
    assert.equal(await value(only, 'select 2 as v'), 2);
    // In use: it comes back when that is over, and what waits here goes by the I/O thread.
    const slow = worker.begin(only, Action.QUERY, ['select pg_sleep(0.5)', []]) as number;
    const behind = worker.begin(only, Action.QUERY, ['select 1', []]) as number;
    const posted = worker.posted(only, Action.QUERY, ['select 1', []], 50);
    for (const result of [worker.result(slow), worker.result(behind), posted]) await isWell(result);
  });

  /** What a server that is broken says in the place of its next answer. */
  const message = (type: string, body: readonly number[], length = body.length + 4): Buffer =>
    Buffer.from([
      type.charCodeAt(0),
      (length >>> 24) & 255,
      (length >>> 16) & 255,
      (length >>> 8) & 255,
      length & 255,
      ...body,
    ]);
  const READY = message('Z', [0x49]);
  const ANSWERS: Readonly<Record<string, (real: Buffer) => Buffer>> = {
    'bytes of no protocol': (real) => Buffer.alloc(real.length, 0xee),
    'a message without a length': () => message('D', [], 3),
    'a message that is longer than all memory': () => message('D', [0, 1], 0x7fffffff),
    'a message of a type that nobody knows': () => message('?', [1, 2, 3]),
    'a row of more columns than it has said': () => Buffer.concat([message('D', [0, 9]), READY]),
    'a row whose value has no end': () => message('D', [0, 1, 0, 0, 0, 9, 0x31]),
    'a row that is too short for its number of columns': () => message('D', [0]),
    'columns without an end of their names': () => message('T', [0, 1, 0x61, 0x62]),
    'an error without an end': () => message('E', [0x4d, 0x61]),
    'that it is ready before the statement has ended': () => READY,
    'that it is in a transaction': (real) => Buffer.concat([real.subarray(0, real.length - 1), Buffer.from('T')]),
  };
  for (const [what, answer] of Object.entries(ANSWERS)) {
    it(`gives a connection up on which the server says ${what}, and uses no byte of it for the next request`, async () => {
      const source = broken?.id ?? 0;
      assert.equal(await value(source, 'select 1 as v'), 1);
      let isAnswered = false;
      proxy.onReply = (bytes, connection) => {
        proxy.onReply = () => {};
        isAnswered = true;
        connection.replace(answer(bytes));
      };
      const { isError, value: said } = await query(source, 'select 1 as v');
      assert.ok(isAnswered);
      if (what !== 'that it is in a transaction') {
        assert.equal(isError, true);
        const code = String(field(said, 'code'));
        assert.match(code, /^LUAFCGID_DATA_(LOST|RESULT_SIZE)$/, String(field(said, 'message')));
      }
      const connections = proxy.connections;
      assert.equal(await value(source, 'select 2 as v'), 2);
      await worker.until(() => proxy.connections <= Math.max(1, connections - 1), 'the broken one is closed');
    });
  }

  it('breaks off a statement of whose answer only a half comes, and one that is cut there fails at once', async () => {
    const source = broken?.id ?? 0;
    for (const isCut of [false, true]) {
      assert.equal(await value(source, 'select 1 as v'), 1);
      proxy.onReply = (bytes, connection) => {
        connection.replace(bytes.subarray(0, bytes.length >> 1));
        proxy.onReply = (_, same) => same.replace(Buffer.alloc(0));
        if (isCut) setImmediate(() => proxy.cutAll());
      };
      const { value: said } = await query(source, 'select 1 as v', [], isCut ? 0 : 200);
      assert.equal(field(said, 'code'), isCut ? 'LUAFCGID_DATA_LOST' : 'LUAFCGID_DATA_TIMEOUT');
      proxy.onReply = () => {};
      assert.equal(await value(source, 'select 2 as v'), 2);
    }
  });

  it('gives a connection up on which the server says something that nobody has asked for', async () => {
    const source = broken?.id ?? 0;
    assert.equal(await value(source, 'select 1 as v'), 1);
    const before = worker.lent;
    proxy.onReply = (bytes, connection) => {
      proxy.onReply = () => {};
      connection.replace(Buffer.concat([bytes, message('D', [0, 0])]));
    };
    assert.equal(await value(source, 'select 3 as v'), 3);
    await worker.until(() => worker.lent < before, 'it is given back');
    assert.equal(await value(source, 'select 2 as v'), 2);
  });

  it('says that the server is gone, and goes on when it is back', async () => {
    await query(main, 'select 1');
    const token = worker.begin(main, Action.QUERY, ['select pg_sleep(60)', []]) as number;
    worker.turn();
    await server.kill();
    const lost = await worker.result(token);
    assert.deepEqual([field(lost.value, 'code'), field(lost.value, 'retry')], ['LUAFCGID_DATA_LOST', true]);
    await server.start();
    await worker.until(async () => !(await query(main, 'select 1')).isError, 'it works again');
  });

  it('tells what the server said before it closed the connection', async () => {
    const token = worker.begin(main, Action.QUERY, ['select pg_sleep(62)', []]) as number;
    worker.turn();
    const end =
      "select pg_terminate_backend(pid) as v from pg_stat_activity where query like '%pg_sleep(62)%' and pid <> pg_backend_pid()";
    await worker.until(async () => {
      await worker.posted(main, Action.QUERY, [end, []]);
      return worker.hasResult(token);
    }, 'its connection is ended');
    const { value: lost } = await worker.result(token);
    assert.equal(field(lost, 'code'), 'LUAFCGID_DATA_LOST');
    assert.match(String(field(lost, 'message')), /terminating connection due to administrator command/);
  });

  it('fails what is under way when the I/O thread dies, and borrows of the next one', async () => {
    await query(main, 'select 1');
    const token = worker.begin(main, Action.QUERY, ['select pg_sleep(63)', []]) as number;
    worker.turn();
    await io.restart('the test ends it');
    assert.equal(field((await worker.result(token)).value, 'code'), 'LUAFCGID_IO_LOST');
    assert.equal(await value(main, 'select 3 as v'), 3);
  });

  it('breaks off what a worker had when that is gone, and takes back what it did not use', async () => {
    const other = new DataWorker({ after }, io, grants);
    await other.direct(main, Action.QUERY, ['select 1', []]);
    const sleeping = [60, 60].map((seconds) => other.begin(main, Action.QUERY, [`select pg_sleep(${seconds}.25)`, []]));
    assert.ok(sleeping[0] !== undefined);
    other.turn();
    other.end(false);
    const running =
      "select count(*) as v from pg_stat_activity where query like '%sleep(60.25)%' and state = 'active' and pid <> pg_backend_pid()";
    await worker.until(async () => (await value(main, running)) === 0, 'it is broken off');
    other.end();
    await worker.until(async () => (await status())?.busy === 0, 'nothing is in use');
    assert.equal((await status())?.waiting, 0);
  });

  it('closes all when the source is named no more', async () => {
    await query(main, 'select 1');
    io.keepSources(grants.filter(({ name }) => name !== 'main'));
    await worker.until(
      () => [0, 1, 2, 3, 4, 5].every((slot) => worker.words.stateOf(slot) !== LoanState.IDLE),
      'all have come back',
    );
    assert.equal(await value(only, 'select 4 as v'), 4);
  });
});
