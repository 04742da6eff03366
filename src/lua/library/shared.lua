-- Dictionaries that all scripts share: require("luafcgid.shared").

--- ## The module luafcgid.shared
---
--- Dictionaries in memory that the scripts of all workers share, named by the setting [`shared`](configuration.md#shared); without
--- a configuration there is one, `cache`.
---
--- ```lua
--- local cache = require("luafcgid.shared").cache
---
--- function main(env, con)
---   local hits = cache:incr("hits", 1, 0)
---   con:puts("visitor ", tostring(hits))
--- end
--- ```
---
--- Keys are strings of 1 to 65535 bytes. Values are strings of at most 8 MiB, numbers and booleans; they come back as they went
--- in, bytes and (in Lua 5.4) 64-bit integers too. Tables have to be encoded first, for example by luafcgid.json. Methods have the
--- names and results of `ngx.shared.DICT`. `ttl` is a number of seconds after which the value is gone; left out or 0: never. No
--- method waits, except for `fetch`, and none is interrupted by another: `incr`, `add` and `cas` are safe without a lock.
---
--- A dictionary of a data source (`store`) has the same methods. There each of them but `capacity` and `free_space`, which give `nil`, waits
--- for an answer; values that have expired are gone at once; nothing is evicted but by Redis itself; and `fetch` computes once for each server.
---
--- Where a result is `nil` and a word, the word is one of `"exists"`, `"not found"`, `"no memory"` (there is no room, or the value is
--- too large), `"not a number"`, `"value is a list"`, `"value not a list"` and `"changed"`. A wrong argument raises an error.

local parts = ...

local host = parts.host
local call = host.shared
local bad, type_name = parts.arguments.bad, parts.arguments.type_name
local error, getmetatable, rawset, setmetatable = error, getmetatable, rawset, setmetatable
local tonumber, tostring, type = tonumber, tostring, type
local floor, format, huge = math.floor, string.format, math.huge
local integer_type, to_integer = math.type, math.tointeger
local is_54 = to_integer ~= nil

-- Of src/lua/shared-functions.ts: what a value is, and why one was refused.
local NIL, FALSE, TRUE, NUMBER, STRING, INTEGER, DIGITS = 0, 1, 2, 3, 4, 5, 6
local REFUSALS = { "exists", "not found", "no memory", "not a number", "value not a list", "changed" }
local EVICTED = 16
local EXACT = 2 ^ 53

local M, methods = {}, {}
local meta = { __index = methods }

-- Most scripts do without it.
setmetatable(methods, { __index = function(_, name)
  if name ~= "fetch" then return nil end
  local fetch = parts.shared_fetch
  rawset(methods, name, fetch)
  return fetch
end })

-- What these functions find wrong is raised where the script called the method: `level` tells where that is.
local METHOD, WITHIN = 3, 4

local function perform(level, name, ...)
  local ok, result = call(name, ...)
  if not ok then error(result, level) end
  return result
end

local function key_of(key, name, level)
  if type(key) ~= "string" and type(key) ~= "number" then bad(1, name, "string", key, level + 1) end
  return tostring(key)
end

local function id_of(self, name, level)
  if type(self) ~= "table" or getmetatable(self) ~= meta then
    error("call '" .. name .. "' with ':' on a dictionary, as cache:" .. name .. "(…)", level)
  end
  return self.id
end

-- What a value is, and the value as the host takes it.
local function encode(value, position, name, level)
  local kind = type(value)
  if kind == "string" then return STRING, value end
  if kind == "boolean" then return value and TRUE or FALSE, 0 end
  if kind == "number" then
    if not (integer_type and integer_type(value) == "integer") then return NUMBER, value end
    if value >= -EXACT and value <= EXACT then return INTEGER, value end
    return DIGITS, format("%d", value)
  end
  error("bad argument #" .. position .. " to '" .. name .. "' (string, number or boolean expected, got " .. type_name(value) ..
    "; encode it first)", level)
end

-- A value that the host has given.
local function decode(value)
  local kind = type(value)
  if kind == "number" then return to_integer and to_integer(value) or value end
  if kind ~= "table" then return value end
  if value.float then return tonumber(value.float) * 1.0 end
  return tonumber(value.integer)
end

local function seconds(value, position, name, level)
  if value == nil then return 0 end
  if type(value) ~= "number" or not (value >= 0 and value < huge) then
    bad(position, name, "number of seconds", value, level + 1)
  end
  return value
end

-- What a number of the host says.
local function outcome(code)
  local forcible = code >= EVICTED
  if forcible then code = code - EVICTED end
  if code == 0 then return true, nil, forcible end
  return nil, REFUSALS[code], forcible
end

local function get(self, name, key, allows_stale)
  local id = id_of(self, name, WITHIN)
  local result = perform(WITHIN, "get", id, key_of(key, name, WITHIN), is_54, allows_stale)
  if type(result) ~= "table" or result.float or result.integer then return decode(result) end
  if result.list then return nil, "value is a list" end
  local value = decode(perform(WITHIN, "take", id, "", is_54))
  local flags = result.flags ~= 0 and result.flags or nil
  if allows_stale then return value, flags, result.stale end
  return value, flags
end

--- #### `d:get(key)`
---
--- The value, and the number that `set` was given as `flags`, if it was. `nil`: there is none.
function methods:get(key)
  local value, flags = get(self, "get", key, false)
  return value, flags
end

--- #### `d:get_stale(key)`
---
--- The same, also when the value has expired and its memory was not needed since. The third result tells whether it has.
function methods:get_stale(key)
  local value, flags, is_stale = get(self, "get_stale", key, true)
  return value, flags, is_stale
end

local function set(self, name, condition, is_safe, key, value, ttl, flags)
  local id = id_of(self, name, WITHIN)
  key = key_of(key, name, WITHIN)
  if value == nil and condition == 0 then
    perform(WITHIN, "delete", id, key)
    return true, nil, false
  end
  local kind, encoded = encode(value, 2, name, WITHIN)
  ttl = seconds(ttl, 3, name, WITHIN)
  if flags ~= nil and type(flags) ~= "number" then bad(4, name, "number", flags, WITHIN) end
  return outcome(perform(WITHIN, "set", id, key, kind, encoded, ttl, flags or 0, condition, is_safe))
end

--- #### `d:set(key, value [, ttl [, flags]])`
---
--- Sets a value; `nil` removes it. Gives `true`, or `nil` and `"no memory"`. The third result tells whether other values were evicted
--- to make room; only a dictionary with `evict = true` does that. `flags` is a number that `get` gives back.
function methods:set(key, value, ttl, flags)
  local ok, err, forcible = set(self, "set", 0, false, key, value, ttl, flags)
  return ok, err, forcible
end

--- #### `d:safe_set(key, value [, ttl [, flags]])`
---
--- The same; nothing is evicted for it.
function methods:safe_set(key, value, ttl, flags)
  local ok, err, forcible = set(self, "safe_set", 0, true, key, value, ttl, flags)
  return ok, err, forcible
end

--- #### `d:add(key, value [, ttl [, flags]])`
---
--- Sets a value if there is none; else gives `nil` and `"exists"`.
function methods:add(key, value, ttl, flags)
  local ok, err, forcible = set(self, "add", 1, false, key, value, ttl, flags)
  return ok, err, forcible
end

--- #### `d:safe_add(key, value [, ttl [, flags]])`
---
--- The same; nothing is evicted for it.
function methods:safe_add(key, value, ttl, flags)
  local ok, err, forcible = set(self, "safe_add", 1, true, key, value, ttl, flags)
  return ok, err, forcible
end

--- #### `d:replace(key, value [, ttl [, flags]])`
---
--- Sets a value if there is one; else gives `nil` and `"not found"`.
function methods:replace(key, value, ttl, flags)
  local ok, err, forcible = set(self, "replace", 2, false, key, value, ttl, flags)
  return ok, err, forcible
end

--- #### `d:cas(key, old, new [, ttl])`
---
--- Sets the value to `new` if it is `old`, in one step. `old = nil`: there must be none; `new = nil`: removes it. Gives `true`, or `nil` and
--- `"changed"` (or `"no memory"`).
function methods:cas(key, old, new, ttl)
  local id = id_of(self, "cas", METHOD)
  key = key_of(key, "cas", METHOD)
  local old_kind, old_value, new_kind, new_value = NIL, 0, NIL, 0
  if old ~= nil then old_kind, old_value = encode(old, 2, "cas", METHOD) end
  if new ~= nil then new_kind, new_value = encode(new, 3, "cas", METHOD) end
  local ok, err = outcome(perform(METHOD, "cas", id, key, old_kind, old_value, new_kind, new_value, seconds(ttl, 4, "cas", METHOD)))
  return ok, err
end

--- #### `d:delete(key)`
---
--- Removes a value, if there is one.
function methods:delete(key)
  perform(METHOD, "delete", id_of(self, "delete", METHOD), key_of(key, "delete", METHOD))
end

--- #### `d:incr(key, n [, init [, init_ttl]])`
---
--- Adds `n` to a number and gives the sum; its time to live stays. Where there is none, it begins with `init`, for `init_ttl` seconds. Gives
--- `nil` and `"not found"` without `init`, `"not a number"`, or `"no memory"`. The third result is that of `set`.
function methods:incr(key, n, init, init_ttl)
  local id = id_of(self, "incr", METHOD)
  key = key_of(key, "incr", METHOD)
  if type(n) ~= "number" then bad(2, "incr", "number", n, METHOD) end
  if init ~= nil and type(init) ~= "number" then bad(3, "incr", "number", init, METHOD) end
  local kind, value = encode(n, 2, "incr", METHOD)
  local init_kind, init_value = NIL, 0
  if init ~= nil then init_kind, init_value = encode(init, 3, "incr", METHOD) end
  local result = perform(METHOD, "incr", id, key, kind, value, init_kind, init_value, seconds(init_ttl, 4, "incr", METHOD), is_54)
  if type(result) ~= "table" or result.float or result.integer then return decode(result), nil, false end
  if result.evicted then return decode(result.value), nil, true end
  local _, err, forcible = outcome(result.refused)
  return nil, err, forcible
end

local function push(self, name, to_end, key, value)
  local id = id_of(self, name, WITHIN)
  key = key_of(key, name, WITHIN)
  local kind, encoded = encode(value, 2, name, WITHIN)
  local result = perform(WITHIN, "push", id, key, to_end, kind, encoded)
  if type(result) == "number" then return to_integer and to_integer(result) or result end
  local _, err = outcome(result.refused)
  return nil, err
end

local function pop(self, name, from_end, key)
  local result = perform(WITHIN, "pop", id_of(self, name, WITHIN), key_of(key, name, WITHIN), from_end, is_54)
  if type(result) == "table" and result.list == false then return nil, "value not a list" end
  return decode(result)
end

--- #### `d:lpush(key, value)`, `d:rpush(key, value)`
---
--- Adds a value at the begin or at the end of a list, which is made if there is none. Gives how many it has now, or `nil` and
--- `"value not a list"` or `"no memory"`.
function methods:lpush(key, value)
  local length, err = push(self, "lpush", false, key, value)
  return length, err
end

function methods:rpush(key, value)
  local length, err = push(self, "rpush", true, key, value)
  return length, err
end

--- #### `d:lpop(key)`, `d:rpop(key)`
---
--- Removes the first or the last value of a list and gives it; `nil` when there is none, `nil` and `"value not a list"`.
function methods:lpop(key)
  local value, err = pop(self, "lpop", false, key)
  return value, err
end

function methods:rpop(key)
  local value, err = pop(self, "rpop", true, key)
  return value, err
end

--- #### `d:llen(key)`
---
--- How many values a list has; 0 when there is none, `nil` and `"value not a list"`.
function methods:llen(key)
  local length = perform(METHOD, "length", id_of(self, "llen", METHOD), key_of(key, "llen", METHOD))
  if length == nil then return nil, "value not a list" end
  return decode(length)
end

--- #### `d:ttl(key)`
---
--- Seconds until the value is gone, 0 for never; or `nil` and `"not found"`.
function methods:ttl(key)
  local ttl = perform(METHOD, "ttl", id_of(self, "ttl", METHOD), key_of(key, "ttl", METHOD))
  if ttl == nil then return nil, "not found" end
  return ttl
end

--- #### `d:expire(key, ttl)`
---
--- Lets a value be gone after `ttl` seconds from now, or never (0). Gives `true`, or `nil` and `"not found"`.
function methods:expire(key, ttl)
  local id = id_of(self, "expire", METHOD)
  key = key_of(key, "expire", METHOD)
  if ttl == nil then bad(2, "expire", "number of seconds", ttl, METHOD) end
  if perform(METHOD, "expire", id, key, seconds(ttl, 2, "expire", METHOD)) then return true end
  return nil, "not found"
end

--- #### `d:flush_all()`
---
--- Removes everything.
function methods:flush_all() perform(METHOD, "flushall", id_of(self, "flush_all", METHOD)) end

-- A number of items; 0 stands for all.
local function count_of(value, position, name, default)
  if value == nil then return default end
  if type(value) ~= "number" or value < 0 or floor(value) ~= value then bad(position, name, "whole number", value, 4) end
  return value
end

--- #### `d:flush_expired([most])`
---
--- Gives back the memory of values that are gone, which is done by itself when memory is needed. Gives how many they were.
function methods:flush_expired(most)
  local id = id_of(self, "flush_expired", METHOD)
  return decode(perform(METHOD, "flushexpired", id, count_of(most, 1, "flush_expired", 0)))
end

--- #### `d:get_keys([most])`
---
--- An array of the keys, in no order; at most `most` (1024 when left out, 0 for all).
function methods:get_keys(most)
  local id = id_of(self, "get_keys", METHOD)
  return perform(METHOD, "keys", id, count_of(most, 1, "get_keys", 1024))
end

--- #### `d:capacity()`, `d:free_space()`
---
--- The size of the dictionary, and how many bytes of it are free: any value that fits into these can be stored.
function methods:capacity() return decode(perform(METHOD, "capacity", id_of(self, "capacity", METHOD))) end

function methods:free_space() return decode(perform(METHOD, "freespace", id_of(self, "free_space", METHOD))) end

-- A dictionary is looked for when its name is used first.
setmetatable(M, { __index = function(self, name)
  if type(name) ~= "string" then return nil end
  local ok, id = call("find", name)
  if not ok then error(id, 2) end
  local dictionary
  if type(id) == "table" then
    local _, source = host.datasource(id.store)
    local is_database = type(source) == "table" and source.kind ~= "redis"
    dictionary = (is_database and parts.shared_sql or parts.shared_redis)(name, id.store)
  else
    dictionary = setmetatable({ id = id, name = name }, meta)
  end
  rawset(self, name, dictionary)
  return dictionary
end })

return M
