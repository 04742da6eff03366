-- The module luafcgid.wsapi.

--- ## The module luafcgid.wsapi
---
--- Runs applications that are written for WSAPI: functions that take an environment and give a status, headers and an iterator.
--- A script of one line is enough:
---
--- ```lua
--- return require("luafcgid.wsapi").handler(function(wsapi_env)
---   local function body() coroutine.yield("Hello ") coroutine.yield(wsapi_env.PATH_INFO) end
---   return 200, { ["Content-Type"] = "text/plain" }, coroutine.wrap(body)
--- end)
--- ```
---
--- With the setting `handler = "wsapi"`, or `adapters = { ws = "wsapi" }` for some scripts, the script returns the application itself.
--- The modules `wsapi.request`, `wsapi.response` and `wsapi.util` are there where WSAPI is not installed.
--- [Existing software](existing-software.md#wsapi) tells the rest.

local parts = ...

local run, type_name = parts.run, parts.arguments.type_name
local type, error, tostring, tonumber, pcall, require, select = type, error, tostring, tonumber, pcall, require, select
local getmetatable, setmetatable = debug.getmetatable, setmetatable
local concat, match = table.concat, string.match

local M = {}

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or (type(meta) == "table" and type(meta.__call) == "function")
end

-- The function of an application, which is a function, a table with a function `run`, or the name of a module that gives one.
local function function_of(app, level)
  if type(app) == "string" then app = require(app) end
  if type(app) == "table" and is_callable(app.run) then return app.run end
  if is_callable(app) then return app end
  error("a WSAPI application is a function, a table with a function run, or the name of a module; this is a " .. type_name(app) ..
    " value", level + 1)
end

local Input = {}
Input.__index = Input

function Input.read(self, count)
  if count == nil then return run.con:gets() end
  count = tonumber(count)
  if not count or count < 1 then return nil end
  return run.con:gets(count - count % 1)
end

local Errors = {}
Errors.__index = Errors

function Errors.write(self, ...)
  local texts = { ... }
  for at = 1, select("#", ...) do texts[at] = tostring(texts[at]) end
  run.con:log("error", concat(texts))
  return true
end

-- The name of the script in the address, and what follows it. Where the web server sends what is no file to the script, the
-- name is that of its folder.
local function split_address(env)
  local path = env.PATH_INFO or ""
  local name = (env.REQUEST_URI or "") == "" and env.SCRIPT_NAME or parts.router.base(env)
  return name or "", path == "" and "/" or path
end

-- The environment: what the web server does not say is an empty text.
local function new_env(env, app_path)
  local wsapi_env = setmetatable({}, {
    __index = function(self, name)
      local value = env[name] or ""
      self[name] = value
      return value
    end,
  })
  wsapi_env.SCRIPT_NAME, wsapi_env.PATH_INFO = split_address(env)
  wsapi_env.PATH_TRANSLATED = env.SCRIPT_FILENAME or ""
  wsapi_env.APP_PATH = app_path or match(env.SCRIPT_FILENAME or "", "^(.*)/") or ""
  wsapi_env.input = setmetatable({ length = tonumber(env.CONTENT_LENGTH) or 0 }, Input)
  wsapi_env.error = setmetatable({}, Errors)
  return wsapi_env
end

-- Calls a method of con for what the application has given.
local function apply(what, method, ...)
  local ok, message = pcall(method, run.con, ...)
  if not ok then error("the " .. what .. " of a WSAPI application: " .. tostring(message), 0) end
end

local function answer(con, status, headers, body)
  if type(status) ~= "number" and type(status) ~= "string" then
    error("a WSAPI application gives a status, a table of headers and an iterator; this one gave a " .. type_name(status) .. " value as its status", 0)
  end
  if headers ~= nil and type(headers) ~= "table" then
    error("the headers of a WSAPI application are a table, not a " .. type_name(headers) .. " value", 0)
  end
  if body ~= nil and not is_callable(body) then
    error("the body of a WSAPI application is an iterator (a function), not a " .. type_name(body) .. " value", 0)
  end
  apply("status", con.status, status)
  if headers then apply("headers", con.header, headers) end
  if body == nil then return end
  local piece = body()
  while piece ~= nil do
    if type(piece) ~= "string" and type(piece) ~= "number" then
      error("the iterator of a WSAPI application gives strings; it gave a " .. type_name(piece) .. " value", 0)
    end
    con:puts(piece)
    piece = body()
  end
end

--- wsapi.handler(app[, options])
---
--- A handler `handler(env, con)` that answers by a WSAPI application: a function, a table with a function `run`, or the name of
--- a module that gives one of these. `options.app_path` stands as `APP_PATH` in the place of the script's folder. The
--- environment has all that `env` has, and the empty text for anything else; `input:read(n)` reads the body, `error:write(...)` writes to the log.
--- Headers with a list of values are sent once for each.
---
--- Errors: what is no application. The request fails when the application gives anything but a status, headers and an iterator
---   of strings.
--- Example: local handler = wsapi.handler(function(env) return 204, {} end)
function M.handler(app, options)
  if options ~= nil and type(options) ~= "table" then parts.arguments.bad(2, "handler", "table", options) end
  local application = function_of(app, 2)
  local app_path = options and options.app_path
  return function(env, con)
    answer(con, application(new_env(env, app_path)))
  end
end

return M
