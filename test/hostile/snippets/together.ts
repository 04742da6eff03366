/** What scripts share with each other and with other servers: dictionaries, locks, sessions, images, HTTP. */
import type { Snippets } from './snippet.js';

const ODD =
  '{ 0 / 0, 1 / 0, -1, 2 ^ 53, 1e300, "", "\\0", "\\255\\254", ("x"):rep(70000), true, {}, print, coroutine.create(print), con, env }';

/** With a dictionary `d` of 64 KiB. */
const dictionary = (lua: string): string => `local d = require("luafcgid.shared").d ${lua}`;
const locks = (lua: string): string => `local l, lock = require("luafcgid"), require("luafcgid.lock") ${lua}`;
/** With `http`, and `base`: the address of a server that misbehaves in the way that the path says. */
const http = (lua: string): string =>
  `local l, http = require("luafcgid"), require("luafcgid.http") local base = "http://127.0.0.1:" .. env.HTTP_X_UPSTREAM .. "/" ${lua}`;
const session = (lua: string): string => `local s = con:session() ${lua}`;

export const together: Snippets = {
  'every method of a dictionary, given anything': dictionary(
    `local m = getmetatable(d) and getmetatable(d).__index or d if type(m) ~= "table" then m = { get = d.get, set = d.set, incr = d.incr, fetch = d.fetch } end for name, f in pairs(m) do if type(f) == "function" then for _, v in ipairs(${ODD}) do pcall(f, d, v) pcall(f, d, "k", v) pcall(f, d, v, v, v, v) pcall(f, v, v) pcall(f, {}, "k") end pcall(f) end end`,
  ),
  'a dictionary that is filled in every way': dictionary(
    'for i = 1, 5000 do d:set("k" .. i, ("v"):rep(i % 900)) d:lpush("list", ("v"):rep(i % 100)) d:rpush("l" .. i, i) d:incr("n" .. i, 1, 0) end d:get_keys(0) for i = 1, 5000 do d:lpop("list") d:delete("k" .. i) end d:flush_all() d:flush_expired()',
  ),
  'values that compute themselves': dictionary(
    'pcall(d.fetch, d, "a", 1, function() return d:fetch("a", 1, function() return d:fetch("a", 1, error) end) end) pcall(d.fetch, d, "b", 1, function() os.exit(1) end)',
  ),
  'values that are computed in coroutines that are left': dictionary(
    'for i = 1, 50 do local c = coroutine.wrap(function() d:fetch("c" .. i, 1, function() coroutine.yield() return 1 end) end) pcall(c) end error("left")',
  ),
  'values that are computed without an end': {
    lua: dictionary('d:fetch("endless", 1, function() while true do end end)'),
    ends: 'stopped',
  },
  'dictionaries in finalizers': dictionary(
    'for i = 1, 30 do finalized(function() d:incr("gc", 1, 0) pcall(d.fetch, d, "gc" .. i, 1, function() return i end) end) end collectgarbage() collectgarbage()',
  ),
  'dictionaries by other names':
    'local shared = require("luafcgid.shared") for _, n in ipairs({ "nothing", "", "__index", "sessions", "luafcgid_sessions", "\\0", ("x"):rep(1e5), 1, {}, true }) do pcall(function() return shared[n]:get("k") end) pcall(function() shared[n] = 1 end) end spill(con, shared)',
  'locks without an end': locks(
    'for i = 1, 1e6 do if not pcall(lock.try, "n" .. i) then break end end l.sleep(0.01) error("with all of them")',
  ),
  'locks of odd names': locks(
    `for _, v in ipairs(${ODD}) do pcall(lock.try, v) pcall(lock.lock, v, { wait = 0 }) pcall(lock.lock, "x", { wait = v }) pcall(lock.lock, "x", v) pcall(lock.with, v, v, v) pcall(lock.with, "y", v) end`,
  ),
  'locks that are forged': locks(
    'local held = lock.try("mine") local m = getmetatable(held) for _, n in ipairs({ "session:x", "lock:mine", "lock:", "fetch:d:a", "", "\\0", ("x"):rep(1e5), {}, 1 }) do for _, t in ipairs({ 0, 1, -1, 2 ^ 53, 1e300, 0 / 0, held and held.token or 1, "1", {} }) do local f = setmetatable({ full_name = n, name = n, token = t }, m) pcall(f.unlock, f) pcall(f.held, f) end end',
  ),
  'locks in every callback': locks(
    'local f = function() lock.lock("cb", { wait = 1 }) end for _, g in ipairs({ function() ("x"):gsub("x", f) end, function() table.sort({ 1, 2 }, f) end, function() for _ in f do end end, function() return setmetatable({}, { __index = f }).x end, function() coroutine.wrap(f)() end, function() load(f) end }) do pcall(g) end finalized(f) collectgarbage() collectgarbage()',
  ),
  'locks that wait for each other': locks(
    'local function f(a, b) return function() lock.with(a, function() l.sleep(0.001) lock.lock(b, { wait = 0.05 }) end) end end pcall(l.all, f("a", "b"), f("b", "c"), f("c", "a"), f("a", "a"))',
  ),
  'locks of coroutines that are left': locks(
    'for i = 1, 50 do local c = coroutine.wrap(function() lock.with("left" .. i % 3, function() coroutine.yield() end) end) pcall(c) end',
  ),
  'locks after the answer': locks('con:puts("x") con:finish() lock.lock("late", { wait = 0.01 }) error("late")'),
  'sessions with everything in them': session(
    `for _, v in ipairs(${ODD}) do pcall(s.set, s, v, v) pcall(s.set, s, "k", v) pcall(s.get, s, v) pcall(s.flash, s, v, v) pcall(function() s[v] = v end) end for _, n in ipairs({ "set", "get", "renew", "destroy", "flash", "flashes", "exists", "lock", "unset" }) do pcall(s[n], {}) pcall(s[n]) pcall(s[n], s, 1e300) end`,
  ),
  'sessions that grow without an end': session(
    'for i = 1, 1e5 do if not pcall(s.set, s, "k" .. i, ("v"):rep(500)) then break end end s:flash(("x"):rep(1000)) s:flashes()',
  ),
  'sessions that are renewed and destroyed in turn': session(
    's.a = 1 for i = 1, 30 do pcall(s.renew, s) pcall(s.lock, s, 0) pcall(con.csrf, con) end s:destroy() pcall(s.renew, s) pcall(s.set, s, "a", 2) pcall(function() con:session().a = 3 end) con:puts(con:csrf_field())',
  ),
  'sessions with forged cookies':
    'for _, c in ipairs({ ("A"):rep(43), ("A"):rep(1e5), "", "\\0", ("="):rep(43), ("_"):rep(43) }) do env.HTTP_COOKIE = ("session=" .. c .. "; "):rep(20) end local s = con:session() s.a = 1 pcall(con.check_csrf, con) pcall(con.check_csrf, con, ("A"):rep(1e5)) pcall(con.check_csrf, con, {})',
  'sessions while the answer is under way': session(
    'con:puts("x") con:flush() pcall(function() s.a = 1 end) pcall(s.renew, s) pcall(con.csrf, con) con:finish() pcall(function() s.b = 2 end) pcall(s.destroy, s)',
  ),
  'sessions in coroutines and finalizers': session(
    'local l = require("luafcgid") pcall(l.all, function() s.a = 1 s:lock(0) end, function() s:renew() end, function() s:destroy() end) finalized(function() pcall(function() con:session().c = 1 end) end) collectgarbage() collectgarbage()',
  ),
  'a session that is kept for another request':
    'if kept_session then pcall(function() kept_session.a = 1 end) pcall(kept_session.renew, kept_session) spill(con, kept_session) end kept_session = con:session() kept_session.a = env.HTTP_X_TOKEN',
  'a state of a request that has become odd': {
    lua: 'require("luafcgid").isolation("request") n = 0 local old = string.rep function main(env, con) n = n + 1 string.rep = nil _G.tostring = nil debug.sethook(function() end, "", 1) setmetatable(_G, { __index = error, __newindex = error }) getmetatable("").__index = nil con:puts(n) coroutine.wrap(function() coroutine.yield() end)() finalized(function() while true do end end) end',
    isWhole: true,
  },
  'isolation in every way':
    'local l = require("luafcgid") for _, v in ipairs({ "request", "state", "", 1, {}, true }) do pcall(l.isolation, v) end pcall(l.isolation)',
  'a state of a request that waits everywhere': {
    lua: 'local l = require("luafcgid") l.isolation("request") local lock = require("luafcgid.lock") function main(env, con) held = (held or 0) + 1 assert(held == 1) l.all(function() l.sleep(0.002) end, function() lock.with("i", function() l.sleep(0.001) end) end) con:puts(held) coroutine.wrap(function() l.sleep(0.001) error("x") end)() end',
    isWhole: true,
  },
  'answers that are none': http(
    'for _, p in ipairs({ "garbage", "cut", "silent", "headers", "manyheaders", "chunks", "length", "twice", "informs", "loop", "badloop", "extra", "zero" }) do for _, o in ipairs({ { timeout = 0.3 }, { timeout = 0.3, redirects = 20, maxbody = 1000 } }) do pcall(http.get, base .. p, o) pcall(http.post, base .. p, { body = "x", timeout = 0.3 }) end end',
  ),
  'requests that cannot be sent': http(
    `for _, v in ipairs(${ODD}) do pcall(http.get, v) pcall(http.request, base, v) pcall(http.request, { url = base, method = v }) pcall(http.get, base, { headers = { [type(v) == "string" and v or "x"] = v } }) pcall(http.get, base, { timeout = v, redirects = v, maxbody = v }) pcall(http.post, base, { json = v }) pcall(http.post, base, { form = { a = v, b = { v, v } } }) pcall(http.get, base .. (type(v) == "string" and v or "")) end for _, h in ipairs({ "Host", "Content-Length", "Transfer-Encoding", "X\\r\\nY", "X: y", "Connection" }) do pcall(http.get, base, { headers = { [h] = "1" } }) pcall(http.get, base, { headers = { X = "a\\r\\n" .. h .. ": 1" } }) end`,
  ),
  'requests to what is not allowed': http(
    'for _, u in ipairs({ "http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "http://0x7f000001:1/", "http://2130706433/", "file:///etc/passwd", "ftp://x/", "http://x@127.0.0.1/", "javascript:1", "//x", "http://", "http://169.254.169.254/" }) do pcall(http.get, u) pcall(http.stream, u) end',
  ),
  'streams that are left, and others that are forged': http(
    'local s = http.safe.stream(base .. "chunks", { timeout = 2 }) if s then s:read() for _, h in ipairs({ 0, -1, 1, 2 ^ 31, 1e300, 0 / 0 }) do for _, id in ipairs({ 0, 1, -1, 99, 1e300 }) do local f = setmetatable({ source = { id = id, kind = "http" }, handle = h }, getmetatable(s)) pcall(f.read, f) f.handle = h pcall(f.close, f) end end pcall(l.all, function() s:read() end, function() s:read() end, function() s:close() end) end http.safe.stream(base .. "silent", { timeout = 0.3 }) error("left")',
  ),
  'requests all at once that are stopped': {
    lua: http(
      'l.all(function() http.safe.get(base .. "silent", { timeout = 0.3 }) end, function() while true do end end)',
    ),
    ends: 'stopped',
  },
};
