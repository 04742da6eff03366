/** The modules of the server, given what they are not made for. */
import type { Snippets } from './snippet.js';

const ODD =
  '{ 0 / 0, 1 / 0, -1, 2 ^ 53, 1e300, "", "\\0", "\\255\\254", ("x"):rep(100000), true, {}, print, coroutine.create(print), io.stdout }';

export const library: Snippets = {
  'every function of every module, given anything': `for _, n in ipairs({ "luafcgid", "luafcgid.json", "luafcgid.crypto", "luafcgid.template", "luafcgid.router", "luafcgid.validate", "cjson", "cjson.safe", "bit", "luafcgid.wsapi", "wsapi.request", "wsapi.response", "wsapi.util", "luafcgid.cgilua", "cgilua.urlcode", "cgilua.cookies", "luafcgid.mod_lua", "luafcgid.ngx", "openssl.hmac" }) do
    local ok, m = pcall(require, n)
    for name, f in pairs(ok and type(m) == "table" and m or {}) do
      if type(f) == "function" and name ~= "sleep" and name ~= "exit" and name ~= "redirect" then
        for _, v in ipairs(${ODD}) do pcall(f, v) pcall(f, "x", v) pcall(f, v, v, v) pcall(f, {}, v) end
        pcall(f)
      end
    end
  end`,
  'modules for data without any source':
    'for _, n in ipairs({ "luafcgid.db", "luafcgid.redis", "luasql.postgres", "luasql.sqlite3", "lsqlite3" }) do local ok, m = pcall(require, n) if ok and type(m) == "table" then for _, v in ipairs({ "x", "", "\\0", ("x"):rep(100000), {}, 1 }) do pcall(m.open or print, v) end end end',
  'texts that are no JSON, cut anywhere':
    'local json = require("luafcgid.json") local s = [[{"a":[1,-2.5e10,"x\\u00e9\\ud83d\\ude00\\n",true,false,null,{}],"b":{"c":"d"}}]] for i = 1, #s do for k = i, #s, 3 do pcall(json.decode, s:sub(i, k)) end end',
  'JSON with every byte':
    'local json = require("luafcgid.json") for b = 0, 255 do local c = string.char(b) pcall(json.decode, c) pcall(json.decode, "\\"" .. c .. "\\"") pcall(json.decode, "[" .. c .. "]") pcall(json.decode, "\\"\\\\" .. c .. "\\"") pcall(json.encode, { [c] = c }) end',
  'JSON that is nested deeply':
    'local json = require("luafcgid.json") for _, p in ipairs({ { "[", "]" }, { "{\\"a\\":", "}" } }) do for _, n in ipairs({ 999, 1000, 1001, 200000 }) do pcall(json.decode, p[1]:rep(n) .. "1" .. p[2]:rep(n)) pcall(json.decode, p[1]:rep(n)) end end pcall(json.decode_max_depth, 2 ^ 31) pcall(json.decode_max_depth, 1e6) pcall(json.decode, ("["):rep(500000))',
  'JSON of tables that are nested deeply':
    'local json = require("luafcgid.json") local t = {} for i = 1, 200000 do t = { t } end pcall(json.encode, t) pcall(json.script, t) pcall(json.encode_max_depth, 1000000) pcall(json.encode, t) pcall(require("luafcgid").serialize, t)',
  'JSON of tables that contain themselves':
    'local json = require("luafcgid.json") local t = {} t.t = t pcall(json.encode, t) local u = { 1 } u[2] = u pcall(json.encode, u) pcall(require("luafcgid").serialize, t)',
  'JSON of tables that are twice as large in each level':
    'local json = require("luafcgid.json") local t = { "leaf" } for i = 1, 40 do t = { t, t } end json.encode(t)',
  'serialized tables that are twice as large in each level':
    'local t = { "leaf" } for i = 1, 40 do t = { t, t } end require("luafcgid").serialize(t)',
  'JSON of tables with holes and odd keys':
    'local json = require("luafcgid.json") for _, t in ipairs({ { nil, 1 }, { [2 ^ 31] = 1 }, { [1e300] = 1 }, { [0.5] = 1 }, { [-1] = 1 }, { [true] = 1 }, { [{}] = 1 }, { [2 ^ 53] = 1, 1 }, { 0 / 0 }, { 1 / 0 }, { print } }) do pcall(json.encode, t) pcall(json.script, t) end local t = { [1] = 1, [2 ^ 30] = 2 } pcall(json.encode_sparse_array, true) pcall(json.encode, t) pcall(json.encode, setmetatable({ [2 ^ 31] = 1 }, json.array_mt))',
  'JSON of tables whose metatables lie':
    'local json = require("luafcgid.json") local m = { __index = function(_, k) return k end, __pairs = function() return function() return 1, 2 end end, __len = function() return 1e9 end, __tostring = error } pcall(json.encode, setmetatable({}, m)) pcall(json.encode, setmetatable({ 1 }, { __index = error, __len = error, __pairs = error })) pcall(require("luafcgid").serialize, setmetatable({}, m)) pcall(json.encode, setmetatable({}, { __len = function() return 2 end, __metatable = json.array_mt }))',
  'JSON numbers of any length':
    'local json = require("luafcgid.json") for _, s in ipairs({ ("9"):rep(100000), "-" .. ("0"):rep(1000), "1e" .. ("9"):rep(1000), "0." .. ("1"):rep(100000), "-0", "1E+999", "0x10", "1.", ".5", "+1", "Infinity", "NaN" }) do pcall(json.decode, s) pcall(json.decode, "[" .. s .. "]") end for _, n in ipairs({ -1, 0, 17, 100, 1e300 }) do pcall(json.encode_number_precision, n) pcall(json.encode, { 1 / 3, 1e308 }) end',
  'JSON of 16 MB':
    'local json = require("luafcgid.json") local s = "[" .. ("1,"):rep(2 ^ 20) .. "1]" local ok, t = pcall(json.decode, s) if ok then con:puts(#json.encode(t)) end pcall(json.encode, ("\\1"):rep(2 ^ 21)) pcall(json.decode, "\\"" .. ("\\\\u0000"):rep(2 ^ 19) .. "\\"")',
  'JSON while its settings change':
    'local json = require("luafcgid.json") local m m = json.new() for _, name in ipairs({ "encode_max_depth", "decode_max_depth", "encode_number_precision", "encode_sparse_array", "encode_invalid_numbers", "decode_invalid_numbers", "check_utf8" }) do for _, v in ipairs({ -1, 0, 1, 2 ^ 31, 1e300, true, false, "null", "x", {} }) do pcall(m[name] or print, v) pcall(m[name] or print, v, v, v) pcall(m.encode, { { 1, 0 / 0, "\\255" } }) pcall(m.decode, "[[NaN]]") end end',
  'templates that are cut anywhere':
    'local template = require("luafcgid.template") local s = "<% layout(\'x\') -%>a<%= x %><%- y %><% if x then %>b<% end %><% block(\'b\') %>c<% endblock() %>" for i = 1, #s do local ok, f = pcall(template.compile, s:sub(i)) if ok then pcall(f, { x = 1 }) end ok, f = pcall(template.compile, s:sub(1, i)) if ok then pcall(f, {}) end end',
  'templates that break out':
    'local template = require("luafcgid.template") for _, s in ipairs({ "<% end %>", "<% end end end x = 1 %>", "<%= ) .. error( %>", "<%= \'\' .. ]] %>", "]]<%= x %>[[", "<% local function f() return f() + 1 end f() %>", "<% while true do break end goto x ::x:: %>", "<%= setfenv %><%= _G %><%= load %><%= io %>", "<% string.rep = 1 table.concat = nil %>", "<%--%>", "<%", "<%=", "\\0<%= 1 %>\\255", "\\27Lua" }) do local ok, f = pcall(template.compile, s) if ok then local done, text = pcall(f, { x = con }) if done then con:puts(text) end end end con:puts(type(string.rep))',
  'templates with values that bite':
    'local template = require("luafcgid.template") local f = template.compile("<%= x %><%- x %>") local t t = setmetatable({}, { __tostring = function() return f({ x = t }) end, __index = error }) pcall(f, { x = t }) for _, v in ipairs({ error, function() return f end, function() return function() return 1 end end, print, coroutine.create(print), 0 / 0, {}, setmetatable({}, { __tostring = function() return 1 end }) }) do pcall(f, { x = v }) end pcall(f, setmetatable({}, { __index = error, __newindex = error })) pcall(f, 1)',
  'templates that include themselves': {
    lua: 'local template = require("luafcgid.template") for _, n in ipairs({ "", ".", "..", "/etc/passwd", "../../../etc/passwd", "\\0", ("x"):rep(1e6), "/dev/zero", "/proc/self/environ" }) do pcall(template.render, n) pcall(template.puts, con, n) pcall(function() template.compile("<% include(n) %>")({ n = n }) end) pcall(function() template.compile("<% layout(n) %>")({ n = n }) end) end local f f = template.compile("<%= f(v) %>") pcall(f, { f = f, v = { f = f } })',
  },
  'templates without an end': {
    lua: 'require("luafcgid.template").compile("<% while true do %>x<% end %>")({})',
    ends: 'lost',
  },
  'templates of a hundred thousand tags':
    'local template = require("luafcgid.template") local ok, f = pcall(template.compile, ("<%= x %>y"):rep(100000)) if ok then pcall(f, { x = "z" }) end pcall(template.compile, ("<% if x then %>"):rep(5000)) pcall(template.compile, ("<%"):rep(100000)) pcall(template.compile, ("<"):rep(1000000))',
  'a template that puts after the end':
    'local template = require("luafcgid.template") con:finish() pcall(template.puts, con, "x") pcall(template.puts, {}, "x") pcall(template.puts, nil, "x") template.puts(con, "x")',
  'routers with impossible paths':
    'local router = require("luafcgid.router") for _, p in ipairs({ "", "/", "x", "//", "/:", "/*", "/:a/:a", "/*a/b", "/:a*b", "/%", "/\\0", ("/x"):rep(50000), ("/:a"):rep(500), "/" .. ("x"):rep(1e6), {}, 1 }) do local app = router.new() pcall(app.get, app, p, print) pcall(app.get, app, p, function() con:puts("x") end) pcall(app.route, app, p, p, print) for _, at in ipairs({ "", "/", "//", "/%", "/%zz", "/%00", ("/x"):rep(50000), ("/"):rep(100000), "\\255" }) do env.PATH_INFO = at pcall(app.run, app, env, con) end end',
  'routers whose handlers misbehave':
    'local router = require("luafcgid.router") local app = router.new() app:use(function(env, con, params, next) next() pcall(next) pcall(next) end) pcall(app.use, app, 1) app:get("/a", function() app:run(env, con) end) app:get("/b", function() error({}) end) app:get("/c", function(e) coroutine.yield() end) app:get("/d", function() os.exit(2) end) for _, p in ipairs({ "/a", "/b", "/c", "/e", "/d" }) do env.PATH_INFO = p env.REQUEST_METHOD = "GET" pcall(app.run, app, env, con) end',
  'routers that are not given a request':
    'local app = require("luafcgid.router").new() app:get("/", print) for _, v in ipairs({ 1, "x", {}, true, con }) do pcall(app.run, app, v, v) pcall(app.run, v, v) pcall(app.group, app, v, v) pcall(app.not_found, app, v) end env.REQUEST_METHOD = nil pcall(app.run, app, env, con) env.REQUEST_METHOD = ("M"):rep(1e6) pcall(app.run, app, env, con) pcall(app.run, app, {}, con) app:run({ PATH_INFO = {}, REQUEST_METHOD = {} }, con)',
  'routers of ten thousand routes':
    'local app = require("luafcgid.router").new() for i = 1, 10000 do app:get("/r" .. i .. "/:x/y" .. i, print) end env.PATH_INFO = "/r5000/q/y5000" app:run(env, con) pcall(app.group, app, "/g", function(g) for i = 1, 150 do g:use(function(e, c, p, n) n() end) end g:get("/x", function() con:puts("x") end) end) env.PATH_INFO = "/g/x" app:run(env, con)',
  'rules that do not exist':
    'local validate = require("luafcgid.validate") for _, rule in ipairs({ { type = "nothing" }, { min = "x" }, { max = {} }, { one_of = 1 }, { pattern = "[" }, { pattern = ("a-"):rep(50) .. "b", max = 10 }, { check = 1 }, { check = error }, { list = 1, max = -1 }, { nothing = 1 }, { message = {} }, 1, "x" }) do pcall(validate.check, { a = "aaaa" }, { a = rule }) pcall(validate.check, { a = { "x", "y" } }, { a = rule }) pcall(validate.check, { a = {} }, { a = rule }) end pcall(validate.check, 1, {}) pcall(validate.check, {}, 1)',
  'values that rules do not expect': `local validate = require("luafcgid.validate") for _, kind in ipairs({ "string", "integer", "number", "boolean", "email" }) do for _, v in ipairs(${ODD}) do pcall(validate.check, { a = v }, { a = { type = kind, required = true, min = 1, max = 10 } }) pcall(validate.check, { a = { v, v } }, { a = { type = kind, list = true } }) end for _, s in ipairs({ "0x10", "1e999", " 1 ", "1_0", "nan", "inf", "@", "a@b", ("a@"):rep(50000), ("."):rep(100000) .. "@x", "\\0@\\0" }) do pcall(validate.check, { a = s }, { a = { type = kind } }) end end`,
  'rules that check without an end': {
    lua: 'require("luafcgid.validate").check({ a = "x" }, { a = { check = function() while true do end end } })',
    ends: 'stopped',
  },
  'rules over tables that lie':
    'local validate = require("luafcgid.validate") local lie = setmetatable({}, { __index = function(_, k) return k end, __pairs = error, __len = function() return 1e9 end }) pcall(validate.check, lie, { a = { list = true }, b = {} }) pcall(validate.check, { a = lie }, { a = { list = true } }) pcall(validate.check, { a = "x" }, lie) local t = {} t.a = t pcall(validate.check, t, { a = { list = true, type = "string" } })',
  'digests of anything':
    'local crypto = require("luafcgid.crypto") for _, a in ipairs({ "sha256", "md5", "", "nothing", "SHA-512", "shake256", "\\0", ("x"):rep(100000), {}, 1 }) do pcall(crypto.hash, a, ("x"):rep(1e6)) pcall(crypto.hmac, a, "", "") pcall(crypto.hmac, a, ("k"):rep(1e6), "x") end',
  'random bytes of impossible numbers':
    'local crypto = require("luafcgid.crypto") for _, n in ipairs({ 0, -1, 0.5, 2 ^ 20, 2 ^ 20 + 1, 2 ^ 31, 1e300, 0 / 0, "5", {} }) do pcall(crypto.random, n) end for i = 1, 60 do crypto.random(2 ^ 20) end',
  'sealed tokens that are forged':
    'local crypto = require("luafcgid.crypto") for _, key in ipairs({ "k", "none", "", "__proto__", "constructor", "toString", ("x"):rep(1e6) }) do for _, token in ipairs({ "", "x", ("A"):rep(1e6), "\\0", ("="):rep(100), "é" }) do pcall(crypto.open, key, token) pcall(crypto.open, key, token, { context = token }) end pcall(crypto.seal, key, ("x"):rep(2 ^ 20 + 1)) for _, e in ipairs({ -1, 0, 1e300, 0 / 0, "x", {} }) do pcall(crypto.seal, key, "x", { expires = e }) pcall(crypto.seal, key, "x", { context = e }) pcall(crypto.seal, key, "x", { nothing = e }) end end',
  'sealed tokens, changed in every place':
    'local crypto = require("luafcgid.crypto") local token = crypto.seal("k", "text") for i = 1, #token do local b = token:sub(i, i) == "A" and "B" or "A" if crypto.open("k", token:sub(1, i - 1) .. b .. token:sub(i + 1)) == "text" and i < #token then con:puts("FORGED") end crypto.open("k", token:sub(1, i)) end con:puts("x")',
  'password hashes that lie':
    'local password = require("luafcgid.crypto").password for _, h in ipairs({ "", "$", "$scrypt$", "$scrypt$ln=99,r=99,p=99$AAAA$AAAA", "$scrypt$ln=31,r=8,p=1$AAAA$AAAA", "$2b$31$" .. ("x"):rep(53), ("$"):rep(1e5), "\\0", ("x"):rep(1e6) }) do pcall(password.verify, "x", h) pcall(password.needs_rehash, h) end pcall(password.hash, ("x"):rep(1e6)) pcall(password.hash, "") pcall(password.hash, {})',
  'base64 and digits of anything':
    'local crypto = require("luafcgid.crypto") for _, s in ipairs({ "", "A", "AA=A", "====", "\\0", ("A"):rep(1e6) .. "!", "é", ("A"):rep(2 ^ 22) }) do pcall(crypto.unbase64, s) pcall(crypto.unhex, s) pcall(crypto.base64, s) pcall(crypto.hex, s) pcall(crypto.base64url, s) pcall(crypto.equal, s, s) end',
  'fields of queries without an end':
    'local l = require("luafcgid") for _, s in ipairs({ ("a&"):rep(100000), ("a=1&"):rep(100000), ("&"):rep(1e6), ("="):rep(1e6), ("%"):rep(1e6), ("+"):rep(1e6), ("a[b]="):rep(1e5), "\\0=\\0" }) do pcall(l.parse, s) pcall(l.urldecode, s) pcall(l.urlencode, s) pcall(l.escape, s) end',
  'forms of any kind':
    'env.REQUEST_METHOD = "POST" for _, t in ipairs({ "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\\"", "multipart/form-data; boundary=" .. ("x"):rep(1e5), "application/x-www-form-urlencoded; charset=\\0", ("x"):rep(1e6), {} }) do env.CONTENT_TYPE = t pcall(con.form, con) end',
  'cookies of any kind':
    'for _, s in ipairs({ ("a=1; "):rep(100000), (";"):rep(1e6), ("="):rep(1e6), "a=\\"", "a=%", "\\0=\\0", ("a"):rep(1e6), {} }) do env.HTTP_COOKIE = s env.QUERY_STRING = s pcall(con.cookies, con) pcall(con.query, con) end con:puts("x")',
  'bits of impossible numbers':
    'local ok, bit = pcall(require, "bit") if ok then for _, f in pairs(bit) do if type(f) == "function" then for _, v in ipairs({ 0 / 0, 1 / 0, -1 / 0, 2 ^ 31, 2 ^ 53, 1e300, -1, 0.5 }) do pcall(f, v) pcall(f, v, v) pcall(f, 1, v) end end end end',
};
