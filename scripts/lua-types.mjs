// types/**: what the Lua language server (and editors with it) knows of the script interface, made from docs/lua-api.md. A file
// for each module, named as scripts require it.
import { luaApiPage } from './lua-api.mjs';

const NOTE = '-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.';

/** Objects that functions give: the word that stands for one in the page, and the class it has here. */
const CLASSES = {
  con: 'luafcgid.con',
  db: 'luafcgid.db.source',
  r: 'luafcgid.redis.source',
  l: 'luafcgid.lock.held',
  d: 'luafcgid.shared.dictionary',
  answer: 'luafcgid.http.answer',
};

/** What such an object is called in a file whose module has the same name. */
const LOCALS = { db: 'handle' };

/** Further ways to call a function. */
const OVERLOADS = {
  'con:log': 'fun(self: luafcgid.con, text: string)',
  'con:header': 'fun(self: luafcgid.con, headers: table)',
};

/** Modules with fields that are no functions, or with more than the page names. */
const OPEN = new Set(['json', 'ngx', 'mod_lua']);

/** Types of parameters by their names, where these say enough. */
const PARAMETERS = {
  name: 'string',
  text: 'string',
  key: 'string|number',
  sql: 'string',
  url: 'string',
  mime: 'string',
  pattern: 'string',
  path: 'string',
  algorithm: 'string',
  password: 'string',
  hash: 'string',
  token: 'string',
  message: 'string',
  file: 'string',
  mode: 'string',
  tag: 'string|number',
  method: 'string',
  source: 'string',
  level: 'string',
  line: 'string',
  template: 'string',
  view: 'string',
  options: 'table',
  values: 'table',
  headers: 'table<string, string|number|(string|number)[]>',
  rules: 'table<string, table>',
  env: 'table<string, string>',
  con: 'luafcgid.con',
  f: 'function',
  f1: 'function',
  f2: 'function',
  work: 'function',
  handle: 'function',
  callback: 'function',
  seconds: 'number',
  ttl: 'number',
  init_ttl: 'number',
  n: 'number',
  init: 'number',
  most: 'integer',
  time: 'integer',
  code: 'integer|string',
  flags: 'integer',
};

/** What functions give; `any` where nothing stands here. */
const RETURNS = {
  'con:cookie': 'string?',
  'con:cookies': 'table<string, string|string[]>',
  'con:csrf': 'string',
  'con:csrf_field': 'string',
  'con:data': 'string?',
  'con:etag': 'boolean',
  'con:file': 'luafcgid.file?',
  'con:files': 'luafcgid.file[]',
  'con:form': 'table<string, string|luafcgid.file|(string|luafcgid.file)[]>',
  'con:get_header': 'string?',
  'con:gets': 'string?',
  'con:last_modified': 'boolean',
  'con:param': 'string?',
  'con:params': 'string[]',
  'con:query': 'table<string, string|string[]>',
  'con:session': 'luafcgid.session',
  'luafcgid.app': 'table',
  'luafcgid.con_methods': 'string[]',
  'luafcgid.escape': 'string',
  'luafcgid.parse': 'table<string, string|string[]>',
  'luafcgid.serialize': 'string',
  'luafcgid.urldecode': 'string?',
  'luafcgid.urlencode': 'string?',
  'luafcgid.db.open': 'luafcgid.db.source',
  'luafcgid.redis.open': 'luafcgid.redis.source',
  'luafcgid.lock.lock': 'luafcgid.lock.held?',
  'luafcgid.lock.try': 'luafcgid.lock.held?',
  'db:query': 'table[]',
  'db:one': 'table?',
  'l:held': 'boolean',
  'l:unlock': 'boolean',
  'luafcgid.http.request': 'luafcgid.http.answer',
  'luafcgid.http.get': 'luafcgid.http.answer',
  'json.encode': 'string',
  'json.script': 'string',
  'crypto.random': 'string',
  'crypto.uuid': 'string',
  'crypto.hash': 'string',
  'crypto.hmac': 'string',
  'crypto.equal': 'boolean',
  'crypto.base64': 'string',
  'crypto.base64url': 'string',
  'crypto.unbase64': 'string',
  'crypto.hex': 'string',
  'crypto.unhex': 'string',
  'crypto.seal': 'string',
  'crypto.password.hash': 'string',
  'crypto.password.verify': 'boolean',
  'crypto.password.needs_rehash': 'boolean',
  'template.render': 'string',
  'router.new': 'luafcgid.router',
  'router.base': 'string',
  'wsapi.handler': 'luafcgid.handler',
  'cgilua.handler': 'luafcgid.handler',
  'mod_lua.handler': 'luafcgid.handler',
  'lapis.serve': 'luafcgid.handler',
  'pegasus.handler': 'luafcgid.handler',
  'd:capacity': 'integer',
  'd:free_space': 'integer',
  'd:get_keys': 'string[]',
};
const VOID = new Set([
  'con:puts',
  'con:header',
  'con:status',
  'con:type',
  'con:redirect',
  'con:flush',
  'con:reset',
  'con:finish',
  'con:variable',
  'con:log',
  'con:remove_header',
  'con:sendfile',
  'con:check_csrf',
  'luafcgid.sleep',
  'luafcgid.isolation',
  'template.puts',
]);

/** Classes that the page describes in words. */
const WRITTEN = `---@alias luafcgid.handler fun(env: table<string, string>, con: luafcgid.con): any

---A file of a posted form.
---@class luafcgid.file
---@field filename string what the browser calls it
---@field type string
---@field size integer
---@field content string
local file = {}
---A part of it; nil at its end.
---@param count integer
---@param offset integer
---@return string?
function file:read(count, offset) end
---@param path string
---@return true?, string?
function file:save(path) end

---The session of a browser. Other fields are its values.
---@class luafcgid.session
---@field [string] any
local session = {}
---@param name string
---@return any
function session:get(name) end
---@param name string
---@param value any
function session:set(name, value) end
---@param name string
function session:unset(name) end
---@return boolean
function session:exists() end
function session:renew() end
function session:destroy() end
---@param text string
---@param kind? string
function session:flash(text, kind) end
---@return table[]
function session:flashes() end`;

const ROUTER = `---@alias luafcgid.router.handler fun(env: table<string, string>, con: luafcgid.con, params: table<string, string>): any

---@class luafcgid.router
local app = {}
${['get', 'post', 'put', 'patch', 'delete']
  .map(
    (name) =>
      `---@param path string\n---@param handler luafcgid.router.handler\n---@return luafcgid.router\nfunction app:${name}(path, handler) end`,
  )
  .join('\n')}
---@param method string
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:route(method, path, handler) end
---@param middleware fun(env: table<string, string>, con: luafcgid.con, params: table<string, string>, next: fun())
---@return luafcgid.router
function app:use(middleware) end
---@param prefix string
---@param define fun(group: luafcgid.router)
---@return luafcgid.router
function app:group(prefix, define) end
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:not_found(handler) end
---@param env table<string, string>
---@param con luafcgid.con
function app:run(env, con) end`;

/** The functions of a part of the page: name, calls and text of each. */
function functionsOf(section) {
  return section
    .split(/^(?=#{3,4} )/m)
    .slice(1)
    .flatMap((text) => {
      const [heading, ...rest] = text.split('\n');
      const body = rest.join('\n');
      if (heading.startsWith('#### ')) {
        const calls = [...heading.matchAll(/`([^`]+)`/g)].map(([, call]) => call);
        return calls.map((call) => ({ calls: [call], text: firstParagraph(body) }));
      }
      const [, code = ''] = /```lua\n([\s\S]*?)```/.exec(body) ?? [];
      return [{ calls: code.trim().split('\n'), text: firstParagraph(body.replace(/^[\s\S]*?```lua[\s\S]*?```/, '')) }];
    });
}

function firstParagraph(text) {
  return text
    .trim()
    .split(/\n\s*\n/, 1)[0]
    .replace(/\s+/g, ' ')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}

/** `name[, value]`: each parameter, and whether it may be left out. */
function parametersOf(call) {
  const list = /\((.*)\)$/.exec(call)?.[1] ?? '';
  let depth = 0;
  const found = [];
  for (const [token] of list.matchAll(/\[|\]|\.\.\.|[A-Za-z_]\w*/g)) {
    if (token === '[') depth += 1;
    else if (token === ']') depth -= 1;
    else found.push({ name: token, isOptional: depth > 0 });
  }
  // A name that may come before others, as in con:log([level,] text), is written as an overload.
  return found;
}

/** Lua takes no parameters after "...". */
function signature(parameters) {
  const end = parameters.findIndex(({ name }) => name === '...');
  return (end < 0 ? parameters : parameters.slice(0, end + 1)).map(({ name }) => (name === 'end' ? 'last' : name));
}

function typeOf({ name, isOptional }) {
  const type = PARAMETERS[name] ?? 'any';
  return { type: type.includes(' ') && isOptional ? `(${type})` : type, mark: isOptional ? '?' : '' };
}

function definition({ calls, text }, local) {
  // The call with the most parameters stands; what the others leave out may be left out.
  const sorted = [...calls].sort((one, other) => parametersOf(other).length - parametersOf(one).length);
  const [call] = sorted;
  const least = Math.min(...calls.map((one) => parametersOf(one).length));
  const name = call.replace(/\(.*$/, '');
  const parameters = parametersOf(call).map((one, at) => ({ ...one, isOptional: one.isOptional || at >= least }));
  const given = signature(parameters);
  const lines = [`---${text}`];
  for (const parameter of parameters.slice(0, given.length)) {
    const { type, mark } = typeOf(parameter);
    lines.push(parameter.name === '...' ? '---@param ... any' : `---@param ${parameter.name}${mark} ${type}`);
  }
  if (!VOID.has(name)) lines.push(`---@return ${RETURNS[name] ?? 'any'}`);
  if (OVERLOADS[name] !== undefined) lines.push(`---@overload ${OVERLOADS[name]}`);
  lines.push(`function ${local(name)}(${given.join(', ')}) end`);
  return lines.join('\n');
}

/** Settings for luacheck: the globals of scripts, and of configurations. @param settings the names of all settings */
export function luacheckSettings(settings) {
  return `-- Settings for luacheck. Copy this file to the folder of an application, as .luacheckrc.
-- Made from the table of settings by \`npm run docs\`.
std = "lua51" -- with engine = "lua5.4": "lua54"; with "luajit": "luajit"
globals = { "main", "authorize", "filter", "on_error" }
-- A handler is given both, whether it needs them or not.
ignore = { "212/env", "212/con", "212/_.*" }
max_line_length = false

-- Configurations of the server set its settings.
files["**/config.lua"] = {
  globals = {
${settings.map((name) => `    "${name}",`).join('\n')}
    "startup",
    "housekeeping",
    "shutdown",
  },
}

-- Scripts that run through an adapter have globals of its interface: take what you need.
-- files["legacy/**"] = { globals = { "handle" }, read_globals = { "apache2", "ngx", "cgilua", "Send", "Header", "Session", "Env" } }
`;
}

/** The files by their names. */
export function luaTypes() {
  const page = luaApiPage();
  const sections = page.split(/^(?=## )/m);
  const files = {};
  const con = functionsOf(sections.find((section) => section.startsWith('## con\n')));
  const base = sections.find((section) => section.startsWith('## The module luafcgid\n'));
  files['types/luafcgid.lua'] = [
    '---@meta luafcgid',
    '',
    NOTE,
    '',
    '---What answers one request.',
    '---@class luafcgid.con',
    '---@field id string its name in the log',
    '---@field state integer',
    '---@field worker integer',
    '---@field problem? { status: integer, code: string, message: string, traceback: string } in on_error only',
    'local con = {}',
    '',
    con.map((one) => definition(one, (name) => name)).join('\n\n'),
    '',
    WRITTEN,
    '',
    '---@class luafcgid',
    '---@field version string',
    'local luafcgid = {}',
    '',
    functionsOf(base)
      .map((one) => definition(one, (name) => name))
      .join('\n\n'),
    '',
    'return luafcgid',
    '',
  ].join('\n');
  for (const section of sections) {
    const [, module] = /^## The module luafcgid\.(\w+)\n/.exec(section) ?? [];
    if (module === undefined) continue;
    files[`types/luafcgid/${module}.lua`] = moduleFile(
      module,
      functionsOf(section),
      firstParagraph(section.replace(/^.*\n/, '')),
    );
  }
  return files;
}

function moduleFile(module, functions, text) {
  const lines = [`---@meta luafcgid.${module}`, '', NOTE, ''];
  const words = new Set(functions.flatMap(({ calls }) => /^(\w+):/.exec(calls[0])?.[1] ?? []));
  for (const word of words) lines.push(`---@class ${CLASSES[word]}`, `local ${LOCALS[word] ?? word} = {}`, '');
  if (module === 'router') lines.push(ROUTER, '');
  const fields = module === 'shared' ? ['---@field [string] luafcgid.shared.dictionary'] : [];
  if (OPEN.has(module)) fields.push('---@field [string] any');
  lines.push(`---${text}`, `---@class luafcgid.${module}.module`, ...fields, `local ${module} = {}`, '');
  const hasInner = functions.some(({ calls }) => calls[0].startsWith('crypto.password.'));
  if (hasInner) lines.push('crypto.password = {}', '');
  const local = (name) => name.replace(/^luafcgid\./, '').replace(/^(\w+):/, (_, word) => `${LOCALS[word] ?? word}:`);
  const isCall = ({ calls }) => calls[0].replace(/\(.*$/, '') === module;
  lines.push(
    functions
      .filter((one) => !isCall(one))
      .map((one) => `${definition(one, local)}\n`)
      .join('\n'),
  );
  if (functions.some(isCall)) lines.push(`setmetatable(${module}, { __call = function(_, name, work) end })`, '');
  lines.push(`return ${module}`, '');
  return lines.join('\n');
}
