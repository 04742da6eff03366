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
    notice: {
      text: 'the server stays in the foreground: start it with a service manager, or with "setsid ... &"',
      when: true,
    },
    summary: 'Accepted; the server always stays in the foreground.',
    text: 'A service manager such as systemd starts it in the background and keeps it running.',
  },
} as const satisfies Record<string, OptionRow>;
