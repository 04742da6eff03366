/**
 * Pages that wait: for a time, for PostgreSQL, for Redis, for SQLite. Beside php-fpm with persistent connections, behind the
 * same nginx.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LoadGenerator } from './load/load.mjs';
import { NOTES, startPostgres, startRedis } from './peers/databases.mjs';
import { startLuafcgid } from './peers/luafcgid.mjs';
import { startNginx } from './peers/nginx.mjs';
import { requirePrograms } from './peers/packages.mjs';
import { startPhpFpm } from './peers/php-fpm.mjs';
import { cpuMicrosOf } from './peers/processes.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';
import { median } from './statistics.mjs';

const WARMUP_MS = 1000;
/** Before the first run of each server: what is measured is one that has served this page for a while, and is compiled. */
const FIRST_WARMUP_MS = 10_000;
const CLIENTS = 64;
const SLEEPERS = 500;
/** php-fpm serves a request at a time in each child: the best of these counts. */
const CHILDREN = [2, 4, 8, 16, 32];
const EXPECTED = { ending: '\n', contains: 'note: ', minBytes: 8 };

const pageFile = (/** @type {string} */ name) => fileURLToPath(new URL(`./pages/data/${name}`, import.meta.url));

/**
 * @typedef {{name: string, address: string, pid: number, page: string, params?: readonly string[]}} Asked
 * @param {import('./options.mjs').Options} options @param {string} folder
 */
export async function measureData(options, folder) {
  const { phpFpm, nginx } = requirePrograms({ php: options.withPhp, nginx: true, mayInstall: options.mayInstall });
  if (nginx === undefined) throw new Error('this part needs nginx');
  const generator = new LoadGenerator();
  /** @type {{stop: () => Promise<void>}[]} */
  const running = [generator];
  try {
    const postgres = await startPostgres();
    running.unshift(postgres);
    const redis = await startRedis(folder);
    running.unshift(redis);
    const file = await makeFile(join(folder, 'notes.db'));
    const [own] = options.servers;
    const settings = `workers = ${options.workers} waiting = 2000 states = 1024 clones = 1024 connections = 4000 data = {
      pages = { "postgres://postgres@127.0.0.1:${postgres.port}/postgres", connections = 16, queue = 1000 },
      cache = { "redis://127.0.0.1:${redis.port}", queue = 1000 },
      file = { "sqlite:${file}", queue = 1000 } }`;
    const server = await startLuafcgid(folder, own, settings);
    running.unshift(server);
    const { address, pid } = server;
    const measure = meter(generator, options, folder, nginx);

    /** @type {Record<string, unknown>} */
    const results = {};
    for (const [kind, database, params] of /** @type {const} */ ([
      ['postgres', postgres, [`NOTES_DSN "pgsql:host=127.0.0.1;port=${postgres.port};dbname=postgres"`]],
      ['redis', redis, [`NOTES_PORT ${redis.port}`]],
    ])) {
      const mine = [{ name: own.name, address, pid, page: `${kind}.lua` }];
      const others = phpFpm === undefined ? [] : await startPools(phpFpm, folder, kind, params, running);
      results[kind] = await compare(kind, measure, [...mine, ...others], database.pid, options.runs);
    }
    results.sqlite = await compare(
      'SQLite, and the same page without it',
      measure,
      ['sqlite', 'none'].map((page) => ({ name: page, address, pid, page: `${page}.lua` })),
      undefined,
      options.runs,
    );
    results.sleep = await measureSleepers(generator, options, address, pid);
    return results;
  } finally {
    for (const each of running) await each.stop();
  }
}

/** @param {string} file */
async function makeFile(file) {
  const { DatabaseSync } = await import('@photostructure/sqlite');
  const database = new DatabaseSync(file);
  database.exec(`create table notes (id integer primary key, title text not null);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${NOTES})
    insert into notes select i, 'title ' || i from n;`);
  database.close();
  return file;
}

/**
 * php-fpm with each number of children.
 * @param {string} program @param {string} folder @param {string} kind @param {readonly string[]} params
 * @param {{stop: () => Promise<void>}[]} running
 * @returns {Promise<Asked[]>}
 */
async function startPools(program, folder, kind, params, running) {
  const asked = [];
  for (const children of CHILDREN) {
    const pool = { name: `${kind}-${children}`, children };
    const own = await startPhpFpm(program, folder, [pool]);
    running.unshift(own);
    const [address] = own.addresses;
    asked.push({ name: `php-fpm, ${children} children`, address, pid: own.pid, page: `${kind}.php`, params });
  }
  return asked;
}

/** @param {LoadGenerator} generator @param {import('./options.mjs').Options} options @param {string} folder @param {string} nginx */
function meter(generator, options, folder, nginx) {
  return async (
    /** @type {Asked} */ { address, pid, page, params },
    /** @type {number | undefined} */ database,
    isFirst = false,
  ) => {
    const script = pageFile(page);
    const front = await startNginx(nginx, folder, { address, script, keep: true, keepalive: CLIENTS, params });
    const pids = [pid, front.pid, ...(database === undefined ? [] : [database])];
    const all = () => pids.reduce((sum, each) => sum + cpuMicrosOf(each), 0);
    const load = { expected: EXPECTED, connections: CLIENTS, keep: true, pid, path: `/${page}` };
    const job = { protocol: /** @type {const} */ ('http'), address: front.address, ...load };
    try {
      const warmupMs = isFirst && !options.quick ? FIRST_WARMUP_MS : WARMUP_MS;
      await generator.run({ ...job, warmupMs, measureMs: 1 });
      const before = all();
      const outcome = await generator.run({ ...job, warmupMs: 0, measureMs: options.seconds * 1000 });
      return { ...outcome, rate: outcome.requests / outcome.seconds, allMicros: (all() - before) / outcome.requests };
    } finally {
      await front.stop();
    }
  };
}

/**
 * @param {string} title @param {ReturnType<typeof meter>} measure @param {readonly Asked[]} asked
 * @param {number | undefined} database its process @param {number} count of runs
 */
async function compare(title, measure, asked, database, count) {
  const runs = [];
  for (let run = 0; run < count; run += 1) {
    /** @type {Record<string, Awaited<ReturnType<typeof measure>>>} */
    const outcomes = {};
    for (const each of run % 2 === 0 ? asked : [...asked].reverse())
      outcomes[each.name] = await measure(each, database, run === 0);
    runs.push(outcomes);
  }
  const [reference] = asked;
  say(`### ${title}: one row by key, ${CLIENTS} clients behind nginx\n`);
  sayTable(
    [
      'server|',
      'requests/s',
      `of ${reference.name}`,
      'p50 ms',
      'p99 ms',
      'CPU µs/request',
      'with nginx and database',
      'errors',
    ],
    asked.map(({ name }) => {
      const middle = (/** @type {(outcome: (typeof runs)[0][string]) => number} */ figure) =>
        median(runs.map((run) => figure(run[name])));
      return [
        name,
        fixed(middle(({ rate }) => rate)),
        fixed(median(runs.map((run) => run[name].rate / run[reference.name].rate)), 2),
        millis(middle(({ p50Micros }) => p50Micros)),
        millis(middle(({ p99Micros }) => p99Micros)),
        fixed(
          middle((outcome) => (outcome.serverCpuMicros ?? Number.NaN) / outcome.requests),
          1,
        ),
        fixed(
          middle(({ allMicros }) => allMicros),
          1,
        ),
        String(runs.reduce((sum, run) => sum + run[name].errors, 0)),
      ];
    }),
  );
  return runs;
}

/** Many clients whose script sleeps, and a fast script beside them. */
async function measureSleepers(
  /** @type {LoadGenerator} */ generator,
  /** @type {import('./options.mjs').Options} */ options,
  /** @type {string} */ address,
  /** @type {number} */ pid,
) {
  const beside = new LoadGenerator();
  const job = {
    protocol: /** @type {const} */ ('fastcgi'),
    address,
    expected: EXPECTED,
    keep: true,
    pid,
    warmupMs: WARMUP_MS,
  };
  const measureMs = options.seconds * 1000;
  const fast = { ...job, path: pageFile('none.lua'), connections: 1, measureMs };
  try {
    const alone = await beside.run(fast);
    const sleeping = generator.run({
      ...job,
      path: pageFile('sleep.lua'),
      connections: SLEEPERS,
      measureMs: 1.5 * measureMs,
    });
    const together = await beside.run(fast);
    const sleepers = await sleeping;
    say(`### ${SLEEPERS} clients whose script sleeps 0.2 s, and a fast script beside them\n`);
    sayTable(
      ['figure|', 'value'],
      [
        ['requests/s of those that sleep', fixed(sleepers.requests / sleepers.seconds)],
        ['p99 ms of those that sleep', millis(sleepers.p99Micros)],
        ['p99 ms of the fast script alone', millis(alone.p99Micros)],
        ['p99 ms of the fast script beside them', millis(together.p99Micros)],
        ['errors', String(sleepers.errors + together.errors)],
      ],
    );
    return { alone, sleepers, together };
  } finally {
    await beside.stop();
  }
}
