/**
 * A load that needs many states of a script at once that takes long to load: until all are answered, and what the server takes for it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine, prepareEngine } from '../dist/src/lua/engine.js';
import { ask } from './load/fastcgi-client.mjs';
import { startLuafcgid } from './peers/luafcgid.mjs';
import { cpuMicrosOf } from './peers/processes.mjs';
import { fixed, say, sayTable } from './report.mjs';
import { median } from './statistics.mjs';

const REQUESTS = 16;
const WORKERS = 2;
const LOAD_MS = 200;
/** Each request waits for so long in its state, so that all of them need one of their own. */
const WAIT_MS = 100;
const TRIAL_ROUNDS = 400_000;
const LEAST_RUNS = 5;

const busyFor = (/** @type {number} */ rounds) => `
parts = {}
for i = 1, ${rounds} do parts[i % 2000] = { i % 7, "part " .. i % 100 } end`;

/** How many rounds of the script's loop take `LOAD_MS` of processor time. */
function findRounds() {
  const engine = createEngine(prepareEngine('bench', 'embedded'));
  const host = { log() {}, readSource: () => undefined };
  const times = Array.from({ length: 5 }, () => {
    const state = engine.createState({ host, memoryBytes: 2 ** 26, directory: '/', path: [], config: {} });
    const before = process.cpuUsage();
    state.run(Buffer.from(busyFor(TRIAL_ROUNDS)), '@/bench.lua');
    const { user, system } = process.cpuUsage(before);
    state.close();
    return (user + system) / 1000;
  });
  return Math.round((TRIAL_ROUNDS * LOAD_MS) / Math.min(...times));
}

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureClones(options, folder) {
  const script = join(folder, 'slow-load.lua');
  writeFileSync(
    script,
    `local luafcgid = require("luafcgid")
${busyFor(findRounds())}
function main(env, con) luafcgid.sleep(${WAIT_MS / 1000}) con:puts(#parts) end`,
  );
  const cases = [
    { name: 'no images', settings: 'images = 0', asksBefore: false },
    { name: 'images', settings: '', asksBefore: false },
    { name: 'images, one request before', settings: '', asksBefore: true },
    { name: 'preloadscripts', settings: `preloadscripts = { ${JSON.stringify(script)} }`, asksBefore: false },
  ].map((each) => ({ ...each, runs: /** @type {{ms: number, cpuMs: number}[]} */ ([]) }));
  for (let run = 0; run < (options.quick ? 1 : Math.max(LEAST_RUNS, options.runs)); run += 1) {
    for (const each of cases) each.runs.push(await measureOnce(options.servers[0], folder, script, each));
  }
  say(
    `### ${REQUESTS} requests at once for a script that takes ${LOAD_MS} ms to load and waits ${WAIT_MS} ms in each\n`,
  );
  sayTable(
    ['server|', 'all answered, ms', 'CPU of the server, ms'],
    cases.map(({ name, runs }) => [
      name,
      fixed(median(runs.map(({ ms }) => ms)), 0),
      fixed(median(runs.map(({ cpuMs }) => cpuMs)), 0),
    ]),
  );
  return cases;
}

/** @param {import('./peers/luafcgid.mjs').OwnServer} own @param {string} folder @param {string} script @param {{settings: string, asksBefore: boolean}} each */
async function measureOnce(own, folder, script, { settings, asksBefore }) {
  const program = { ...own, settings: `${own.settings}\n${settings}` };
  const server = await startLuafcgid(folder, program, `workers = ${WORKERS} clones = ${REQUESTS}`);
  try {
    if (asksBefore) await ask(server.address, script);
    const begin = performance.now();
    const before = cpuMicrosOf(server.pid);
    await Promise.all(Array.from({ length: REQUESTS }, () => ask(server.address, script)));
    return { ms: performance.now() - begin, cpuMs: (cpuMicrosOf(server.pid) - before) / 1000 };
  } finally {
    await server.stop();
  }
}
