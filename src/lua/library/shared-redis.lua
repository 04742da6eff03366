-- Shared dictionaries that lie in Redis or Valkey: the same methods as those in memory, each one command or script of Redis.

local parts = ...

local waiting = parts.waiting
local error, setmetatable, tostring, type = error, setmetatable, tostring, type
local unpack = unpack or table.unpack
local find, sub = string.find, string.sub

local encode, decode, ttl_of = parts.shared_values.encode, parts.shared_values.decode, parts.shared_values.ttl_of

-- Adds to a number: the amount, its kind, what it begins with, and the time to live of a new one.
local INCR = [[
local old = redis.call('GET', KEYS[1])
local kind, text = 'n', ARGV[3]
local flags = ''
if old then
  flags, kind, text = string.match(old, '^([%d.e+-]*)([snitf])(.*)$')
  if kind ~= 'n' and kind ~= 'i' then return {'', 'not a number'} end
elseif text == '' then
  return {'', 'not found'}
else
  kind = ARGV[5]
end
local sum = tonumber(text) + tonumber(ARGV[1])
if kind == 'i' and ARGV[2] == 'i' and sum < 2^53 and sum > -2^53 then
  text = string.format('i%.0f', sum)
else
  text = string.format('n%.17g', sum)
end
if old then
  redis.call('SET', KEYS[1], flags .. text, 'KEEPTTL')
elseif ARGV[4] ~= '0' then
  redis.call('SET', KEYS[1], text, 'PX', ARGV[4])
else
  redis.call('SET', KEYS[1], text)
end
return {text, ''}
]]

-- Compares with the old value ('': there is none), and sets the new one ('': removes it).
local CAS = [[
local old = redis.call('GET', KEYS[1]) or ''
old = string.gsub(old, '^[%d.e+-]+([snitf])', '%1', 1)
if old ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
]]

local methods = {}
local meta = { __index = methods }

-- Runs a command. Gives true and its reply, or false and a word: what Redis says of values of another type and of want of memory.
local function command(self, ...)
  local ok, reply = waiting.pcall(self.redis.command, self.redis, ...)
  if ok then return true, reply end
  local message = type(reply) == "table" and reply.message or ""
  if find(message, "WRONGTYPE", 1, true) then return false, "type" end
  if find(message, "OOM", 1, true) then return false, "no memory" end
  error(reply, 0)
end

local function key_of(self, key, name)
  if type(key) ~= "string" and type(key) ~= "number" then
    error("bad argument #1 to '" .. name .. "' (string expected, got " .. parts.arguments.type_name(key) .. ")", 3)
  end
  key = tostring(key)
  if key == "" or #key > 65535 then error("a key has 1 to 65535 bytes", 3) end
  return self.prefix .. key
end

function methods:get(key)
  local ok, reply = command(self, "GET", key_of(self, key, "get"))
  if not ok then return nil, "value is a list" end
  if reply == nil then return nil end
  return decode(reply)
end

-- What has expired is gone at once.
function methods:get_stale(key)
  local value, flags = self:get(key)
  if value == nil then return value, flags end
  return value, flags, false
end

local function set(self, name, condition, key, value, ttl, flags)
  local full, ms = key_of(self, key, name), ttl_of(ttl, name)
  if value == nil and not condition then
    command(self, "DEL", full)
    return true, nil, false
  end
  local args = { "SET", full, encode(value, flags, name, 4) }
  if ms ~= "0" then args[4], args[5] = "PX", ms end
  if condition then args[#args + 1] = condition end
  local ok, reply = command(self, unpack(args))
  if not ok then return nil, reply, false end
  if reply == nil then return nil, condition == "NX" and "exists" or "not found", false end
  return true, nil, false
end

function methods:set(key, value, ttl, flags) return set(self, "set", nil, key, value, ttl, flags) end
function methods:add(key, value, ttl, flags) return set(self, "add", "NX", key, value, ttl, flags) end
function methods:replace(key, value, ttl, flags) return set(self, "replace", "XX", key, value, ttl, flags) end
methods.safe_set, methods.safe_add = methods.set, methods.add

function methods:delete(key) command(self, "DEL", key_of(self, key, "delete")) end

function methods:cas(key, old, new, ttl)
  local full, ms = key_of(self, key, "cas"), ttl_of(ttl, "cas")
  local old_text = old == nil and "" or encode(old, nil, "cas", 3)
  local new_text = new == nil and "" or encode(new, nil, "cas", 3)
  local ok, reply = command(self, "EVAL", CAS, "1", full, old_text, new_text, ms)
  if not ok then return nil, reply == "type" and "changed" or reply end
  if reply == 0 then return nil, "changed" end
  return true
end

function methods:incr(key, n, init, init_ttl)
  local full, ms = key_of(self, key, "incr"), ttl_of(init_ttl, "incr")
  if type(n) ~= "number" then error("bad argument #2 to 'incr' (number expected, got " .. type(n) .. ")", 2) end
  if init ~= nil and type(init) ~= "number" then error("bad argument #3 to 'incr' (number expected, got " .. type(init) .. ")", 2) end
  local by = encode(n, nil, "incr", 3)
  local first = init and encode(init, nil, "incr", 3) or ""
  local ok, reply = command(self, "EVAL", INCR, "1", full, sub(by, 2), sub(by, 1, 1), sub(first, 2), ms, sub(first, 1, 1))
  if not ok then return nil, reply == "type" and "not a number" or reply, false end
  if reply[2] ~= "" then return nil, reply[2], false end
  return (decode(reply[1])), nil, false
end

local function push(self, name, word, key, value)
  local ok, reply = command(self, word, key_of(self, key, name), encode(value, nil, name, 4))
  if ok then return reply end
  return nil, reply == "type" and "value not a list" or reply
end

function methods:lpush(key, value) return push(self, "lpush", "LPUSH", key, value) end
function methods:rpush(key, value) return push(self, "rpush", "RPUSH", key, value) end

local function pop(self, name, word, key)
  local ok, reply = command(self, word, key_of(self, key, name))
  if not ok then return nil, "value not a list" end
  if reply == nil then return nil end
  return (decode(reply))
end

function methods:lpop(key) return pop(self, "lpop", "LPOP", key) end
function methods:rpop(key) return pop(self, "rpop", "RPOP", key) end

function methods:llen(key)
  local ok, reply = command(self, "LLEN", key_of(self, key, "llen"))
  if ok then return reply end
  return nil, "value not a list"
end

function methods:ttl(key)
  local _, reply = command(self, "PTTL", key_of(self, key, "ttl"))
  if reply == -2 then return nil, "not found" end
  return reply == -1 and 0 or reply / 1000
end

function methods:expire(key, ttl)
  local full, ms = key_of(self, key, "expire"), ttl_of(ttl, "expire")
  local _, reply
  if ms == "0" then
    command(self, "PERSIST", full)
    _, reply = command(self, "EXISTS", full)
  else
    _, reply = command(self, "PEXPIRE", full, ms)
  end
  if reply == 1 then return true end
  return nil, "not found"
end

-- Calls a function with batches of keys.
local function scan(self, visit)
  local cursor = "0"
  repeat
    local _, reply = command(self, "SCAN", cursor, "MATCH", self.prefix .. "*", "COUNT", "500")
    cursor = tostring(reply[1])
    if visit(reply[2]) == false then return end
  until cursor == "0"
end

function methods:flush_all()
  scan(self, function(keys)
    for at = 1, #keys do command(self, "UNLINK", keys[at]) end
  end)
end

-- Redis does so by itself.
function methods:flush_expired() return 0 end

function methods:get_keys(most)
  most = most or 1024
  local found, seen = {}, {}
  scan(self, function(keys)
    for at = 1, #keys do
      local key = sub(keys[at], #self.prefix + 1)
      if not seen[key] then
        if most > 0 and #found >= most then return false end
        seen[key] = true
        found[#found + 1] = key
      end
    end
  end)
  return found
end

-- Its memory belongs to Redis.
function methods:capacity() return nil end
function methods:free_space() return nil end

-- A dictionary of this name in a data source.
methods.fetch = parts.shared_fetch

return function(name, store)
  return setmetatable({ name = name, prefix = "{luafcgid:" .. name .. "}:", redis = parts.redis.open(store) }, meta)
end
