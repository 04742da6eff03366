/** Options: how long clients may take, and how much of the server they may hold together. */
import type { OptionRow } from '../option.js';
import { DAY_SECONDS, MIB, wholeMebibytes } from '../units.js';

export const clients = {
  connections: {
    key: 'connectionLimit',
    group: 'Clients',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: 10_000,
    script: 'read',
    summary: 'The most connections at once.',
    text: `For one more, the connection is closed that has been without a request for the longest: a web server opens
another one when it needs it. While all of them have requests, new ones wait to be accepted. The limit of open files
holds as well.`,
  },
  idletimeout: {
    key: 'idleTimeoutMs',
    group: 'Clients',
    type: 'seconds',
    unit: 's',
    min: 0.1,
    max: DAY_SECONDS,
    default: 75,
    script: 'read',
    summary: 'How long a connection may be open without a request.',
    text: `Then it is closed. Keep it longer than the web server keeps its connections (nginx: \`keepalive_timeout\` of the
upstream, 60 s), so that the web server closes them and never asks on one that is just being closed.`,
  },
  readtimeout: {
    key: 'readTimeoutMs',
    group: 'Clients',
    type: 'seconds',
    unit: 's',
    min: 0.1,
    max: DAY_SECONDS,
    default: 75,
    script: 'read',
    summary: 'How long a request may take to arrive.',
    text: `All its parameters have to be there within this time. Its body may pause for as long, and beyond that has to come
with 500 bytes each second. Who is too late is answered with 408; a script that reads the body gets an error. Time in
which the server does not read, because the script does not, does not count. The default is longer than the 60 s that
nginx and Apache allow a browser, so that these decide first.`,
  },
  sendtimeout: {
    key: 'sendTimeoutMs',
    group: 'Clients',
    type: 'seconds',
    unit: 's',
    min: 0.1,
    max: DAY_SECONDS,
    default: 75,
    script: 'read',
    summary: 'How long a client may take nothing of what waits to be sent.',
    text: `Then its connection is closed, and what waits for it is dropped. Time in which nothing waits does not count: a
script may take as long as it likes between two pieces of its answer.`,
  },
  bodytotal: {
    key: 'bodyTotalBytes',
    group: 'Clients',
    type: 'integer',
    unit: 'bytes',
    min: MIB,
    max: 2 ** 53 - 1,
    default: ({ memoryBytes }) => wholeMebibytes(256 * MIB, memoryBytes / 8),
    defaultText: '256 MiB, or an eighth of the memory that the server may use if that is less',
    example: 256 * MIB,
    script: 'read',
    summary: 'How much all requests together may hold of their parameters and bodies.',
    text: `Past it, the largest request that no worker runs is answered with 503 and Retry-After, and then the next one, until
there is room: small requests get through while large ones pile up. What a worker runs is not touched; it holds
\`bodymemory\` at most.`,
  },
  sendtotal: {
    key: 'sendTotalBytes',
    group: 'Clients',
    type: 'integer',
    unit: 'bytes',
    min: MIB,
    max: 2 ** 53 - 1,
    default: ({ memoryBytes }) => wholeMebibytes(256 * MIB, memoryBytes / 8),
    defaultText: '256 MiB, or an eighth of the memory that the server may use if that is less',
    example: 256 * MIB,
    script: 'read',
    summary: 'How much of all answers together may wait in memory for their readers.',
    text: `Past it, the clients that have taken nothing for the longest are disconnected, until there is room; while all of them
read, scripts wait with their output.`,
  },
} as const satisfies Record<string, OptionRow>;
