/** A well-behaved client's latency while others do harm, beside that without them. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { BusyThread, LoadGenerator } from './load/load.mjs';
import { pages } from './pages/pages.mjs';
import { startPeers } from './peers/start-peers.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';
import { median } from './statistics.mjs';

const WORKERS = 2;
const CONNECTIONS = 1;
/** What the attackers begin with, once their connections are open, is over by then. */
const LEAD_MS = 1000;
const WARMUP_MS = 300;

/** Kinds of `attacker.mjs`, with the number of connections. */
const ATTACKS = /** @type {const} */ ([
  ['silent', 2000],
  ['half a record', 2000],
  ['a byte a second', 1000],
  ['endless parameters', 20],
  ['a body without an end', 1000],
  ['an answer not read', 500],
  ['idle, kept', 10_000],
  ['connect and close', 4],
]);

/**
 * @typedef {import('./peers/peer.mjs').Peer} Peer
 * @typedef {import('./load/generator.mjs').Outcome} Outcome
 */

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureClients(options, folder) {
  const load = new LoadGenerator();
  /** @type {Peer[]} */
  const peers = [];
  try {
    await startPeers(peers, { ...options, withPhp: false }, folder, { workers: WORKERS, phpFpm: undefined });
    const results = [];
    for (const peer of peers) {
      await load.run(job(peer, 1500, 1));
      for (const [kind, connections] of ATTACKS) {
        /** @type {{alone: Outcome, busy: Outcome, attacked: Outcome}[]} */
        const runs = [];
        for (let run = 0; run < options.runs; run += 1)
          runs.push(await measureRun(load, peer, kind, connections, options));
        results.push({ peer: peer.name, kind, connections, runs });
      }
    }
    sayResults(options, results);
    return results;
  } finally {
    await load.stop();
    for (const peer of peers) await peer.stop();
  }
}

/** @param {Peer} peer @param {number} warmupMs @param {number} measureMs @returns {import('./load/generator.mjs').Job} */
function job(peer, warmupMs, measureMs) {
  const page = /** @type {import('./pages/pages.mjs').Page} */ (pages.find(({ name }) => name === 'hello'));
  return {
    protocol: 'fastcgi',
    address: peer.address,
    path: peer.script('hello'),
    expected: page.expected,
    keep: true,
    connections: CONNECTIONS,
    warmupMs,
    measureMs,
    pid: peer.pid,
  };
}

/**
 * @param {LoadGenerator} load
 * @param {Peer} peer
 * @param {string} kind
 * @param {number} connections
 * @param {import('./options.mjs').Options} options
 */
async function measureRun(load, peer, kind, connections, options) {
  const measured = job(peer, WARMUP_MS, options.seconds * 1000);
  const alone = await load.run(measured);
  const thread = new BusyThread();
  const busy = await load.run(measured);
  await thread.stop();
  const attacker = new Worker(new URL('./load/attacker.mjs', import.meta.url), {
    workerData: { kind, address: peer.address, hello: peer.script('hello'), large: peer.script('table'), connections },
  });
  await once(attacker, 'message');
  await pause(LEAD_MS);
  const attacked = await load.run(measured);
  await attacker.terminate();
  // Its connections are closed, and the server has seen to that.
  await pause(LEAD_MS / 2);
  return { alone, busy, attacked };
}

const pause = (/** @type {number} */ durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs));

/**
 * @param {import('./options.mjs').Options} options
 * @param {readonly {peer: string, kind: string, connections: number, runs: readonly {alone: Outcome, busy: Outcome, attacked: Outcome}[]}[]} results
 */
function sayResults(options, results) {
  say(
    `hello on ${CONNECTIONS} kept connection, ${WORKERS} workers; ${options.runs} runs of ${options.seconds} s, medians. ` +
      '"busy elsewhere": a thread that no server has to do with computes all the time, as attackers do too.\n',
  );
  const head = ['server|', 'attack|', 'connections', 'p99 ms, alone', 'busy elsewhere', 'attacked', 'attacked / alone'];
  sayTable(
    [...head, 'requests/s, alone', 'attacked', 'errors'],
    results.map(({ peer, kind, connections, runs }) => {
      const p99 = (/** @type {'alone' | 'busy' | 'attacked'} */ which) =>
        millis(median(runs.map((run) => run[which].p99Micros)));
      const rate = (/** @type {'alone' | 'attacked'} */ which) =>
        fixed(median(runs.map((run) => run[which].requests / run[which].seconds)));
      const errors = runs.reduce((sum, { alone, attacked }) => sum + alone.errors + attacked.errors, 0);
      const ratio = median(runs.map(({ alone, attacked }) => attacked.p99Micros / alone.p99Micros));
      return [
        peer,
        kind,
        String(connections),
        p99('alone'),
        p99('busy'),
        p99('attacked'),
        fixed(ratio, 2),
        rate('alone'),
        rate('attacked'),
        String(errors),
      ];
    }),
  );
}
