// docs/errors.md: the error catalogue as a page, one section for each code.
import { catalogue } from '../dist/src/base/errors.js';

const WHO = {
  peer: 'the client or the web server',
  script: 'the author of the script',
  operator: 'the operator of the server',
  bug: 'the developers of luafcgid',
};

const INTRODUCTION = `# Errors

<!-- Written by \`npm run docs\` from src/base/errors.ts: do not edit. -->

Each error that luafcgid reports begins with a code, in the log and in messages of the command line. A code never changes
its meaning. Words in braces stand for values that the message has when it is written.

_HTTP status_ is what the client gets when the error ends its request; _none_ means that it ends no request, or that the
connection is closed without an answer.
`;

/** Areas in the order in which their first codes come: LUAFCGID_AREA_FACT. */
function areaOf(code) {
  return code.split('_').length > 2 ? code.split('_')[1].toLowerCase() : 'other';
}

const TITLES = {
  fcgi: 'FastCGI',
  request: 'Requests',
  script: 'Scripts',
  response: 'Answers of scripts',
  pool: 'Waiting',
  listen: 'Listening',
  log: 'The logs',
  service: 'As a service',
  worker: 'Workers',
  reload: 'Reloading',
  other: 'The server itself',
  config: 'Configuration',
  lua: 'The Lua engine',
  run: 'The command run',
  gateway: 'The web server for development',
};

export function errorsPage() {
  let page = INTRODUCTION;
  let last;
  for (const [code, { blame, status, message, solve }] of Object.entries(catalogue)) {
    const area = areaOf(code);
    if (area !== last) page += `\n## ${TITLES[area] ?? area}\n`;
    last = area;
    page += `
### \`${code}\`

- **Message:** \`${message}\`
- **Who has to act:** ${WHO[blame]}
- **HTTP status:** ${status === 0 ? 'none' : status}
- **How to solve:** ${solve}
`;
  }
  return page;
}
