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
| \`connections\` | the most connections, for the whole server | 10; SQLite 6: one writes, each worker has one for short reads as long as two are left, and the others read what takes long. Of Redis one for each worker and one more is enough |
| \`queue\` | the most operations that wait for one; scripts take turns | 100; Redis 1000 |
| \`waittimeout\` | seconds that an operation waits for one | 5 |
| \`connecttimeout\` | seconds that connecting may take | 5 |
| \`querytimeout\` | seconds that an operation may take; then the server is told to stop | 30; Redis 5 |
| \`idletimeout\` | seconds after which a connection that is not used is closed | 600 |
| \`maxresult\` | the most bytes of one result; a row of a table counts 32 more than its values have | 8 MiB |
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
  sessions: {
    key: 'sessions',
    group: 'Data',
    type: 'sessions',
    default: 'memory',
    example: { store: 'main', idle: 1800, absolute: 28800 },
    script: 'read',
    summary: 'Where the sessions of con:session() are kept, and for how long.',
    text: `\`"memory"\` keeps them in this process, for all workers: they end with it. The name of a data source keeps them there, so
that they outlive a restart and are the same on several machines: Redis, PostgreSQL, MySQL or SQLite. In a database the server
makes its two tables, \`luafcgid_sessions\` and \`luafcgid_session_values\`, when they are not there and it may. A table says more:

| field | meaning | default |
|---|---|---|
| \`store\` | \`"memory"\` or the name of a data source | \`"memory"\` |
| \`idle\` | seconds after which a session ends that nobody uses | 7200 |
| \`absolute\` | seconds after which it ends in any case | 86400 |
| \`name\` | the name of the cookie | \`"session"\` |
| \`maxsize\` | the most bytes that the values of a session may have, as JSON | 65536 |
| \`size\` | bytes of memory for all sessions, with \`"memory"\`. When they are full, new sessions are refused (503); none is removed for them | 16 MiB |
| \`path\`, \`domain\` | which pages get the cookie | all of the host |
| \`samesite\` | \`"Lax"\` or \`"Strict"\` | \`"Lax"\` |
| \`secure\` | whether browsers send the cookie over HTTPS only | as the request came: by \`HTTPS\` of the web server |

The cookie is always HttpOnly. Set \`secure = true\` where something in front of the web server ends HTTPS.`,
  },
  http: {
    key: 'http',
    group: 'Data',
    type: 'http',
    defaultText: 'no server',
    example: { allow: ['api.example.com:443'] },
    script: 'hidden',
    summary: 'Servers that scripts may send HTTP requests to (luafcgid.http).',
    text: `Without it scripts send no HTTP requests. \`allow\` names the servers, each with its port:

\`\`\`lua
http = {
  allow = { "api.example.com:443", "*.example.org:443", "search.internal:9200" },
  private = { "10.1.0.0/16" },
}
\`\`\`

A server is a name, an address (\`"10.1.2.3:80"\`, \`"[::1]:8080"\`), all names below one (\`"*.example.org:443"\`), or all public servers
with a port (\`"*:443"\`). What counts is the address that is connected to, not only the name: it has to be a public one, or
in a network of \`private\`, or be allowed as an address; \`"localhost:8080"\` allows loopback. So no name, and no redirect, leads a
script to a machine that is not meant. Certificates are always verified.

| field | meaning | default |
|---|---|---|
| \`allow\` | servers that scripts may reach | none |
| \`private\` | networks whose addresses may be connected to although they are not public | none |
| \`ca\` | a file of certificates that are trusted beside those that Node.js trusts | |
| \`connections\` | the most connections to one server, for the whole of luafcgid | 10 |
| \`servers\` | the most servers that there are connections to at the same time | 50 |
| \`queue\` | the most requests that wait for a connection to one server; scripts take turns | 100 |
| \`waittimeout\` | seconds that a request waits for one | 5 |
| \`connecttimeout\` | seconds that connecting may take, with looking up the name and TLS | 5 |
| \`answertimeout\` | seconds without anything of an answer | 30 |
| \`timeout\` | seconds for all of a request, with redirects and the body | 60 |
| \`idletimeout\` | seconds after which a connection that is not used is closed | 4 |
| \`maxbody\` | the most bytes of a body, sent or received (not of \`http.stream\`) | 8 MiB |
| \`scripts\` | paths of scripts, or of directories that end in "/", that may send requests | all scripts |

Scripts can ask for less than these limits. The server needs the package \`undici\`; npm installs it with luafcgid where it can.`,
  },
  locks: {
    key: 'locks',
    group: 'Data',
    type: 'text',
    pattern: /^[A-Za-z_]\w{0,63}$/,
    allowed: '"memory" or the name of a data source',
    default: 'memory',
    script: 'hidden',
    summary: 'Where the locks of luafcgid.lock and of session:lock lie.',
    text: `\`"memory"\`: in this process, for all its workers. The name of a data source keeps them there, so that one request of all
servers that use it holds a name: Redis or Valkey, PostgreSQL, MySQL or MariaDB, SQLite. In a database the server makes its table
\`luafcgid_locks\` when that is not there and it may. Such a lock is a lease of 15 seconds that is renewed as long as its request
lasts, and given back when that ends; when this server or its connection is lost, others get the lock after that time.
Waiting requests of one server take turns; between servers whoever looks first gets the lock. Two requests that wait for each other
get \`"timeout"\`.`,
  },
  shared: {
    key: 'shared',
    group: 'Data',
    type: 'dictionaries',
    default: { cache: { size: 16 * 2 ** 20, evict: true } },
    defaultText: 'a dictionary `cache` of 16 MiB that evicts',
    example: { cache: { size: 64 * 2 ** 20, evict: true }, limits: 4 * 2 ** 20 },
    script: 'hidden',
    summary: 'Dictionaries in memory that all workers share, by name.',
    text: `Scripts use them by the module [luafcgid.shared](lua-api.md#the-module-luafcgidshared). Each dictionary is a size in bytes,
or a table:

\`\`\`lua
shared = {
  cache  = { size = 64 * 2^20, evict = true },
  limits = 4 * 2^20,
  carts  = { store = "main" },
}
\`\`\`

| field | meaning | default |
|---|---|---|
| \`size\` | bytes of memory, from 32 KiB to 1 GiB; the system gives it as it is used | |
| \`store\` | the name of a data source that it lies in, in the place of \`size\` and \`evict\`: other servers see it, too | |
| \`evict\` | when it is full, what was not used for the longest time makes room; otherwise what does not fit is refused with "no memory" | \`false\` |

A dictionary in Redis or Valkey is made of keys there. In a database it lies in the table \`luafcgid_shared\`, which the server makes
when it is not there and it may; keys have at most 255 bytes then, and what a script changes in a transaction of its own on the
same source is seen by others when that commits.

A key with its value takes 64 bytes, and as many blocks of 64 bytes as the two need. A value has at most 8 MiB. What a
dictionary holds outlives workers and reloads, unless a reload changes its size. It ends with the server, also when that restarts
itself because a thread hangs in native code. \`shared = {}\` makes no dictionary.`,
  },
} as const satisfies Record<string, OptionRow>;
