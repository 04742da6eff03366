/** The Lua parts of every state, by name: in Lua `parts.NAME` is what the file of that part gives. */

export interface LuaPart {
  readonly name: string;
  /** Below src/lua. */
  readonly file: string;
  /** The name by which scripts `require` it. */
  readonly module?: string;
  /** The module that it stands in for where `require` finds none of that name. */
  readonly standsInFor?: string;
  /** The only kind of engine whose scripts have it. */
  readonly kind?: EngineKind;
  /** What its documented functions `M.name` are called in scripts: `luafcgid` for `luafcgid.name`. */
  readonly namespace?: string;
}

/** The engines that run in the system's Lua libraries differ from the embedded one in these parts. */
export type EngineKind = 'embedded' | 'native';

/** Parts that each new state loads, in this order: while a part is loaded it can use those above it. */
export function loadedParts(kind: EngineKind): readonly LuaPart[] {
  return [
    { name: 'stock', file: 'runtime/stock.lua' },
    { name: 'arguments', file: 'runtime/arguments.lua' },
    { name: 'run', file: 'runtime/run.lua' },
    { name: 'env', file: 'runtime/env.lua' },
    { name: 'exit', file: 'runtime/exit.lua' },
    { name: 'sources', file: 'runtime/sources.lua' },
    { name: 'streams', file: 'runtime/streams.lua' },
    { name: 'files', file: 'runtime/files.lua' },
    { name: 'stdlib', file: `runtime/${kind}-stdlib.lua` },
    { name: 'require', file: 'runtime/require.lua' },
    { name: 'modules', file: 'runtime/modules.lua' },
    { name: 'waiting', file: 'runtime/waiting.lua' },
    { name: 'luafcgid', file: 'library/luafcgid.lua', module: 'luafcgid', namespace: 'luafcgid' },
    { name: 'html', file: 'library/html.lua', namespace: 'luafcgid' },
    { name: 'url', file: 'library/url.lua', namespace: 'luafcgid' },
    { name: 'con', file: 'runtime/con.lua' },
    { name: 'con_input', file: 'runtime/con-input.lua' },
    { name: 'con_roles', file: 'runtime/con-roles.lua' },
    { name: 'con_settings', file: 'runtime/con-settings.lua' },
    { name: 'hints', file: 'runtime/hints.lua' },
    { name: 'debug', file: 'runtime/debug.lua' },
    // After all that uses the debug library itself.
    { name: 'disguise', file: 'runtime/disguise.lua' },
    // The functions that the engine calls.
    { name: 'prelude', file: 'runtime/prelude.lua' },
  ];
}

/** Parts that a state loads when one of them is first needed. */
export const deferredParts: readonly LuaPart[] = [
  { name: 'frames', file: 'runtime/frames.lua' },
  { name: 'con_fields', file: 'library/con-fields.lua' },
  { name: 'con_response', file: 'library/con-response.lua' },
  { name: 'con_file', file: 'library/con-file.lua' },
  { name: 'con_session', file: 'library/con-session.lua' },
  { name: 'con_csrf', file: 'library/con-csrf.lua' },
  { name: 'session_cookie', file: 'library/session-cookie.lua' },
  { name: 'session_store', file: 'library/session-store.lua' },
  { name: 'session_memory', file: 'library/session-memory.lua' },
  { name: 'session_sql', file: 'library/session-sql.lua' },
  { name: 'session_redis', file: 'library/session-redis.lua' },
  { name: 'data', file: 'library/data.lua' },
  { name: 'db', file: 'library/db.lua', module: 'luafcgid.db', namespace: 'luafcgid.db' },
  { name: 'redis', file: 'library/redis.lua', module: 'luafcgid.redis', namespace: 'luafcgid.redis' },
  { name: 'sql_compat', file: 'library/sql-compat.lua' },
  { name: 'luasql', file: 'library/luasql.lua' },
  { name: 'luasql_postgres', file: 'library/luasql-postgres.lua', standsInFor: 'luasql.postgres' },
  { name: 'luasql_mysql', file: 'library/luasql-mysql.lua', standsInFor: 'luasql.mysql' },
  { name: 'luasql_sqlite3', file: 'library/luasql-sqlite3.lua', standsInFor: 'luasql.sqlite3' },
  { name: 'lsqlite3', file: 'library/lsqlite3.lua', standsInFor: 'lsqlite3' },
  { name: 'http', file: 'library/http.lua', module: 'luafcgid.http', namespace: 'luafcgid.http' },
  { name: 'lock', file: 'library/lock.lua', module: 'luafcgid.lock', namespace: 'luafcgid.lock' },
  { name: 'shared', file: 'library/shared.lua', module: 'luafcgid.shared', namespace: 'luafcgid.shared' },
  { name: 'shared_fetch', file: 'library/shared-fetch.lua', namespace: 'luafcgid.shared' },
  { name: 'shared_values', file: 'library/shared-values.lua' },
  { name: 'shared_redis', file: 'library/shared-redis.lua' },
  { name: 'shared_sql', file: 'library/shared-sql.lua' },
  { name: 'utf8', file: 'library/utf8.lua' },
  { name: 'json_encode', file: 'library/json-encode.lua' },
  { name: 'json_jit', file: 'library/json-jit.lua', kind: 'native' },
  { name: 'json_flatten', file: 'library/json-flatten.lua', kind: 'native' },
  { name: 'json_decode', file: 'library/json-decode.lua' },
  { name: 'json', file: 'library/json.lua', module: 'luafcgid.json', namespace: 'json' },
  { name: 'cjson', file: 'library/cjson.lua', standsInFor: 'cjson' },
  { name: 'cjson_safe', file: 'library/cjson-safe.lua', standsInFor: 'cjson.safe' },
  { name: 'serialize', file: 'library/serialize.lua', namespace: 'luafcgid' },
  { name: 'crypto', file: 'library/crypto.lua', module: 'luafcgid.crypto', namespace: 'crypto' },
  { name: 'bit', file: 'library/bit.lua', standsInFor: 'bit' },
  { name: 'template', file: 'library/template.lua', module: 'luafcgid.template', namespace: 'template' },
  { name: 'router', file: 'library/router.lua', module: 'luafcgid.router', namespace: 'router' },
  { name: 'test', file: 'library/test.lua', module: 'luafcgid.test', namespace: 'test' },
  { name: 'console', file: 'library/console.lua', module: 'luafcgid.console' },
  { name: 'validate', file: 'library/validate.lua', module: 'luafcgid.validate', namespace: 'validate' },
  { name: 'template_compile', file: 'library/template-compile.lua' },
  { name: 'template_jit', file: 'library/template-jit.lua' },
  { name: 'adapters', file: 'library/adapters.lua' },
  { name: 'wsapi', file: 'library/wsapi.lua', module: 'luafcgid.wsapi', namespace: 'wsapi' },
  { name: 'wsapi_request', file: 'library/wsapi-request.lua', standsInFor: 'wsapi.request' },
  { name: 'wsapi_response', file: 'library/wsapi-response.lua', standsInFor: 'wsapi.response' },
  { name: 'wsapi_util', file: 'library/wsapi-util.lua', standsInFor: 'wsapi.util' },
  { name: 'lua_page', file: 'library/lua-page.lua' },
  { name: 'cgilua', file: 'library/cgilua.lua', module: 'luafcgid.cgilua', namespace: 'cgilua' },
  { name: 'cgilua_interface', file: 'library/cgilua-interface.lua' },
  { name: 'cgilua_name', file: 'library/cgilua-name.lua', standsInFor: 'cgilua' },
  { name: 'cgilua_urlcode', file: 'library/cgilua-urlcode.lua', standsInFor: 'cgilua.urlcode' },
  { name: 'cgilua_cookies', file: 'library/cgilua-cookies.lua', standsInFor: 'cgilua.cookies' },
  { name: 'cgilua_session', file: 'library/cgilua-session.lua', standsInFor: 'cgilua.session' },
  { name: 'ngx', file: 'library/ngx.lua', module: 'luafcgid.ngx', namespace: 'ngx' },
  { name: 'ngx_request', file: 'library/ngx-request.lua' },
  { name: 'mod_lua', file: 'library/mod-lua.lua', module: 'luafcgid.mod_lua', namespace: 'mod_lua' },
  { name: 'luafcgid2', file: 'library/luafcgid2.lua' },
  { name: 'lapis', file: 'library/lapis.lua', module: 'luafcgid.lapis', namespace: 'lapis' },
  { name: 'openssl_hmac', file: 'library/openssl-hmac.lua', standsInFor: 'openssl.hmac' },
  { name: 'openssl_rand', file: 'library/openssl-rand.lua', standsInFor: 'openssl.rand' },
  { name: 'pegasus', file: 'library/pegasus.lua', module: 'luafcgid.pegasus', namespace: 'pegasus' },
  { name: 'lfs', file: 'library/lfs.lua', standsInFor: 'lfs', kind: 'embedded' },
  { name: 'wsapi_name', file: 'library/wsapi-name.lua', standsInFor: 'wsapi' },
  { name: 'form', file: 'library/form.lua' },
  { name: 'cookie', file: 'library/cookie.lua' },
];

/** The deferred parts that scripts can require, by the name of the module. */
export const deferredModules: Readonly<Record<string, string>> = Object.fromEntries(
  deferredParts.flatMap(({ name, module }) => (module === undefined ? [] : [[module, name]])),
);

/** The deferred parts that stand in for modules, by the name of the module. */
export function standIns(engine: EngineKind): Readonly<Record<string, string>> {
  const parts = deferredParts.filter(({ kind = engine }) => kind === engine);
  return Object.fromEntries(
    parts.flatMap(({ name, standsInFor }) => (standsInFor === undefined ? [] : [[standsInFor, name]])),
  );
}

/** The place of a part's file. */
export function luaFile(file: string): URL {
  return new URL(`../${file}`, import.meta.url);
}
