/**
 * What starting costs: a server until its first answer, a worker until it waits for requests, a Lua state until its script
 * is loaded, by itself and as the first answer of a cold script; and the memory of a state.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask } from './load/fastcgi-client.mjs';
import { pageFile } from './pages/pages.mjs';
import { startLuafcgid } from './peers/luafcgid.mjs';
import { memoryOf } from './peers/processes.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';
import { median, percentile } from './statistics.mjs';

const WARMUP_STATES = 100;
const STATES = 100;
const WARMUP_REQUESTS = 500;
/** Memory is looked at when what was asked before has settled. */
const SETTLE_MS = 1000;
const MIB = 2 ** 20;
/** A figure of a start is the median of at least so many. */
const LEAST_RUNS = 5;
/** The log tells only ten times in ten seconds that the server was reloaded. */
const RELOADS = 9;
const RELOAD_LIMIT_MS = 10_000;
const POLL_MS = 20;
const ONE_STATE = fileURLToPath(new URL('one-state.mjs', import.meta.url));

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureStateCost(options, folder) {
  /** @type {{name: string, times: {micros: number, residentBytes: number}[]}[]} */
  const starts = options.servers.map(({ name }) => ({ name, times: [] }));
  for (let run = 0; run < Math.max(LEAST_RUNS, options.runs); run += 1) {
    for (const [at, own] of options.servers.entries()) starts[at]?.times.push(await timeStart(options, folder, own));
  }
  const workers = [];
  const single = [];
  const states = [];
  for (const own of options.servers) {
    const { name } = own;
    workers.push({ name, millis: await timeWorkers(folder, own) });
    single.push({ name, micros: timeSingleStates(own) });
    for (const page of ['hello', 'environment']) {
      states.push({ name, ...(await measureStates(options, folder, own, page)) });
    }
  }

  say(`### From starting the server to its first answer\n`);
  sayTable(
    ['server|', 'workers', 'median ms', 'worst ms', 'resident MiB then'],
    starts.map(({ name, times }) => [
      name,
      String(options.workers),
      millis(median(times.map((start) => start.micros))),
      millis(Math.max(...times.map((start) => start.micros))),
      fixed(median(times.map((start) => start.residentBytes)) / MIB, 1),
    ]),
  );
  say(
    `### A worker of a running server, from its start until it waits for requests: ${RELOADS} reloads with one worker\n`,
  );
  sayTable(
    ['server|', 'median ms', 'worst ms'],
    workers.map(({ name, millis: all }) =>
      // Older versions do not tell.
      all.length === 0 ? [name, '-', '-'] : [name, millis(median(all) * 1000), millis(Math.max(...all) * 1000)],
    ),
  );
  say('### A Lua state by itself, from nothing until the script hello is loaded\n');
  sayTable(
    ['server|', 'median ms', 'p99 ms'],
    single.map(({ name, micros }) => [name, millis(median(micros)), millis(percentile(micros, 0.99))]),
  );
  say(`### A script that was not loaded yet, on a warm server: ${STATES} of them, after ${WARMUP_STATES} others\n`);
  sayTable(
    [
      'server|',
      'script|',
      'first answer, median ms',
      'p99 ms',
      'second answer, median ms',
      'the state: difference, ms',
      'memory of each state, KiB',
    ],
    states.map((state) => [
      state.name,
      state.page,
      millis(median(state.firstMicros)),
      millis(percentile(state.firstMicros, 0.99)),
      millis(median(state.secondMicros)),
      millis(median(state.firstMicros) - median(state.secondMicros)),
      fixed(state.bytesPerState / 1024),
    ]),
  );
  return { starts, workers, single, states };
}

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} folder
 * @param {import('./peers/luafcgid.mjs').OwnServer} own
 */
async function timeStart(options, folder, own) {
  const begin = performance.now();
  const server = await startLuafcgid(folder, own, `workers = ${options.workers}`);
  try {
    await ask(server.address, pageFile('hello', 'lua'));
    return { micros: (performance.now() - begin) * 1000, ...memoryOf(server.pid) };
  } finally {
    await server.stop();
  }
}

/**
 * Has a server start workers anew, one at a time, and reads in its log how long each took.
 * @param {string} folder
 * @param {import('./peers/luafcgid.mjs').OwnServer} own
 * @returns {Promise<number[]>} milliseconds
 */
async function timeWorkers(folder, own) {
  const log = join(mkdtempSync(join(folder, 'workers-')), 'log');
  const server = await startLuafcgid(
    folder,
    { ...own, settings: `${own.settings}\nworkers = 1` },
    `logfile = ${JSON.stringify(log)}\nloglevel = "debug"`,
  );
  const found = (/** @type {RegExp} */ line) => [...readFileSync(log, 'utf8').matchAll(line)];
  try {
    for (let reload = 1; reload <= RELOADS; reload += 1) {
      process.kill(server.pid, 'SIGHUP');
      const giveUpMs = performance.now() + RELOAD_LIMIT_MS;
      while (found(/ reloaded: /g).length < reload) {
        if (performance.now() > giveUpMs) throw new Error(`${own.name} does not reload:\n${readFileSync(log, 'utf8')}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
    // The first one started with the server.
    return found(/worker 0 has started in ([0-9.]+) ms/g)
      .slice(1)
      .map(([, text]) => Number(text));
  } finally {
    await server.stop();
  }
}

/** @param {import('./peers/luafcgid.mjs').OwnServer} own @returns {number[]} microseconds */
function timeSingleStates({ program, settings }) {
  const engine = [...settings.matchAll(/\bengine\s*=\s*"([^"]+)"/g)].at(-1)?.[1] ?? 'embedded';
  const args = [ONE_STATE, program, engine, pageFile('hello', 'lua')];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} folder
 * @param {import('./peers/luafcgid.mjs').OwnServer} own
 * @param {string} page
 */
async function measureStates(options, folder, own, page) {
  const room = WARMUP_STATES + STATES + options.workers;
  const settings = `workers = ${options.workers}\nstates = ${room}\nclones = 1`;
  const server = await startLuafcgid(folder, own, settings);
  try {
    const copies = mkdtempSync(join(folder, `${page}-`));
    const scripts = Array.from({ length: WARMUP_STATES + STATES }, (_, index) => join(copies, `${index}.lua`));
    for (const script of scripts) copyFileSync(pageFile(page, 'lua'), script);
    const warmup = scripts.slice(0, WARMUP_STATES);
    const measured = scripts.slice(WARMUP_STATES);
    for (const script of warmup) await ask(server.address, script);
    for (let index = 0; index < WARMUP_REQUESTS; index += 1) await ask(server.address, warmup[index % warmup.length]);
    await settle();
    const before = memoryOf(server.pid);
    const firstMicros = [];
    for (const script of measured) firstMicros.push((await ask(server.address, script)).micros);
    await settle();
    const bytesPerState = (memoryOf(server.pid).residentBytes - before.residentBytes) / STATES;
    const secondMicros = [];
    for (const script of measured) secondMicros.push((await ask(server.address, script)).micros);
    return { page, firstMicros, secondMicros, bytesPerState };
  } finally {
    await server.stop();
  }
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
