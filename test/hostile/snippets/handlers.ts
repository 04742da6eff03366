/** Error objects, `on_error` handlers, metatables of texts, chunks with odd names, and coroutines that are kept for the next request. */
import type { Snippets } from './snippet.js';

const FAILS = 'error("x")';

export const handlers: Snippets = {
  'an index of texts without an end': {
    lua: 'getmetatable("").__index = function() while true do end end pcall(function() return ("x").y end)',
    ends: 'stopped',
  },
  'an index of texts that asks itself':
    'getmetatable("").__index = function(s, k) return s[k] end pcall(function() return ("x").y end) con:puts("x")',
  'texts with every metamethod':
    'local m = debug.getmetatable("") for _, k in ipairs({ "__call", "__lt", "__le", "__eq", "__concat", "__len", "__unm", "__add", "__newindex", "__tostring", "__metatable", "__gc", "__close", "__mode", "__name" }) do m[k] = function() error({}) end end con:puts("x") con:header("X", "y") con:status(200) error("z")',
  'texts whose methods are those of con':
    'debug.getmetatable("").__index = con con:puts(tostring(pcall(function() return ("x"):puts("y") end)))',
  'numbers, nil and truths with metatables that fail':
    'for _, v in ipairs({ 0, true, print, coroutine.create(print) }) do debug.setmetatable(v, { __tostring = error, __index = error, __call = error, __gc = error }) end debug.setmetatable(nil, { __tostring = error, __index = error, __call = error }) con:puts(1, 2) error()',
  'an error whose text uses con and ends the answer':
    'error(setmetatable({}, { __tostring = function() con:puts("x") con:finish() return "t" end }))',
  'an error whose text makes another answer':
    'con:puts("gone") error(setmetatable({}, { __tostring = function() con:reset() con:status(200) con:puts("ok") con:flush() return "t" end }))',
  'an error whose text takes all memory': {
    lua: 'error(setmetatable({}, { __tostring = function() local t = {} while true do t[#t + 1] = ("x"):rep(1e5) .. #t end end }))',
  },
  'an error whose text fails with the next one, and so on':
    'local function e(n) return setmetatable({}, { __tostring = function() error(e(n + 1)) end }) end error(e(0))',
  'an error of a table that is fifty thousand deep':
    'local t = {} local r = t for i = 1, 5e4 do t.x = {} t = t.x end error(r)',
  'an error of a table with huge keys':
    'local t = {} for i = 1, 4 do t[("k"):rep(2 ^ 19) .. i] = ("v"):rep(2 ^ 19) end error(t)',
  'an error in a function with a huge name':
    'local n = "f" .. ("o"):rep(60000) load_text("function " .. n .. "() error(1) end")() _G[n]()',
  'an error in a chunk with a huge name': 'load_text("error(1)", "=" .. ("c"):rep(2 ^ 20))()',
  'errors in chunks named as files of the system': {
    lua: 'local names = { "@/etc/passwd", "@/proc/self/environ", "@/dev/zero", "@/", "@</pre><script>\\r\\n[error] forged\\0" } at_name = (at_name or 0) % #names + 1 load_text("\\n\\nerror(1)", names[at_name])()',
  },
  'an error among locals that cannot be shown':
    'local a, b, c = ("<"):rep(2 ^ 20), setmetatable({}, { __tostring = function() while true do end end }), setmetatable({}, { __index = error, __len = error, __pairs = error }) local t = {} t.t = t error("x")',
  'an error among two hundred long locals':
    'local s = {} for i = 1, 180 do s[i] = "local v" .. i .. " = (\\"<&>\\"):rep(" .. i * 50 .. ")" end load_text(table.concat(s, " ") .. " error(1)")()',
  'a handler of errors that never ends': {
    lua: `on_error = function() while true do end end ${FAILS}`,
    ends: 'stopped',
  },
  'a handler of errors that fails': `on_error = function() error({}) end ${FAILS}`,
  'a handler of errors that ends the request': `on_error = function() os.exit(3) end ${FAILS}`,
  'a handler of errors that ends the answer and fails': `on_error = function(e, c) c:puts("a") c:finish() error("b") end ${FAILS}`,
  'a handler of errors with a header of 4 MB': `on_error = function(e, c) c:header("X", ("v"):rep(2 ^ 22)) end ${FAILS}`,
  'a handler of errors that is the one of requests': `on_error = main ${FAILS}`,
  'a handler of errors that takes all memory': `on_error = function() local t = {} while true do t[#t + 1] = {} end end ${FAILS}`,
  'a handler of errors that recurses': `local function f() return 1 + f() end on_error = f ${FAILS}`,
  'a handler of errors that waits': `on_error = function(e, c) require("luafcgid").sleep(0.01) c:puts("s") end ${FAILS}`,
  'a handler of errors that yields': `on_error = function() coroutine.yield(1) end ${FAILS}`,
  'a handler of errors that empties what it is told': `on_error = function(e, c) for k in pairs(c.problem or {}) do c.problem[k] = nil end c.problem = nil c:status(999) end ${FAILS}`,
  'a handler of errors that is found without an end': {
    lua: `setmetatable(_G, { __index = function(_, k) if k == "on_error" then while true do end end end }) ${FAILS}`,
    ends: 'stopped',
  },
  'a coroutine of the request before, resumed':
    'if kept_c then con:puts(tostring(coroutine.resume(kept_c, con))) else kept_c = coroutine.create(function(c) c:puts("a") c = coroutine.yield() c:puts("b") c = coroutine.yield() end) coroutine.resume(kept_c, con) end',
  'a coroutine of the request before, which waits':
    'local l = require("luafcgid") if kept_s then con:puts(tostring(coroutine.resume(kept_s))) else kept_s = coroutine.create(function() l.sleep(0.01) coroutine.yield(1) l.sleep(0.01) con:puts("old") end) coroutine.resume(kept_s) end',
  'methods of con in coroutines of their own':
    'for _, n in ipairs({ "puts", "flush", "gets", "reset", "header", "finish" }) do local c = coroutine.wrap(con[n]) pcall(c, con, "a", "b") end',
  'the main thread found in the registry':
    'for _, v in pairs(debug.getregistry()) do if type(v) == "thread" then pcall(coroutine.resume, v) pcall(coroutine.close or print, v) for l = 0, 30 do for i = 1, 20 do pcall(debug.setlocal, v, l, i, nil) end end pcall(debug.sethook, v, error, "crl", 1) pcall(debug.sethook, v) pcall(debug.traceback, v) end end con:puts("x")',
  'variables that are closed deep inside of each other': {
    lua: 'local function f(n) local x <close> = setmetatable({}, { __close = function() if n > 0 then f(n - 1) end end }) error(n) end f(150)',
    on: ['lua5.4'],
  },
  'a variable that is closed at the end of a request, without an end': {
    lua: 'local x <close> = setmetatable({}, { __close = function() while true do end end }) os.exit(1)',
    on: ['lua5.4'],
  },
  'variables that wait when they are closed': {
    lua: 'local l = require("luafcgid") do local x <close> = setmetatable({}, { __close = function() l.sleep(0.01) end }) end local y <close> = setmetatable({}, { __close = function() l.sleep(0.01) end }) error("z")',
    on: ['lua5.4'],
  },
  'coroutines that are closed inside of each other': {
    lua: 'local function f(n) local c = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() if n > 0 then f(n - 1) end end }) coroutine.yield() end) coroutine.resume(c) coroutine.close(c) end pcall(f, 180) con:puts("x")',
    on: ['lua5.4'],
  },
  'warnings of any size': {
    lua: 'warn("@on") warn(("x"):rep(1e5)) warn("a", ("b"):rep(1e5), "c\\n\\r[error]") for i = 1, 100 do warn("w") end warn("@off") con:puts("x")',
    on: ['lua5.4'],
  },
  'overflows of the stack in error handling': {
    lua: 'local function loop() return loop() + 1 end for i = 1, 20 do xpcall(loop, function() loop() end) xpcall(loop, loop) end con:puts("x")',
    on: ['lua5.4'],
  },
  'constants in the place of the globals': {
    lua: 'pcall(load, "local _ENV <const> = 11; X = \\"hi\\"") pcall(load, "return function() local _ENV <const> = {}; function A.b.c() end end") con:puts("x")',
    on: ['lua5.4'],
  },
  'buffers of texts that are garbage': {
    lua: 'local ok, b = pcall(require, "string.buffer") if ok then for i = 1, 1000 do local s = {} for k = 1, 20 do s[k] = string.char(math.random(0, 255)) end pcall(b.decode, table.concat(s)) end local x = b.new() for _, n in ipairs({ 2 ^ 31, -1 }) do pcall(x.reserve, x, n) pcall(x.commit, x, n) pcall(x.skip, x, n) end pcall(b.encode, _G) end con:puts("x")',
    on: ['luajit'],
  },
  'what the compiler tells of anything': {
    lua: 'local ok, u = pcall(require, "jit.util") if ok then for _, f in pairs(u) do for _, v in ipairs({ 0, 1, -1, 2 ^ 31, 1e300 }) do pcall(f, v) pcall(f, main, v) pcall(f, v, v, v) pcall(f, print, v) end end end con:puts("x")',
    on: ['luajit'],
  },
  'a profiler that is left running': {
    lua: 'local ok, p = pcall(require, "jit.profile") if ok then p.start("i1", function() error("x") end) end con:puts("x")',
    on: ['luajit'],
  },
};
