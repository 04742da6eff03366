-- Sessions in the memory of the server, for all of its workers. A session is one text there, which is changed in one step if
-- nobody else has changed it meanwhile; else the change is made again on what is there then.

local parts = ...

local call = parts.host.sessions
local error, next, tonumber = error, next, tonumber
local find, format, match, sub, concat = string.find, string.format, string.match, string.sub, table.concat
local max, time = math.max, os.time

-- Whoever loses this many times in a row has met a fault: each time somebody else has made progress.
local most_tries = 10000

local store = {}

local function encode(found)
  local pieces, count = { format("%.0f %.0f\n", found.created, found.expires) }, 1
  for name, text in next, found.values do
    count = count + 1
    pieces[count] = #name .. ":" .. #text .. ":" .. name .. text
  end
  return concat(pieces)
end

local function decode(text)
  local created, expires = match(text, "^(%d+) (%d+)\n")
  local found = { created = tonumber(created), expires = tonumber(expires), values = {} }
  local at = find(text, "\n", 1, true) + 1
  while at <= #text do
    local _, last, name_size, text_size = find(text, "^(%d+):(%d+):", at)
    local name_end = last + tonumber(name_size)
    at = name_end + tonumber(text_size) + 1
    found.values[sub(text, last + 1, name_end)] = sub(text, name_end + 1, at - 1)
  end
  return found
end

local function perform(...)
  local ok, result = call(...)
  if not ok then error(result, 0) end
  return result
end

local function get(id)
  local text = perform("get", id)
  if not text then return nil end
  local found = decode(text)
  if found.expires <= time() then return nil end
  return found, text
end

local function swap(id, old, found)
  local seconds = found and max(1, found.expires - time()) or 1
  return perform("swap", id, seconds, old ~= nil, old or "", found ~= nil, found and encode(found) or "")
end

function store.load(id)
  local found = get(id)
  return found
end

function store.create(id, created, expires, values)
  swap(id, nil, { created = created, expires = expires, values = values })
end

function store.patch(id, changes, expires)
  for _ = 1, most_tries do
    local found, text = get(id)
    if not found then return false end
    found.expires = expires
    for name, value in next, changes do found.values[name] = value or nil end
    if swap(id, text, found) then return true end
  end
  error("a session in memory is changed by others again and again", 0)
end

function store.rename(id, new_id)
  for _ = 1, most_tries do
    local found, text = get(id)
    if not found then return false end
    swap(new_id, nil, found)
    if swap(id, text, nil) then return true end
    perform("swap", new_id, 1, true, encode(found), false, "")
  end
  error("a session in memory is changed by others again and again", 0)
end

function store.remove(id)
  for _ = 1, most_tries do
    local text = perform("get", id)
    if not text or swap(id, text, nil) then return end
  end
end

return store
