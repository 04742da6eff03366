-- The module luafcgid.ngx.

--- ## The module luafcgid.ngx
---
--- The part of OpenResty's `ngx` that makes sense without nginx, for scripts and libraries that are written for it. It is never a global
--- by itself:
---
--- ```lua
--- local ngx = require("luafcgid.ngx")
--- function main()
---   ngx.header["Content-Type"] = "text/plain"
---   ngx.say("Hello, ", ngx.req.get_uri_args().name or "you")
--- end
--- ```
---
--- With the setting `handler = "ngx"`, or `adapters = { ... = "ngx" }`, a script is what `content_by_lua_file` names: its main chunk runs
--- for each request, and `ngx` is a global. [Existing software](existing-software.md#openresty) lists what there is and what is not.

local parts = ...

local host, run, crypto = parts.host, parts.run, parts.crypto
local G, waiting = parts.globals, parts.waiting
local type, error, tostring, tonumber, select, pairs = type, error, tostring, tonumber, select, pairs
local pcall, rawset, setmetatable = pcall, rawset, setmetatable
local date, time, exit = os.date, os.time, os.exit
local concat, gsub = table.concat, string.gsub

-- What this module keeps of a request: it is a new one with each con.
local con_of, kept

local function current(what)
  local con = run.con
  if not con then error("ngx." .. what .. " is there while a request is answered", 3) end
  if con_of ~= con then con_of, kept = con, { vars = {}, status = 0, ctx = {} } end
  return kept, con
end

local ngx = {
  OK = 0, ERROR = -1, AGAIN = -2, DONE = -4, DECLINED = -5, null = parts.json.null, is_subrequest = false,
  STDERR = 0, EMERG = 1, ALERT = 2, CRIT = 3, ERR = 4, WARN = 5, NOTICE = 6, INFO = 7, DEBUG = 8,
}

local methods = { GET = 2, HEAD = 4, POST = 8, PUT = 16, DELETE = 32, MKCOL = 64, COPY = 128, MOVE = 256, OPTIONS = 512,
  PROPFIND = 1024, PROPPATCH = 2048, LOCK = 4096, UNLOCK = 8192, PATCH = 16384, TRACE = 32768 }
local statuses = { CONTINUE = 100, SWITCHING_PROTOCOLS = 101, OK = 200, CREATED = 201, ACCEPTED = 202, NO_CONTENT = 204,
  PARTIAL_CONTENT = 206, SPECIAL_RESPONSE = 300, MOVED_PERMANENTLY = 301, MOVED_TEMPORARILY = 302, SEE_OTHER = 303, NOT_MODIFIED = 304,
  TEMPORARY_REDIRECT = 307, PERMANENT_REDIRECT = 308, BAD_REQUEST = 400, UNAUTHORIZED = 401, PAYMENT_REQUIRED = 402, FORBIDDEN = 403,
  NOT_FOUND = 404, NOT_ALLOWED = 405, NOT_ACCEPTABLE = 406, REQUEST_TIMEOUT = 408, CONFLICT = 409, GONE = 410, UPGRADE_REQUIRED = 426,
  TOO_MANY_REQUESTS = 429, CLOSE = 444, ILLEGAL = 451, INTERNAL_SERVER_ERROR = 500, METHOD_NOT_IMPLEMENTED = 501,
  BAD_GATEWAY = 502, SERVICE_UNAVAILABLE = 503, GATEWAY_TIMEOUT = 504, VERSION_NOT_SUPPORTED = 505, INSUFFICIENT_STORAGE = 507 }
for name, value in pairs(methods) do ngx["HTTP_" .. name] = value end
for name, value in pairs(statuses) do ngx["HTTP_" .. name] = value end

-- ---- output ---------------------------------------------------------------------------------------------------------

local function add_texts(texts, value, level)
  local kind = type(value)
  if kind == "table" and value ~= ngx.null then
    for at = 1, #value do add_texts(texts, value[at], level + 1) end
  elseif kind == "string" then
    texts[#texts + 1] = value
  elseif kind == "number" or kind == "nil" or kind == "boolean" or value == ngx.null then
    texts[#texts + 1] = value == ngx.null and "null" or tostring(value)
  else
    error("bad argument to 'print' (string, number, boolean, nil, ngx.null, or array table expected, got " .. kind .. ")", level)
  end
end

local function put(line_end, ...)
  local request, con = current("print")
  local texts = {}
  for at = 1, select("#", ...) do add_texts(texts, (select(at, ...)), 4) end
  texts[#texts + 1] = line_end
  request.has_body = true
  con:puts(concat(texts))
  return true
end

-- Strings, numbers, booleans, nil, and lists of these.
function ngx.print(...)
  local ok = put("", ...)
  return ok
end

function ngx.say(...)
  local ok = put("\n", ...)
  return ok
end

function ngx.flush()
  local request, con = current("flush")
  request.is_sent = true
  con:flush()
  return true
end

ngx.send_headers = ngx.flush

function ngx.eof()
  local request, con = current("eof")
  request.is_sent = true
  con:finish()
  return true
end

-- Ends the request, wherever it is called: nothing that a script does catches it.
function ngx.exit(code)
  local request, con = current("exit")
  if type(code) ~= "number" then parts.arguments.bad(1, "exit", "number", code) end
  if code == ngx.ERROR then code = 500 end
  if code >= 200 and not request.is_sent then
    if code == 444 then code = 400 end -- nginx closes the connection, which is not this server's
    con:status(code)
    if code >= 300 and not request.has_body and code ~= 304 then
      con:type("text/html")
      con:puts("<!doctype html>\n<title>", code, "</title>\n<h1>", code, "</h1>\n")
    end
  end
  exit(0)
end

local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

function ngx.redirect(uri, status)
  local _, con = current("redirect")
  if status ~= nil and not redirects[status] then error("only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_SEE_OTHER, ngx.HTTP_TEMPORARY_REDIRECT, or ngx.HTTP_PERMANENT_REDIRECT allowed", 2) end
  con:redirect(uri, status or 302)
  exit(0)
end

-- ---- headers and status -----------------------------------------------------------------------------------------------

local function header_name(name) return (gsub(tostring(name), "_", "-")) end

ngx.header = setmetatable({}, {
  __index = function(_, name)
    local _, con = current("header")
    local values = { con:get_header(header_name(name)) }
    if #values > 1 then return values end
    return values[1]
  end,
  __newindex = function(_, name, value)
    local _, con = current("header")
    name = header_name(name)
    con:remove_header(name)
    if value == nil then return end
    local values = type(value) == "table" and value or { value }
    for at = 1, #values do con:header(name, tostring(values[at])) end
  end,
})

local facts = {
  status = function(request) return request.status end,
  ctx = function(request) return request.ctx end,
  headers_sent = function(request) return request.is_sent == true end,
}

setmetatable(ngx, {
  __index = function(_, name)
    local fact = facts[name]
    if not fact then return nil end
    local request = current(name)
    return fact(request)
  end,
  __newindex = function(self, name, value)
    if name == "status" then
      local request, con = current("status")
      if not tonumber(value) then error("ngx.status is a number, not a " .. type(value) .. " value", 2) end
      request.status = tonumber(value)
      con:status(request.status)
    elseif name == "ctx" then
      local request = current("ctx")
      request.ctx = value
    else
      rawset(self, name, value)
    end
  end,
})

-- ---- texts and time ---------------------------------------------------------------------------------------------------

function ngx.unescape_uri(text) return parts.url.decode(tostring(text)) end
ngx.escape_uri = parts.ngx_request.encode
ngx.encode_args, ngx.decode_args = parts.ngx_request.encode_args, parts.ngx_request.decode_args

function ngx.encode_base64(text, without_padding)
  local encoded = crypto.base64(tostring(text))
  return without_padding and gsub(encoded, "=+$", "") or encoded
end

-- Nil for what is no base64.
function ngx.decode_base64(text)
  if type(text) ~= "string" then error("string argument only", 2) end
  local ok, decoded = pcall(crypto.unbase64, text)
  return ok and decoded or nil
end

function ngx.md5_bin(text) return crypto.hash("md5", tostring(text)) end
function ngx.md5(text) return crypto.hex(crypto.hash("md5", tostring(text))) end
function ngx.sha1_bin(text) return crypto.hash("sha1", tostring(text)) end
function ngx.hmac_sha1(key, text) return crypto.hmac("sha1", key, text) end

local sql_escapes = { ["\0"] = "\\0", ["\n"] = "\\n", ["\r"] = "\\r", ["\\"] = "\\\\", ["'"] = "\\'", ['"'] = '\\"', ["\26"] = "\\Z" }

-- For MySQL. Values that are bound need none: luafcgid.db.
function ngx.quote_sql_str(text) return "'" .. gsub(tostring(text), "[%z\n\r\\'\"\26]", sql_escapes) .. "'" end

function ngx.time() return time() end

function ngx.now()
  local _, seconds = host.now()
  return seconds
end

function ngx.update_time() end
function ngx.today() return date("%Y-%m-%d") end
function ngx.localtime() return date("%Y-%m-%d %H:%M:%S") end
function ngx.utctime() return date("!%Y-%m-%d %H:%M:%S") end
function ngx.http_time(at) return date("!%a, %d %b %Y %H:%M:%S GMT", at) end
function ngx.cookie_time(at) return date("!%a, %d-%b-%y %H:%M:%S GMT", at) end

function ngx.sleep(seconds) return parts.luafcgid.sleep(tonumber(seconds)) end

local levels = { [0] = "error", "error", "error", "error", "error", "warn", "info", "info", "debug" }

function ngx.log(level, ...)
  local texts = {}
  for at = 1, select("#", ...) do texts[at] = tostring((select(at, ...))) end
  local _, con = current("log")
  con:log(levels[level] or "info", concat(texts))
end

-- ---- the server -------------------------------------------------------------------------------------------------------

-- Dictionaries of the setting `shared`; nil where there is none of the name.
ngx.shared = setmetatable({}, {
  __index = function(_, name)
    local ok, dictionary = pcall(function() return parts.shared[name] end)
    return ok and dictionary or nil
  end,
})

ngx.req, ngx.var = parts.ngx_request.of(current)

function ngx.get_phase() return run.con and "content" or "init" end

ngx.worker = {
  id = function()
    local _, con = current("worker.id")
    return con.worker
  end,
  exiting = function() return false end,
}
ngx.timer = { at = function() return nil, "luafcgid has no timers" end, every = function() return nil, "luafcgid has no timers" end }
ngx.config = { debug = false, subsystem = "http", ngx_lua_version = 10000, nginx_version = 1025000, prefix = function() return parts.sources.resolve("") end }

function ngx.on_abort() return nil, "luafcgid: the setting onabort says what becomes of requests whose client has gone" end

-- For the part adapters: a script whose main chunk runs for each request.
function parts.ngx_request.handler(source, path)
  G.ngx = G.ngx or ngx
  G.package.loaded.ngx = ngx
  local work, message = parts.lua_page.compile_script(source, "@" .. path)
  if not work then error(message, 0) end
  local globals_meta = { __index = G }
  return function(_, con) work(con, setmetatable({ ngx = ngx }, globals_meta)) end
end

-- `ngx.sleep` and `ngx.shared` wait.
waiting.enable()

return ngx
