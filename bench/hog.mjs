/** A quick page's latency while another script keeps one of two workers busy, beside that of the page alone. */
import { ask } from './load/fastcgi-client.mjs';
import { BusyThread, LoadGenerator } from './load/load.mjs';
import { pages } from './pages/pages.mjs';
import { requirePrograms } from './peers/packages.mjs';
import { referenceOf } from './peers/peer.mjs';
import { startPeers } from './peers/start-peers.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';
import { median } from './statistics.mjs';

const WORKERS = 2;
const HOG_MS = 200;
/** Rounds of the first trial: some milliseconds in the slowest engine. */
const FIRST_ROUNDS = 10_000;
/** A trial this long tells how many rounds fill `HOG_MS`. */
const TRIAL_MS = 50;
const MOST_ROUNDS = 2 ** 40;
/** What a compiler makes of the loop settles within a few requests. */
const HOG_WARMUP_REQUESTS = 3;
/** The hog is at it before the load begins, and still when it has ended. */
const HOG_LEAD_MS = 300;
const HOG_TAIL_MS = 300;
const WARMUP_MS = 300;
const FIRST_WARMUP_MS = 1500;
const HOG_EXPECTED = { ending: '\n', contains: 'Computed: ', minBytes: 11 };
const hello = /** @type {import('./pages/pages.mjs').Page} */ (pages.find((page) => page.name === 'hello'));

/**
 * @typedef {import('./peers/peer.mjs').Peer} Peer
 * @typedef {import('./load/generator.mjs').Outcome} Outcome
 * @typedef {'alone' | 'beside' | 'hogged'} Situation
 * @typedef {Record<Situation, Outcome> & {hog: Outcome}} Run `hog`: the hog's own requests
 * @typedef {{keep: boolean, connections: number}} Case
 */

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureHog(options, folder) {
  const { phpFpm } = requirePrograms({ php: options.withPhp, nginx: false, mayInstall: options.mayInstall });
  const load = new LoadGenerator();
  const hogLoad = new LoadGenerator();
  /** @type {Peer[]} */
  const peers = [];
  try {
    await startPeers(peers, options, folder, { workers: WORKERS, phpFpm });
    const reference = referenceOf(peers, options.reference);
    /** @type {Map<Peer, number>} */
    const rounds = new Map();
    for (const peer of peers) {
      await load.run(helloJob(peer, { keep: false, connections: 2 }, options.quick ? WARMUP_MS : FIRST_WARMUP_MS, 1));
      rounds.set(peer, await findRounds(peer));
    }
    const results = [];
    for (const keep of options.modes.map((mode) => mode === 'kept')) {
      for (const connections of options.connections) {
        /** @type {Record<string, Run>[]} */
        const runs = [];
        for (let run = 0; run < options.runs; run += 1) {
          /** @type {Record<string, Run>} */
          const ofPeer = {};
          // Another order each time, so that what else the machine does meets all of them.
          for (const peer of run % 2 === 0 ? peers : [...peers].reverse()) {
            const measured = { keep, connections };
            const hogRounds = rounds.get(peer) ?? 0;
            ofPeer[peer.name] = await measureRun({ load, hogLoad }, peer, measured, hogRounds, options, run % 2 === 0);
          }
          runs.push(ofPeer);
        }
        results.push({ keep, connections, runs });
      }
    }
    sayResults(options, peers, reference, results);
    return results;
  } finally {
    await load.stop();
    await hogLoad.stop();
    for (const peer of peers) await peer.stop();
  }
}

/** How many rounds keep a server's script busy for `HOG_MS`: engines differ by more than ten times. @param {Peer} peer */
async function findRounds(peer) {
  const script = peer.script('hog');
  const millisOf = async (/** @type {number} */ rounds) =>
    (await ask(peer.address, script, { query: `${rounds}` })).micros / 1000;
  let rounds = FIRST_ROUNDS;
  for (let warmup = 0; warmup < HOG_WARMUP_REQUESTS; warmup += 1) await millisOf(rounds);
  while ((await millisOf(rounds)) < TRIAL_MS && rounds < MOST_ROUNDS) rounds *= 2;
  // Whatever else the machine does makes it longer: the shortest is nearest to the truth.
  const elapsedMs = Math.min(await millisOf(rounds), await millisOf(rounds), await millisOf(rounds));
  return Math.round((rounds * HOG_MS) / elapsedMs);
}

/**
 * @param {Peer} peer
 * @param {Case} measured
 * @param {number} warmupMs
 * @param {number} measureMs
 * @returns {import('./load/generator.mjs').Job}
 */
const helloJob = (peer, measured, warmupMs, measureMs) => ({
  protocol: 'fastcgi',
  address: peer.address,
  path: peer.script(hello.name),
  expected: hello.expected,
  ...measured,
  warmupMs,
  measureMs,
  pid: peer.pid,
});

/**
 * @param {{load: LoadGenerator, hogLoad: LoadGenerator}} generators
 * @param {Peer} peer
 * @param {Case} measured
 * @param {number} hogRounds
 * @param {import('./options.mjs').Options} options
 * @param {boolean} isAloneFirst
 * @returns {Promise<Run>}
 */
async function measureRun({ load, hogLoad }, peer, measured, hogRounds, options, isAloneFirst) {
  const measureMs = options.seconds * 1000;
  const job = helloJob(peer, measured, WARMUP_MS, measureMs);
  /** @type {Record<Situation, Outcome | undefined>} */
  const outcomes = { alone: undefined, beside: undefined, hogged: undefined };
  /** @type {Outcome | undefined} */
  let hog;
  const situations = /** @type {Situation[]} */ (['alone', 'beside', 'hogged']);
  for (const situation of isAloneFirst ? situations : situations.reverse()) {
    if (situation === 'alone') outcomes.alone = await load.run(job);
    if (situation === 'beside') {
      const thread = new BusyThread();
      await pause(HOG_LEAD_MS);
      outcomes.beside = await load.run(job);
      await thread.stop();
    }
    if (situation === 'hogged') {
      const hogging = hogLoad.run({
        ...job,
        path: peer.script('hog'),
        query: String(hogRounds),
        expected: HOG_EXPECTED,
        connections: 1,
        keep: false,
        warmupMs: 0,
        measureMs: HOG_LEAD_MS + WARMUP_MS + measureMs + HOG_TAIL_MS,
      });
      await pause(HOG_LEAD_MS);
      outcomes.hogged = await load.run(job);
      hog = await hogging;
    }
  }
  return /** @type {Run} */ ({ ...outcomes, hog });
}

const pause = (/** @type {number} */ durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs));

/**
 * @param {import('./options.mjs').Options} options
 * @param {readonly Peer[]} peers
 * @param {string} reference
 * @param {readonly (Case & {runs: readonly Record<string, Run>[]})[]} results
 */
function sayResults(options, peers, reference, results) {
  say(
    `${WORKERS} workers in each server that is started here; ${options.runs} runs of ${options.seconds} s, medians. ` +
      `"hog": one request at a time of a script that computes for ${HOG_MS} ms where it has the machine for itself. ` +
      '"busy elsewhere": as much computing in a thread that no server has to do with.\n',
  );
  say('### hello, directly over FastCGI, while another script computes\n');
  sayTable(
    [
      'connections|',
      'server|',
      'p99 ms, alone',
      'busy elsewhere',
      'with hog',
      'elsewhere / alone',
      'hog / alone',
      `hog / alone of ${reference}`,
      'requests/s, alone',
      'with hog',
      'hogs/s × ms',
      'errors',
      'unanswered',
    ],
    results.flatMap((result) => peers.map((peer) => tableRow(result, peer.name, reference))),
  );
}

/**
 * @param {Case & {runs: readonly Record<string, Run>[]}} result
 * @param {string} name
 * @param {string} reference
 */
function tableRow({ keep, connections, runs }, name, reference) {
  const own = runs.map((run) => run[name]);
  const all = own.flatMap(({ alone, beside, hogged, hog }) => [alone, beside, hogged, hog]);
  const p99 = (/** @type {Situation} */ situation) => millis(median(own.map((run) => run[situation].p99Micros)));
  const slowdown = (/** @type {Run} */ run, /** @type {Situation} */ situation) =>
    run[situation].p99Micros / run.alone.p99Micros;
  const rate = (/** @type {Situation} */ situation) =>
    fixed(median(own.map((run) => run[situation].requests / run[situation].seconds)));
  const errors = all.reduce((sum, outcome) => sum + outcome.errors, 0);
  const firstError = all.find((outcome) => outcome.firstError !== undefined)?.firstError;
  const starved = Math.max(...all.map((outcome) => outcome.starved));
  return [
    `${connections} ${keep ? 'kept' : 'new'}`,
    name,
    p99('alone'),
    p99('beside'),
    p99('hogged'),
    fixed(median(own.map((run) => slowdown(run, 'beside'))), 2),
    fixed(median(own.map((run) => slowdown(run, 'hogged'))), 2),
    fixed(median(runs.map((run) => slowdown(run[name], 'hogged') / slowdown(run[reference], 'hogged'))), 2),
    rate('alone'),
    rate('hogged'),
    `${fixed(median(own.map(({ hog }) => hog.requests / hog.seconds)), 1)} × ${fixed(median(own.map(({ hog }) => hog.p50Micros)) / 1000)}`,
    errors === 0 ? '0' : `**${errors}**: ${firstError?.replaceAll('|', '/')}`,
    starved === 0 ? '0' : `**${starved}**`,
  ];
}
