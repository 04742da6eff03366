---@meta luafcgid.redis

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---@class luafcgid.redis.source
local r = {}

---Redis or Valkey, by a data source of the setting `data`.
---@class luafcgid.redis.module
local redis = {}

---Gives a handle of a data source.
---@param name string
---@return luafcgid.redis.source
function redis.open(name) end

---Any command: `r:command("XADD", "stream", "*", "field", 1)`. Gives its reply.
---@param name string
---@param ... any
---@return any
function r:command(name, ...) end

---Sends several commands at once: `r:pipeline(function(p) p:incr("a") p:expire("a", 60) end)`. Gives the replies as an array; one that is an error is a table with `error`.
---@param f function
---@return any
function r:pipeline(f) end

---The same between MULTI and EXEC: all of them happen at once, or none.
---@param f function
---@return any
function r:multi(f) end

---The same handle, whose methods give nil and the error instead of raising it.
---@return any
function r:safe() end

return redis
