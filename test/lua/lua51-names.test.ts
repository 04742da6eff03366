/** packaging/lua51-names.lua, the preload that gives Lua 5.4 the names of Lua 5.1; it does nothing in other engines (cases/users F17). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/server.js';
import { luaError, newState, type TestState } from './support.js';

const preload = readFileSync(join(ROOT, 'packaging/lua51-names.lua'), 'latin1');

function newNamed(files: Readonly<Record<string, string>> = {}): TestState {
  const made = newState({}, files);
  made.run(preload);
  return made;
}

function check(expected: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}): void {
  const { state, evaluate } = newNamed(files);
  for (const [expression, value] of Object.entries(expected)) assert.equal(evaluate(expression), value, expression);
  state.close();
}

test('functions of Lua 5.1 are there in every engine', () => {
  check({
    'select("#", unpack({ 1, 2, 3 }))': '3',
    'loadstring("return 7")()': '7',
    'table.maxn({ [5] = true, 1 }) == 5': 'true',
    'math.pow(2, 3) == 8': 'true',
    'math.log10(1000) > 2.99': 'true',
    'math.ldexp(0.5, 3) == 4': 'true',
    'type(package.loaders)': 'table',
    'type(package.seeall)': 'function',
  });
});

test('setfenv and getfenv give a function globals of its own, and no other', () => {
  check({
    '(function() local f = function() return x end x = "outer" setfenv(f, { x = "inner" }) return f() .. x end)()':
      'innerouter',
    '(function() local g = {} local function f() setfenv(1, g) y = 5 end f() return tostring(g.y) .. tostring(y) end)()':
      '5nil',
    '(function() local g = { z = 1 } local f = setfenv(loadstring("return z"), g) return tostring(f()) .. tostring(getfenv(f) == g) end)()':
      '1true',
    'getfenv(1) == _G': 'true',
    'getfenv(function() return print end) == _G': 'true',
  });
  const { state, evaluate } = newNamed();
  for (const call of ['setfenv(1, nil)', 'setfenv({}, {})', 'setfenv(99, {})', 'getfenv(-1)']) {
    assert.match(luaError(() => evaluate(call)).message, /bad argument #\d to '[sg]etfenv'/, call);
  }
  state.close();
});

test('module makes the modules that software for Lua 5.1 is written as', () => {
  const files = {
    '/srv/plain.lua':
      'local print, tostring = print, tostring module("plain") value = 42 function get() return value end',
    '/srv/a/b.lua': 'module(..., package.seeall) name = _NAME .. _PACKAGE .. type(print)',
    '/srv/opt.lua': 'module("opt", function(m) m.added = true end)',
  };
  check(
    {
      'require("plain").get()': '42',
      'plain.value': '42',
      'rawget(_G, "value") == nil': 'true',
      'require("a.b").name': 'a.ba.function',
      'a.b == package.loaded["a.b"]': 'true',
      'require("opt").added': 'true',
      'plain._M == plain': 'true',
    },
    files,
  );
  const { state, evaluate, run } = newNamed({ '/srv/taken.lua': 'module("taken")' });
  run('taken = 5');
  assert.match(luaError(() => evaluate('require("taken")')).message, /name conflict for module 'taken'/);
  state.close();
});
