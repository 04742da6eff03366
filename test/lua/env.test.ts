/** env is decoded when a script first looks into it; until then nothing may tell it from a plain table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatible, luaError, newState, serve } from './support.js';

const params = { A: '1', B: 'two' };

test('whatever looks into env first finds the parameters', () => {
  for (const [expression, expected] of [
    ['env.A', '1'],
    ['rawget(env, "B")', 'two'],
    ['next(env) ~= nil', 'true'],
    ['(function() local n = 0 for k, v in pairs(env) do n = n + 1 end return n end)()', '3'],
    ['(function() local n = 0 for k, v in next, env do n = n + 1 end return n end)()', '3'],
    ['(function() local k, n = nil, 0 repeat k = next(env, k) n = n + 1 until k == nil return n end)()', '4'],
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

test('the functions that know env do with other values what Lua does', () => {
  const { state, evaluate } = newState();
  for (const [call, message] of [
    ['pairs(nil)', /bad argument #1 to '(pairs|for iterator)' \(table expected, got nil\)/],
    ['next(5)', /^\/srv\/script.lua:1: bad argument #1 to 'next' \(table expected, got number\)/],
    ['rawget("x", 1)', /^\/srv\/script.lua:1: bad argument #1 to 'rawget' \(table expected, got string\)/],
    ['rawset(nil, 1, 1)', /^\/srv\/script.lua:1: bad argument #1 to 'rawset' \(table expected, got nil\)/],
    ['setmetatable(1, {})', /^\/srv\/script.lua:1: bad argument #1 to 'setmetatable' \(table expected, got number\)/],
    ['setmetatable({}, 1)', /^\/srv\/script.lua:1: bad argument #2 to 'setmetatable' \(nil or table expected\)/],
    [
      'setmetatable(setmetatable({}, { __metatable = 1 }), {})',
      /^\/srv\/script.lua:1: cannot change a protected metatable/,
    ],
  ] as const) {
    const source = call.startsWith('pairs') ? `(function() for k in ${call} do end end)()` : call;
    assert.match(luaError(() => evaluate(source)).message, message);
  }
  assert.equal(evaluate('getmetatable("").__index == string'), 'true');
  assert.equal(evaluate('getmetatable(setmetatable({}, { __metatable = "mine" }))'), 'mine');
  state.close();
});

test('an env that a script keeps has the parameters of its own request, or says that it was read too late', () => {
  const { state, run } = newState();
  run(`function keep(env, con) kept = env end
    function later(env, con) con:puts(kept.A) end
    function read(env, con) kept = env con:puts(env.A) end`);
  serve(state, 'keep', { params });
  const { message } = luaError(() => serve(state, 'later', { params: { A: 'of another' } }));
  assert.match(message, /^\/srv\/script.lua:2: env was first looked into after its request had ended \(A\)/);
  serve(state, 'read', { params });
  assert.equal(serve(state, 'later', { params: { A: 'of another' } }).body, '1');
  state.close();
});
