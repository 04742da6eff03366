/** Scripts that look for what is not theirs: the debug library, precompiled chunks, modules, files, the environment. */
import { LUA_51, NATIVE, type Snippets } from './snippet.js';

export const inside: Snippets = {
  'everything below the globals': 'spill(con, _G)',
  'everything below the registry': 'spill(con, debug.getregistry())',
  'everything below the modules': 'spill(con, package.loaded) spill(con, package)',
  'everything below the metatables of the basic types':
    'for _, v in ipairs({ "x", 1, true, print, coroutine.create(print), io.stdout }) do spill(con, debug.getmetatable(v)) end',
  'everything below con and env': 'spill(con, { con, env, getmetatable(con), getmetatable(env) })',
  'everything below the library':
    'spill(con, { string, table, math, os, io, coroutine, debug, load_text, require, pcall })',
  'every variable of every call':
    'for level = 0, 60 do local info = debug.getinfo(level, "nSluf") if not info then break end spill(con, info) for i = -20, 40 do local ok, n, v = pcall(debug.getlocal, level, i) if ok and n then spill(con, { n, v }) end end end',
  'every variable of every coroutine':
    'local c = coroutine.create(function(a) local b = a coroutine.yield(b) end) coroutine.resume(c, "x") for level = -5, 20 do for i = -9, 20 do pcall(debug.getlocal, c, level, i) pcall(debug.setlocal, c, level, i, {}) end pcall(debug.getinfo, c, level) end coroutine.resume(c)',
  'variables of others changed':
    'for level = 1, 30 do for i = 1, 30 do pcall(debug.setlocal, level, i, {}) end end con:puts("changed")',
  'upvalues of everything changed':
    'local seen = {} local function go(t, depth) if seen[t] or depth > 4 then return end seen[t] = true for k, v in next, t do if type(v) == "function" then for i = 1, 20 do pcall(debug.setupvalue, v, i, nil) pcall(debug.setupvalue, v, i, {}) end elseif type(v) == "table" then go(v, depth + 1) end end end go(_G, 0)',
  'upvalues joined': {
    lua: 'local a, b = 1, 2 local f, g = function() return a end, function() return b end for i = -2, 3 do for k = -2, 3 do pcall(debug.upvaluejoin, f, i, g, k) pcall(debug.upvaluejoin, print, i, g, k) pcall(debug.upvalueid, pcall, i) end end',
    on: ['lua5.4', 'luajit'],
  },
  'functions from numbers':
    'for _, n in ipairs({ 0, 1, 8, 65536, 1e6, 2 ^ 31, 2 ^ 47, -1, 0.5 }) do for _, o in ipairs({ ">S", ">f", ">nSlufLtr", ">L", "f>", ">" }) do pcall(debug.getinfo, 1, o, n) pcall(debug.getinfo, o, n) pcall(debug.getinfo, n, o) pcall(debug.getinfo, 0, o, "x") end end pcall(debug.getinfo, 1, ">S")',
  'infos with every letter':
    'for b = 0, 255 do pcall(debug.getinfo, 1, string.char(b)) pcall(debug.getinfo, print, string.char(b)) end for _, l in ipairs({ -1, 2 ^ 31, 1e300, 0 / 0 }) do pcall(debug.getinfo, l) pcall(debug.getlocal, l, 1) pcall(debug.getlocal, 1, l) pcall(debug.traceback, "x", l) end',
  'tracebacks of anything':
    'for _, v in ipairs({ {}, true, print, 1, coroutine.create(print) }) do pcall(debug.traceback, v) pcall(debug.traceback, "x", v) pcall(debug.traceback, coroutine.create(print), v, v) end pcall(debug.traceback, "x", 2 ^ 31) con:puts(#debug.traceback(("x"):rep(1e6)))',
  'the registry emptied':
    'local r = debug.getregistry() for k in next, r do pcall(function() r[k] = nil end) end collectgarbage() con:puts("emptied")',
  'the registry filled':
    'local r = debug.getregistry() for i = 1, 1000 do r[i] = print r[-i] = "x" r["k" .. i] = {} end con:puts("filled")',
  'the registry with other numbers':
    'local r = debug.getregistry() for k, v in next, r do if type(k) == "number" then pcall(function() r[k] = {} end) pcall(function() r[k] = print end) end end pcall(error, {}) con:puts("x")',
  'the globals emptied': 'for k in pairs(_G) do if k ~= "main" then _G[k] = nil end end',
  'the globals exchanged':
    'for k, v in pairs(_G) do if type(v) == "function" and k ~= "main" then _G[k] = function() return {} end end end con:puts("x")',
  'the library exchanged':
    'for _, l in ipairs({ string, table, math, os, io, coroutine, debug, package }) do for k in pairs(l) do l[k] = error end end con:puts("x")',
  'metatables of the basic types exchanged':
    'for _, v in ipairs({ 1, true, print, coroutine.create(print) }) do debug.setmetatable(v, { __index = function() error({}) end, __call = error, __gc = print, __eq = error, __lt = error, __tostring = error, __concat = error }) end debug.setmetatable(nil, { __index = function(_, k) return k end }) debug.setmetatable("", { __index = {}, __add = error, __len = error }) con:puts("x") error(nil)',
  'metatables of the basic types taken away':
    'debug.setmetatable("", nil) debug.setmetatable(print, nil) con:puts("x")',
  'the metatable of con exchanged':
    'local m = debug.getmetatable(con) or {} for k in pairs(m) do m[k] = nil end debug.setmetatable(con, nil) pcall(function() con:puts("x") end)',
  'the metatables of files exchanged':
    'local m = debug.getmetatable(io.stdout) pcall(debug.setmetatable, finalized(print), m) pcall(debug.setmetatable, {}, m) pcall(debug.setmetatable, io.stdout, {}) pcall(debug.setmetatable, io.stdout, nil) collectgarbage() collectgarbage()',
  'methods of files with other objects':
    'local m = debug.getmetatable(io.stdout) for _, v in ipairs({ finalized(print), {}, "x", 1, con, coroutine.create(print) }) do for _, f in pairs(m) do if type(f) == "function" then pcall(f, v) end end for _, f in pairs(type(m.__index) == "table" and m.__index or {}) do pcall(f, v) end end collectgarbage()',
  'objects given any metatable of the registry':
    'for k, m in next, debug.getregistry() do if type(m) == "table" then local p = finalized(function() end) pcall(debug.setmetatable, p, m) pcall(tostring, p) pcall(function() return p.x end) p = nil end end collectgarbage() collectgarbage()',
  'methods of con with other objects':
    'for name, f in pairs(getmetatable(con) and getmetatable(con).__index or con) do if type(f) == "function" and name ~= "finish" then for _, v in ipairs({ {}, 1, "x", io.stdout, setmetatable({}, getmetatable(con)) }) do pcall(f, v, "x", "y") end end end',
  'functions of the server called with anything':
    'local done, most = {}, 400 local function go(t, d) if done[t] or d > 3 then return end done[t] = true for k, v in next, t do if type(v) == "function" and most > 0 and v ~= main and v ~= os.exit and v ~= print then for i = 1, 12 do local n, up = debug.getupvalue(v, i) if n == nil then break end if type(up) == "table" then go(up, d + 1) elseif type(up) == "function" then most = most - 1 pcall(up) pcall(up, 1) pcall(up, {}, "x") pcall(up, "x", -1, {}) end end elseif type(v) == "table" then go(v, d + 1) end end end go({ con, getmetatable(con), package.loaded, require }, 0)',
  'precompiled chunks by every way':
    'local s = string.dump(function() return 1 end) for _, text in ipairs({ s, "\\27", "\\27Lua", "\\27LJ", "#x\\n" .. s, "\\239\\187\\191" .. s, " " .. s, "\\n" .. s }) do pcall(load_text, text) pcall(load_text, text, "x", "b") pcall(load_text, text, "x", "bt") local at = 0 pcall(load, function() at = at + 1 return text:sub(at, at) ~= "" and text:sub(at, at) or nil end) pcall(load, function() at = at + 1 return nil end, "x", "b") end',
  'precompiled chunks that are broken':
    'local s = string.dump(function(a, ...) local t = { a, ... } for i = 1, #t do t[i] = t[i] + 1 end return t, "text", 1.5 end) for i = 1, #s do local f = load_text(s:sub(1, i - 1) .. string.char((s:byte(i) + 128) % 256) .. s:sub(i + 1)) if f then pcall(f, 1, 2) end load_text(s:sub(1, i)) end',
  'dumps of everything':
    'for _, v in ipairs({ print, main, con.puts, load_text, pcall, 1, {}, "x" }) do local ok, s = pcall(string.dump, v) if ok then con:puts(s) end pcall(string.dump, v, true) end',
  'dumps of the functions of the server':
    'local n = 0 for level = 0, 30 do local i = debug.getinfo(level, "f") if not i then break end local ok, s = pcall(string.dump, i.func) if ok then con:puts(s) n = n + 1 end end',
  'modules with impossible names':
    'for _, n in ipairs({ "", ".", "..", "../x", "/etc/passwd", "x\\0y", ("x"):rep(1e6), ("a."):rep(5000), "\\255", "luafcgid.", "luafcgid.nothing", "luafcgid..json", "%s", "?" }) do pcall(require, n) end',
  'modules that give anything':
    'for i, v in ipairs({ false, {}, 1, "x", print }) do package.preload["p" .. i] = function() return v end require("p" .. i) require("p" .. i) package.loaded["p" .. i] = nil require("p" .. i) end',
  'modules that fail with anything':
    'for i, v in ipairs({ false, {}, 1, print, coroutine.create(print) }) do package.preload["q" .. i] = function() error(v) end pcall(require, "q" .. i) pcall(require, "q" .. i) end require("q2")',
  'search paths of any kind':
    'local path, cpath = package.path, package.cpath for _, p in ipairs({ "", ";;;", "?", "/?", "/proc/self/?", "/dev/?", ("?;"):rep(2000), "\\0", {} }) do package.path, package.cpath = p, p pcall(require, "nothing" .. #tostring(p)) end package.path, package.cpath = path, cpath',
  'the loaders exchanged':
    'local l = package.loaders or package.searchers for i = 1, 8 do l[i] = nil end pcall(require, "x") l[1] = function() return 1 end pcall(require, "y") l[1] = function() return error end pcall(require, "z") l[1] = {} pcall(require, "w") package.loaders, package.searchers, package.preload, package.loaded = nil pcall(require, "v")',
  'the modules of the server exchanged':
    'for _, n in ipairs({ "luafcgid", "luafcgid.json", "luafcgid.crypto", "luafcgid.template" }) do local m = require(n) for k in pairs(m) do m[k] = nil end package.loaded[n] = nil require(n) end',
  'libraries of C': {
    lua: 'pcall(package.loadlib, "", "") pcall(package.loadlib, "nothing.so", "*") pcall(package.loadlib, ("x"):rep(1e6), "x") pcall(package.loadlib, 1, {})',
  },
  'files of the system (embedded)': {
    lua: 'for _, n in ipairs({ "/etc/passwd", "/proc/self/environ", "/proc/self/mem", "/proc/self/maps", "../x.lua", ".", "", "\\0", ("/x"):rep(5000), "/dev/zero", "/dev/stdin" }) do for _, m in ipairs({ "r", "w", "a+", "rb", "x" }) do local f = io.open(n, m) if f then con:puts(f:read(1000) or "") error("opened " .. n) end end pcall(dofile, n) pcall(loadfile, n) pcall(io.lines, n) os.remove(n) os.rename(n, "y") end con:puts("none")',
    on: ['embedded'],
  },
  'files with impossible names': {
    lua: 'for _, n in ipairs({ "", "\\0", ("/x"):rep(5000), ("x"):rep(1e6), "/nothing/there", "/dev/null/x", "/proc/self" }) do for _, m in ipairs({ "r", "rb", "r+", "", "zz", ("r"):rep(1000) }) do pcall(io.open, n, m) end pcall(dofile, n) pcall(loadfile, n) pcall(io.lines, n) end',
  },
  'streams used for anything':
    'for _, f in ipairs({ io.stdout, io.stderr, io.stdin }) do pcall(f.read, f, "*a") pcall(f.read, f, -1) pcall(f.read, f, 2 ^ 53) pcall(f.seek, f, "set", 2 ^ 53) pcall(f.seek, f, "x") pcall(f.setvbuf, f, "full", 2 ^ 31) pcall(f.lines, f) pcall(f.write, f, {}) pcall(f.close, f) pcall(f.write, f, "x") pcall(f.flush, f) end pcall(io.output, io.stdin) pcall(io.input, {}) pcall(io.close)',
  'files that are closed twice and kept': {
    lua: 'local f = io.tmpfile() if f then f:write("x") f:close() pcall(f.close, f) pcall(f.read, f) pcall(tostring, f) end kept = io.tmpfile()',
    on: NATIVE,
  },
  'hundreds of open files': {
    lua: 'local t = {} for i = 1, 200 do t[i] = io.tmpfile() end t = nil collectgarbage() collectgarbage() con:puts("closed")',
    on: NATIVE,
  },
  'numbers that files cannot have': {
    lua: 'local f = assert(io.tmpfile()) f:write("abc") for _, n in ipairs({ 2 ^ 31, -1, 2 ^ 53, 1e300 }) do pcall(f.seek, f, "set", n) pcall(f.seek, f, "end", -n) end f:seek("set") pcall(f.read, f, 1e9) pcall(f.read, f, "*n", "*l", "*x") f:close()',
    on: NATIVE,
  },
  'env filled and emptied':
    'for k in pairs(env) do env[k] = nil end for i = 1, 100000 do env["k" .. i] = i end setmetatable(env, { __index = error, __newindex = error, __pairs = error }) con:puts(tostring(con:query().x))',
  'env with other values where the server looks':
    'for k in pairs(env) do env[k] = {} end pcall(con.query, con) pcall(con.cookies, con) pcall(con.form, con) pcall(con.gets, con) con:puts("x")',
  'env and con kept for others':
    'kept = kept or {} kept[#kept + 1] = { env, con } for _, pair in ipairs(kept) do spill(con, pair[1]) pcall(pair[2].puts, pair[2], "x") end',
  'all strings of the state':
    'local t = {} for i = 1, 2000 do t[i] = tostring({}) .. tostring(print) .. tostring(coroutine.create(print)) end con:puts(table.concat(t):sub(1, 100000))',
  'memory that was never written':
    'local t = {} for i = 1, 2000 do t[i] = { nil, nil, nil, nil, i } for k = 1, 5 do if type(t[i][k]) == "string" then con:puts(t[i][k]) end end end local c = coroutine.create(function(...) local a, b, d, e, f coroutine.yield(a, b, d, e, f, ...) end) con:puts(tostring(select(2, coroutine.resume(c))))',
  'variables that have no name any more':
    'local function f() local a = "x" do local b = "y" end for i = 1, 250 do local n, v = debug.getlocal(1, i) if n == nil then break end if type(v) == "string" then con:puts(v) end end end f() for level = 1, 12 do for i = 1, 250 do local ok, n, v = pcall(debug.getlocal, level, i) if not ok or n == nil then break end if type(v) == "string" then con:puts(v) end end end',
  'the environment of functions of C': {
    lua: 'for _, f in ipairs({ print, pcall, io.open, io.stdout.close, require, package.loadlib or print }) do spill(con, getfenv(f)) pcall(setfenv, f, {}) pcall(debug.setfenv, f, {}) end pcall(debug.setfenv, io.stdout, {}) pcall(io.stdout.close, io.stdout)',
    on: LUA_51,
  },
  'the server by ffi': {
    lua: 'local ok, ffi = pcall(require, "ffi") if ok then pcall(ffi.cdef, "struct {") pcall(ffi.new, "nothing") pcall(ffi.cast, "int", {}) pcall(ffi.sizeof, "char[?]") pcall(function() return ffi.new("int[?]", 1e9) end) pcall(function() return ffi.C.nothing end) end',
    on: ['luajit'],
  },
  'the compiler switched on and off': {
    lua: 'for _, o in ipairs({ "on", "off", "flush", "status" }) do pcall(jit[o]) pcall(jit[o], main, true) pcall(jit[o], true, true) pcall(jit[o], 1, 2) end for _, p in ipairs({ "maxtrace=1", "hotloop=1", "maxmcode=-1", "x" }) do pcall(require("jit.opt").start, p) end local x = 0 for i = 1, 100000 do x = x + i % 7 end jit.off() con:puts(x)',
    on: ['luajit'],
  },
  'compiled code that fails everywhere': {
    lua: 'jit.on() for n = 1, 60 do local t = {} for i = 1, 120 do t[i] = i end t[n] = {} pcall(function() local s = 0 for i = 1, 120 do s = s + t[i] end end) pcall(function() for i = 1, 120 do local s = ("x"):rep(i):sub(n, i) if i == 60 + n then error(s) end end end) end jit.off()',
    on: ['luajit'],
  },
};
