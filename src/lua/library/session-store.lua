-- Where the sessions of this server are kept, by the setting `sessions`.

local parts = ...

local host = parts.host
local error = error

local stores = {}

-- The store of a name: "memory", or a data source.
return function(name, random)
  local store = stores[name]
  if store then return store end
  if name == "memory" then
    store = parts.session_memory
  else
    local ok, source = host.datasource(name)
    if not ok then error(source, 0) end
    store = source.kind == "redis" and parts.session_redis(name) or parts.session_sql(name, random)
  end
  stores[name] = store
  return store
end
