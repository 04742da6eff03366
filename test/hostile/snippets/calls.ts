/** Recursion through everything that calls back, and coroutines in every shape. */
import { LUA_51, type Snippets } from './snippet.js';

export const calls: Snippets = {
  'plain recursion': 'local function f() return 1 + f() end f()',
  'recursion in a protected call': 'local function f() return 1 + select(2, pcall(f)) end con:puts(tostring(pcall(f)))',
  'recursion of main through its global': 'main(env, con)',
  'protected calls inside of each other': 'local function f() return pcall(f) end con:puts(tostring(f()))',
  'message handlers that fail': 'local function h(m) error(m) end con:puts(tostring(xpcall(error, h, 1)))',
  'message handlers that recurse':
    'local function h(m) return xpcall(error, h) end con:puts(tostring(xpcall(error, h)))',
  'gsub in gsub': 'local function f(s) return (s:gsub(".", f)) end f(("x"):rep(9))',
  'gsub with a table whose index recurses':
    'local t = {} setmetatable(t, { __index = function(_, k) return (k:gsub(".", t)) end }) (("x"):gsub(".", t))',
  'gsub whose function gives other types':
    'for _, v in ipairs({ {}, true, print }) do pcall(string.gsub, "aaa", "a", function() return v end) end',
  'sort whose comparison sorts':
    'local function f(a, b) table.sort({ 3, 1, 2 }, f) return a < b end table.sort({ 3, 1, 2 }, f)',
  'sort whose comparison lies':
    'for i = 1, 40 do local t = {} for k = 1, 200 do t[k] = k end pcall(table.sort, t, function() return true end) end',
  'sort whose comparison is random':
    'for i = 1, 40 do local t = {} for k = 1, 200 do t[k] = k end pcall(table.sort, t, function() return math.random() < 0.5 end) end',
  'sort whose comparison empties the table':
    'local t = {} for k = 1, 200 do t[k] = k end pcall(table.sort, t, function(a, b) for k = 1, 200 do t[k] = nil end return a < b end)',
  'sort whose comparison fills the table':
    'local t, n = {}, 0 for k = 1, 50 do t[k] = k end pcall(table.sort, t, function(a, b) n = n + 1 t[#t + 1] = -n return a < b end)',
  'sort whose comparison yields':
    'local t = coroutine.wrap(function() table.sort({ 3, 2, 1 }, function(a, b) coroutine.yield() return a < b end) end) for i = 1, 9 do pcall(t) end',
  'index of an index of an index':
    'local t = {} for i = 1, 5000 do t = setmetatable({}, { __index = t }) end con:puts(tostring(t.x))',
  'an index that is itself':
    'local t = {} setmetatable(t, { __index = t, __newindex = t }) con:puts(tostring(pcall(function() return t.x end))) pcall(function() t.x = 1 end)',
  'index functions that recurse':
    'local t t = setmetatable({}, { __index = function(_, k) return t[k .. "x"] end }) local x = t.a',
  'newindex functions that recurse':
    'local t t = setmetatable({}, { __newindex = function(_, k, v) t[k] = v end }) t.a = 1',
  'calls of tables that call themselves':
    'local t = {} setmetatable(t, { __call = t }) pcall(t) local u u = setmetatable({}, { __call = function() return u() end }) pcall(u)',
  'a chain of callable tables': 'local t = print for i = 1, 400 do t = setmetatable({}, { __call = t }) end pcall(t)',
  'concatenation that concatenates':
    'local t t = setmetatable({}, { __concat = function(a, b) return t .. b end }) local x = t .. "x"',
  'arithmetic that calculates':
    'local t t = setmetatable({}, { __add = function() return t + t end, __unm = function() return -t end }) pcall(function() return t + 1 end) pcall(function() return -t end)',
  'comparisons that compare':
    'local m = {} local a, b = setmetatable({}, m), setmetatable({}, m) m.__lt = function() return a < b end m.__eq = function() return a == b end m.__le = m.__lt pcall(function() return a < b end) pcall(function() return a == b end) pcall(function() return a <= b end)',
  'lengths that measure':
    'local t t = setmetatable({}, { __len = function() return #t end }) pcall(function() return #t end)',
  'tostring in tostring':
    'local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) tostring(t)',
  'print in tostring': 'local t t = setmetatable({}, { __tostring = function() print(t) return "" end }) print(t)',
  'format in tostring':
    'local t t = setmetatable({}, { __tostring = function() return ("%s"):format(t) end }) local s = ("%s"):format(t)',
  'texts that load themselves':
    'local s = "local load_text, s = ... return load_text(s)(load_text, s)" load_text(s)(load_text, s)',
  'readers that load': 'local function r() return load(r) end load(r)',
  'readers that never end': { lua: 'load(function() return " " end)', ends: 'stopped' },
  'readers that give other types':
    'for _, v in ipairs({ {}, 1, true, print }) do pcall(load, function() return v end) end',
  'readers that fail': 'for _, v in ipairs({ {}, 1, true, "x" }) do pcall(load, function() error(v) end) end',
  'require in require':
    'local n = 0 local function f() n = n + 1 package.preload["m" .. n] = f return require("m" .. n) end f()',
  'require of itself': 'package.preload.a = function() return require("a") end pcall(require, "a") pcall(require, "a")',
  'for iterators that recurse': 'local function f() for _ in f do end end f()',
  'deep tail calls': 'local function f(n) if n > 0 then return f(n - 1) end return n end con:puts(f(300000))',
  'calls with very many arguments':
    'for _, n in ipairs({ 200, 7000, 250000 }) do local t = {} for i = 1, n do t[i] = i end pcall(function() return select("#", unpack(t)) end) end',
  'functions with very many results':
    'local function f(n) if n == 0 then return end return n, f(n - 1) end con:puts(select("#", f(150)))  pcall(f, 100000)',
  'unpack of impossible ranges':
    'for _, r in ipairs({ { 0, 2 ^ 31 - 1 }, { -2 ^ 31, 2 ^ 31 - 1 }, { -1e9, 2e9 }, { 1, 1e15 }, { 2 ^ 53, 2 ^ 53 + 9 }, { 1, 8e6 } }) do pcall(unpack, {}, r[1], r[2]) end',
  'select from impossible places':
    'for _, n in ipairs({ 0, -1, -1e9, 2 ^ 31, -2 ^ 31, 1e300, 0 / 0 }) do pcall(select, n, 1, 2, 3) end',
  'coroutines in coroutines': 'local function f() return coroutine.wrap(f)() end f()',
  'coroutines resumed in coroutines':
    'local function f() return coroutine.resume(coroutine.create(f)) end con:puts(tostring(f()))',
  'a coroutine that resumes itself':
    'local c c = coroutine.create(function() return coroutine.resume(c) end) con:puts(tostring(coroutine.resume(c)))',
  'coroutines that resume each other':
    'local a, b a = coroutine.create(function() return coroutine.resume(b) end) b = coroutine.create(function() return coroutine.resume(a) end) con:puts(tostring(coroutine.resume(a)))',
  'a coroutine that resumes main':
    'local me = coroutine.running() coroutine.wrap(function() if me then coroutine.resume(me) end end)()',
  'a yield out of main': 'coroutine.yield(1, {}, "x")',
  'a yield out of pcall': 'pcall(coroutine.yield, 1)',
  'a yield out of every callback':
    'for _, f in ipairs({ function(y) ("x"):gsub("x", y) end, function(y) local t = setmetatable({}, { __index = y }) return t.x end, function(y) for _ in y do end end, function(y) load(y) end, function(y) tostring(setmetatable({}, { __tostring = y })) end, function(y) xpcall(error, y) end }) do local c = coroutine.wrap(function() f(coroutine.yield) end) for i = 1, 4 do pcall(c, "x") end end',
  'ten thousand coroutines':
    'local t = {} for i = 1, 10000 do local ok, c = pcall(coroutine.wrap, function() coroutine.yield(i) end) if not ok then break end t[i] = c pcall(c) end',
  'coroutines that are left suspended in protected calls':
    'for i = 1, 2000 do local c = coroutine.create(function() pcall(function() pcall(coroutine.yield, i) end) end) coroutine.resume(c) end',
  'dead coroutines resumed':
    'local c = coroutine.create(error) for i = 1, 200 do coroutine.resume(c, {}) end pcall(coroutine.wrap(error)) con:puts(coroutine.status(c))',
  'coroutines that end with every error':
    'for _, e in ipairs({ 1, {}, true, print, coroutine.create(print) }) do con:puts(tostring(coroutine.resume(coroutine.create(function() error(e) end)))) end',
  'coroutines closed while they run':
    'if coroutine.close then local c c = coroutine.create(function() pcall(coroutine.close, c) coroutine.yield() end) coroutine.resume(c) pcall(coroutine.close, c) pcall(coroutine.close, coroutine.running()) end',
  'variables to be closed that fail and yield': {
    lua: 'local f = load_text([[local c = coroutine.wrap(function() local a <close> = setmetatable({}, { __close = function() coroutine.yield(1) error("x") end }) local b <close> = setmetatable({}, { __close = function() error("y") end }) error("z") end) for i = 1, 5 do pcall(c) end]]) if f then f() end',
    on: ['lua5.4'],
  },
  'a million small functions': 'local t for i = 1, 300000 do t = function() return t end end con:puts(type(t))',
  'environments that are exchanged': {
    lua: 'local f = function() return x end setfenv(f, setmetatable({}, { __index = function(t, k) return k end })) con:puts(f()) pcall(setfenv, 0, {}) pcall(setfenv, 1, {}) pcall(setfenv, print, {}) pcall(setfenv, 2, {})',
    on: LUA_51,
  },
  'environments of every level': {
    lua: 'for level = 0, 20 do pcall(setfenv, level, {}) end con:puts("x")',
    on: LUA_51,
  },
};
