/** PostgreSQL that is killed, frozen, full, cut in the middle, or not who it should be (issue 13, faults). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Action } from '../../src/io/protocol.js';
import type { Source } from '../../src/io/source.js';
import type { ResolvedSource } from '../../src/io/sources.js';
import { createSource } from '../../src/io/sources-by-kind.js';
import { makeCertificate } from '../support/certificate.js';
import { type CuttingProxy, type ProxiedConnection, startCuttingProxy } from '../support/cutting-proxy.js';
import { startPostgres } from '../support/postgres.js';
import { closeWithRuns, code, sourceSettings, TestRun, until } from './support/data-source.js';

const isWell = async (source: Source): Promise<boolean> => {
  const run = new TestRun(source);
  try {
    await run.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    run.end();
  }
};

describe('PostgreSQL at its worst', async () => {
  const certificate = makeCertificate({ after }, 'db.example');
  const server = await startPostgres(
    { after },
    {
      password: 'sesame',
      access: ['host all all 127.0.0.1/32 scram-sha-256', 'local all all trust'],
      settings: ['max_connections = 10', 'superuser_reserved_connections = 3', 'ssl = on'],
      files: { 'server.key': certificate.key, 'server.crt': certificate.certificate },
    },
  );
  const proxy = await startCuttingProxy({ after }, server.port);
  const log: string[] = [];

  function open(given: Partial<ResolvedSource> = {}): Source {
    const own = {
      kind: 'postgres',
      port: proxy.port,
      user: 'postgres',
      database: 'postgres',
      password: 'sesame',
    } as const;
    const source = createSource(sourceSettings({ ...own, ...given }), (_, text) => log.push(text));
    after(() => closeWithRuns(source));
    return source;
  }

  /** Does something to the connection that first sends a text, once. */
  function whenSent(target: CuttingProxy, text: string, act: (connection: ProxiedConnection) => void): void {
    target.onRequest = (bytes, connection) => {
      if (!bytes.includes(text)) return;
      target.onRequest = () => {};
      act(connection);
    };
  }

  it('killed in the middle of a query: an error, then errors at once, and back by itself', async () => {
    const source = open();
    const run = new TestRun(source);
    const query = assert.rejects(run.query('select pg_sleep(60)'), code('LUAFCGID_DATA_LOST'));
    await until(() => source.status().busy === 1, 'the query runs');
    await server.kill();
    await query;
    await assert.rejects(run.query('select 1'), (error: { code: string }) => /CONNECT|DOWN|LOST/.test(error.code));
    await assert.rejects(run.query('select 1'), code('LUAFCGID_DATA_DOWN'));
    await server.start();
    await until(() => source.status().down === undefined, 'the source is tried again by itself');
    assert.ok(await isWell(source));
    run.end();
  });

  it('frozen: the query times out, its connection is given up, and the next ones work when it is thawed', async () => {
    const source = open({ connections: 1, connectMs: 300 });
    const run = new TestRun(source);
    await until(() => isWell(source), 'it is connected');
    proxy.freeze();
    await assert.rejects(run.query('select 2', [], { limitMs: 100 }), code('LUAFCGID_DATA_TIMEOUT'));
    await assert.rejects(run.query('select 3'), code('LUAFCGID_DATA_CONNECT'));
    await assert.rejects(run.query('select 4'), code('LUAFCGID_DATA_DOWN'));
    proxy.thaw();
    await until(() => isWell(source), 'it works again');
    run.end();
  });

  it('cut in the middle of a result: an error, and nothing of the result', async () => {
    const source = open({ connections: 1, maxResultBytes: 2 ** 30 });
    const run = new TestRun(source);
    let bytes = 0;
    proxy.onReply = (piece, connection) => {
      bytes += piece.length;
      if (bytes < 200_000) return;
      proxy.onReply = () => {};
      connection.cut();
    };
    await assert.rejects(
      run.query("select repeat('x', 1000) from generate_series(1, 100000)"),
      code('LUAFCGID_DATA_LOST'),
    );
    assert.ok(await isWell(source));
    run.end();
  });

  it('cut in the middle of BEGIN: an error, and no transaction is open anywhere', async () => {
    const source = open({ connections: 1 });
    const run = new TestRun(source);
    await run.query('select 1');
    whenSent(proxy, 'begin', (connection) => connection.cutBehind());
    await assert.rejects(run.begin(), code('LUAFCGID_DATA_LOST'));
    const open1 = "select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%'";
    await until(async () => ((await run.query(open1)) as { n: number }[])[0]?.n === 0, 'the server has noticed');
    run.end();
  });

  for (const [how, arrives] of [
    ['before it has arrived', false],
    ['when it has arrived', true],
  ] as const) {
    it(`cut in the middle of COMMIT, ${how}: an error that says that its outcome is not known`, async () => {
      const source = open({ connections: 1 });
      const run = new TestRun(source);
      await run.execute('create table if not exists committed (n int)');
      await run.execute('truncate committed');
      const tx = await run.begin();
      await run.execute('insert into committed values (1)', [], { handle: tx });
      whenSent(proxy, 'commit', (connection) => (arrives ? connection.cutBehind() : connection.cut()));
      await assert.rejects(run.do(Action.COMMIT, tx), code('LUAFCGID_DATA_COMMIT_UNKNOWN'));
      await assert.rejects(
        run.execute('insert into committed values (2)', [], { handle: tx }),
        code('LUAFCGID_DATA_TRANSACTION'),
      );
      const count = async (): Promise<number> => ((await run.query('select n from committed')) as unknown[]).length;
      await until(async () => (await count()) === (arrives ? 1 : 0), 'the server is through with it');
      run.end();
    });
  }

  it('lost in the middle of a transaction: every later call of it is an error, and nothing runs outside of it', async () => {
    const source = open({ connections: 1 });
    const run = new TestRun(source);
    await run.execute('create table if not exists partial (n int)');
    const tx = await run.begin();
    await run.execute('insert into partial values (1)', [], { handle: tx });
    proxy.cutAll();
    await assert.rejects(run.execute('insert into partial values (2)', [], { handle: tx }), code('LUAFCGID_DATA_LOST'));
    await assert.rejects(run.execute('insert into partial values (3)', [], { handle: tx }), code('LUAFCGID_DATA_LOST'));
    await assert.rejects(run.do(Action.COMMIT, tx), code('LUAFCGID_DATA_TRANSACTION'));
    assert.deepEqual(await run.query('select * from partial'), []);
    run.end();
  });

  it('out of connections: those that there are serve all', async () => {
    const admin = new TestRun(open({ connections: 1 }));
    await admin.execute(
      "do $$ begin create role app login password 'open'; exception when duplicate_object then null; end $$",
    );
    admin.end();
    const source = open({ user: 'app', password: 'open', connections: 20 });
    // The server may come late to notice that connections of the tests before are closed.
    await until(() => isWell(source), 'it is connected');
    const runs = Array.from({ length: 40 }, () => new TestRun(source));
    const results = await Promise.all(runs.map((run, at) => run.query('select ?::int as n, pg_sleep(0.02)', [at])));
    assert.deepEqual(
      results.map((rows) => (rows as { n: number }[])[0]?.n),
      runs.map((_, at) => at),
    );
    for (const run of runs) run.end();
  });

  it('with another password than ours: an error that does not tell it', async () => {
    const run = new TestRun(open({ password: 'not-it' }));
    await assert.rejects(run.query('select 1'), (error: Error) => {
      assert.doesNotMatch(error.message, /not-it|sesame/);
      return code('LUAFCGID_DATA_CONNECT', '28P01')(error);
    });
    run.end();
  });

  it('with a certificate for another name, or of nobody we trust: no connection', async () => {
    const caFile = certificate.certificateFile;
    const tls = (serverName: string | undefined, ca: string | undefined) =>
      open({ port: server.port, tls: { mode: 'verify', caFile: ca, serverName } });
    await assert.rejects(tls(undefined, caFile).probe(), /does not match/);
    await assert.rejects(tls('db.example', undefined).probe(), /self-signed/);
    assert.match(await tls('db.example', caFile).probe(), /^\d/);
    const unverified = open({
      port: server.port,
      tls: { mode: 'unverified', caFile: undefined, serverName: undefined },
    });
    const run = new TestRun(unverified);
    assert.deepEqual(await run.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()'), [{ ssl: true }]);
    // On a busy machine the server may be told too late: then the connection is closed, and the error has no word of the server.
    await until(async () => {
      const error: { code?: string; sqlstate?: string } = await run
        .query('select pg_sleep(60)', [], { limitMs: 1_000 })
        .then(
          () => ({}),
          (reason) => reason,
        );
      assert.equal(error.code, 'LUAFCGID_DATA_TIMEOUT');
      return error.sqlstate === '57014';
    }, 'the server has stopped it');
    run.end();
  });

  it('leaves no connection behind that nobody uses', async () => {
    const source = open({ connections: 3 });
    const runs = Array.from({ length: 10 }, () => new TestRun(source));
    await Promise.all(runs.map((run) => run.query('select 1')));
    for (const run of runs) run.end();
    const before = proxy.connections;
    await source.close();
    await until(() => proxy.connections <= before - 1, 'they are closed');
  });
});
