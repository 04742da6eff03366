/** Error values of every kind, finalizers, hooks and ends of the request in the wrong places. */
import { LUA_51, type Snippets } from './snippet.js';

export const errors: Snippets = {
  'an error of nil': 'error()',
  'an error of a table': 'error({ code = 1, text = ("x"):rep(100000) })',
  'an error of a table that contains itself': 'local t = {} t.t = t t[t] = t error(t)',
  'an error of a table with ten thousand fields':
    'local t = {} for i = 1, 10000 do t["k" .. i] = ("v"):rep(200) end error(t)',
  'an error of a coroutine': 'error(coroutine.create(print))',
  'an error of a function': 'error(function() end)',
  'an error of an object': 'error(finalized(function() end))',
  'an error of a number': 'error(0 / 0)',
  'an error with every byte': 'local t = {} for b = 0, 255 do t[#t + 1] = string.char(b) end error(table.concat(t), 0)',
  'an error with markup': 'error("</pre><script>alert(1)</script><!--\\0", 0)',
  'an error of 8 MB': 'error(("<\\1a>"):rep(2 ^ 21), 0)',
  'an error of a thousand lines': 'error(("line\\r\\n"):rep(1000), 0)',
  'an error whose text is an object that fails':
    'error(setmetatable({}, { __tostring = function() error(setmetatable({}, { __tostring = error })) end }))',
  'an error whose text recurses': 'local t t = setmetatable({}, { __tostring = function() error(t) end }) error(t)',
  'an error whose text is no text':
    'for _, v in ipairs({ {}, true, print, 1 }) do pcall(tostring, setmetatable({}, { __tostring = function() return v end })) end error(setmetatable({}, { __tostring = function() return {} end }))',
  'an error whose text yields': 'error(setmetatable({}, { __tostring = function() coroutine.yield() return "x" end }))',
  'an error whose text ends the request': 'error(setmetatable({}, { __tostring = function() os.exit(3) end }))',
  'an error whose text never comes': {
    lua: 'error(setmetatable({}, { __tostring = function() while true do end end }))',
    ends: 'stopped',
  },
  'an error whose metatable is protected':
    'error(setmetatable({}, { __metatable = false, __tostring = function() return "hidden" end }))',
  'an error whose name is an object':
    'error(setmetatable({}, { __name = {}, __index = error, __len = error, __pairs = error }))',
  'errors of levels that are not there':
    'for _, level in ipairs({ -1, 0, 100, 2 ^ 31, -2 ^ 31 }) do pcall(error, "x", level) end error("x", 2 ^ 31 - 1)',
  'an error in a handler of an error, in a coroutine':
    'coroutine.wrap(function() xpcall(function() error({}) end, function(m) error({ m }) end) error({}) end)()',
  'an error that is thrown a hundred thousand times': 'for i = 1, 50000 do pcall(error, { i }) end con:puts("done")',
  'an error after the answer': 'con:puts("x") con:finish() error(("late"):rep(1000))',
  'an error at the top level': { lua: 'error({ "top" })', isWhole: true },
  'an end at the top level': { lua: 'os.exit(1)', isWhole: true },
  'a yield at the top level': { lua: 'coroutine.yield()', isWhole: true },
  'a loop at the top level': { lua: 'while true do end', isWhole: true, ends: 'stopped' },
  'a top level without an end of memory': { lua: 'local t = {} while true do t[#t + 1] = { #t } end', isWhole: true },
  'a handler that is a table without calls': { lua: 'main = setmetatable({}, { __call = 1 })', isWhole: true },
  'a handler that is found by a function': {
    lua: 'setmetatable(_G, { __index = function(_, k) error({ k }) end })',
    isWhole: true,
  },
  'a handler that is a coroutine': {
    lua: 'main = coroutine.wrap(function(env, con) while true do con:puts("x") env, con = coroutine.yield() end end)',
    isWhole: true,
  },
  'a handler that removes itself': { lua: 'function main(env, con) main = nil con:puts("once") end', isWhole: true },
  'a finalizer that fails':
    'for i = 1, 100 do finalized(function() error({}) end) end collectgarbage() collectgarbage()',
  'a finalizer that makes finalizers': 'local function f() finalized(f) end f() for i = 1, 50 do collectgarbage() end',
  'a finalizer that revives':
    'local kept = {} for i = 1, 100 do finalized(function(o) kept[#kept + 1] = o end) end collectgarbage() collectgarbage() kept = nil collectgarbage()',
  'a finalizer that collects': 'for i = 1, 50 do finalized(function() collectgarbage() end) end collectgarbage()',
  'a finalizer that puts':
    'for i = 1, 50 do finalized(function() con:puts("from a finalizer") con:header("X-Gc", "1") end) end collectgarbage() collectgarbage()',
  'a finalizer that uses a request that is over':
    'kept = kept or con for i = 1, 20 do finalized(function() kept:puts("late") kept:gets() kept:flush() end) end',
  'a finalizer that ends the request': 'finalized(function() os.exit(7) end) collectgarbage() collectgarbage()',
  'a finalizer that ends what runs later': 'for i = 1, 50 do finalized(function() os.exit(9) end) end con:puts("x")',
  'a finalizer that yields':
    'finalized(function() coroutine.yield(1) end) collectgarbage() coroutine.wrap(function() finalized(function() coroutine.yield(2) end) collectgarbage() end)()',
  'a finalizer that loads':
    'finalized(function() load_text("x = 1")() pcall(require, "nothing") pcall(dofile, "nothing.lua") end) collectgarbage() collectgarbage()',
  'a finalizer that takes memory':
    'finalized(function() local t = {} pcall(function() while true do t[#t + 1] = ("x"):rep(100000) .. #t end end) end) collectgarbage() collectgarbage()',
  'a finalizer that sets hooks':
    'finalized(function() debug.sethook(function() end, "crl", 1) end) collectgarbage() collectgarbage() for i = 1, 1000 do end',
  'a finalizer that never ends': {
    lua: 'finalized(function() while true do end end) collectgarbage() collectgarbage()',
    ends: 'lost',
  },
  'a finalizer in a coroutine that is stopped': {
    lua: 'coroutine.wrap(function() finalized(function() pcall(error, {}) end) while true do local t = { {} } end end)()',
    ends: 'stopped',
  },
  'an object that is finalized in each cycle':
    'local n = 0 local function f() n = n + 1 if n < 2000 then finalized(f) end end f() for i = 1, 200000 do local t = {} end con:puts(n)',
  'weak tables with finalizers':
    'local t = setmetatable({}, { __mode = "kv" }) for i = 1, 2000 do t[finalized(function() t[{}] = 1 end)] = {} end collectgarbage() collectgarbage()',
  'a metatable with every bad finalizer':
    'for _, v in ipairs({ 1, "x", true, {}, setmetatable({}, { __call = error }) }) do if newproxy then pcall(function() getmetatable(newproxy(true)).__gc = v end) else pcall(setmetatable, {}, { __gc = v }) end end collectgarbage() collectgarbage()',
  'the collector with every order': {
    lua: 'for _, o in ipairs({ "stop", "restart", "collect", "count", "step", "setpause", "setstepmul", "isrunning", "generational", "incremental", "x" }) do for _, n in ipairs({ 0, 1, -1, 100, 2 ^ 31 - 1, -2 ^ 31, 1e300 }) do pcall(collectgarbage, o, n) end end collectgarbage("restart") pcall(collectgarbage, "incremental") collectgarbage()',
    ends: 'lost',
  },
  'the collector without an end of debt':
    'collectgarbage("setpause", 1000000) local t for i = 1, 300000 do t = { ("x"):rep(100) .. i } end collectgarbage("setpause", 200)',
  'the collector stopped, and memory taken':
    'collectgarbage("stop") local t for i = 1, 1e9 do t = ("x"):rep(100000) .. i end',
  'the collector stopped, and tables made': {
    lua: 'collectgarbage("stop") local t while true do t = { {}, {} } end',
    ends: 'stopped',
  },
  'an end in a hook': 'debug.sethook(function() os.exit(5) end, "", 1) while true do end',
  'an end in a hook of calls': 'debug.sethook(function() os.exit(5) end, "cr") for i = 1, 100 do tostring(i) end',
  'an end in a comparison, a reader, an iterator':
    'local n = tonumber(env.QUERY_STRING) or 1 if n % 2 == 1 then table.sort({ 2, 1, 3 }, function() os.exit(1) end) end load(function() os.exit(2) end)',
  'an end in a gsub': '("xxx"):gsub("x", function() os.exit(4) end)',
  'an end in a coroutine in a protected call':
    'pcall(coroutine.wrap(function() pcall(os.exit, 6) end)) con:puts("not here")',
  'an end in a message handler': 'xpcall(error, function() os.exit(8) end)',
  'an end with every code':
    'local codes = { -1, 256, 2 ^ 31, 2 ^ 53, 1e300, 0 / 0, true, false } local at = (at_code or 0) % #codes + 1 at_code = at pcall(os.exit, {}) pcall(os.exit, "x") os.exit(codes[at])',
  'an end after the answer': 'con:puts("x") con:finish() os.exit(1)',
  'an end within an end':
    'local t = setmetatable({}, { __index = function() os.exit(2) end }) finalized(function() os.exit(3) end) collectgarbage() local x = t.x os.exit(t.y)',
  'a hook of every kind':
    'for _, mask in ipairs({ "c", "r", "l", "crl", "", "zzz" }) do for _, count in ipairs({ 0, 1, -1, 1e9, 2 ^ 31 }) do pcall(debug.sethook, function() end, mask, count) for i = 1, 20 do tostring(i) end end end debug.sethook()',
  'a hook that sets a hook':
    'local function h() debug.sethook(h, "crl", 1) end debug.sethook(h, "crl", 1) for i = 1, 2000 do tostring(i) end debug.sethook()',
  'a hook that fails': 'debug.sethook(function() error({ "hook" }) end, "", 1) for i = 1, 100 do end',
  'a hook that yields':
    'debug.sethook(function() coroutine.yield() end, "l") local c = coroutine.wrap(function() for i = 1, 5 do local x = i end end) for i = 1, 5 do pcall(c) end debug.sethook()',
  'a hook that recurses':
    'local function h() debug.sethook(h, "", 1) return h() end debug.sethook(h, "", 1) for i = 1, 100 do end',
  'a hook that collects':
    'debug.sethook(function() collectgarbage("step") end, "", 1) for i = 1, 300 do local t = { i } end debug.sethook()',
  'a hook that never ends': {
    lua: 'debug.sethook(function() while true do end end, "", 1) for i = 1, 100 do end',
    ends: 'lost',
  },
  'a hook that takes away the watch': { lua: 'while true do debug.sethook() end', ends: 'stopped' },
  'hooks of coroutines that are gone':
    'for i = 1, 500 do local c = coroutine.create(function() coroutine.yield() end) debug.sethook(c, function() error("x") end, "l") pcall(coroutine.resume, c) end collectgarbage()',
  'a hook that looks at everything':
    'debug.sethook(function(event) for level = 0, 8 do local i = debug.getinfo(level) if not i then break end for n = 1, 9 do debug.getlocal(level, n) end end end, "crl") for i = 1, 200 do tostring({}) end debug.sethook()',
  'hooks without names': {
    lua: 'debug.sethook(print, "c") pcall(debug.sethook, {}, "c") pcall(debug.sethook, "x") debug.sethook(coroutine.create(print)) debug.sethook()',
    on: LUA_51,
  },
};
