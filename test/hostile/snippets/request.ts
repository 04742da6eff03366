/** con in every wrong way: answers, headers, input, the end of a request, waiting. */
import type { Snippets } from './snippet.js';

export const request: Snippets = {
  'a header of 8 MB': 'con:header("X", ("\\1a"):rep(2 ^ 22))',
  'a header name of 8 MB': 'con:header(("X"):rep(2 ^ 23), "v")',
  'a header line of 8 MB': 'con:header(("X: y"):rep(2 ^ 21))',
  'headers without an end': 'for i = 1, 1e9 do con:header("X-" .. i, ("v"):rep(1000)) end',
  'cookies without an end': 'for i = 1, 1e9 do con:cookie("c" .. i, ("v"):rep(1000)) end',
  'a cookie of 8 MB': 'con:cookie("c", (";\\0"):rep(2 ^ 22))',
  'headers with every byte':
    'for b = 0, 255 do local c = string.char(b) pcall(con.header, con, "X" .. c, "v") pcall(con.header, con, "X", "v" .. c) pcall(con.header, con, c) pcall(con.header, con, "X" .. c .. "y: z") pcall(con.status, con, "200" .. c) pcall(con.type, con, "text/" .. c) pcall(con.redirect, con, "/" .. c) pcall(con.cookie, con, "c" .. c, c, { path = "/" .. c, domain = c }) end con:puts("x")',
  'headers smuggled by line breaks':
    'for _, s in ipairs({ "a\\r\\nX: b", "a\\nX: b", "a\\rX: b", "a\\r\\n\\r\\n<html>", "a\\0b", "\\r", "\\n" }) do pcall(con.header, con, "X-A", s) pcall(con.header, con, s) pcall(con.header, con, s, s) pcall(con.redirect, con, s) pcall(con.type, con, s) pcall(con.status, con, "200 " .. s) end con:puts("x")',
  'headers that belong to the web server':
    'for _, n in ipairs({ "Connection", "Transfer-Encoding", "Content-Length", "Upgrade", "Trailer", "Keep-Alive", "TE", "Proxy-Connection", "Status", "Location", "Date", "Server" }) do for _, v in ipairs({ "", "x", "-1", "99999999999", "chunked", "200 OK" }) do pcall(con.header, con, n, v) end end con:puts("body")',
  'a length that lies': 'con:header("Content-Length", "1000000") con:puts("short")',
  'a length that is too short': 'con:header("Content-Length", "1") con:puts("long")',
  'every status':
    'for s = -10, 1100 do pcall(con.status, con, s) end for _, s in ipairs({ 1e300, 0 / 0, 200.5, "200", "200 ", " 200", "0x1f4", {}, true, ("9"):rep(1e6), "404 " .. ("x"):rep(1e6) }) do pcall(con.status, con, s) end con:puts("x")',
  'a body where none may be': 'con:status(304) con:puts(("x"):rep(100000)) con:flush() con:puts("y")',
  'cookies with odd options':
    'for _, v in ipairs({ 0, -1, 1e300, 0 / 0, 1 / 0, "x", true, {}, "\\r\\n", ("x"):rep(1e5) }) do for _, o in ipairs({ "path", "domain", "expires", "maxage", "secure", "httponly", "samesite", "nothing" }) do pcall(con.cookie, con, "c", "v", { [o] = v }) end pcall(con.cookie, con, "c", v) pcall(con.cookie, con, v, "x") pcall(con.cookie, con, "c", "v", v) end',
  'arguments of every wrong kind':
    'for _, name in ipairs({ "puts", "header", "status", "type", "redirect", "cookie", "gets", "config", "log" }) do for _, v in ipairs({ 0 / 0, -1, 2 ^ 53, 1e300, {}, true, print, coroutine.create(print), con, env, io.stdout, setmetatable({}, { __tostring = error }) }) do pcall(con[name], con, v) pcall(con[name], con, "x", v) pcall(con[name], con, v, v, v) pcall(con[name], v) pcall(con[name]) end end',
  'puts of ten thousand pieces':
    'local t = {} for i = 1, 7000 do t[i] = "p" .. i end con:puts(unpack(t)) for i = 1, 20000 do con:puts(i) end',
  'puts of 64 MB': 'local s = ("x"):rep(2 ^ 20) for i = 1, 64 do con:puts(s) end',
  'puts of what is no text':
    'for _, v in ipairs({ {}, true, print, con, env }) do pcall(con.puts, con, "x", v, "y") pcall(con.puts, con, v) end con:puts(setmetatable({}, { __tostring = function() con:finish() return "x" end }))',
  'flushes without an end of pieces': 'for i = 1, 3000 do con:puts(i) con:flush() end',
  'resets between everything':
    'for i = 1, 200 do con:puts(i) con:header("X-" .. i, "v") con:status(404) con:reset() end con:puts("left") con:flush() pcall(con.reset, con) con:puts("more")',
  'headers after the answer has begun':
    'con:puts("x") con:flush() for _, name in ipairs({ "header", "status", "type", "redirect", "cookie", "reset" }) do pcall(con[name], con, "a", "b") end con:header("X", "y")',
  'everything after the answer has ended':
    'con:puts("x") con:finish() for name, f in pairs(getmetatable(con) and getmetatable(con).__index or con) do if type(f) == "function" then pcall(f, con) pcall(f, con, "x", "y") end end con:puts("late")',
  'the end of the answer a hundred times': 'for i = 1, 100 do pcall(con.finish, con) end con:finish()',
  'the end of the answer in a coroutine that is left':
    'local c = coroutine.wrap(function() con:puts("x") con:finish() coroutine.yield() end) c() error("left")',
  'the end of the answer in a finalizer':
    'con:puts("x") finalized(function() con:finish() end) collectgarbage() collectgarbage() con:puts("y")',
  'work after the answer without an end': { lua: 'con:puts("x") con:finish() while true do local t = {} end' },
  'the request of before used again':
    'if kept then for name, f in pairs(getmetatable(con) and getmetatable(con).__index or con) do if type(f) == "function" then pcall(f, kept) pcall(f, kept, "x", "y") end end spill(con, kept) end kept = con con:puts("x")',
  'another con made from its parts':
    'local copy = {} for k, v in pairs(con) do copy[k] = v end pcall(function() copy:puts("x") end) local m = debug.getmetatable(con) local fake = setmetatable({}, m) pcall(function() fake:puts("x") end) pcall(function() fake:gets() end) con:puts("y")',
  'fields of con exchanged':
    'for k in pairs(con) do con[k] = nil end pcall(function() con.puts = error end) pcall(function() con:puts("x") end)',
  'input read in every piece':
    'for _, n in ipairs({ 1, 2 ^ 31, 2 ^ 53, 1e300, 0, -1, 0 / 0, 0.5, "x", {} }) do pcall(con.gets, con, n) end con:puts(tostring(con:gets()), tostring(con:gets(1)))',
  'input read as everything':
    'pcall(con.form, con) pcall(con.gets, con) pcall(con.form, con) pcall(con.query, con) pcall(con.cookies, con) con:puts("x")',
  'settings changed to everything':
    'for _, n in ipairs({ "watchdog", "buffering", "httpstatus", "contenttype", "onabort", "memory", "root", "workers", "keys", "data", "nothing", "", "__index" }) do for _, v in ipairs({ 0, -1, 1e300, 0 / 0, 1 / 0, "x", "", true, {}, ("x"):rep(1e6), "200 OK\\r\\nX: y" }) do pcall(con.config, con, n, v) end con:puts(tostring(con:config(n))) end',
  'a watchdog that is switched off': {
    lua: 'pcall(con.config, con, "watchdog", 0) pcall(con.config, con, "watchdog", 86400) while true do end',
    ends: 'stopped',
    on: ['embedded'],
  },
  'log lines of every kind':
    'for _, v in ipairs({ "", "\\0", "\\r\\nforged [error]", ("x"):rep(1e6), ("\\n"):rep(5000), "\\27[2J", "\\226\\128\\174" }) do con:log(v) pcall(con.log, con, "error", v) pcall(con.log, con, v, v) print(v) io.write(v, "\\n") io.stderr:write(v, "\\n") end',
  'a thousand log lines': 'for i = 1, 1000 do con:log("info", "line " .. i) print(i) end',
  'sleeping in a finalizer':
    'local l = require("luafcgid") finalized(function() l.sleep(0.01) end) collectgarbage() collectgarbage() con:puts("x")',
  'sleeping in a finalizer of a later request':
    'local l = require("luafcgid") for i = 1, 20 do finalized(function() l.sleep(0.001) end) end con:puts("x")',
  'sleeping in every callback':
    'local l = require("luafcgid") local s = function() l.sleep(0.001) return nil end for _, f in ipairs({ function() ("x"):gsub("x", s) end, function() load(s) end, function() for _ in s do end end, function() return setmetatable({}, { __index = s }).x end, function() table.sort({ 3, 2, 1 }, s) end, function() xpcall(error, s) end, function() pcall(s) end, function() coroutine.wrap(s)() end, function() tostring(setmetatable({}, { __tostring = s })) end }) do pcall(f) end con:puts("x")',
  'sleeping in a hook':
    'local l = require("luafcgid") debug.sethook(function() debug.sethook() l.sleep(0.001) end, "l") local x = 1 con:puts("x")',
  'sleeping for impossible times':
    'local l = require("luafcgid") for _, s in ipairs({ -1, 0, 0 / 0, 1e300, -1 / 0, {}, "x", true }) do pcall(function() if s ~= 1e300 then l.sleep(s) end end) end pcall(l.sleep, 1 / 0) pcall(l.sleep) con:puts("x")',
  'sleeping at the top level': {
    lua: 'require("luafcgid").sleep(0.01) function main(env, con) con:puts("x") end',
    isWhole: true,
  },
  'sleeping after the answer': 'con:puts("x") con:finish() require("luafcgid").sleep(0.01) error("late")',
  'sleeping in a coroutine that others resume':
    'local l = require("luafcgid") local c = coroutine.create(function() l.sleep(0.005) return 1 end) for i = 1, 20 do coroutine.resume(c) end pcall(l.all, function() coroutine.resume(c) end, function() coroutine.resume(c) end)',
  'all at once, of which all fail':
    'local l = require("luafcgid") l.all(function() l.sleep(0.001) error({}) end, function() error(nil) end, function() l.sleep(0.002) error("x") end, function() os.exit(1) end)',
  'all at once within all at once':
    'local l = require("luafcgid") local function f(n) if n == 0 then return l.sleep(0.001) end l.all(function() f(n - 1) end, function() f(n - 1) end) end f(6)',
  'all at once without an end of depth': 'local l = require("luafcgid") local function f() l.all(f) end f()',
  'all at once with what is no function':
    'local l = require("luafcgid") for _, v in ipairs({ 1, "x", {}, true }) do pcall(l.all, v) pcall(l.all, function() end, v) end pcall(l.all) pcall(l.all, nil, nil) pcall(l.all, unpack({}, 1, 200)) con:puts("x")',
  'a thousand at once':
    'local l = require("luafcgid") local t = {} for i = 1, 1000 do t[i] = function() l.sleep(0.001) return i end end pcall(l.all, unpack(t)) con:puts("x")',
  'yields of what the server waits with':
    'local c = coroutine.wrap(function() require("luafcgid").sleep(0.001) end) local kept = coroutine.yield coroutine.yield = function(...) return kept(...) end pcall(c) for _, v in ipairs({ {}, 1, true }) do pcall(coroutine.yield, v) end coroutine.yield = kept',
  'waits that a stop meets': {
    lua: 'local l = require("luafcgid") pcall(con.config, con, "watchdog", 0.05) for i = 1, 1e9 do l.sleep(0) pcall(l.sleep, 0) end',
    ends: 'stopped',
  },
};
