/** Scripts whose main chunk returns their handler (cases/users F7: WSAPI's `return app`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLua54, luaError, newState, serve } from './support.js';

function body(source: string, handler = 'main'): string {
  const { state, run } = newState();
  try {
    run(source);
    assert.equal(state.hasFunction(handler, 'RESPONDER'), true);
    return serve(state, handler, { params: { QUERY_STRING: 'a=1' } }).body;
  } finally {
    state.close();
  }
}

test('a function that the script returns is its handler, and is called with env and con', () => {
  assert.equal(
    body('local n = 0 return function(env, con) n = n + 1 con:puts(env.QUERY_STRING, n) end'),
    'a=11',
    'values stay in the state',
  );
  assert.equal(body('return setmetatable({}, { __call = function(self, env, con) con:puts("called") end })'), 'called');
});

test('a global of the name that handler has comes first, whatever the script returns', () => {
  assert.equal(
    body('function main(env, con) con:puts("main") end return function(env, con) con:puts("returned") end'),
    'main',
  );
  assert.equal(body('function page(env, con) con:puts("page") end return print', 'page'), 'page');
});

test('only requests for an answer get it: it authorizes nobody and handles no errors', () => {
  const { state, run } = newState();
  run('return function(env, con) return true end');
  for (const role of ['AUTHORIZER', 'FILTER'] as const) assert.equal(state.hasFunction('main', role), false);
  assert.equal(state.hasFunction('on_error'), false);
  assert.match(luaError(() => serve(state, 'authorize', { role: 'AUTHORIZER' })).message, /no function 'authorize'/);
  state.close();
});

test('other values are no handlers, and what a chunk before has returned does not count', () => {
  const { state, run } = newState();
  run('return function() end');
  for (const value of ['', 'return', 'return nil', 'return {}', 'return "main"', 'return 5, function() end']) {
    run(value);
    assert.equal(state.hasFunction('main', 'RESPONDER'), false, value);
    assert.match(luaError(() => serve(state, 'main')).message, /there is no function 'main'/);
  }
  state.close();
});

test('an error in a returned handler names its line, and its traceback has no function of the server', () => {
  const { state, run } = newState();
  run('return function(env, con)\n  error("broken")\nend');
  const error = luaError(() => serve(state, 'main'));
  assert.equal(error.message, '/srv/script.lua:2: broken');
  assert.doesNotMatch(error.traceback, /\[luafcgid\]/);
  assert.match(error.traceback, isLua54 ? /in function <\/srv\/script\.lua:1>/ : /<\/srv\/script\.lua:1>/);
  state.close();
});
