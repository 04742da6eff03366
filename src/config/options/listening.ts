/** Options: where and how the server listens. */
import type { OptionRow } from '../option.js';

export const listening = {
  listen: {
    key: 'listen',
    group: 'Listening',
    type: 'addresses',
    default: ({ hasPassedSockets }) => (hasPassedSockets ? 'systemd' : '127.0.0.1:9000'),
    defaultText: '`"127.0.0.1:9000"`, or what systemd passes',
    example: '127.0.0.1:9000',
    fromC: true,
    script: 'hidden',
    summary: 'Where to listen for the web server: one address or a list.',
    text: `One address, or a list of them:

- \`"/run/luafcgid/luafcgid.sock"\` or \`"unix:run/luafcgid.sock"\`: a Unix socket. A socket file that nobody listens on is replaced.
- \`"127.0.0.1:9000"\`, \`"localhost:9000"\`, \`"[::1]:9000"\`: TCP on one address.
- \`":9000"\`: TCP on all interfaces. FastCGI has no authentication: whoever reaches the port can run any script.
- \`"fd:0"\`: a listening socket inherited from the process that started the server.
- \`"systemd"\`: all sockets that systemd passes (socket activation); \`"systemd:NAME"\`: those with this
  \`FileDescriptorName\`, which is the name of the socket unit if the unit does not set one. It is an error if there are none.

An address at which a socket that systemd passes listens already means that socket. \`":9000"\` and \`"[::]:9000"\` take
connections over IPv4 too, so another address of the same port beside them is a fault.

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
  socketowner: {
    key: 'socketOwner',
    group: 'Listening',
    type: 'user',
    script: 'hidden',
    defaultText: 'who starts the server',
    example: 'www-data',
    summary: 'The user that Unix sockets belong to.',
    text: `A name or a number. Only root may give files away, so the server has to be started as root. For a web server that
runs as another user, with \`socketmode = "0600"\`.`,
  },
  socketgroup: {
    key: 'socketGroup',
    group: 'Listening',
    type: 'group',
    script: 'hidden',
    defaultText: 'the group of who starts the server',
    example: 'www-data',
    summary: 'The group that Unix sockets belong to.',
    text: `A name or a number. A server that is not started as root may only name a group that its user belongs to. For a web
server that runs in this group, with \`socketmode = "0660"\`.`,
  },
  allowed: {
    key: 'allowed',
    group: 'Listening',
    type: 'networks',
    script: 'hidden',
    defaultText: 'everybody who reaches the port',
    example: '127.0.0.1',
    summary: 'Who may connect over TCP: addresses and networks.',
    text: `One address or network, or a list of them: \`{ "127.0.0.1", "10.1.0.0/16", "fd00::/8" }\`. Connections from others
are closed before anything is read. When the environment variable \`FCGI_WEB_SERVER_ADDRS\` of FastCGI is set as well, a
connection has to be named by both. Unix sockets have permissions instead: \`socketmode\`. A reload that narrows the list is for
new connections: open ones are served until the web server or \`idletimeout\` closes them, so restart to end them.`,
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
    text: `\`"epoll"\` serves connections on a thread of its own with the system's own calls, and lets workers serve short
requests by themselves; it is two to three times as fast, and needs Linux.
\`"node"\` serves them with the sockets of Node.js, on the main thread, and runs everywhere. \`"auto"\` takes the first
where it can be had.`,
  },
} as const satisfies Record<string, OptionRow>;
