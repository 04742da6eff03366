/** MariaDB, Redis and SQLite that are killed, frozen, full, locked, or not who they should be (issue 13, faults). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Action } from '../../src/io/protocol.js';
import type { Source } from '../../src/io/source.js';
import type { ResolvedSource } from '../../src/io/sources.js';
import { createSource } from '../../src/io/sources-by-kind.js';
import { bind, plainStatement } from '../../src/io/sql/placeholders.js';
import { scan } from '../../src/io/sql/scanner.js';
import { RowSink } from '../../src/io/sql/sql.js';
import { type OpenDatabase, SqliteEngine } from '../../src/io/sql/sqlite-engine.js';
import { toSqliteStatement } from '../../src/io/sql/sqlite-statement.js';
import { ValueWriter } from '../../src/io/values.js';
import { makeCertificate } from '../support/certificate.js';
import { tempDir } from '../support/cleanup.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { startMariadb } from '../support/mariadb.js';
import { startRedis } from '../support/redis.js';
import { freePort } from '../support/web-server.js';
import {
  ask,
  closeWithRuns,
  code,
  encode,
  freeze,
  type Plain,
  sourceSettings,
  TestRun,
  until,
} from './support/data-source.js';

const log: string[] = [];

function open(given: Partial<ResolvedSource> & Pick<ResolvedSource, 'kind'>): Source {
  const source = createSource(sourceSettings(given), (_, text) => log.push(text));
  after(() => closeWithRuns(source));
  return source;
}

/** Whether something succeeds now. */
async function succeeds(operation: Promise<unknown>): Promise<boolean> {
  return operation.then(
    () => true,
    () => false,
  );
}

describe('MariaDB at its worst', async () => {
  const certificate = makeCertificate({ after }, 'db.example');
  const tlsSettings = [`--ssl-cert=${certificate.certificateFile}`, `--ssl-key=${certificate.keyFile}`];
  const server = await startMariadb({ after }, { settings: [...tlsSettings, '--max-connections=6'] });
  const proxy = await startCuttingProxy({ after }, server.port);
  const own = { kind: 'mysql', port: proxy.port, user: 'root', database: 'test' } as const;

  it('killed in the middle of a query: an error, then errors at once, and back by itself', async () => {
    const source = open(own);
    const run = new TestRun(source);
    const query = assert.rejects(run.query('select sleep(60)'), code('LUAFCGID_DATA_LOST'));
    await until(() => source.status().busy === 1, 'the query runs');
    await server.kill();
    await query;
    await assert.rejects(run.query('select 1'), (error: { code: string }) => /CONNECT|DOWN|LOST/.test(error.code));
    await assert.rejects(run.query('select 1'), code('LUAFCGID_DATA_DOWN'));
    await server.start();
    await until(() => succeeds(run.query('select 1')), 'it works again');
    run.end();
  });

  it('frozen: the query times out, and the next ones work when it goes on', async (t) => {
    const source = open({ ...own, connections: 1, connectMs: 300 });
    const run = new TestRun(source);
    await until(() => succeeds(run.query('select 1')), 'it is connected');
    t.after(() => server.signal('SIGCONT'));
    await freeze(server);
    await assert.rejects(run.query('select 2', [], { limitMs: 100 }), code('LUAFCGID_DATA_TIMEOUT'));
    await assert.rejects(run.query('select 3'), code('LUAFCGID_DATA_CONNECT'));
    server.signal('SIGCONT');
    await until(() => succeeds(run.query('select 4')), 'it works again');
    run.end();
  });

  it('cut in the middle of a result: an error, and nothing of the result (issue 13)', async () => {
    const source = open({ ...own, connections: 1, maxResultBytes: 2 ** 30 });
    const run = new TestRun(source);
    await until(() => succeeds(run.query('select 1')), 'it is connected');
    let bytes = 0;
    proxy.onReply = (piece, connection) => {
      bytes += piece.length;
      if (bytes < 200_000) return;
      proxy.onReply = () => {};
      connection.cut();
    };
    const rows =
      "with recursive n(x) as (select 1 union all select x + 1 from n where x < 900) select repeat('x', 1000) from n";
    await assert.rejects(run.query(rows), code('LUAFCGID_DATA_LOST'));
    await until(() => succeeds(run.query('select 1')), 'it works again');
    run.end();
  });

  it('cut in the middle of BEGIN: an error, and no transaction is open anywhere (issue 13)', async () => {
    const source = open({ ...own, connections: 1 });
    const run = new TestRun(source);
    await until(() => succeeds(run.query('select 1')), 'it is connected');
    proxy.onRequest = (bytes, connection) => {
      if (!/begin|start transaction/.test(bytes.toString('latin1'))) return;
      proxy.onRequest = () => {};
      connection.cutBehind();
    };
    await assert.rejects(run.begin(), code('LUAFCGID_DATA_LOST'));
    const transactions = 'select count(*) as n from information_schema.innodb_trx';
    await until(async () => ((await run.query(transactions)) as { n: number }[])[0]?.n === 0, 'the server has noticed');
    run.end();
  });

  it('cut in the middle of COMMIT: an error that says that its outcome is not known', async () => {
    const source = open({ ...own, connections: 1 });
    const run = new TestRun(source);
    await run.execute('create table committed (n int) engine = innodb');
    const tx = await run.begin();
    await run.execute('insert into committed values (1)', [], { handle: tx });
    proxy.onRequest = (bytes, connection) => {
      if (!bytes.includes('commit')) return;
      proxy.onRequest = () => {};
      connection.cutBehind();
    };
    await assert.rejects(run.do(Action.COMMIT, tx), code('LUAFCGID_DATA_COMMIT_UNKNOWN'));
    await until(
      async () => ((await run.query('select n from committed')) as unknown[]).length === 1,
      'it was committed',
    );
    run.end();
  });

  it('out of connections: those that there are serve all', async () => {
    const source = open({ ...own, connections: 20 });
    // The server may come late to notice that connections of the tests before are closed.
    await until(() => succeeds(new TestRun(source).query('select 1')), 'it is connected');
    const runs = Array.from({ length: 30 }, () => new TestRun(source));
    await Promise.all(runs.map((run) => run.query('select sleep(0.02)')));
    for (const run of runs) run.end();
    await source.close();
  });

  it('with another password than ours, or a certificate for another name: no connection', async () => {
    await assert.rejects(open({ ...own, user: 'nobody', password: 'not-it' }).probe(), (error: Error) => {
      assert.match(error.message, /Access denied/);
      assert.doesNotMatch(error.message, /not-it/);
      return true;
    });
    const tls = (serverName: string | undefined, caFile: string | undefined): Source =>
      open({ ...own, tls: { mode: 'verify', caFile, serverName } });
    await assert.rejects(tls(undefined, certificate.certificateFile).probe(), /does not match|Hostname/);
    await assert.rejects(tls('db.example', undefined).probe(), /self-signed/);
    assert.match(await tls('db.example', certificate.certificateFile).probe(), /MariaDB/);
  });
});

describe('Redis at its worst', async () => {
  const certificate = makeCertificate({ after }, 'cache.example');
  const server = await startRedis({ after });
  const own = { kind: 'redis', port: server.port, database: '0', connections: 1 } as const;
  const command = (source: Source, ...words: readonly Plain[]): Promise<unknown> =>
    ask(source, new TestRun(source).run, Action.COMMAND, encode(words));

  it('killed: an error, then errors at once, and back by itself', async () => {
    const source = open(own);
    await command(source, 'ping');
    await server.kill();
    await assert.rejects(command(source, 'ping'), (error: { code: string }) => /CONNECT|DOWN|LOST/.test(error.code));
    await until(async () => !(await succeeds(command(source, 'ping'))), 'it is down');
    await assert.rejects(command(source, 'ping'), code('LUAFCGID_DATA_DOWN'));
    await server.start();
    await until(() => source.status().down === undefined, 'the source is tried again by itself');
    assert.equal(await command(source, 'ping'), 'PONG');
  });

  it('frozen: commands time out, and the next ones work when it goes on', async (t) => {
    const source = open({ ...own, connectMs: 300, queryMs: 100 });
    await until(() => succeeds(command(source, 'ping')), 'it is connected');
    t.after(() => server.signal('SIGCONT'));
    await freeze(server);
    await assert.rejects(command(source, 'ping'), code('LUAFCGID_DATA_TIMEOUT'));
    await assert.rejects(command(source, 'ping'), code('LUAFCGID_DATA_CONNECT'));
    server.signal('SIGCONT');
    await until(() => succeeds(command(source, 'ping')), 'it works again');
  });

  it('out of memory, or read-only: the error that it gives, with its word for it', async () => {
    const source = open(own);
    await command(source, 'config', 'set', 'maxmemory', '1');
    await assert.rejects(command(source, 'set', 'k', 'v'), code('LUAFCGID_DATA_QUERY', 'OOM'));
    await command(source, 'config', 'set', 'maxmemory', '0');
    const replica = await startRedis({ after }, ['--replicaof', '127.0.0.1', String(server.port)]);
    await assert.rejects(
      command(open({ ...own, port: replica.port }), 'set', 'k', 'v'),
      code('LUAFCGID_DATA_QUERY', 'READONLY'),
    );
  });

  it('with a certificate for another name, or of nobody we trust: no connection', async () => {
    const files = ['--tls-cert-file', certificate.certificateFile, '--tls-key-file', certificate.keyFile];
    const ca = ['--tls-ca-cert-file', certificate.certificateFile, '--tls-auth-clients', 'no'];
    const tlsPort = await freePort();
    await startRedis({ after }, [...files, ...ca, '--port', '0', '--tls-port', String(tlsPort)]);
    const tls = (serverName: string | undefined, caFile: string | undefined): Source =>
      open({ ...own, port: tlsPort, tls: { mode: 'verify', caFile, serverName } });
    await assert.rejects(tls(undefined, certificate.certificateFile).probe(), /does not match|altnames/);
    await assert.rejects(tls('cache.example', undefined).probe(), /self-signed/);
    assert.match(await tls('cache.example', certificate.certificateFile).probe(), /^\d/);
  });
});

describe('SQLite at its worst', () => {
  const dir = tempDir({ after });

  it('locked by another process: an error that may be tried again, and it works when the lock is gone', async (t) => {
    const database = join(dir, 'locked.db');
    const other = new TestRun(open({ kind: 'sqlite', database }));
    await other.execute('create table t (n)');
    const run = new TestRun(open({ kind: 'sqlite', database, waitMs: 3000 }));
    t.after(() => {
      run.end();
      other.end();
    });
    await until(() => succeeds(run.execute('delete from t')), 'the file is open');
    const tx = await other.begin();
    await assert.rejects(run.execute('insert into t values (1)'), (error: { retry: boolean }) => {
      assert.equal(error.retry, true);
      return code('LUAFCGID_DATA_QUERY', 'SQLITE 5')(error);
    });
    await other.do(Action.COMMIT, tx);
    await run.execute('insert into t values (2)');
    assert.deepEqual(await run.query('select n from t'), [{ n: 2 }]);
  });

  it('corrupt: the error that SQLite gives', async () => {
    const database = join(dir, 'whole.db');
    const whole = open({ kind: 'sqlite', database });
    const run = new TestRun(whole);
    await run.execute('create table t (n)');
    await run.execute(
      'with recursive c(x) as (select 1 union all select x + 1 from c limit 2000) insert into t select hex(randomblob(50)) from c',
    );
    run.end();
    await whole.close();
    const broken = join(dir, 'broken.db');
    const bytes = readFileSync(database);
    // The header stays whole, so that it is found to be a database.
    writeFileSync(broken, bytes.fill('x', 100));
    const other = new TestRun(open({ kind: 'sqlite', database: broken }));
    await assert.rejects(other.query('select * from t'), (error: { code: string }) =>
      /DATA_(QUERY|CONNECT)/.test(error.code),
    );
    other.end();
  });

  it('with a full disk: an error, the transaction is rolled back, and nothing runs outside of it', async () => {
    const { DatabaseSync } = await import('@photostructure/sqlite');
    const openSmall: OpenDatabase = (file, options) => {
      const database = new DatabaseSync(file, options) as unknown as ReturnType<OpenDatabase>;
      database.exec('pragma max_page_count = 20');
      return database;
    };
    const settings = { source: 'main', file: join(dir, 'full.db'), isReadOnly: false, busyMs: 0 };
    const engine = new SqliteEngine(openSmall, settings);
    const execute = (text: string, ...values: readonly number[]): unknown =>
      engine.execute(toSqliteStatement(bind(scan(text, 'sqlite'), 'sqlite', values)), undefined, () => false);
    execute('create table t (n)');
    execute('begin immediate');
    execute('insert into t values (1)');
    assert.throws(() => execute('insert into t values (zeroblob(1000000))'), code('LUAFCGID_DATA_QUERY', 'SQLITE 13'));
    if (engine.transaction === 'failed') {
      assert.throws(() => execute('insert into t values (2)'), code('LUAFCGID_DATA_TRANSACTION'));
    }
    execute('rollback');
    assert.equal(engine.transaction, 'none');
    const sink = new RowSink(new ValueWriter(), 1000);
    engine.execute(toSqliteStatement(plainStatement('select n from t', 'sqlite')), sink, () => false);
    assert.equal(sink.count, 0);
    execute('insert into t values (3)');
    engine.close();
  });
});
