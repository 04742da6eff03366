/** Options: how many workers and states there are, and how long they live. */
import { isolations } from '../../lua/state.js';
import type { OptionRow } from '../option.js';
import { DAY_SECONDS, GIB, KIB, MIB, wholeMebibytes } from '../units.js';

export const pool = {
  workers: {
    key: 'workers',
    group: 'Pool',
    type: 'integer',
    min: 1,
    max: 256,
    default: ({ cpus }) => Math.min(256, Math.max(2, cpus)),
    defaultText: 'the number of processors, at least 2',
    example: 4,
    fromC: true,
    script: 'read',
    summary: 'Threads that run Lua: the most requests that run at once.',
    text: `Each worker runs one request at a time. Scripts that compute need no more workers than there are processors;
scripts that wait (for a database, for a slow client) are served by more. The limits of control groups count, those of containers and of
services of systemd: a part of a processor counts as one.`,
  },
  states: {
    key: 'states',
    group: 'Pool',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: ({ workers }) => Math.max(256, workers),
    defaultText: '256, or the value of `workers` if that is more',
    example: 256,
    fromC: true,
    script: 'read',
    summary: 'The most Lua states, over all scripts.',
    text: `When all states are taken, a new script takes the place of the idle state that is used least. With fewer states
than \`workers\`, the further workers stay idle. A small state of the embedded engine takes some 120 KiB.`,
  },
  clones: {
    key: 'clones',
    group: 'Pool',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: ({ workers }) => Math.max(64, workers),
    defaultText: '64, or the value of `workers` if that is more',
    example: 64,
    fromC: true,
    script: 'read',
    summary: 'The most Lua states of one script.',
    text: `A script that never waits has no more than one state in each worker. A request that waits, for a database or another server,
keeps its state meanwhile: so many requests of one script can wait at a time. Bounds what a script opens once per state, such as database connections. With \`clones = 1\` a script is a single
state: its globals are one truth, and its requests run one after the other. More than \`states\` has no effect.`,
  },
  halflife: {
    key: 'halfLifeMs',
    group: 'Pool',
    type: 'seconds',
    unit: 's',
    min: 0.1,
    max: 365 * DAY_SECONDS,
    default: 600,
    script: 'read',
    summary: 'How fast the popularity of a script is forgotten.',
    text: `Each use of a state adds one to its score, and all scores halve in this time; on a busy server sooner, each time
that all states together were used ten times as often as there are \`states\`. A short time favours what was used last, a
long one what was used most.`,
  },
  maxcount: {
    key: 'maxCount',
    group: 'Pool',
    type: 'integer',
    min: 1,
    max: 2 ** 53 - 1,
    special: { value: 0, means: 'no limit' },
    default: 0,
    fromC: true,
    script: 'read',
    summary: 'Requests after which a state is replaced.',
    text: 'For scripts that leak. With it, workers do not serve short requests by themselves, which is slower.',
  },
  memory: {
    key: 'memoryBytes',
    group: 'Pool',
    type: 'integer',
    unit: 'bytes',
    min: 2 * MIB,
    max: 4 * GIB,
    special: { value: 0, means: '4 GiB, which no state can pass', becomes: 4 * GIB },
    default: ({ memoryBytes }) => wholeMebibytes(128 * MIB, memoryBytes / 4),
    defaultText: '128 MiB, or a quarter of the memory that the server may use if that is less',
    example: 128 * MIB,
    script: 'read',
    summary: 'The most memory of one Lua state.',
    text: `A script that asks for more gets the Lua error "not enough memory", and its state is replaced. The native engines
look at it each time that the garbage collector has finished a cycle, in \`string.rep\`, and after each request: a state may
hold more for a moment.`,
  },
  images: {
    key: 'imagesBytes',
    group: 'Pool',
    type: 'integer',
    unit: 'bytes',
    min: 64 * KIB,
    max: 64 * GIB,
    special: { value: 0, means: 'no images' },
    default: ({ memoryBytes }) => wholeMebibytes(64 * MIB, memoryBytes / 16),
    defaultText: '64 MiB, or a sixteenth of the memory that the server may use if that is less',
    example: 64 * MIB,
    script: 'read',
    summary: 'The most memory of all images: copies of loaded scripts, from which further states are made.',
    text: `Each worker has an equal share. When a script has been loaded, its worker keeps a copy of its memory; further
states of the script are made from that and need not run its files again. [states.md](states.md) tells how. For a new image the
one goes that was not used for the longest. An image that workers share counts in each that uses it. What does not fit is loaded again for each state. Embedded engine only.`,
  },
  isolation: {
    key: 'isolation',
    group: 'Pool',
    type: 'choice',
    choices: isolations,
    default: 'state',
    script: 'read',
    summary: 'How long the values of scripts live: as long as their state, or for one request.',
    text: `\`"state"\`: globals and local variables of a script's file keep their values between the requests that a state serves.
\`"request"\`: each request begins with what the main chunk of the script has left, whatever earlier requests changed, as in
PHP. [states.md](states.md#isolation) tells what it costs. A script chooses for itself with \`luafcgid.isolation\`. Embedded
engine only.`,
  },
  sweep: {
    key: 'sweepMs',
    group: 'Pool',
    type: 'integer',
    unit: 'ms',
    min: 10,
    max: DAY_SECONDS * 1000,
    default: 1000,
    fromC: true,
    script: 'read',
    summary: 'Time between two rounds of housekeeping.',
    text: `A round drops the states whose script, or a file it required, has changed, and calls the hook \`housekeeping()\`. A
changed script is served at the latest after this time.`,
  },
  ring: {
    key: 'ringBytes',
    group: 'Pool',
    type: 'integer',
    unit: 'bytes',
    min: KIB,
    max: 64 * MIB,
    powerOfTwo: true,
    default: 256 * KIB,
    script: 'read',
    summary: 'Memory shared with each worker, for each direction.',
    text: `What bodies and answers pass through on their way between the sockets and a worker. Rounded up to a power of two.
Larger rings wake threads less often for large answers.`,
  },
} as const satisfies Record<string, OptionRow>;
