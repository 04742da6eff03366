/** Requests a second, latencies and CPU time: pages, ways, connections and servers, side by side. */
import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { LoadGenerator } from './load/load.mjs';
import { pages } from './pages/pages.mjs';
import { startNginx } from './peers/nginx.mjs';
import { requirePrograms } from './peers/packages.mjs';
import { referenceOf } from './peers/peer.mjs';
import { startPeers } from './peers/start-peers.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';
import { median } from './statistics.mjs';

const WARMUP_MS = 300;
/** The first answers of a process are slow whatever it runs: each server gets this much of each page beforehand. */
const FIRST_WARMUP_MS = 1500;
/** Between two measurements, for the server to see that connections were closed. */
const PAUSE_MS = 50;
/** Above this share of a core the generator may be what limits a figure. */
const BUSY_GENERATOR = 0.9;

/**
 * @typedef {import('./peers/peer.mjs').Peer} Peer
 * @typedef {{page: import('./pages/pages.mjs').Page, way: 'direct' | 'nginx', keep: boolean, connections: number}} Case
 * @typedef {import('./load/generator.mjs').Outcome} Outcome
 */

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} folder for sockets and configurations
 */
export async function measurePages(options, folder) {
  const programs = requirePrograms({
    php: options.withPhp,
    nginx: options.ways.includes('nginx'),
    mayInstall: options.mayInstall,
  });
  const generator = new LoadGenerator();
  /** @type {Peer[]} */
  const peers = [];
  try {
    const { phpFpm } = programs;
    const { workers, connections } = options;
    await startPeers(peers, options, folder, { workers, phpFpm, mostConnections: Math.max(...connections) });
    const reference = referenceOf(peers, options.reference);
    sayWhatIsCompared(options, peers, programs);
    const chosenPages = pages.filter((page) => options.pages.includes(page.name));
    for (const page of chosenPages) {
      for (const peer of peers) {
        const job = { address: peer.address, path: peer.script(page.name), expected: page.expected, pid: peer.pid };
        const load = {
          connections: 2,
          keep: false,
          warmupMs: options.quick ? WARMUP_MS : FIRST_WARMUP_MS,
          measureMs: 1,
        };
        await generator.run({ protocol: 'fastcgi', ...job, ...load });
      }
    }
    const results = [];
    for (const page of chosenPages) {
      for (const way of options.ways) {
        if (way === 'nginx' && programs.nginx === undefined) continue;
        const rows = [];
        for (const keep of options.modes.map((mode) => mode === 'kept')) {
          for (const connections of options.connections) {
            const measured = { page, way, keep, connections };
            const taking = peers.filter((peer) => peer.measures(measured));
            const runs = await runCase(generator, measured, taking, options, folder, programs.nginx);
            rows.push(...taking.map((peer) => tableRow(measured, peer.name, runs, reference)));
            results.push({ ...measured, page: page.name, runs });
          }
        }
        say(`### ${page.name}: ${page.about}, ${way === 'direct' ? 'directly over FastCGI' : 'behind nginx'}\n`);
        sayTable(head(reference), rows);
      }
    }
    return results;
  } finally {
    await generator.stop();
    for (const peer of peers) await peer.stop();
  }
}

/** @param {import('./options.mjs').Options} options @param {Peer[]} peers @param {ReturnType<typeof requirePrograms>} programs */
function sayWhatIsCompared(options, peers, programs) {
  const versionOf = (/** @type {string} */ program, /** @type {string} */ flag) =>
    execFileSync(program, [flag], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).split('\n', 1)[0];
  say(
    `${options.workers} workers in each server; ${options.runs} runs of ${options.seconds} s, medians; ` +
      `servers: ${peers.map((peer) => peer.name).join(', ')}.`,
  );
  if (programs.phpFpm !== undefined) {
    const most = Math.max(...options.connections);
    say(
      `php-fpm: ${versionOf(programs.phpFpm, '-v')}, pm = static, the distribution's php.ini (opcache on, no JIT). ` +
        `"php-fpm (${most})" has ${most} children instead, since one serves one kept connection at a time.`,
    );
  }
  if (programs.nginx !== undefined) say('nginx: 1 worker process, kept connections to the client.');
  say('');
}

/**
 * The servers take turns, in another order each time, so that what else the machine does meets all of them.
 * @param {LoadGenerator} generator
 * @param {Case} measured
 * @param {readonly Peer[]} peers
 * @param {import('./options.mjs').Options} options
 * @param {string} folder
 * @param {string | undefined} nginx
 */
async function runCase(generator, measured, peers, options, folder, nginx) {
  /** @type {Record<string, Outcome>[]} */
  const runs = [];
  for (let run = 0; run < options.runs; run += 1) {
    /** @type {Record<string, Outcome>} */
    const outcomes = {};
    for (const peer of run % 2 === 0 ? peers : [...peers].reverse()) {
      outcomes[peer.name] = await measure(generator, measured, peer, options.seconds * 1000, folder, nginx);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    runs.push(outcomes);
  }
  return runs;
}

/**
 * @param {LoadGenerator} generator
 * @param {Case} measured
 * @param {Peer} peer
 * @param {number} measureMs
 * @param {string} folder
 * @param {string | undefined} nginx
 * @returns {Promise<Outcome>}
 */
async function measure(generator, { page, way, keep, connections }, peer, measureMs, folder, nginx) {
  const script = peer.script(page.name);
  const load = { expected: page.expected, connections, warmupMs: WARMUP_MS, measureMs, pid: peer.pid };
  if (way === 'direct' || nginx === undefined) {
    return generator.run({ protocol: 'fastcgi', address: peer.address, path: script, keep, ...load });
  }
  const upstream = { address: peer.address, script, keep, keepalive: connections };
  const front = await startNginx(nginx, folder, upstream);
  try {
    const path = script.slice(dirname(script).length);
    return await generator.run({ protocol: 'http', address: front.address, path, keep: true, ...load });
  } finally {
    await front.stop();
  }
}

/** @param {string} reference */
const head = (reference) => [
  'connections|',
  'server|',
  'requests/s',
  `of ${reference}`,
  'p50 ms',
  'p99 ms',
  'CPU µs/request',
  `CPU of ${reference}`,
  'generator: busy + waiting %',
  'errors',
  'unanswered',
];

/**
 * @param {Case} measured
 * @param {string} name
 * @param {readonly Record<string, Outcome>[]} runs
 * @param {string} reference the server that the others are compared with
 */
function tableRow({ keep, connections }, name, runs, reference) {
  const own = runs.map((outcomes) => outcomes[name]);
  const rate = (/** @type {Outcome} */ outcome) => outcome.requests / outcome.seconds;
  const cpuMicros = (/** @type {Outcome} */ outcome) => (outcome.serverCpuMicros ?? Number.NaN) / outcome.requests;
  const middle = (/** @type {(outcome: Outcome) => number} */ figure) => median(own.map(figure));
  // Within one run both met the same machine. The reference may have no part in this case.
  const ratio = (/** @type {(outcome: Outcome) => number} */ figure) =>
    median(runs.map((run) => (run[reference] === undefined ? Number.NaN : figure(run[name]) / figure(run[reference]))));
  const errors = own.reduce((sum, outcome) => sum + outcome.errors, 0);
  const starved = Math.max(...own.map((outcome) => outcome.starved));
  const busy = middle((outcome) => outcome.cpuMicros / outcome.seconds / 1e6);
  const waiting = middle((outcome) => outcome.cpuWaitMicros / outcome.seconds / 1e6);
  const firstError = own.find((outcome) => outcome.firstError !== undefined)?.firstError;
  return [
    `${connections} ${keep ? 'kept' : 'new'}`,
    name,
    fixed(middle(rate)),
    fixed(ratio(rate), 2),
    millis(middle((outcome) => outcome.p50Micros)),
    millis(middle((outcome) => outcome.p99Micros)),
    fixed(middle(cpuMicros), 1),
    fixed(ratio(cpuMicros), 2),
    `${fixed(busy * 100)} + ${fixed(waiting * 100)}${busy > BUSY_GENERATOR ? ' (!)' : ''}`,
    errors === 0 ? '0' : `**${errors}**: ${firstError?.replaceAll('|', '/')}`,
    starved === 0 ? '0' : `**${starved}**`,
  ];
}
