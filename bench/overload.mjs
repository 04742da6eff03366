/**
 * What a server makes of more requests than it can serve: an open loop, in which requests come at their times whether
 * others are answered or not, each on a connection of its own. Goodput is what is answered with 200.
 */
import net from 'node:net';
import { ask } from './load/fastcgi-client.mjs';
import { pageRequest } from './load/fastcgi-request.mjs';
import { LoadGenerator } from './load/load.mjs';
import { connectOptions } from './peers/processes.mjs';
import { startPeers } from './peers/start-peers.mjs';
import { fixed, millis, say, sayTable } from './report.mjs';
import { percentile } from './statistics.mjs';

const WORKERS = 2;
const FACTORS = [0.5, 1, 2, 5];
/** What one request computes: long enough that making the load costs little beside it. */
const SCRIPT_MS = 5;
const FIRST_ROUNDS = 1000;
const TRIALS = 5;
/** A queue that is served within some tenths of a second. */
const QUEUE = 64;
/** Requests that have not been answered so long after the last was sent count as errors. */
const GRACE_MS = 15_000;
/** The first part of each run, in which queues fill, is not counted. */
const FILL_PART = 0.25;

/**
 * @typedef {import('./peers/peer.mjs').Peer} Peer
 * @typedef {{isCounted: boolean, status: number, micros: number}} Result status 0: no answer
 */

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureOverload(options, folder) {
  /** @type {Peer[]} */
  const peers = [];
  const load = new LoadGenerator();
  try {
    const settings = {
      ...options,
      withPhp: false,
      servers: options.servers.map((server) => ({ ...server, settings: `queue = ${QUEUE}\n${server.settings}` })),
    };
    await startPeers(peers, settings, folder, { workers: WORKERS, phpFpm: undefined });
    const results = [];
    for (const peer of peers) {
      const rounds = await findRounds(peer);
      const outcome = await load.run({
        protocol: 'fastcgi',
        address: peer.address,
        path: peer.script('hog'),
        query: String(rounds),
        expected: { ending: '\n', contains: 'Computed: ', minBytes: 11 },
        keep: false,
        connections: 2 * WORKERS,
        warmupMs: 500,
        measureMs: options.seconds * 1000,
        pid: undefined,
      });
      const capacity = outcome.requests / outcome.seconds;
      for (const factor of FACTORS) {
        const seconds = 2 * options.seconds;
        const answers = await openLoop(peer, rounds, factor * capacity, seconds);
        results.push({ peer: peer.name, capacity, factor, ...summary(answers, seconds * (1 - FILL_PART)) });
      }
    }
    sayResults(results);
    return results;
  } finally {
    await load.stop();
    for (const peer of peers) await peer.stop();
  }
}

/** @param {Peer} peer */
async function findRounds(peer) {
  // Whatever else the machine does makes it longer: the shortest is nearest to the truth.
  const millisOf = async (/** @type {number} */ rounds) => {
    let shortest = Number.POSITIVE_INFINITY;
    for (let trial = 0; trial < TRIALS; trial += 1) {
      const { micros } = await ask(peer.address, peer.script('hog'), { query: `${rounds}` });
      shortest = Math.min(shortest, micros / 1000);
    }
    return shortest;
  };
  let rounds = FIRST_ROUNDS;
  while ((await millisOf(rounds)) < 10 * SCRIPT_MS) rounds *= 2;
  const elapsedMs = await millisOf(rounds);
  return Math.max(1, Math.round((rounds * SCRIPT_MS) / elapsedMs));
}

/** @param {Peer} peer @param {number} rounds @param {number} perSecond @param {number} seconds @returns {Promise<Result[]>} */
async function openLoop(peer, rounds, perSecond, seconds) {
  const request = pageRequest(peer.script('hog'), false, String(rounds));
  const count = Math.round(perSecond * seconds);
  const beginMs = performance.now();
  /** @type {Promise<Result>[]} */
  const results = [];
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const dueCount = Math.min(count, Math.floor(((performance.now() - beginMs) / 1000) * perSecond));
      while (results.length < dueCount) {
        const dueMs = beginMs + (results.length / perSecond) * 1000;
        results.push(sendOne(peer, request, dueMs, results.length >= count * FILL_PART));
      }
      if (results.length < count) return;
      clearInterval(timer);
      resolve(undefined);
    }, 1);
  });
  return Promise.all(results);
}

/** Latency counts from when the request was due. @param {Peer} peer @param {Buffer} request @param {number} dueMs @param {boolean} isCounted @returns {Promise<Result>} */
function sendOne(peer, request, dueMs, isCounted) {
  return new Promise((resolve) => {
    const socket = net.connect(connectOptions(peer.address));
    let text = '';
    socket.setTimeout(GRACE_MS, () => socket.destroy());
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      const status = text === '' ? 0 : Number(/Status: (\d+)/.exec(text)?.[1] ?? 0);
      resolve({ isCounted, status, micros: (performance.now() - dueMs) * 1000 });
    });
    socket.write(request);
  });
}

/** @param {readonly Result[]} all @param {number} seconds */
function summary(all, seconds) {
  const counted = all.filter(({ isCounted }) => isCounted);
  const of = (/** @type {number} */ status) =>
    counted.filter((each) => each.status === status).map(({ micros }) => micros);
  const [good, refused] = [of(200), of(503)];
  const share = (/** @type {readonly number[]} */ micros, /** @type {number} */ part) =>
    micros.length === 0 ? Number.NaN : percentile(micros, part);
  return {
    offered: counted.length / seconds,
    goodput: good.length / seconds,
    refused: refused.length / seconds,
    goodP50Micros: share(good, 0.5),
    goodP99Micros: share(good, 0.99),
    refusedP50Micros: share(refused, 0.5),
    refusedP99Micros: share(refused, 0.99),
    errors: counted.length - good.length - refused.length,
  };
}

/** @param {readonly ({peer: string, capacity: number, factor: number} & ReturnType<typeof summary>)[]} results */
function sayResults(results) {
  say(
    `A script that computes for ${SCRIPT_MS} ms, ${WORKERS} workers, queue = ${QUEUE}; an open loop of new connections. Capacity is what a closed loop of ${2 * WORKERS} connections gets.\n`,
  );
  sayTable(
    [
      'server|',
      'load',
      'offered/s',
      'answered/s',
      'p50 ms',
      'p99 ms',
      '503/s',
      'p50 ms of 503',
      'p99 ms of 503',
      'errors',
    ],
    results.map((result) => [
      result.peer,
      `${result.factor} ×`,
      fixed(result.offered),
      fixed(result.goodput),
      millis(result.goodP50Micros),
      millis(result.goodP99Micros),
      fixed(result.refused),
      millis(result.refusedP50Micros),
      millis(result.refusedP99Micros),
      String(result.errors),
    ]),
  );
}
