/** env is decoded for scripts that may look into it, and then it is a plain table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, isPlain51, luaError, newRequest, newState, serve } from './support.js';

const params = { A: '1', B: 'two' };

test('whatever looks into env first finds the parameters', () => {
  for (const [expression, expected] of [
    ['env.A', '1'],
    ['rawget(env, "B")', 'two'],
    ['next(env) ~= nil', 'true'],
    ['(function() local n = 0 for k, v in pairs(env) do n = n + 1 end return n end)()', '4'],
    ['(function() local n = 0 for k, v in next, env do n = n + 1 end return n end)()', '4'],
    ['(function() local k, n = nil, 0 repeat k = next(env, k) n = n + 1 until k == nil return n end)()', '5'],
    ['getmetatable(env)', 'nil'],
    ['debug.getmetatable(env)', 'nil'],
    ['setmetatable(env, { __index = function() return "default" end }).B .. env.C', 'twodefault'],
    ['debug.setmetatable(env, nil) and env.A', '1'],
    ['rawset(env, "A", "mine").A .. env.B', 'minetwo'],
    ['(function() env.A = "mine" return env.A .. env.B end)()', 'minetwo'],
    ['(function() env.A = nil return tostring(env.A) .. env.B end)()', 'niltwo'],
    ['#env', '0'],
    ['rawequal(env, env) and env == env', 'true'],
    ['(string.gsub("A-B", "%a", env))', '1-two'],
    ['env.LUAFCGID_VERSION', '2.0.0'],
    ['require("luafcgid").serialize(env):find("two", 1, true) ~= nil', 'true'],
    ['table.foreach and table.foreach(env, function(k) return "visited" end) or "visited"', 'visited'],
    ['rawlen and rawlen(env) or 0', '0'],
    ['select("#", (unpack or table.unpack)(env))', '0'],
    ['con:query().x', '5'],
  ] as const) {
    // Each in a state of its own: a script that has looked once gets a full table from then on.
    const { state, run } = newState();
    run(`${compatible}function main(env, con) con:puts(tostring(${expression})) end`);
    for (let time = 1; time <= 2; time += 1) {
      const query = expression.startsWith('con:') ? { QUERY_STRING: 'x=5' } : params;
      assert.equal(serve(state, 'main', { params: query }).body, expected, `${expression}, time ${time}`);
    }
    state.close();
  }
});

test('functions that look into tables are those of Lua', () => {
  const { state, evaluate } = newState();
  for (const name of ['pairs', 'next', 'rawget', 'rawset', 'getmetatable', 'setmetatable']) {
    assert.equal(evaluate(`debug.getinfo(${name}).what`), 'C', `${name} (fidelity D-A8)`);
    assert.match(luaError(() => evaluate(`${name}()`)).message, /^\/srv\/script.lua:1: bad argument #1 to/, name);
  }
  // In Lua 5.1 itself pairs gives a function of its own.
  assert.equal(evaluate('pairs({}) == next'), String(!isPlain51), 'fidelity D-A3');
  assert.equal(evaluate('getmetatable("").__index == string'), 'true');
  assert.equal(evaluate('getmetatable(setmetatable({}, { __metatable = "mine" }))'), 'mine');
  state.close();
});

test('an env that a script keeps has the parameters of its own request', () => {
  const { state, run } = newState();
  run(`function keep(env, con) kept = env end
    function later(env, con) con:puts(kept.A) end`);
  serve(state, 'keep', { params });
  assert.equal(serve(state, 'later', { params: { A: 'of another' } }).body, '1');
  state.close();
});

test('parameters are decoded only for a handler that may look at them', () => {
  for (const [source, isDecoded] of [
    ['function main(env, con) con:puts("x") end', false],
    ['function main(env, con)\n  con:puts("x")\n  con:puts("env") end', true],
    ['main = function ( e , con ) con:puts("x") end', false],
    ['function main(e, con) con:puts(e and "x") end', true],
    ['function main(...) select(2, ...):puts("x") end', true],
    ['local function a(x) end function main(env, con) con:puts(env.A) end', true],
    ['local M = {} function M:main(con) con:puts(self.A) end main = M.main', true],
    ['function main(env, -- what the server says\n con) con:puts("x") end', false],
    ['function main(\n env,\n con)\n con:puts("x")\nend', false],
    ['local t = setmetatable({}, { __call = function(_, env, con) con:puts(env.A) end }) main = t', true],
    ['main = (loadstring or load)("return function(env, con) con:puts(next(env)) end")()', true],
    ['function main(env, con) con:puts(con:query().x or "x") end', true],
  ] as const) {
    const { state, run } = newState();
    run(source);
    let reads = 0;
    const request = newRequest({ params });
    const { params: block } = request;
    Object.defineProperty(request, 'params', {
      get() {
        reads += 1;
        return block;
      },
    });
    state.serve('main', request);
    assert.equal(reads > 0, isDecoded, source);
    assert.notEqual(request.body, '', source);
    state.close();
  }
});

test('a handler that takes the place of another is looked at again', () => {
  const { state, run } = newState();
  run(`function main(env, con) con:puts("first") main = other end
    function other(env, con) con:puts(tostring(next(env) ~= nil)) end`);
  assert.equal(serve(state, 'main', { params }).body, 'first');
  assert.equal(serve(state, 'main', { params }).body, 'true');
  state.close();
});
