-- The module luafcgid.mod_lua.

--- ## The module luafcgid.mod_lua
---
--- Runs scripts that are written for Apache's mod_lua, whose function `handle(r)` answers a request, and frameworks that run on it, as Sailor
--- does. With the setting `handler = "mod_lua"`, or in the script:
---
--- ```lua
--- local mod_lua = require("luafcgid.mod_lua")
--- function handle(r)
---   r.content_type = "text/plain"
---   r:puts("Hello, ", r:parseargs().name or "you")
---   return apache2.OK
--- end
--- return mod_lua.handler(handle)
--- ```
---
--- [Existing software](existing-software.md#mod_lua-and-sailor) tells what `r` has.

local parts = ...

local run, crypto, arguments = parts.run, parts.crypto, parts.arguments
local G, sources = parts.globals, parts.sources
local type, error, tostring, tonumber, next, pcall, rawset, setmetatable = type, error, tostring, tonumber, next, pcall, rawset, setmetatable
local time = os.time
local gsub, upper = string.gsub, string.upper
local floor = math.floor

local apache2 = {
  version = "luafcgid", OK = 0, DECLINED = -1, DONE = -2, SUSPENDED = -3, AUTHZ_DENIED = 0, AUTHZ_GRANTED = 1,
  AUTHZ_NEUTRAL = 2, AUTHZ_GENERAL_ERROR = 3, PROXYREQ_NONE = 0,
}

local methods = {}

-- ---- what comes -----------------------------------------------------------------------------------------------------

-- Two tables: by name the first value, and by name a list of all.
local function split(fields)
  local single, all = {}, {}
  for name, value in next, fields do
    local is_list = type(value) == "table" and value.filename == nil
    local values = is_list and value or { value }
    local texts = {}
    for at = 1, #values do texts[at] = type(values[at]) == "table" and values[at].content or values[at] end
    single[name], all[name] = texts[1], texts
  end
  return single, all
end

function methods.parseargs() return split(run.con:query()) end
function methods.parsebody() return split(run.con:form()) end
function methods.requestbody() return run.con:gets() or "" end
function methods.getcookie(_, name) return run.con:cookie(name) end

-- ---- what goes ------------------------------------------------------------------------------------------------------

function methods.puts(self, ...) return self.send(...) end
function methods.write(self, ...) return self.send(...) end

function methods.flush(self)
  self:apply()
  run.con:flush()
  return true
end

-- `r:setcookie{ key = name, value = text, expires = time, path =, domain =, secure =, httponly = }`, or a name and a value.
function methods.setcookie(_, name, value)
  local options = type(name) == "table" and name or { key = name, value = value }
  run.con:cookie(options.key, options.value or "", {
    expires = options.expires, path = options.path, domain = options.domain, secure = options.secure, httponly = options.httponly,
  })
end

function methods.sendfile(self, path)
  self:apply()
  run.con:sendfile(path)
  return true
end

-- ---- texts ----------------------------------------------------------------------------------------------------------

function methods.escape(_, text) return parts.luafcgid.urlencode(text) end
function methods.unescape(_, text) return parts.luafcgid.urldecode(text) end
function methods.escape_html(_, text) return parts.luafcgid.escape(text) end
function methods.base64_encode(_, text) return crypto.base64(text) end

function methods.base64_decode(_, text)
  local ok, decoded = pcall(crypto.unbase64, text)
  return ok and decoded or nil
end

function methods.md5(_, text) return crypto.hex(crypto.hash("md5", text)) end
function methods.sha1(_, text) return crypto.hex(crypto.hash("sha1", text)) end

function methods.clock()
  local _, seconds = parts.host.now()
  return floor(seconds * 1e6)
end

function methods.sleep(_, seconds) parts.luafcgid.sleep(tonumber(seconds)) end
function methods.construct_url(self, path) return (self.is_https and "https" or "http") .. "://" .. (run.env.HTTP_HOST or self.hostname or "") .. path end
function methods.get_server_name(self) return self.server_name end

-- Values that all states share: the dictionary `mod_lua` of the setting `shared`.
function methods.ivm_get(_, name) return (parts.shared.mod_lua:get(name)) end
function methods.ivm_set(_, name, value) parts.shared.mod_lua:set(name, value) end

for name, level in next, {
  emerg = "error", alert = "error", crit = "error", err = "error", warn = "warn", notice = "info", info = "info", debug = "debug",
  trace1 = "debug", trace2 = "debug", trace3 = "debug",
} do
  methods[name] = function(_, text) run.con:log(level, tostring(text)) end
end

-- ---- the request ----------------------------------------------------------------------------------------------------

local function header_of(env, name)
  local spelt = gsub(upper(tostring(name)), "-", "_")
  if spelt == "CONTENT_TYPE" or spelt == "CONTENT_LENGTH" then return env[spelt] end
  return env["HTTP_" .. spelt]
end

-- What r:apply sets, and r: names of Apache's own for what the environment has.
function methods.apply(self)
  if self.is_applied then return end
  rawset(self, "is_applied", true)
  local con = run.con
  if self.content_type then con:type(self.content_type) end
  if self.status ~= 200 then con:status(self.status) end
  for _, headers in next, { self.headers_out, self.err_headers_out } do con:header(headers) end
end

local meta = { __index = methods }

local function new_request(env, con)
  local https = env.HTTPS
  local r = {
    method = env.REQUEST_METHOD, args = env.QUERY_STRING ~= "" and env.QUERY_STRING or nil, uri = env.SCRIPT_NAME, unparsed_uri = env.REQUEST_URI,
    path_info = env.PATH_INFO or "", filename = env.SCRIPT_FILENAME, document_root = env.DOCUMENT_ROOT, protocol = env.SERVER_PROTOCOL,
    hostname = gsub(env.HTTP_HOST or env.SERVER_NAME or "", ":%d+$", ""), server_name = env.SERVER_NAME, port = tonumber(env.SERVER_PORT),
    useragent_ip = env.REMOTE_ADDR, user = env.REMOTE_USER, is_initial_req = true, log_id = con.id, started = time(),
    is_https = https ~= nil and https ~= "" and https ~= "off" or env.REQUEST_SCHEME == "https", handler = "luafcgid", banner = "luafcgid",
    the_request = (env.REQUEST_METHOD or "") .. " " .. (env.REQUEST_URI or "") .. " " .. (env.SERVER_PROTOCOL or ""),
    status = 200, content_type = nil, headers_out = {}, err_headers_out = {}, notes = {}, subprocess_env = env,
    headers_in = setmetatable({}, { __index = function(_, name) return header_of(env, name) end }),
  }
  r.canonical_filename = r.filename
  function r.send(...)
    con:puts(...)
    return true
  end
  return setmetatable(r, meta)
end

-- Globals that scripts for mod_lua count on.
local function set_globals()
  if G.apache2 == nil then G.apache2 = apache2 end
  if G.apr_table == nil then G.apr_table = {} end
end

set_globals()

local M = { apache2 = apache2 }

--- mod_lua.handler(handle)
---
--- A handler `handler(env, con)` that answers by a function `handle(r)` of mod_lua. What that returns is `apache2.OK`, or a status of HTTP.
---
--- Errors: no function. The request fails when `handle` returns `apache2.DECLINED`, since there is nobody else to answer (404).
--- Example: local handler = mod_lua.handler(function(r) r:puts("hello") return apache2.OK end)
function M.handler(handle)
  if type(handle) ~= "function" then arguments.bad(1, "handler", "function", handle) end
  return function(env, con)
    local r = new_request(env, con)
    local code = handle(r)
    if code == apache2.DECLINED then code = 404 end
    if type(code) == "number" and code >= 200 and r.status == 200 then r.status = code end
    r:apply()
  end
end

-- For the part adapters: runs the script, and takes its function `handle`.
function M.adapt(source, path)
  local chunk, message = sources.compile(source, "@" .. path)
  if not chunk then error(message, 0) end
  chunk()
  if type(G.handle) ~= "function" then error("there is no function 'handle': the global is a " .. arguments.type_name(G.handle) .. " value", 0) end
  return M.handler(G.handle)
end

return M
