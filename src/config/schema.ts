/**
 * The option table: everything the server knows about its settings, in one place. The validator, `Config`, the sample
 * file, `--help` and docs/configuration.md are made from it. It is long because it is a table: one row, one option.
 */
import { engineNames } from '../lua/state.js';
import type { OptionRow, ValueTypes } from './option.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_SECONDS = 24 * 60 * 60;

export const options = {
  // ---- Listening
  listen: {
    key: 'listen',
    group: 'Listening',
    type: 'addresses',
    default: '127.0.0.1:9000',
    fromC: true,
    script: 'hidden',
    summary: 'Where to listen for the web server: one address or a list.',
    text: `One address, or a list of them:

- \`"/run/luafcgid.sock"\` or \`"unix:run/luafcgid.sock"\`: a Unix socket. A socket file that nobody listens on is replaced.
- \`"127.0.0.1:9000"\`, \`"localhost:9000"\`, \`"[::1]:9000"\`: TCP on one address.
- \`":9000"\`: TCP on all interfaces. FastCGI has no authentication: whoever reaches the port can run any script.
- \`"fd:0"\`: a listening socket inherited from the process that started the server.

A name without a colon is a Unix socket, as it was in the C daemon. Without the option only this machine can connect.`,
  },
  socketmode: {
    key: 'socketMode',
    group: 'Listening',
    type: 'mode',
    script: 'hidden',
    defaultText: "what the process's umask leaves",
    example: '0660',
    summary: 'Permissions of Unix sockets, in octal.',
    text: `Three or four octal digits, for instance \`"0660"\` so that owner and group may connect. Lua has no octal numbers,
so the digits of a number are read the same way: \`660\` is \`"0660"\`.`,
  },
  backlog: {
    key: 'backlog',
    group: 'Listening',
    type: 'integer',
    min: 1,
    max: 65_535,
    special: { value: -1, means: 'the default', becomes: 511 },
    default: 511,
    fromC: true,
    script: 'read',
    summary: 'Connections that wait in the kernel to be accepted.',
    text: 'The kernel may have a lower limit of its own (on Linux `net.core.somaxconn`).',
  },

  io: {
    key: 'io',
    group: 'Listening',
    type: 'choice',
    choices: ['auto', 'epoll', 'node'],
    default: 'auto',
    script: 'hidden',
    summary: "How sockets are driven: by the kernel's epoll, or by Node.js.",
    text: `\`"epoll"\` serves connections on a thread of its own with the system's own calls; it is faster, and needs Linux.
\`"node"\` serves them with the sockets of Node.js, on the main thread, and runs everywhere. \`"auto"\` takes the first
where it can be had.`,
  },

  // ---- Pool
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
scripts that wait (for a database, for a slow client) are served by more.`,
  },
  states: {
    key: 'states',
    group: 'Pool',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: ({ workers }) => Math.max(64, workers),
    defaultText: '64, or the value of `workers` if that is more',
    example: 64,
    fromC: true,
    script: 'read',
    summary: 'The most Lua states, over all scripts.',
    text: `When all states are taken, a new script takes the place of the idle state that is used least. With fewer states
than \`workers\`, the further workers stay idle.`,
  },
  clones: {
    key: 'clones',
    group: 'Pool',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: ({ workers }) => workers,
    defaultText: 'the value of `workers`',
    example: 4,
    fromC: true,
    script: 'read',
    summary: 'The most Lua states of one script.',
    text: `Bounds what a script opens once per state, such as database connections. With \`clones = 1\` a script is a single
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
    text: 'For scripts that leak.',
  },
  memory: {
    key: 'memoryBytes',
    group: 'Pool',
    type: 'integer',
    unit: 'bytes',
    min: 2 * MIB,
    max: 4 * GIB,
    special: { value: 0, means: 'no limit', becomes: 4 * GIB },
    default: 128 * MIB,
    script: 'read',
    summary: 'The most memory of one Lua state.',
    text: `A script that asks for more gets the Lua error "not enough memory", and its state is replaced. The native engines
look at it each time that the garbage collector has finished a cycle, and after each request: a state may hold more for
a moment, and a single huge string is not prevented.`,
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

  // ---- Requests
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
for a web server that then asks another server.`,
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
    script: 'read',
    notice: { text: 'this version does not stop scripts that run too long yet' },
    summary: 'The most time a script may run (not enforced yet).',
    text: 'Accepted and checked; this version does not stop scripts that run too long yet. Nor did the C daemon.',
  },

  // ---- Answers
  headers: {
    key: 'headers',
    group: 'Answers',
    type: 'header-lines',
    default: 'X-Powered-By: Lua\r\n',
    fromC: true,
    script: 'read',
    summary: 'Response headers that every script gets.',
    text: `\`Name: value\` lines, separated by \`\\r\\n\` or \`\\n\`. Empty: none. A status and a content type have options of their
own, and Location and lengths belong to scripts.`,
  },
  httpstatus: {
    key: 'httpStatus',
    group: 'Answers',
    type: 'text',
    pattern: /^[2-5][0-9]{2}( [\x20-\x7e]*)?$/,
    allowed: 'a status code from 200 to 599, alone or with its text, like "200 OK"',
    default: '200 OK',
    fromC: true,
    script: 'set',
    summary: 'HTTP status of scripts that set none.',
    text: 'A status code from 200 to 599, alone or with its text.',
  },
  contenttype: {
    key: 'contentType',
    group: 'Answers',
    type: 'text',
    pattern: /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+ *(;[\x20-\x7e]*)?$/,
    allowed: 'a MIME type, like "text/html" or "text/html; charset=utf-8"',
    default: 'text/html',
    fromC: true,
    script: 'set',
    summary: 'Content-Type of scripts that set none.',
    text: 'A MIME type, with parameters when wanted: `"text/html; charset=utf-8"`.',
  },
  buffering: {
    key: 'buffering',
    group: 'Answers',
    type: 'boolean',
    default: true,
    fromC: true,
    script: 'set',
    summary: 'Keep the answer until the script ends or flushes.',
    text: `Keeps headers and body together as long as they fit into \`outputbuffer\`, so that a script may change its mind
(\`con:reset()\`) and an error gives an error page. With \`false\` the first output sends the headers.`,
  },
  outputbuffer: {
    key: 'outputBufferBytes',
    group: 'Answers',
    type: 'integer',
    unit: 'bytes',
    min: 1,
    max: GIB,
    default: MIB,
    script: 'read',
    summary: 'How much of an answer `buffering` keeps.',
    text: 'When an answer grows past it, headers and body are sent and the rest follows as it is written.',
  },
  sendbuffer: {
    key: 'sendBufferBytes',
    group: 'Answers',
    type: 'integer',
    unit: 'bytes',
    min: 1,
    max: GIB,
    default: MIB,
    script: 'read',
    summary: 'How much of an answer is kept for a slow reader.',
    text: `When more than this waits to be sent, the script waits too. An answer that fits frees its worker at once. See
\`spool\` for longer ones.`,
  },
  spool: {
    key: 'spoolBytes',
    group: 'Answers',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 53 - 1,
    default: GIB,
    script: 'read',
    summary: 'How much of all answers to slow readers may wait in temporary files.',
    text: `When a slow reader keeps a script waiting and with it a worker that other requests want, the rest of the answer
goes to a file without a name in the system's folder for temporary files (\`TMPDIR\`), and the worker is free when the
script ends. With 0, or when the disk is full, scripts wait for their readers.`,
  },
  showerrors: {
    key: 'showErrors',
    group: 'Answers',
    type: 'boolean',
    default: true,
    fromC: true,
    script: 'read',
    summary: 'Show script errors in the browser.',
    text: `\`true\` shows message, traceback and source lines. Set it to \`false\` on a public site: the page then shows the
request's id only, and the log has the detail.`,
  },

  // ---- Scripts
  engine: {
    key: 'engine',
    group: 'Scripts',
    type: 'choice',
    choices: engineNames,
    default: 'embedded',
    script: 'read',
    summary: 'The Lua that runs the scripts.',
    text: `\`"embedded"\` is Lua 5.1 without files and processes, each state bounded and apart from all others; it needs
nothing else. \`"lua5.1"\`, \`"lua5.4"\` and \`"luajit"\` are libraries of the system (Debian: \`liblua5.1-0\`,
\`liblua5.4-0\`, \`libluajit-5.1-2\`), with files, processes and C modules. With them a script can end the server, as
with the C daemon: run only scripts that you trust. [lua-api.md](lua-api.md#luas-standard-library) tells what differs.
The configuration itself always runs in the embedded engine. \`--engine\` on the command line comes before this option.`,
  },
  lualib: {
    key: 'luaLibrary',
    group: 'Scripts',
    type: 'source-file',
    defaultText: "the system's",
    example: '/usr/local/lib/libluajit-5.1.so.2',
    script: 'hidden',
    summary: 'The file of the Lua library that a native engine loads.',
    text: 'For a library that the system does not find by its usual name. It must be the Lua that `engine` names.',
  },
  handler: {
    key: 'handler',
    group: 'Scripts',
    type: 'text',
    pattern: /^[^\0]+$/,
    allowed: 'the name of a global function, like "main"',
    default: 'main',
    fromC: true,
    script: 'read',
    summary: 'The function of a script that answers a request.',
    text: 'The name of a global function. It is called as `main(env, con)` for each request.',
  },
  root: {
    key: 'root',
    group: 'Scripts',
    type: 'directories',
    default: [],
    defaultText: 'anywhere',
    example: '/var/www',
    script: 'hidden',
    summary: 'Directories that scripts must lie in.',
    text: `One directory, or a list. A request for a script outside of them, after links are resolved, is answered with 403.
Without the option the web server alone decides which files are run.`,
  },
  path: {
    key: 'path',
    group: 'Scripts',
    type: 'templates',
    default: [],
    defaultText: 'only the directory of the script',
    example: 'lib/?.lua;lib/?/init.lua',
    script: 'hidden',
    summary: 'Where `require` looks after the directory of the script.',
    text: 'File name templates in which `?` stands for the module, as in `package.path`: `"lib/?.lua;lib/?/init.lua"`, or a list.',
  },
  preload: {
    key: 'preload',
    group: 'Scripts',
    type: 'source-file',
    defaultText: 'none',
    example: 'preload.lua',
    script: 'hidden',
    summary: 'A Lua file that runs in each new state before the script.',
    text: 'A good place for what all scripts of a site share.',
  },

  // ---- Operation
  logfile: {
    key: 'logFile',
    group: 'Operation',
    type: 'log-file',
    defaultText: 'standard error',
    example: '/var/log/luafcgid/luafcgid.log',
    fromC: true,
    script: 'hidden',
    summary: 'The file that the log is added to.',
    text: `Its directory must exist. Without the option, or with an empty name, the log goes to standard error, where a
service manager collects it. (The C daemon started the file anew each time.)`,
  },
  loglevel: {
    key: 'logLevel',
    group: 'Operation',
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    script: 'read',
    summary: 'The least important messages that are logged.',
    text: 'From everything to errors only: `"debug"`, `"info"`, `"warn"`, `"error"`.',
  },
  daemonize: {
    key: 'daemonize',
    group: 'Operation',
    type: 'boolean',
    default: false,
    fromC: true,
    script: 'read',
    notice: {
      text: 'the server stays in the foreground: start it with a service manager, or with "setsid ... &"',
      when: true,
    },
    summary: 'Accepted; the server always stays in the foreground.',
    text: 'A service manager such as systemd starts it in the background and keeps it running.',
  },

  // ---- Without effect
  retries: {
    key: 'retries',
    group: 'Without effect',
    type: 'integer',
    min: 0,
    max: 2 ** 31 - 1,
    default: 2,
    fromC: true,
    script: 'read',
    notice: { text: 'no effect: a request is handed an idle state at once, and no search is repeated' },
    summary: 'Accepted; no effect.',
    text: 'The C daemon searched its pool this often before it made a new state. Here nothing is searched.',
  },
  headersize: {
    key: 'headerSizeBytes',
    group: 'Without effect',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: GIB,
    default: 64,
    fromC: true,
    script: 'read',
    summary: 'Accepted; no effect.',
    text: 'The size that the buffer for response headers started with. Buffers now grow as they need.',
  },
  bodysize: {
    key: 'bodySizeBytes',
    group: 'Without effect',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: GIB,
    default: KIB,
    fromC: true,
    script: 'read',
    summary: 'Accepted; no effect.',
    text: 'The size that the buffer for the answer started with. Buffers now grow as they need; see `outputbuffer`.',
  },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof options;

/** All names, in the order of the table. */
export const optionNames = Object.keys(options) as readonly OptionName[];

type ValueOf<Row extends OptionRow> = Row extends { readonly choices: readonly (infer Choice)[] }
  ? Choice
  : ValueTypes[Row['type']];

/** The settings as the program uses them: complete, checked, frozen; quantities in the unit of their name. */
export type Config = {
  readonly [Name in OptionName as (typeof options)[Name]['key']]: ValueOf<(typeof options)[Name]>;
};

/** The functions of a configuration script that the server calls. */
export const hookNames = ['startup', 'housekeeping', 'shutdown'] as const;
export type HookName = (typeof hookNames)[number];

/** The settings that `con:config(name, value)` changes for one request. */
export type SettableName = {
  [Name in OptionName]: (typeof options)[Name]['script'] extends 'set' ? Name : never;
}[OptionName];

/** What `con:config(name)` reads: the settings that scripts may know, by their Lua names and in their Lua units. */
export function scriptValues(config: Config): Readonly<Record<string, string | number | boolean>> {
  const values: Record<string, string | number | boolean> = {};
  for (const name of optionNames) {
    const row = options[name];
    if (row.script !== 'hidden') values[name] = row.type === 'seconds' ? config[row.key] / 1000 : config[row.key];
  }
  return values;
}
