/** Options: how the server itself is run. */
import { DEFAULT_ACCESS_FORMAT, FIELDS } from '../../logging/access-format.js';
import { LOG_FORMATS } from '../../logging/line.js';
import type { OptionRow } from '../option.js';
import { DAY_SECONDS } from '../units.js';

const fieldRows = Object.entries(FIELDS).map(([name, { text }]) => `| \`{${name}}\` | ${text} |`);

export const operation = {
  logfile: {
    key: 'logFile',
    group: 'Operation',
    type: 'log-target',
    defaultText: 'standard error',
    example: '/var/log/luafcgid/luafcgid.log',
    fromC: true,
    script: 'hidden',
    summary: 'Where the log goes: a file, or syslog.',
    text: `A file is added to, and its directory must exist. (The C daemon started the file anew each time.) \`"-"\` is standard
output. \`"syslog"\` is the system's log service, by its socket \`/dev/log\` and as facility \`daemon\`;
\`"syslog:local0"\` names another facility and \`"syslog:local0:/run/log.sock"\` another socket as well. That needs
Linux. Without the option, or with an empty name, the log goes to standard error, where a service manager collects it.
\`SIGUSR1\` opens all log files anew.`,
  },
  logformat: {
    key: 'logFormat',
    group: 'Operation',
    type: 'choice',
    choices: LOG_FORMATS,
    default: 'text',
    script: 'read',
    summary: 'How the log is written: lines for people, or JSON.',
    text: `\`"json"\`: one object a line, with \`time\`, \`level\`, \`code\` (of errors.md), \`message\`, \`request\`,
\`script\`, \`state\`, \`worker\`, and \`repeated\` and \`seconds\` for what was counted; what does not apply is left
out. It holds for \`slowlog\` as well. The access log has \`accessformat\`.`,
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
  accesslog: {
    key: 'accessLog',
    group: 'Operation',
    type: 'log-target',
    defaultText: 'none',
    example: '/var/log/luafcgid/access.log',
    script: 'hidden',
    summary: 'Where a line for each request goes.',
    text: `Places are named as for \`logfile\`. Lines are written together, after a quarter of a second at the latest. Each
request has one, also when it was refused, broken off or cut short. Workers that serve short requests by themselves write
the lines of those into shared memory, where they are collected: the log costs the making of its lines.`,
  },
  accessformat: {
    key: 'accessFormat',
    group: 'Operation',
    type: 'access-format',
    default: DEFAULT_ACCESS_FORMAT,
    defaultText: 'who asked for what, with what result and effort',
    example: DEFAULT_ACCESS_FORMAT,
    script: 'hidden',
    summary: 'What the lines of the access log hold.',
    text: `Text with these fields in braces (\`{{\` and \`}}\` are braces themselves), or \`"json"\` for all of them as an
object a line:

| field | meaning |
|---|---|
${fieldRows.join('\n')}
| \`{param:NAME}\` | any FastCGI parameter, for instance \`{param:HTTP_ACCEPT}\` |

What is not known is \`-\` in text and left out of JSON. Control characters, quotes, backslashes, and spaces outside of
quotes are written as \`\\xNN\`. Processor time and memory are only measured when the format has them. Processor
time costs 1 to 2 µs of each request, since its clock is a call of the system: the default is without it:

\`\`\`text
${DEFAULT_ACCESS_FORMAT}
\`\`\``,
  },
  status: {
    key: 'status',
    group: 'Operation',
    type: 'status-address',
    defaultText: 'none',
    example: '/run/luafcgid/status.sock',
    script: 'hidden',
    summary: 'Where the server says over HTTP what it is doing.',
    text: `A Unix socket, which root and the server's user may use, or a loopback address. \`luafcgid status\`, \`top\`, \`ping\`,
\`reload\`, \`stop\`, \`reopen\`, \`stack\` and \`log\` use it, Prometheus reads \`/metrics\` there, and a browser gets a page.
On a loopback address it shows everything and does nothing: commands that change the server need a Unix socket. The
query of URLs is never shown, since it may carry secrets. See [Operating](operating.md#monitoring).`,
  },
  statuspath: {
    key: 'statusPath',
    group: 'Operation',
    type: 'url-path',
    defaultText: 'none',
    example: '/luafcgid-status',
    script: 'hidden',
    summary: 'The URL path under which the web server can ask for the same.',
    text: `Requests whose \`SCRIPT_NAME\` is this path are answered by the server itself, before any script is looked for and
also when all workers are busy: as text, and with \`?json\`, \`?openmetrics\` or \`?html\` in other forms. The path followed by
\`/metrics\` is OpenMetrics. Everybody may ask whom the web server lets through, so restrict it there.`,
  },
  draintimeout: {
    key: 'drainTimeoutMs',
    group: 'Operation',
    type: 'seconds',
    unit: 's',
    min: 0.001,
    max: DAY_SECONDS,
    special: { value: 0, means: 'no time at all' },
    default: 10,
    script: 'hidden',
    summary: 'How long a stop waits for requests that run.',
    text: `After SIGTERM or SIGINT the server accepts no more connections and finishes what has begun. What has not ended within
this time is broken off. A second signal ends the server at once. A service manager has to wait a little longer.`,
  },
  slowlog: {
    key: 'slowLog',
    group: 'Operation',
    type: 'log-target',
    defaultText: 'none',
    example: '/var/log/luafcgid/slow.log',
    script: 'hidden',
    summary: 'Where slow requests are logged, with what they were doing.',
    text: `Places are named as for \`logfile\`. A request that has run for \`slowtime\` is told once, with the traceback of
what its script was running at that moment.`,
  },
  slowtime: {
    key: 'slowTimeMs',
    group: 'Operation',
    type: 'seconds',
    unit: 's',
    min: 0.001,
    max: DAY_SECONDS,
    default: 5,
    script: 'read',
    summary: 'How long a request may run before `slowlog` tells of it.',
    text: 'Counted as for `watchdog`. Has no effect without `slowlog`.',
  },
  user: {
    key: 'user',
    group: 'Operation',
    type: 'user',
    script: 'hidden',
    defaultText: 'who starts the server',
    example: 'www-data',
    summary: 'The user that the server becomes once it listens.',
    text: `A name or a number. For a server that is started as root: when the sockets are bound and the log is open, and
before the first request is looked at, the whole process becomes this user, for good. It has the user's groups, and the log
files become the user's. Without the option scripts run as who started the server, and if that is root, each start warns of
it. \`luafcgid serve\` and \`luafcgid run\` stay who they are.`,
  },
  group: {
    key: 'group',
    group: 'Operation',
    type: 'group',
    script: 'hidden',
    defaultText: 'that of `user`',
    example: 'www-data',
    summary: 'The group that the server belongs to once it listens.',
    text: 'A name or a number. It takes the place of the own group of `user`.',
  },
  daemonize: {
    key: 'daemonize',
    group: 'Operation',
    type: 'boolean',
    default: false,
    fromC: true,
    script: 'read',
    summary: 'Serves in the background; the command ends when the server is ready.',
    text: `The command \`luafcgid FILE\` starts the server in a session of its own, without a terminal and in the directory \`/\`. It
ends with status 0 when the server is ready; otherwise it says why not. Needs \`logfile\`. A service manager such as systemd
wants the server in the foreground: where it asks to be notified (\`NOTIFY_SOCKET\`), the server stays there.`,
  },
  pidfile: {
    key: 'pidFile',
    group: 'Operation',
    type: 'pid-file',
    defaultText: 'none',
    example: '/run/luafcgid/luafcgid.pid',
    script: 'hidden',
    summary: 'The file that the process number is written to.',
    text: `It appears when the server listens, and is removed when it has stopped. A file that was left behind is replaced; that of
a server that runs is an error. With \`daemonize\` it names the process in the background.`,
  },
} as const satisfies Record<string, OptionRow>;
