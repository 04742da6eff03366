-- The handlers of scripts that are written for other interfaces than main(env, con): what the settings `handler` and
-- `adapters` name.

local parts = ...

local G, package = parts.globals, parts.globals.package
local type, error, require = type, error, require
local match = string.match

local makers = {}

-- The application is what the script returns; or what it has made of itself by Lua 5.1's `module`.
function makers.wsapi(asked, value)
  local name = match(asked.path, "([^/]+)%.[^./]+$")
  if value == nil then value = package.loaded[name] or G[name] end
  if value == nil then
    error("the script gives no WSAPI application: end it with `return` and the function, or the table with its function run", 0)
  end
  return parts.wsapi.handler(value)
end

function makers.orbit()
  return parts.wsapi.handler(require("orbit.pages"))
end

-- A script or a page, which runs for each request.
function makers.cgilua(asked)
  local handler = parts.cgilua.handler(asked.path)
  parts.cgilua.compile(asked.source, asked.path)
  return handler
end

-- What OpenResty runs by content_by_lua_file.
function makers.ngx(asked)
  local _ = parts.ngx
  return parts.ngx_request.handler(asked.source, asked.path)
end

function makers.mod_lua(asked) return parts.mod_lua.adapt(asked.source, asked.path) end
function makers.luafcgid2(asked) return parts.luafcgid2.adapt(asked.source, asked.path) end

local adapters = {}

-- Gives the handler. `value` is what the script has returned, if it has run.
function adapters.adapt(asked, value)
  local make = makers[asked.adapter]
  if type(make) ~= "function" then error("there is no adapter " .. asked.adapter, 0) end
  return make(asked, value)
end

return adapters
