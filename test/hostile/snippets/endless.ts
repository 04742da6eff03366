/** Loops that never end and memory that is taken without an end, wherever a script can put them. */
import { LUA_51, type Snippet, type Snippets } from './snippet.js';

const stopped = (lua: string, on?: Snippet['on']): Snippet => ({ lua, ends: 'stopped', ...(on && { on }) });

export const endless: Snippets = {
  'a loop': stopped('while true do end'),
  'a loop of tail calls': stopped('local function f() return f() end f()'),
  'a loop around pcall': stopped('while true do pcall(error) end'),
  'a loop in pcall in a loop': stopped('while true do pcall(function() while true do end end) end'),
  'a loop around pcall of itself': stopped('local function f() while true do pcall(f) end end f()'),
  'a loop in a message handler': stopped('xpcall(error, function() while true do end end)'),
  'a loop that raises when it is stopped': stopped(
    'while true do xpcall(function() while true do end end, function() while true do end end) end',
  ),
  'a loop in a hundred coroutines': stopped(
    'local function f(n) if n == 0 then while true do end end return coroutine.wrap(f)(n - 1) end f(100)',
  ),
  'a loop that makes coroutines': stopped('while true do coroutine.wrap(function() coroutine.yield() end)() end'),
  'a loop that resumes one coroutine': stopped(
    'local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end',
  ),
  'two coroutines that resume each other in turn': stopped(
    'local a = coroutine.wrap(function() while true do coroutine.yield() end end) local b = coroutine.wrap(function() while true do a() coroutine.yield() end end) while true do b() end',
  ),
  'a loop in a comparison of sort': stopped('table.sort({ 3, 2, 1 }, function() while true do end end)'),
  'a loop in gsub': stopped('local _ = ("x"):gsub("x", function() while true do end end)'),
  'a loop in a metamethod': stopped(
    'local t = setmetatable({}, { __index = function() while true do end end }) local x = t.x',
  ),
  'a loop in tostring': stopped('print(setmetatable({}, { __tostring = function() while true do end end }))'),
  'a loop in a loader': stopped('package.preload.loop = function() while true do end end require("loop")'),
  'a loop in a reader': stopped('load(function() while true do end end)'),
  'a loop that a text is': stopped('load_text("while true do end")()'),
  'a loop that loads': stopped('while true do load_text("return function() return {} end")()() end'),
  'a loop that logs': stopped('while true do con:log("debug", "x") end'),
  'a loop that puts little': stopped('while true do con:puts("") end'),
  'a loop that sets headers': stopped('while true do con:header("Content-Type", "text/plain") end'),
  'a loop that collects': stopped('while true do collectgarbage() end'),
  'a loop that steps the collector': stopped('while true do collectgarbage("step") end'),
  'a loop that resumes dead coroutines': stopped(
    'local c = coroutine.create(print) while true do coroutine.resume(c) end',
  ),
  'a loop that asks for the stack': stopped('while true do debug.traceback() debug.getinfo(1) end'),
  'a loop with a hook of its own': stopped('debug.sethook(function() end, "l") while true do local x = 1 end', [
    'lua5.1',
    'lua5.4',
    'luajit',
  ]),
  'a loop that takes its hook away in a coroutine': stopped(
    'while true do coroutine.wrap(function() debug.sethook() for i = 1, 1000 do end end)() end',
  ),
  'a loop of failing calls of C': stopped(
    'while true do pcall(string.rep) pcall(string.find, "x", "[") pcall(setmetatable, 1) end',
  ),
  'a loop of requires that fail': stopped('while true do pcall(require, "nothing") end'),
  'a loop of os.exit that is caught': 'while true do pcall(os.exit, 1) end',
  'a loop over pairs that never ends': stopped('for k in function() return 1 end do end'),
  'a loop in a loop of goto': stopped('load_text("::a:: goto a")()', ['lua5.4', 'luajit']),
  'a loop when a variable is closed': stopped(
    'load_text("local x <close> = setmetatable({}, { __close = function() while true do end end })")()',
    ['lua5.4'],
  ),
  'a loop in an environment': stopped(
    'setfenv(1, setmetatable({}, { __index = function() while true do end end })) nothing()',
    LUA_51,
  ),
  'tables without an end': 'local t = {} while true do t[#t + 1] = {} end',
  'texts without an end': 'local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end',
  'one growing text': 'local s = "" while true do s = s .. ("x"):rep(10000) end',
  'closures without an end': 'local t = {} while true do local n = #t t[n + 1] = function() return n end end',
  'coroutines without an end': 'local t = {} while true do t[#t + 1] = coroutine.create(print) end',
  'keys without an end': 'local t, n = {}, 0 while true do n = n + 1 t["k" .. n] = n end',
  'chunks without an end':
    'local t = {} while true do t[#t + 1] = load_text("local a = " .. #t .. " return function() return a end")() end',
  'finalizers without an end': 'local t = {} while true do t[#t + 1] = finalized(function() end) end',
  'globals without an end, kept': 'all = all or {} while true do all[#all + 1] = ("x"):rep(1000) .. #all end',
  'a stack without an end': 'local function f(...) return f(1, ...) end f()',
  'varargs without an end': 'local function f(...) local t = { ... } return f(unpack(t), unpack(t)) end f(1, 2, 3)',
  'memory taken in pcall': {
    lua: 'local t = {} while true do pcall(function() t[#t + 1] = ("x"):rep(1000000) .. #t end) end',
    ends: 'lost',
  },
  'memory taken in pcall, in small pieces': {
    lua: 'local t = {} while true do pcall(function() while true do t[#t + 1] = { #t } end end) end',
    ends: 'lost',
  },
  'memory taken in xpcall whose handler takes more': {
    lua: 'local t = {} while true do xpcall(function() while true do t[#t + 1] = {} end end, function() while true do t[#t + 1] = {} end end) end',
    ends: 'lost',
  },
  'memory taken in coroutines in pcall': {
    lua: 'local t = {} while true do pcall(coroutine.wrap(function() while true do t[#t + 1] = ("x"):rep(1000) .. #t end end)) end',
    ends: 'lost',
  },
  'memory taken in a finalizer': {
    lua: 'local t = {} finalized(function() while true do t[#t + 1] = {} end end) collectgarbage() collectgarbage() while true do t[#t + 1] = {} end',
    ends: 'lost',
  },
  'memory taken in gsub':
    'local t = {} while true do (("x"):rep(1000)):gsub(".", function(c) t[#t + 1] = { c } end) end',
  'memory taken in sort':
    'local t = {} while true do table.sort({ 3, 2, 1 }, function(a, b) t[#t + 1] = { a } return a < b end) end',
  'memory taken and given back': stopped(
    'while true do local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1000) .. i end end',
  ),
  'memory taken by concat':
    'local t, s = {}, ("x"):rep(100000) for i = 1, 1e9 do t[i] = s if i % 100 == 0 then table.concat(t) end end',
  'memory taken by format, byte and char':
    'local t = {} while true do t[#t + 1] = ("%s"):format(("x"):rep(100000) .. #t) t[#t + 1] = { ("x"):rep(3000):byte(1, -1) } end',
  'memory taken by upper, reverse, gsub':
    'local t, s = {}, ("x"):rep(1000000) while true do t[#t + 1] = s:upper() .. #t t[#t + 1] = s:reverse() .. #t t[#t + 1] = s:gsub("x", "y") end',
  'memory taken by output': 'while true do con:puts(("x"):rep(1000000)) end',
  'memory taken by weak tables': stopped('local t = setmetatable({}, { __mode = "k" }) while true do t[{}] = {} end'),
  'memory taken while the limit is near':
    'local keep = {} pcall(function() while true do keep[#keep + 1] = ("x"):rep(10000) .. #keep end end) for i = 1, 200 do pcall(function() local t = {} for k = 1, 1000 do t[k] = { k } end end) pcall(load_text, "return " .. i) pcall(con.header, con, "X", "y") pcall(con.puts, con, "x") pcall(error, { i }) end',
  'the library at the limit of memory':
    'local keep = {} pcall(function() while true do keep[#keep + 1] = {} end end) for _, l in ipairs({ string, table, os, coroutine, debug }) do for n, f in pairs(l) do if n ~= "exit" and n ~= "debug" then pcall(f) pcall(f, "x", "x", "x") pcall(f, {}, 1) end end end',
  'the modules at the limit of memory':
    'local keep = {} pcall(function() while true do keep[#keep + 1] = {} end end) for _, n in ipairs({ "luafcgid", "luafcgid.json", "luafcgid.crypto", "luafcgid.template", "luafcgid.router", "luafcgid.validate" }) do local ok, m = pcall(require, n) if ok then for _, f in pairs(m) do if type(f) == "function" and f ~= m.sleep then pcall(f, "x", "x") end end end end',
  'requests at the limit of memory':
    'keep = keep or {} pcall(function() for i = 1, 100 do keep[#keep + 1] = ("x"):rep(100000) .. #keep end end) con:puts(#keep) con:header("X", "y")',
};
