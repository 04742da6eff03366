/** What a Lua state costs: time until a cold script has answered, and memory. And what a server costs to start. */
import { copyFileSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
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

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureStateCost(options, folder) {
  const starts = [];
  const states = [];
  for (const own of options.servers) {
    const { name } = own;
    const times = [];
    for (let run = 0; run < Math.max(3, options.runs); run += 1) times.push(await timeStart(options, folder, own));
    starts.push({ name, times });
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
  say(`### A script that was not loaded yet, on a warm server: ${STATES} of them, after ${WARMUP_STATES} others\n`);
  sayTable(
    [
      'server|',
      'script|',
      'first answer, median ms',
      'p99 ms',
      'second answer, median ms',
      'memory of each state, KiB',
    ],
    states.map((state) => [
      state.name,
      state.page,
      millis(median(state.firstMicros)),
      millis(percentile(state.firstMicros, 0.99)),
      millis(median(state.secondMicros)),
      fixed(state.bytesPerState / 1024),
    ]),
  );
  return { starts, states };
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
