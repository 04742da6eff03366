/**
 * `npm run torture`: bad scripts, bad clients, reloads and full disks together with good requests, none of which may fail.
 * `USAGE` says what else there is.
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

const USAGE = `usage: npm run torture -- [options]

  (no mode)       bad scripts, bad clients, reloads and full disks together with good requests
                  [--seconds NUMBER] [--engine NAME] [--io DRIVER] [--isolation state|request]
  --mode stops    stops scripts at any instruction, each engine in a process of its own   [--stops NUMBER] [--engine NAME]
  --mode hostile  the hostile scripts of test/hostile, each several times                 [--engine NAME] [--io DRIVER]
  --mode wire     clients that attack the wire                                            [--attacks NUMBER] [--io DRIVER]
  --mode waiting  many requests that wait at the same time                                [--requests NUMBER] [--engine NAME] [--io DRIVER]

Engines: ${ENGINES.join(', ')}. stops and hostile take all that none is named of, the others the first one.
Drivers: ${DRIVERS.join(', ')}. wire takes each if none is named.
--seed NUMBER has a run use the same plan as the one that printed it.
Ends with status 0 when every good request was answered, every limit held and nothing was left, and otherwise with 1.`;

/** Ends the program when the arguments make no sense. */
function refuse(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
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
    }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

const values = readArguments();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
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
  refuse('one of these options has a value that it cannot have');
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
