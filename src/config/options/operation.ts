/** Options: how the server itself is run. */
import type { OptionRow } from '../option.js';

export const operation = {
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
file becomes the user's. Without the option scripts run as who started the server, and if that is root, each start warns of
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
