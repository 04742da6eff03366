-- Redis and Valkey: require("luafcgid.redis").

--- ## The module luafcgid.redis
---
--- Redis or Valkey, by a data source of the setting [`data`](configuration.md#data).
---
--- ```lua
--- local r = require("luafcgid.redis").open("cache")
--- r:set("key", "value", "EX", 60)
--- local value = r:get("key")      -- nil if it is not there
--- ```
---
--- Each command is a method of its name, in small letters. Strings are bytes; what Redis answers with nil is nil. Commands that
--- block, or that change the connection (SELECT, AUTH, SUBSCRIBE, MULTI, …), are refused: connections belong to all requests.

local parts = ...

local data, waiting = parts.data, parts.waiting
local perform = data.perform
local type, error, select, setmetatable = type, error, select, setmetatable

-- Of src/io/protocol.ts.
local COMMAND, PIPELINE, MULTI = 12, 13, 14

local M = {}
local methods = {}

-- A word of a command.
local function word(args, value, at, level)
  local kind = type(value)
  if kind == "number" then value, kind = data.number_text(value), "string" end
  if kind ~= "string" then error("argument " .. at .. " is a " .. kind .. "; commands take strings and numbers", level) end
  args:add("s", value)
end

local function command(args, level, ...)
  local count = select("#", ...)
  args:add("A", count)
  for at = 1, count do word(args, (select(at, ...)), at - 1, level + 1) end
end

--- #### `luafcgid.redis.open(name)`
---
--- Gives a handle of a data source.
---
--- Errors: a name that is not configured, that is no Redis, or that this script may not use.
---
--- ```lua
--- local r = require("luafcgid.redis").open("cache")
--- ```
M.open = function(name)
  return setmetatable({ source = data.open(name, { redis = true }, "luafcgid.redis") }, { __index = function(_, method)
    local own = methods[method]
    if own or type(method) ~= "string" then return own end
    return function(self, ...) return self:command(method, ...) end
  end })
end

--- #### `r:command(name, ...)`
---
--- Any command: `r:command("XADD", "stream", "*", "field", 1)`. Gives its reply.
function methods:command(name, ...)
  local args = data.arguments()
  command(args, 2, name, ...)
  return perform(self.source, COMMAND, 0, args)
end

local queue_meta = {
  __index = function(_, name)
    return function(self, ...)
      local queue = self
      queue.count = queue.count + 1
      if name == "command" then command(queue.args, 3, ...) else command(queue.args, 3, name, ...) end
    end
  end,
}

local function several(self, action, f)
  if type(f) ~= "function" then error("a function expected, got " .. type(f), 3) end
  local queue = setmetatable({ count = 0, args = data.arguments() }, queue_meta)
  f(queue)
  if queue.count == 0 then return {} end
  local args = data.arguments()
  args:add("A", queue.count)
  for at = 1, queue.args.kinds do args.shape[args.kinds + at] = queue.args.shape[at] end
  for at = 1, queue.args.count do args[args.count + at] = queue.args[at] end
  args.kinds, args.count = args.kinds + queue.args.kinds, args.count + queue.args.count
  return perform(self.source, action, 0, args)
end

--- #### `r:pipeline(f)`
---
--- Sends several commands at once: `r:pipeline(function(p) p:incr("a") p:expire("a", 60) end)`. Gives the replies as an array; one that
--- is an error is a table with `error`.
function methods:pipeline(f) return several(self, PIPELINE, f) end

--- #### `r:multi(f)`
---
--- The same between MULTI and EXEC: all of them happen at once, or none.
function methods:multi(f) return several(self, MULTI, f) end

--- #### `r:safe()`
---
--- The same handle, whose methods give nil and the error instead of raising it.
function methods:safe()
  local plain = self
  return setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      local ok, result = waiting.pcall(plain[name], plain, ...)
      if ok then return result end
      return nil, result
    end
  end })
end

return M
