/** luafcgid.router in every engine: which route a request gets, and what is answered where there is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, newState, serve, serveSource } from './support.js';

const source = `local router = require("luafcgid.router")
  local app = router.new()
  local function told(name) return function(env, con, params)
    con:puts(name)
    for _, key in ipairs({ "id", "name", "rest" }) do if params[key] then con:puts(" ", key, "=", params[key]) end end
  end end
  app:get("/", told("home")):get("/users", told("list")):post("/users", told("create"))
  app:get("/users/:id", told("user")):get("/users/new", told("form")):get("/users/:id/posts/:name", told("post"))
  app:get("/files/*rest", told("file")):route("propfind", "/files/x", told("dav"))
  app:group("/admin", function(group)
    group:use(function(env, con, params, next) if env.HTTP_X_USER then con:puts("[") next() con:puts("]") else con:status(403) end end)
    group:get("/:name", told("admin"))
  end)
  app:get("/open", told("open"))
  function main(env, con) app:run(env, con) end
  function named(env, con) app:not_found(function(env, con) con:puts("nothing") end):run(env, con) end`;

test('literal parts come before parameters, and these before the rest; all are decoded', () => {
  const { state, run } = newState();
  run(source);
  const get = (path: string, params: Record<string, string> = {}) =>
    serve(state, 'main', { params: { REQUEST_METHOD: 'GET', PATH_INFO: path, ...params } });
  const bodies: Readonly<Record<string, string>> = {
    '/': 'home',
    '/users': 'list',
    '/users/new': 'form',
    '/users/7': 'user id=7',
    '/users/a%2fb%20c': 'user id=a/b c',
    '/users/new/posts/x': 'post id=new name=x',
    '/files/a/b%20c': 'file rest=a/b%20c',
    '/open': 'open',
  };
  for (const [path, body] of Object.entries(bodies)) assert.equal(get(path).body, body, path);
  assert.equal(get('', { SCRIPT_NAME: '/users/7' }).body, 'user id=7');
  const own = { SCRIPT_NAME: '/app/index.lua', SCRIPT_FILENAME: '/srv/app/index.lua' };
  assert.equal(get('', own).body, get('/').body, 'the address of the script itself is that of the application');
  assert.equal(get('/users', { REQUEST_METHOD: 'POST' }).body, 'create');
  assert.equal(get('/users', { REQUEST_METHOD: 'HEAD' }).body, 'list');
  assert.equal(get('/files/x', { REQUEST_METHOD: 'PROPFIND' }).body, 'dav');
  state.close();
});

test('what has no route is 404, another method 405 with those that there are, OPTIONS 204', () => {
  const { state, run } = newState();
  run(source);
  const ask = (method: string, path: string, handler = 'main') =>
    serve(state, handler, { params: { REQUEST_METHOD: method, PATH_INFO: path } });
  for (const path of ['/none', '/users/', '//', '/users/7/x', '/files', `/${'a/'.repeat(1e5)}`, '/users//posts/x']) {
    const { body, calls } = ask('GET', path);
    assert.equal(body, 'There is nothing at this address.\n', path.slice(0, 20));
    assert.equal(calls.at(-2), 'status 404');
  }
  assert.deepEqual(ask('DELETE', '/users').calls.slice(0, 2), ['header Allow: GET, HEAD, OPTIONS, POST', 'status 405']);
  assert.deepEqual(ask('OPTIONS', '/users').calls, ['header Allow: GET, HEAD, OPTIONS, POST', 'status 204']);
  assert.equal(ask('GET', '/none', 'named').body, 'nothing');
  state.close();
});

test('middleware goes around the routes of its group only', () => {
  const { state, run } = newState();
  run(source);
  const params = { REQUEST_METHOD: 'GET', PATH_INFO: '/admin/x' };
  assert.deepEqual(serve(state, 'main', { params }).calls, ['status 403']);
  assert.equal(serve(state, 'main', { params: { ...params, HTTP_X_USER: 'a' } }).body, '[admin name=x]');
  state.close();
});

test('routes that cannot be are refused where they are added', () => {
  const add = (text: string) => failure(`local app = require("luafcgid.router").new() ${text}`);
  assert.match(add('app:get("users", print)'), /script\.lua:1: a route is a path that begins with \//);
  assert.match(add('app:get("/a")'), /the handler of \/a is a nil value/);
  assert.match(add('app:get("/:", print)'), /":" in the route \/: has no name/);
  assert.match(
    add('app:get("/users/{id}", print)'),
    /"\{id\}" in the route \/users\/\{id\}: a parameter is written :id/,
  );
  assert.match(add('app:get("/*a/b", print)'), /is not its last part/);
  assert.match(add('app:get("/:a/:a", print)'), /has two parameters a/);
  assert.match(add('app:get("/a", print) app:get("/a", print)'), /there are two routes GET \/a/);
  assert.match(add('app:group("x/", print)'), /bad argument #1 to 'group'/);
});

test('the addresses of an application begin with its folder where a front controller is set up, else with its script', () => {
  const base = (SCRIPT_NAME: string, REQUEST_URI: string) =>
    serveSource('con:puts("[", require("luafcgid.router").base(env), "]")', { params: { SCRIPT_NAME, REQUEST_URI } })
      .body;
  assert.equal(base('/index.lua', '/users/7?a=b'), '[]');
  assert.equal(base('/index.lua', '/index.lua/users/7'), '[/index.lua]');
  assert.equal(base('/index.lua', '/index.lua'), '[/index.lua]');
  assert.equal(base('/index.lua', '/index.luax'), '[]');
  assert.equal(base('/shop/index.lua', '/shop/?page=2'), '[/shop]');
  assert.equal(base('/shop/index.lua', '/shop/index.lua?page=2'), '[/shop/index.lua]');
});
