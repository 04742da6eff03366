/** Values whose metamethods run in the midst of what the server does with them, and do there what nobody expects. */
import type { Snippets } from './snippet.js';

/** `uses(v)`: calls that look into a value. `all(v)` makes all of them. `bitten(f)`: a table with `f` as each of its metamethods. */
const USES = `local l, json, template = require("luafcgid"), require("luafcgid.json"), require("luafcgid.template")
local validate, crypto, router, http = require("luafcgid.validate"), require("luafcgid.crypto"), require("luafcgid.router"), require("luafcgid.http").safe
local d, lock, ngx, u = require("luafcgid.shared").d, require("luafcgid.lock"), require("luafcgid.ngx"), "http://127.0.0.1:" .. env.HTTP_X_UPSTREAM .. "/"
local page = template.compile("<%= x %><%- x %><%= x.y %>")
local names = { "__index", "__newindex", "__len", "__tostring", "__pairs", "__ipairs", "__call", "__eq", "__lt", "__le", "__unm", "__name", "__tojson", "__close" }
-- Lua 5.4.4 crashes by itself when finalizers run in the midst of a concatenation (reliability.md).
if _VERSION ~= "Lua 5.4" then names[#names + 1] = "__concat" end
local function bitten(f, t) local m = {} for _, k in ipairs(names) do m[k] = f end return setmetatable(t or { 1, "b", a = "c" }, m) end
local function uses(v) return {
  function() con:header(v) end, function() con:header("X", v) end, function() con:header({ X = v, Y = { v } }) end, function() con:puts("a", v, "b") end,
  function() con:cookie("c", "v", v) end, function() con:redirect(v) end, function() con:json(v) end, function() con:log(v) end, function() con:status(v) end,
  function() con:config("watchdog", v) end, function() con:sendfile("/x", v) end, function() con:session():set("a", v) end, function() con:session()[v] = v end,
  function() json.encode(v) end, function() json.encode({ v, a = v }) end, function() json.script(v) end, function() json.decode(v) end,
  function() l.serialize({ v }) end, function() l.escape(v) end, function() l.urlencode(v) end, function() l.parse(v) end, function() l.all(v) end, function() l.sleep(v) end,
  function() page({ x = v }) end, function() page(v) end, function() template.puts(con, "x", v) end,
  function() validate.check({ a = v }, { a = { list = true, check = function() return v end } }) end, function() validate.check(v, { a = { required = true } }) end,
  function() validate.check({ a = "x" }, v) end, function() validate.check({ a = "x" }, { a = v }) end, function() validate.check({ a = "x" }, { a = { one_of = v, min = v } }) end,
  function() http.get(u, v) end, function() http.get(u, { headers = v }) end, function() http.get(u, { headers = { X = v } }) end,
  function() http.post(u, { json = v }) end, function() http.post(u, { form = v }) end,
  function() d:set("a", v) end, function() d:set(v, 1) end, function() d:incr("n", v) end, function() d:fetch("f", 1, function() return v end) end,
  function() lock.try(v) end, function() lock.with("x", v) end, function() router.new():get("/", v) end, function() ngx.say(v, { v }) end, function() ngx.header.X = v end,
  function() ngx.encode_args({ a = v }) end, function() crypto.seal("k", "x", v) end, function() crypto.hmac(v, v, v) end, function() crypto.hex(v) end,
  function() tostring(v) print(v) io.write(v) end, function() table.concat({ v }) end, function() string.rep(v, v) end, function() error(v) end, function() require(v) end,
  function() os.date(v) end, function() os.time(v) end, function() unpack(v) end, function() unpack({}, v, v) end, function() load(v) end, function() xpcall(v, v) end,
  function() for _ in pairs(v) do break end end, function() for _ in ipairs(v) do break end end, function() return #v + v .. v end, function() return v < v, v == v end } end
local function all(v) for _, f in ipairs(uses(v)) do pcall(f) end end `;

/** To load the modules takes most of the time that hostile handlers usually have. */
const LONGER = 'con:config("watchdog", 5)';
const bitten = (does: string): string => `${LONGER} ${USES} local v v = bitten(function(t) ${does} end) all(v)`;

export const midst: Snippets = {
  'metamethods that fail': bitten('error({})'),
  'metamethods that wait': bitten('l.sleep(0) return nil'),
  'metamethods that yield': bitten('coroutine.yield(1)'),
  'metamethods that give texts': bitten('return "x"'),
  'metamethods that give their value': bitten('return v'),
  'metamethods that give huge numbers': bitten('return 1e9'),
  'metamethods that give iterators': bitten('return next, t'),
  'metamethods that put, and set headers': bitten('con:puts("p") con:header("X", "y") return "x"'),
  'metamethods that do the same again': `${LONGER} ${USES} local n = 0 local v v = bitten(function() n = n + 1 if n < 200 then for _, f in ipairs(uses(v)) do pcall(f) end end return "x" end) all(v)`,
  'metamethods that empty and fill their value': bitten(
    'for k in next, v do v[k] = nil end for i = 1, 50 do rawset(v, i, i) rawset(v, "k" .. i, i) end return "x"',
  ),
  'metamethods that collect, with finalizers that do the same': bitten(
    'for i = 1, 9 do finalized(function() con:puts("g") pcall(json.encode, { 1 }) pcall(d.incr, d, "g", 1, 0) pcall(crypto.hmac, "sha256", "k", "v") end) end collectgarbage() return "x"',
  ),
  'metamethods that finish the answer': bitten('pcall(con.finish, con) return "x"'),
  'metamethods that take the answer back': bitten('pcall(con.reset, con) return "x"'),
  'metamethods that end the request': bitten('os.exit(3)'),
  'metamethods without an end': {
    lua: `${USES} all(bitten(function() while true do end end))`,
    ends: 'stopped',
  },
  'uses of what is a million deep': `${LONGER} ${USES} local v = {} for i = 1, 1e6 do v = { v, a = v } end all(v)`,
  'uses of what is in itself': `${LONGER} ${USES} local v = {} v[1], v.a = v, v all(v)`,
  'uses of functions, streams, coroutines, and of all there is': `${LONGER} ${USES} for _, v in ipairs({ all, print, con, env, coroutine.create(print), io.stdout, _G, debug.getregistry() }) do all(v) end`,
  'uses in forty branches': `${LONGER} ${USES} local t = {} for i = 1, 40 do t[i] = function() all(bitten(function() l.sleep(0.0001) return "x" end)) end end pcall(l.all, unpack(t))`,
};
