-- The module luafcgid.lapis.

--- ## The module luafcgid.lapis
---
--- Runs applications of the framework Lapis. The script is one line:
---
--- ```lua
--- return require("luafcgid.lapis").serve("app")
--- ```
---
--- Lapis finds `ngx` then, which is that of `luafcgid.ngx`. [Existing software](existing-software.md#lapis) tells what it needs on which engine.

local parts = ...

local G = parts.globals
local type, error, next, pcall, require, setmetatable = type, error, next, pcall, require, setmetatable
local find, gsub, lower, match, sub, upper = string.find, string.gsub, string.lower, string.match, string.sub, string.upper

-- Lapis looks for it when it is loaded.
if G.ngx == nil then G.ngx = parts.ngx end
G.package.loaded.ngx = G.package.loaded.ngx or G.ngx

local M = {}

-- One value for each name, the last.
local function flatten(fields)
  local flat = {}
  for name, value in next, fields do
    if type(value) == "table" and value.filename == nil then value = value[#value] end
    if type(value) == "table" then
      value = { name = name, filename = value.filename, content = value.content, ["content-type"] = value.type }
    end
    flat[name] = value
  end
  return flat
end

local function header_of(env, name)
  local spelt = gsub(upper(name), "-", "_")
  if spelt == "CONTENT_TYPE" or spelt == "CONTENT_LENGTH" then return env[spelt] end
  return env["HTTP_" .. spelt]
end

local function new_request(env, con)
  local uri = env.REQUEST_URI or env.SCRIPT_NAME or "/"
  local path = match(uri, "^[^?]*")
  -- Of the application's own script the address is that of the application.
  local name = env.SCRIPT_NAME or ""
  if name ~= "" and sub(path, 1, #name) == name and find(env.SCRIPT_FILENAME or "", name, 1, true) then
    path = sub(path, #name + 1)
    if path == "" then path = "/" end
  end
  local host, port = match(env.HTTP_HOST or env.SERVER_NAME or "", "^(.-):?(%d*)$")
  local https = env.HTTPS
  local scheme = env.REQUEST_SCHEME or (https ~= nil and https ~= "" and https ~= "off" and "https" or "http")
  local kind = lower(env.CONTENT_TYPE or "")
  local has_form = find(kind, "application/x-www-form-urlencoded", 1, true) or find(kind, "multipart/form-data", 1, true)
  return {
    cmd_mth = env.REQUEST_METHOD, method = env.REQUEST_METHOD, cmd_url = uri, request_uri = uri, relpath = path,
    remote_addr = env.REMOTE_ADDR, server_addr = env.SERVER_ADDR, srv = env.SERVER_ADDR, scheme = scheme, port = env.SERVER_PORT,
    referer = env.HTTP_REFERER or "",
    headers = setmetatable({}, { __index = function(_, header) return type(header) == "string" and header_of(env, header) or nil end }),
    read_body_as_string = function() return con:gets() end,
    params_get = flatten(con:query()), params_post = has_form and flatten(con:form()) or {},
    parsed_url = { scheme = scheme, path = path, query = env.QUERY_STRING, host = host, port = port ~= "" and port or nil },
  }
end

local function add_header(self, name, value)
  local present = self.headers[name]
  if present == nil then
    self.headers[name] = value
  elseif type(present) == "table" then
    present[#present + 1] = value
  else
    self.headers[name] = { present, value }
  end
end

-- The application of a class, an instance, or the name of a module that gives one of these.
local function new_app(app)
  if type(app) == "string" then app = require(app) end
  if type(app) ~= "table" then error("an application of Lapis is a table or the name of a module, not a " .. parts.arguments.type_name(app) .. " value", 0) end
  if app.__base then return app() end
  if app.build_router then app:build_router() end
  return app
end

--- lapis.serve(app)
---
--- A handler `handler(env, con)` that answers by an application of Lapis: the name of its module, its class, or an instance.
---
--- Errors: what is no application; those of loading it.
--- Example: local handler = lapis.serve({ dispatch = function(self, request, response) response.content = "hello" end })
function M.serve(app)
  app = new_app(app)
  local has_context, context = pcall(require, "lapis.nginx.context")
  return function(env, con)
    local request = new_request(env, con)
    local response = { req = request, headers = {}, add_header = add_header }
    app:dispatch(request, response)
    con:status(response.status or 200)
    con:header(response.headers)
    if response.content then con:puts(response.content) end
    if has_context then context.run_after_dispatch() end
  end
end

return M
