/**
 * `npm run torture`: bad scripts, bad clients, reloads and full disks together with good requests, none of which may fail.
 *
 *   npm run torture -- [--seconds NUMBER] [--engine NAME] [--io epoll|node] [--isolation state|request] [--seed NUMBER]
 *   npm run torture -- --mode stops [--stops NUMBER] [--engine NAME] [--seed NUMBER]
 *   npm run torture -- --mode hostile [--engine NAME] [--io epoll|node] [--seed NUMBER]
 *   npm run torture -- --mode wire [--attacks NUMBER] [--io epoll|node] [--seed NUMBER]
 *   npm run torture -- --mode waiting [--requests NUMBER] [--engine NAME] [--io epoll|node]
 *
 * The second stops scripts, each engine in a process of its own; the third runs the hostile scripts of test/hostile. Both do so on every
 * engine if none is named. The fourth attacks the wire, with each driver if none is named. The fifth has so many requests
 * wait at the same time (10,000).
 *
 * Ends with status 0 when every good request was answered, every limit held and nothing was left, and otherwise with 1.
 */
import { parseArgs } from 'node:util';
import type { EngineName } from '../../src/lua/engine-names.js';
import { allHostileScripts, attackWires } from './hostile.js';
import { torture } from './run.js';
import { stopAllEngines } from './stop-engines.js';
import { tortureWaiting } from './waiting.js';

const ENGINES = ['embedded', 'lua5.1', 'lua5.4', 'luajit'];
const DRIVERS = ['auto', 'epoll', 'node'];
const MOST_TOLD = 20;

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'server' },
    stops: { type: 'string', default: '10000' },
    attacks: { type: 'string', default: '10000' },
    requests: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '30' },
    engine: { type: 'string' },
    io: { type: 'string', default: 'auto' },
    isolation: { type: 'string', default: 'state' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const { engine = 'embedded', io, isolation, mode } = values;
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (
  !(
    seconds > 0 &&
    Number.isInteger(seed) &&
    Number(values.stops) > 0 &&
    Number(values.attacks) > 0 &&
    Number(values.requests) > 0
  ) ||
  !['server', 'stops', 'hostile', 'wire', 'waiting'].includes(mode) ||
  !ENGINES.includes(engine) ||
  !DRIVERS.includes(io) ||
  !['state', 'request'].includes(isolation)
) {
  console.error(
    `--mode is server, stops, hostile, wire or waiting; --seconds, --seed, --stops, --attacks and --requests are numbers; --engine is one of ${ENGINES.join(', ')}; --io is one of ${DRIVERS.join(', ')}; --isolation is state or request`,
  );
  process.exit(2);
}

const named = (values.engine === undefined ? ENGINES : [values.engine]) as readonly EngineName[];
const { failures, summary } =
  mode === 'stops'
    ? stopAllEngines(Number(values.stops), seed, named)
    : mode === 'hostile'
      ? await allHostileScripts(named, io, seed)
      : mode === 'wire'
        ? await attackWires(io === 'auto' ? ['epoll', 'node'] : [io], seed, Number(values.attacks))
        : mode === 'waiting'
          ? await tortureWaiting(Number(values.requests), engine, io)
          : await torture({ seconds, seed, engine, io, isolation });
console.log(summary);
for (const failure of failures.slice(0, MOST_TOLD)) console.error(`\nFAILED: ${failure}`);
console.log(failures.length === 0 ? '\nnothing failed' : `\n${failures.length} failures`);
process.exitCode = failures.length === 0 ? 0 : 1;
