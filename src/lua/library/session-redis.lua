-- Sessions in Redis or Valkey: a hash for each, which Redis removes when it has expired. What changes one is a script, since
-- a command would make a session again that was removed meanwhile.

local parts = ...

local redis_module, raise = parts.redis, parts.data.raise
local type, next, tonumber, tostring, sub, time = type, next, tonumber, tostring, string.sub, os.time
local unpack = unpack or table.unpack

local prefix = "luafcgid:session:"

-- In a hash, values have this before their names.
local of_value = "v:"

local patch_script = [[
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local at = 3
for _ = 1, tonumber(ARGV[2]) do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1]]

local rename_script = [[
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
return 1]]

local function checked(reply)
  if type(reply) == "table" and reply.error then raise({ code = "LUAFCGID_DATA_QUERY", message = reply.error }) end
  return reply
end

return function(name)
  local r = redis_module.open(name)
  local store = {}

  function store.load(id)
    local replies = r:pipeline(function(p)
      p:hgetall(prefix .. id)
      p:ttl(prefix .. id)
    end)
    local fields, left = checked(replies[1]), checked(replies[2])
    if #fields == 0 or left < 0 then return nil end
    local found = { expires = time() + left, values = {} }
    for at = 1, #fields, 2 do
      local field = fields[at]
      if field == "created" then
        found.created = tonumber(fields[at + 1])
      elseif sub(field, 1, 2) == of_value then
        found.values[sub(field, 3)] = fields[at + 1]
      end
    end
    return found.created and found or nil
  end

  function store.create(id, created, expires, values)
    local words = { "created", tostring(created) }
    for key, text in next, values do
      if text then words[#words + 1], words[#words + 2] = of_value .. key, text end
    end
    r:multi(function(p)
      p:hset(prefix .. id, unpack(words))
      p:expire(prefix .. id, expires - time())
    end)
  end

  function store.patch(id, changes, expires)
    local set, removed, count = {}, {}, 0
    for key, text in next, changes do
      if text then
        count = count + 1
        set[#set + 1], set[#set + 2] = of_value .. key, text
      else
        removed[#removed + 1] = of_value .. key
      end
    end
    for at = 1, #removed do set[#set + 1] = removed[at] end
    return r:eval(patch_script, 1, prefix .. id, expires - time(), count, unpack(set)) == 1
  end

  function store.rename(id, new_id)
    return r:eval(rename_script, 2, prefix .. id, prefix .. new_id) == 1
  end

  function store.remove(id) r:del(prefix .. id) end

  return store
end
