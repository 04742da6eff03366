/** Options: data sources that scripts may use. */
import type { OptionRow } from '../option.js';

export const data = {
  data: {
    key: 'data',
    group: 'Data',
    type: 'data-sources',
    default: {},
    defaultText: 'nothing',
    example: { main: 'postgres://app@db.internal/app', files: 'sqlite:/var/lib/app/files.db' },
    script: 'hidden',
    summary: 'Databases and caches that scripts may use, by the names that scripts know.',
    text: `Scripts only name a data source; what it is, where it is and who it is used as stands here. A source is a URL, or a
table of a URL and further fields:

\`\`\`lua
data = {
  main  = "postgres://app@db.internal/app",
  shop  = { "mysql://shop@localhost/shop?socket=/run/mysqld/mysqld.sock", connections = 8, scripts = { "/srv/www/shop/" } },
  files = "sqlite:/var/lib/app/files.db",
  cache = { "redis://cache.internal", connections = 4, passwordfile = "/etc/luafcgid/redis-password" },
}
\`\`\`

| field | meaning | default |
|---|---|---|
| \`connections\` | the most connections, for the whole server | 10; SQLite 3, Redis 2 |
| \`queue\` | the most operations that wait for one; scripts take turns | 100; Redis 1000 |
| \`waittimeout\` | seconds that an operation waits for one | 5 |
| \`connecttimeout\` | seconds that connecting may take | 5 |
| \`querytimeout\` | seconds that an operation may take; then the server is told to stop | 30; Redis 5 |
| \`idletimeout\` | seconds after which a connection that is not used is closed | 600 |
| \`maxresult\` | the most bytes of one result | 8 MiB |
| \`scripts\` | paths of scripts, or of directories that end in "/", that may use it | all scripts |
| \`passwordfile\` | a file with the password; read for each new connection | |
| \`passwordenv\` | the environment variable that has the password | \`LUAFCGID_PASSWORD_\` and the name in capital letters |
| \`tls\` | \`"verify"\`: encrypted, and the server has to prove who it is; \`"unverified"\`: encrypted only; \`"off"\` | \`"verify"\`; on this machine and with redis:// \`"off"\` |
| \`ca\` | a file of certificates that are trusted for it | those that Node.js trusts |
| \`tlsname\` | the name that its certificate has to be for | the host |
| \`kind\`, \`host\`, \`port\`, \`socket\`, \`user\`, \`database\` | what a URL says, for a table without one | |

Kinds are \`postgres://\`, \`mysql://\` (also \`mariadb://\`), \`sqlite:\` and \`redis://\` (also \`valkey://\`; \`rediss://\` with TLS). A URL may have
\`socket\`, \`tls\`, \`sslmode\`, \`ca\` and \`tlsname\` after a "?". A password in a URL is a fault: whoever may read the configuration
would read it. The server needs the packages \`pg\`, \`mysql2\`, \`@redis/client\`, and on Node.js without a complete
\`node:sqlite\` \`@photostructure/sqlite\`; npm installs them with luafcgid where it can. \`luafcgid check --connect FILE\`
tries each source and says what it found.`,
  },
  shared: {
    key: 'shared',
    group: 'Data',
    type: 'dictionaries',
    default: { cache: { size: 16 * 2 ** 20, evict: true } },
    defaultText: 'a dictionary `cache` of 16 MiB that evicts',
    example: { cache: { size: 64 * 2 ** 20, evict: true }, limits: 4 * 2 ** 20 },
    script: 'hidden',
    summary: 'Dictionaries in memory that all workers share, by the names that scripts know.',
    text: `Scripts use them by the module [luafcgid.shared](lua-api.md#the-module-luafcgidshared). Each dictionary is a size in bytes,
or a table:

\`\`\`lua
shared = {
  cache  = { size = 64 * 2^20, evict = true },
  limits = 4 * 2^20,
}
\`\`\`

| field | meaning | default |
|---|---|---|
| \`size\` | bytes of memory, from 32 KiB to 1 GiB; the system gives it as it is used | |
| \`evict\` | when it is full, what was not used for the longest time makes room; otherwise what does not fit is refused with "no memory" | \`false\` |

A key with its value takes 64 bytes, and as many blocks of 64 bytes as the two need. A value has at most 8 MiB. What a
dictionary holds outlives workers and reloads, unless a reload changes its size. It ends with the server, also when that restarts
itself because a thread hangs in native code. \`shared = {}\` makes no dictionary.`,
  },
} as const satisfies Record<string, OptionRow>;
