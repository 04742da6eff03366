/**
 * `npm run torture`: bad scripts, bad clients, reloads and full disks together with good requests, none of which may fail.
 *
 *   npm run torture -- [--seconds NUMBER] [--engine NAME] [--io epoll|node] [--seed NUMBER]
 *   npm run torture -- --mode stops [--stops NUMBER] [--seed NUMBER]
 *
 * The second stops scripts of every engine, each engine in a process of its own.
 *
 * Ends with status 0 when every good request was answered, every limit held and nothing was left, and otherwise with 1.
 */
import { parseArgs } from 'node:util';
import { torture } from './run.js';
import { stopAllEngines } from './stop-engines.js';

const ENGINES = ['embedded', 'lua5.1', 'lua5.4', 'luajit'];
const DRIVERS = ['auto', 'epoll', 'node'];
const MOST_TOLD = 20;

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'server' },
    stops: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '30' },
    engine: { type: 'string', default: 'embedded' },
    io: { type: 'string', default: 'auto' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const { engine, io } = values;
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (
  !(seconds > 0 && Number.isInteger(seed) && Number(values.stops) > 0) ||
  !['server', 'stops'].includes(values.mode) ||
  !ENGINES.includes(engine) ||
  !DRIVERS.includes(io)
) {
  console.error(
    `--mode is server or stops; --seconds, --seed and --stops are numbers; --engine is one of ${ENGINES.join(', ')}; --io is one of ${DRIVERS.join(', ')}`,
  );
  process.exit(2);
}

const { failures, summary } =
  values.mode === 'stops' ? stopAllEngines(Number(values.stops), seed) : await torture({ seconds, seed, engine, io });
console.log(summary);
for (const failure of failures.slice(0, MOST_TOLD)) console.error(`\nFAILED: ${failure}`);
console.log(failures.length === 0 ? '\nnothing failed' : `\n${failures.length} failures`);
process.exitCode = failures.length === 0 ? 0 : 1;
