/** Recursion through every C function that calls Lua code back: past a limit it is an error of the script (attacks F4). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LuaError } from '../../src/lua/state.js';
import { compatible, engineName, isJit, luaError, newState, serve } from './support.js';

/** Each calls `again`, which recurses, from inside of C code. */
const THROUGH: Readonly<Record<string, string>> = {
  'string.gsub with a function': 'string.gsub("a", "a", again)',
  'string.gsub with a table': 'string.gsub("a", "a", setmetatable({}, { __index = again }))',
  'string.format': 'string.format("%s", setmetatable({}, { __tostring = function() again() return "" end }))',
  'table.sort': 'table.sort({ 3, 2, 1 }, function(a, b) again() return a < b end)',
  'table.foreach': 'if table.foreach then table.foreach({ 1 }, again) else again() end',
  tostring: 'tostring(setmetatable({}, { __tostring = function() again() return "" end }))',
  print: 'print(setmetatable({}, { __tostring = function() again() return "" end }))',
  pcall: 'assert(pcall(again))',
  xpcall: 'assert(xpcall(again, function(message) return message end))',
  'a message handler': 'xpcall(error, again)',
  'load with a reader': 'load(function() again() end)',
  'a text that is loaded': 'loadstring("again()")()',
  require: 'depth = depth + 1 local name = "m" .. depth package.preload[name] = again require(name)',
  dofile: 'dofile("again.lua")',
  __index: 'local x = setmetatable({}, { __index = again }).x',
  __newindex: 'setmetatable({}, { __newindex = again }).x = 1',
  __call: 'setmetatable({}, { __call = again })()',
  __concat: 'local x = setmetatable({}, { __concat = again }) .. "x"',
  __add: 'local x = setmetatable({}, { __add = again }) + 1',
  __lt: 'local t = { __lt = again } local x = setmetatable({}, t) < setmetatable({}, t)',
  __gc: 'if newproxy then getmetatable(newproxy(true)).__gc = again else setmetatable({}, { __gc = again }) end collectgarbage()',
  'coroutine.resume': 'assert(coroutine.resume(coroutine.create(again)))',
  'coroutine.wrap': 'coroutine.wrap(again)()',
};

/** More than any engine lets nest. (The frames of LuaJIT that errors pass are unwound one by one, which takes long.) */
const DEEPEST = isJit ? 2500 : 30_000;

for (const [name, through] of Object.entries(THROUGH)) {
  test(`recursion through ${name} ends in an error at most, also in coroutines`, () => {
    const { state, run } = newState({ memoryBytes: 256 << 20 }, { '/srv/again.lua': 'again()' });
    run(`${compatible} local calls = 0 depth = 0
      function again() calls = calls + 1 if calls < ${DEEPEST} then ${through} end end
      function main(env, con) calls = 0 pcall(again) con:puts(calls) end
      function within(env, con)
        calls = 0
        local function nest(level)
          if level == 0 then return again() end
          return coroutine.wrap(function() string.gsub("a", "a", function() nest(level - 1) end) end)()
        end
        pcall(nest, 20)
        con:puts(calls)
      end
      function fine(env, con) con:puts("fine") end`);
    for (const handler of ['main', 'within']) {
      try {
        assert.ok(Number(serve(state, handler).body) > 0, `${handler} did not nest`);
      } catch (error) {
        // A finalizer's error comes wherever it is noticed.
        if (!(error instanceof LuaError)) throw error;
      }
      assert.equal(serve(state, 'fine').body, 'fine');
    }
    state.close();
  });
}

test('coroutines that nest C functions inside of each other end in an error at most', () => {
  const { state, run } = newState({ memoryBytes: 256 << 20 });
  run(`${compatible} local calls = 0
    function again()
      calls = calls + 1
      if calls % 150 == 0 then coroutine.wrap(again)() else string.gsub("a", "a", again) end
    end
    function main(env, con) calls = 0 local ok, message = pcall(again) con:puts(tostring(ok), " ", message) end`);
  for (let times = 0; times < 3; times += 1) assert.match(serve(state, 'main').body, /^false .*stack overflow/);
  state.close();
});

test('source that is nested deeply is refused', () => {
  const { state, run } = newState();
  run(`${compatible} function main(env, con)
    for _, part in ipairs({ { "(", ")" }, { "{", "}" }, { "function() return ", " end" }, { "do ", " end " }, { "-", "" }, { "a[", "]" } }) do
      local ok, message = loadstring("return " .. part[1]:rep(10000) .. "1" .. part[2]:rep(10000))
      con:puts(ok and "loaded " or "refused ")
    end
  end`);
  assert.match(serve(state, 'main').body, /^(refused ){4}/);
  state.close();
});

test('patterns of any length end in an error at most', () => {
  const { state, run } = newState({ memoryBytes: 256 << 20 });
  run(`local works = { find = string.find, match = string.match, gsub = function(s, p) return s:gsub(p, "") end,
      gmatch = function(s, p) return s:gmatch(p)() end }
    function main(env, con)
      for name, work in pairs(works) do
        for _, item in ipairs({ "a*", "a?", "a-", "[ab]*" }) do
          for _, count in ipairs({ 1000, 200000 }) do pcall(work, ("a"):rep(count), "^" .. item:rep(count)) end
        end
      end
      con:puts("done")
    end
    function exact(env, con)
      con:puts(("x"):rep(99999):find(("x"):rep(99999)), " ", ("yx"):rep(60000):find(("yx"):rep(60000), 1, true))
      con:puts(" ", (("abc"):gsub("%w", "%0%0", 2)), " ", (("abc"):gsub("%w", { a = "1" })), " ", ("k=v"):match("(%w)=(%w)"))
    end
    function wrong(env, con) ("x"):find("[a") end
    function missing(env, con) string.match("x") end`);
  if (engineName === 'embedded') {
    // Such a pattern may break the state's machine, which then is replaced.
    try {
      serve(state, 'main');
    } catch {}
    state.close();
    return;
  }
  assert.equal(serve(state, 'main').body, 'done');
  assert.equal(serve(state, 'exact').body.replaceAll(/\s+/g, ' '), '1 1120000 aabbc 1bc kv');
  assert.match(luaError(() => serve(state, 'wrong')).message, /^\/srv\/script\.lua:15: malformed pattern/);
  assert.match(luaError(() => serve(state, 'missing')).message, /^\/srv\/script\.lua:16: bad argument #2 to 'match'/);
  state.close();
});
