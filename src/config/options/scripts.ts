/** Options: which Lua runs which files. */
import { engineNames } from '../../lua/state.js';
import type { OptionRow } from '../option.js';

export const scripts = {
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
    text: `The name of a global function. It is called as \`main(env, con)\` for each request. A script that defines none can
return a function instead, which is called in the same way. \`"wsapi"\`, \`"luafcgid2"\`, \`"mod_lua"\`, \`"cgilua"\`, \`"orbit"\` and \`"ngx"\` are no
names of functions: they are adapters for all scripts, see \`adapters\`.`,
  },
  adapters: {
    key: 'adapters',
    group: 'Scripts',
    type: 'adapters',
    default: {},
    defaultText: 'none',
    example: { lp: 'cgilua', ws: 'wsapi' },
    script: 'hidden',
    summary: 'Scripts that are written for another interface, by the ending of their names.',
    text: `A table of extensions and adapters: \`{ lp = "cgilua", ws = "wsapi", op = "orbit" }\`. Files with such a name are
scripts, whatever \`extensions\` says. \`"wsapi"\` runs WSAPI applications, \`"cgilua"\` CGILua's pages and scripts, \`"orbit"\` Orbit's
pages (which need the Debian packages lua-orbit and lua-cosmo, and the engine \`lua5.1\` or \`luajit\`), \`"luafcgid2"\` scripts of luafcgid2, \`"mod_lua"\` those of Apache's mod_lua, \`"ngx"\` files that
OpenResty runs by \`content_by_lua_file\`. [existing-software.md](existing-software.md) tells what each of them has.`,
  },
  authorizer: {
    key: 'authorizer',
    group: 'Scripts',
    type: 'text',
    pattern: /^[^\0]+$/,
    allowed: 'the name of a global function, like "authorize"',
    default: 'authorize',
    script: 'read',
    summary: 'The function of a script that decides whether a client may have something.',
    text: `The name of a global function. It is called as \`authorize(env, con)\` for each request of a web server that asks
for an Authorizer, and lets the client in by \`return true\` alone: see [Authorizers](web-servers.md#authorizers).`,
  },
  authscript: {
    key: 'authScript',
    group: 'Scripts',
    type: 'source-file',
    defaultText: 'the file that is asked for',
    example: '/srv/app/authorize.lua',
    script: 'hidden',
    summary: 'The script that answers all requests for an Authorizer.',
    text: `lighttpd and Apache name the file that the client wants in SCRIPT_FILENAME, and nowhere which script decides about
it: this option does. \`root\` and \`extensions\` hold for it. Without it only scripts can be protected, each by a function
of its own.`,
  },
  filter: {
    key: 'filter',
    group: 'Scripts',
    type: 'text',
    pattern: /^[^\0]+$/,
    allowed: 'the name of a global function, like "filter"',
    default: 'filter',
    script: 'read',
    summary: 'The function of a script that answers with what it makes of a file.',
    text: `The name of a global function. It is called as \`filter(env, con)\` for each request of a web server that asks for a
Filter, and reads the file by \`con:data\`: see [Filters](web-servers.md#filters).`,
  },
  filterscript: {
    key: 'filterScript',
    group: 'Scripts',
    type: 'source-file',
    defaultText: 'the file that is asked for',
    example: '/srv/app/filter.lua',
    script: 'hidden',
    summary: 'The script that answers all requests for a Filter.',
    text: `For web servers whose SCRIPT_FILENAME is the file that is to be filtered. \`root\` and \`extensions\` hold for it.`,
  },
  errorhandler: {
    key: 'errorHandler',
    group: 'Scripts',
    type: 'text',
    pattern: /^[^\0]+$/,
    allowed: 'the name of a global function, like "on_error"',
    default: 'on_error',
    script: 'read',
    summary: 'The function of a script that answers a request whose handler has failed.',
    text: `The name of a global function. It is called as \`on_error(env, con)\` when the handler of the same script has raised an
error and nothing was sent yet; \`con.problem\` says what has happened, and the status is set already. Scripts without such a
function, and errors outside of scripts, are answered by the server's own page, or by JSON for a client that asks for JSON.`,
  },
  app: {
    key: 'app',
    group: 'Scripts',
    type: 'application',
    default: {},
    defaultText: 'nothing',
    example: { title: 'Guestbook', entries_per_page: 20 },
    script: 'read',
    summary: 'Settings of the application itself, which scripts can read.',
    text: `A table of text, numbers, booleans and tables of these, of at most 64 KiB. Scripts get it by \`luafcgid.app()\` or
\`con:config("app")\`, as a copy: what one changes in it changes nothing for others. All scripts of the server see it, so put no
secrets here that only one of them may know.`,
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
  extensions: {
    key: 'extensions',
    group: 'Scripts',
    type: 'extensions',
    default: '.lua',
    script: 'hidden',
    summary: 'How the names of scripts end: one extension or a list.',
    text: `A request for any other file is answered with 403, so that what visitors upload (\`photo.jpg\`) never runs, whatever
the web server is made to ask for. It is the name of the file itself that counts, links resolved, with its letters as they
are written. \`"*"\` lets every file be a script. Files that scripts load themselves may have any name.`,
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
  files: {
    key: 'files',
    group: 'Scripts',
    type: 'files',
    defaultText: 'no files',
    example: { read: ['/srv/data'], write: ['/srv/data'] },
    script: 'hidden',
    summary: 'Directories whose files scripts of the embedded engine may use.',
    text: `A table of two lists. \`io.open\`, \`io.lines\`, \`dofile\` and \`loadfile\` read regular files below the directories of
\`read\`; \`io.open\`, \`os.remove\`, \`os.rename\` and \`os.tmpname\` write below those of \`write\`. Neither implies the other: to
read what scripts write, name the directory in both. Where a file lies counts after links are resolved. Everything else
is denied, there or not. A grant is the directory that has this name at the start or reload: it stays granted under
another name, and whatever gets its name later is not granted until a reload. Scripts cannot move, replace or remove a granted
directory, one above it, or one that scripts and modules are loaded from. Never grant \`write\` to a directory that scripts or modules are loaded from: what is written there
runs. Native engines reach all files that the server's user may: with a native engine, also with \`--engine\`, this option is a fault, since
its grants would be a promise that is not kept.`,
  },
  filesmax: {
    key: 'filesMaxBytes',
    group: 'Scripts',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 50,
    special: { value: 0, means: 'no limit', becomes: Number.POSITIVE_INFINITY },
    default: 0,
    script: 'hidden',
    summary: 'The largest file that a script of the embedded engine may write.',
    text: `What would make a file larger is refused: \`file:write\` gives nil and "File too large", and what the
call had written before stays. It bounds single files; \`filestotal\` bounds all of them together. Not for native engines.`,
  },
  filestotal: {
    key: 'filesTotalBytes',
    group: 'Scripts',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 50,
    special: { value: 0, means: 'no limit', becomes: Number.POSITIVE_INFINITY },
    default: 0,
    script: 'hidden',
    summary: 'How many bytes all files may have together that lie below the directories of `files.write`.',
    text: `What would make them more is refused: \`file:write\` gives nil and "Quota exceeded" until scripts have removed
something. The server counts the files at start and with every \`sweep\`, and in between what scripts write, shorten, replace and remove; what
other programs write counts with the next sweep. Sizes count as \`ls -l\` shows them, empty files and folders as nothing; a file that was removed while a
script had it open counts until the sweep after it is closed. Not for native engines.`,
  },
  environment: {
    key: 'environment',
    group: 'Scripts',
    type: 'environment',
    default: {},
    defaultText: 'nothing',
    example: ['HOME', 'TZ'],
    script: 'hidden',
    summary: 'The environment that scripts of the embedded engine see by `os.getenv`.',
    text: `A list of names, whose values the server's own environment has, or a table of names and values:
\`{ "HOME", MODE = "test" }\`. Not for native engines, whose scripts see the whole environment of the server.`,
  },
  keys: {
    key: 'keys',
    group: 'Scripts',
    type: 'keys',
    default: {},
    defaultText: 'none',
    example: { session: 'a secret of 32 characters at least' },
    script: 'hidden',
    summary: 'Secrets with which `luafcgid.crypto` seals tokens, by name.',
    text: `A table of names and secrets of at least 32 characters, or of lists of secrets. The first secret of a list seals, all
of them open: to replace a secret, put the new one before it, and remove the old one when its tokens have expired. Keep secrets
out of the configuration's file with \`os.getenv\` or \`dofile\`. Scripts name a key and never see its secrets.`,
  },
  bytecode: {
    key: 'bytecode',
    group: 'Scripts',
    type: 'boolean',
    default: false,
    script: 'read',
    summary: 'Load precompiled Lua.',
    text: `\`true\` lets \`load\`, \`loadstring\`, \`loadfile\`, \`dofile\` and \`require\` take precompiled chunks, and scripts and
\`preload\` be files of \`luac\` (of the same Lua version, and for the embedded engine of a 32-bit machine). What \`string.dump\` has just
given a script, it may load again without that. Lua does not check
them: a forged one breaks its state in the embedded engine, and can do anything in a native one. Allow it only where no
script loads what visitors send.`,
  },
  preloadscripts: {
    key: 'preloadScripts',
    group: 'Scripts',
    type: 'script-files',
    default: [],
    defaultText: 'none',
    example: ['/var/www/index.lua'],
    script: 'hidden',
    summary: 'Scripts that each worker loads before its first request.',
    text: `A file, or a list. Each worker loads them when it starts, all workers at the same time, and keeps their images
([states.md](states.md#warm-start)), so that no request waits for them to be loaded. A reload does the same before its new workers take
over. A script has \`watchdog\` seconds to load. The log tells which could not be loaded; the server starts all the same.
\`luafcgid check\` loads each once, and shows how long it took and what it takes. Embedded engine only.`,
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
} as const satisfies Record<string, OptionRow>;
