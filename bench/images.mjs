/**
 * What images and isolation by request cost, and save: processor time of the embedded engine by itself, in this process, without
 * sockets. Each figure is the median of several rounds; the rounds of all figures take turns, so that ratios hold on a machine
 * that does other things as well.
 */
import { createEngine, prepareEngine } from '../dist/src/lua/engine.js';
import { fixed, say, sayTable } from './report.mjs';
import { median } from './statistics.mjs';

const ROUNDS = 9;
const QUICK_ROUNDS = 3;
/** A round of one figure takes about so long. */
const ROUND_MICROS = 20_000;
/** Calls before anything is measured, so that V8 has compiled what they run. */
const WARMUP = 200;
const MIB = 2 ** 20;
const MEMORY_BYTES = 128 * MIB;

const page = 'function main(env, con) con:puts("<h1>Hello</h1>") end';
const tables = (/** @type {number} */ count) =>
  `kept = {} for i = 1, ${count} do kept[i] = { i, "x" .. i } end ${page}`;
const scripts = [
  { name: 'hello', source: page },
  { name: '6,000 tables', source: tables(6_000) },
  { name: '60,000 tables', source: tables(60_000) },
];

const request = {
  params: new Uint8Array(),
  write() {},
  header() {},
  headerLine() {},
  status() {},
  flush() {},
  reset() {},
  finish() {},
  readBody: () => null,
  log() {},
  configure() {},
};

/** @param {import('./options.mjs').Options} options */
export async function measureImages(options) {
  const engine = createEngine(prepareEngine('bench', 'embedded'));
  const settings = {
    host: { log() {}, readSource: () => undefined },
    memoryBytes: MEMORY_BYTES,
    directory: '/',
    path: [],
    config: {},
  };
  const rows = [];
  for (const { name, source } of scripts) {
    const bytes = Buffer.from(source);
    const load = () => {
      const state = engine.createState(settings);
      state.run(bytes, '@/bench.lua');
      return state;
    };
    const kept = load();
    const image = kept.takeImage?.('main');
    if (typeof image !== 'object') throw new Error(String(image));
    const isolated = engine.createState({ ...settings, image });
    const work = {
      load: () => load().close(),
      loadAndCopy() {
        const state = load();
        state.takeImage?.('main');
        state.close();
      },
      clone: () => engine.createState({ ...settings, image }).close(),
      serve: () => kept.serve('main', request),
      isolate() {
        isolated.serve('main', request);
        isolated.restore?.(image);
      },
    };
    const micros = measureInTurns(work, options.quick ? QUICK_ROUNDS : ROUNDS);
    rows.push({ name, imageBytes: image.sizeBytes, ...micros });
    kept.close();
    isolated.close();
  }
  say('### Images of loaded scripts: CPU µs of one operation, embedded engine by itself\n');
  sayTable(
    [
      'script|',
      'image MiB',
      'load',
      'load and take the image',
      'state from the image',
      'request',
      'request, isolated',
      'isolation costs',
      'per MiB',
    ],
    rows.map((row) => [
      row.name,
      fixed(row.imageBytes / MIB, 2),
      fixed(row.load, 0),
      fixed(row.loadAndCopy, 0),
      fixed(row.clone, 0),
      fixed(row.serve, 1),
      fixed(row.isolate, 1),
      fixed(row.isolate - row.serve, 1),
      fixed((row.isolate - row.serve) / (row.imageBytes / MIB), 0),
    ]),
  );
  return rows;
}

/**
 * @template {string} Name
 * @param {Record<Name, () => void>} work
 * @param {number} rounds
 * @returns {Record<Name, number>} microseconds of processor time for each call
 */
function measureInTurns(work, rounds) {
  const entries = /** @type {[Name, () => void][]} */ (Object.entries(work));
  for (const [, run] of entries) cpuMicros(run, WARMUP);
  const counts = entries.map(([, run]) => Math.max(2, Math.ceil(ROUND_MICROS / Math.max(1, cpuMicros(run, 20)))));
  /** @type {number[][]} */
  const found = entries.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, [, run]] of entries.entries()) found[at]?.push(cpuMicros(run, counts[at] ?? 1));
  }
  return /** @type {Record<Name, number>} */ (
    Object.fromEntries(entries.map(([name], at) => [name, median(found[at] ?? [])]))
  );
}

/** @param {() => void} run @param {number} count */
function cpuMicros(run, count) {
  const before = process.cpuUsage();
  for (let at = 0; at < count; at += 1) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}
