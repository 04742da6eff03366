/** Options: what one request may take. */
import type { OptionRow } from '../option.js';
import { DAY_SECONDS, GIB, MIB } from '../units.js';

export const requests = {
  maxpost: {
    key: 'maxPostBytes',
    group: 'Requests',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 53 - 1,
    default: MIB,
    fromC: true,
    script: 'read',
    summary: 'The largest request body.',
    text: `A request that announces a larger body is answered with 413 before the script runs; when the length is not
announced, the script gets an error as soon as it reads past the limit.`,
  },
  bodymemory: {
    key: 'bodyMemoryBytes',
    group: 'Requests',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: GIB,
    default: MIB,
    script: 'read',
    summary: 'How much of a body is collected before the script starts.',
    text: `The script starts when its body is complete or this much has arrived, so that a slow client holds a buffer and not
a worker. With 0 the script starts at once.`,
  },
  maxfields: {
    key: 'maxFields',
    group: 'Requests',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: 1000,
    script: 'read',
    summary: 'The most fields that a form, a query string or a Cookie header may have.',
    text: `\`con:form\`, \`con:query\` and \`con:cookies\` raise an error for more, which answers with 400. Lua's strings have hashes that
a client can foresee: ten thousand names chosen for that take seconds of a worker. Scripts that read the body themselves have
no such limit.`,
  },
  maxfield: {
    key: 'maxFieldBytes',
    group: 'Requests',
    type: 'integer',
    unit: 'bytes',
    min: 1,
    max: 2 ** 31,
    default: MIB,
    script: 'read',
    summary: 'The largest field of a multipart form that is no file.',
    text: 'A larger one is answered with 413. Files are bounded by `maxpost` alone, as all of the body is.',
  },
  uploadmemory: {
    key: 'uploadMemoryBytes',
    group: 'Requests',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 31,
    default: MIB / 4,
    script: 'read',
    summary: 'The largest uploaded file that is kept in memory.',
    text: `\`con:form\` reads multipart bodies piece by piece. A file of more bytes goes to a temporary file, in the folder that \`TMPDIR\`
names or else \`/tmp\`, where it has no name and is gone when the request is over. So \`maxpost\` may be larger than the memory
of a state.`,
  },
  queue: {
    key: 'queueLimit',
    group: 'Requests',
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: 1024,
    script: 'read',
    summary: 'The most requests that wait for a state.',
    text: 'Further requests are answered with 503 and Retry-After at once. With 0 no request waits.',
  },
  queuetimeout: {
    key: 'queueTimeoutMs',
    group: 'Requests',
    type: 'seconds',
    unit: 's',
    min: 0.001,
    max: DAY_SECONDS,
    default: 30,
    script: 'read',
    summary: 'How long a request may wait for a state.',
    text: 'Then it is answered with 503 and Retry-After.',
  },
  overload: {
    key: 'overload',
    group: 'Requests',
    type: 'choice',
    choices: ['page', 'protocol'],
    default: 'page',
    script: 'read',
    summary: 'How a request is refused when too many wait.',
    text: `\`"page"\`: an answer with status 503 and Retry-After. \`"protocol"\`: the FastCGI status OVERLOADED without an answer,
for a client that then asks another server. No common web server does so by itself, and Apache makes it an empty answer
of status 200: see [Web servers](web-servers.md#overload).`,
  },
  watchdog: {
    key: 'watchdogMs',
    group: 'Requests',
    type: 'seconds',
    unit: 's',
    min: 0.001,
    max: DAY_SECONDS,
    special: { value: 0, means: 'no limit' },
    default: 60,
    fromC: true,
    script: 'set',
    summary: 'The most time a script may run.',
    text: `Seconds of running time; time in which the script waits for its client does not count. A script that is over it is
stopped, its request answered with 504 and the Lua stack logged; its state lives on. A script that cannot be stopped so
(one pattern match that goes on for hours, a loop that LuaJIT has compiled, a C module that hangs) loses its worker after
another quarter of a second: the client gets 504, and a fresh worker takes the place. \`con:config("watchdog", seconds)\`
gives a request another limit, counted from then on, as far as \`watchdogmax\` allows.`,
  },
  watchdogmax: {
    key: 'watchdogMaxMs',
    group: 'Requests',
    type: 'seconds',
    unit: 's',
    min: 0.001,
    max: DAY_SECONDS,
    special: { value: 0, means: 'no limit' },
    default: ({ engine, watchdog }) => (engine === 'embedded' ? watchdog : 0),
    defaultText: 'the value of `watchdog`; with native engines no limit',
    example: 600,
    script: 'read',
    summary: 'The most time that a script may give itself.',
    text: `Seconds of running time in all, however often the script sets its \`watchdog\`. A longer one, or none, is a Lua error.
So by default a script of the embedded engine can shorten its time only. Scripts of native engines can do worse than to run for
long, and set what they want. It does not shorten \`watchdog\` itself.`,
  },
  requesttime: {
    key: 'requestTimeMs',
    group: 'Requests',
    type: 'seconds',
    unit: 's',
    min: 0.001,
    max: DAY_SECONDS,
    special: { value: 0, means: 'no limit' },
    default: 0,
    script: 'read',
    summary: 'The most time a request may take in all.',
    text: `Counted from the last byte of its parameters: waiting for a state, running, and waiting for a timer, a database or
another server. A script that is over it is stopped where it runs or waits; the client gets 504. \`watchdog\` bounds the
running time alone.`,
  },
  waiting: {
    key: 'waitingLimit',
    group: 'Requests',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: 1000,
    script: 'read',
    summary: 'How many requests may wait for timers, databases, other servers and their clients at a time.',
    text: `A request that waits so holds its Lua state, not its worker. Past the limit the operation that would have to wait
fails with an error that the script can catch. Reading a body and output to a slow reader do not fail then: they hold the worker.`,
  },
  onabort: {
    key: 'onAbort',
    group: 'Requests',
    type: 'choice',
    choices: ['finish', 'stop'],
    default: 'finish',
    script: 'set',
    summary: 'What becomes of a script whose client has gone.',
    text: `\`"finish"\`: it does its work to the end, and nobody gets the answer. \`"stop"\`: it is stopped. Whether a client has
gone is known when the web server closes the connection or aborts the request; nginx does neither with
\`fastcgi_ignore_client_abort on\`. Closing only the sending side counts as going here.`,
  },
} as const satisfies Record<string, OptionRow>;
