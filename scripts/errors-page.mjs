// docs/errors.md: the error catalogue as a page, one chapter for each area and one section for each code.
import { readFileSync } from 'node:fs';
import { catalogue } from '../dist/src/base/errors.js';

const WHO = {
  peer: 'the client or the web server',
  script: 'the author of the script',
  operator: 'the operator of the server',
  bug: 'the developers of luafcgid',
};

const { bugs } = JSON.parse(readFileSync('package.json', 'utf8'));

const INTRODUCTION = `# Errors

<!-- Written by \`npm run docs\` from src/base/errors.ts: do not edit. -->

Each error that luafcgid reports begins with a code, in the log and in messages of the command line. A code never changes
its meaning. Words in braces stand for values that the message has when it is written.

Errors of luafcgid itself are reported at <${bugs}>, and those that concern security as [SECURITY.md](../SECURITY.md) says.

_HTTP status_ is what the client gets when the error ends its request; _none_ means that it ends no request, or that the
connection is closed without an answer.
`;

/** The area of a code: LUAFCGID_AREA_FACT. Chapters come in the order of their first codes. */
function areaOf(code) {
  return code.split('_').length > 2 ? code.split('_')[1].toLowerCase() : 'other';
}

const TITLES = {
  fcgi: 'FastCGI',
  request: 'Requests',
  upload: 'Requests',
  session: 'Sessions',
  client: 'Slow and silent clients',
  script: 'Scripts',
  isolation: 'Scripts',
  preload: 'Scripts',
  image: 'Images of states',
  waiting: 'Waiting',
  data: 'Data sources',
  response: 'Answers of scripts',
  pool: 'Waiting',
  listen: 'Listening',
  control: 'Status and control',
  user: 'User and group',
  log: 'The logs',
  service: 'As a service',
  worker: 'Workers',
  reload: 'Reloading',
  server: 'The server itself',
  other: 'The server itself',
  config: 'Configuration',
  lua: 'The Lua engine',
  ffi: 'The Lua engine',
  io: 'The thread of data sources',
  new: 'The command new',
  test: 'The command test',
  shared: 'Shared memory and locks',
  lock: 'Shared memory and locks',
  http: 'Other servers',
  run: 'The command run',
  gateway: 'The web server for development',
};

export function errorsPage() {
  const chapters = new Map();
  for (const [code, { blame, status, message, solve }] of Object.entries(catalogue)) {
    const area = areaOf(code);
    const title = TITLES[area] ?? area[0].toUpperCase() + area.slice(1);
    const sections = chapters.get(title) ?? '';
    chapters.set(
      title,
      `${sections}
### \`${code}\`

- **Message:** \`${message}\`
- **Who has to act:** ${WHO[blame]}
- **HTTP status:** ${status === 0 ? 'none' : status}
- **How to solve:** ${solve}
`,
    );
  }
  return INTRODUCTION + [...chapters].map(([title, sections]) => `\n## ${title}\n${sections}`).join('');
}
