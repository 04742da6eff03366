-- Shared dictionaries that lie in a database: the same methods as those in memory, and a row for each key. The clock that counts is
-- that of the database.

local parts = ...

local db_module, waiting, values = parts.db, parts.waiting, parts.shared_values
local encode, decode, ttl_of = values.encode, values.decode, values.ttl_of
local error, setmetatable, tonumber, tostring, type = error, setmetatable, tonumber, tostring, type
local byte, find, format, gsub, sub, char = string.byte, string.find, string.format, string.gsub, string.sub, string.char
local concat = table.concat

local dialects = {
  postgres = { bytes = "bytea", now = "(extract(epoch from clock_timestamp()) * 1000)::bigint", hold = " for update" },
  mysql = { bytes = "longblob", now = "cast(unix_timestamp(sysdate(3)) * 1000 as unsigned)", hold = " for update" },
  sqlite = { bytes = "blob", now = "cast((julianday('now') - 2440587.5) * 86400000 as integer)", hold = "" },
}

-- Keys lie in the database as hexadecimal digits: it would take some of other bytes for the same, or for no text.
local MOST_KEY_BYTES = 255
-- Two requests that change a key at the same moment: a database may have one of them try again.
local retrying = { retries = 10 }

local methods = {}
local meta = { __index = methods }

local function key_of(key, name)
  if type(key) ~= "string" and type(key) ~= "number" then
    error("bad argument #1 to '" .. name .. "' (string expected, got " .. parts.arguments.type_name(key) .. ")", 3)
  end
  key = tostring(key)
  if key == "" or #key > MOST_KEY_BYTES then
    error("a key of a dictionary in a database has 1 to " .. MOST_KEY_BYTES .. " bytes", 3)
  end
  return (gsub(key, ".", function(c) return format("%02x", byte(c)) end))
end

local function is_missing_table(fault)
  if type(fault) ~= "table" then return false end
  return fault.sqlstate == "42P01" or fault.sqlstate == "42S02" or find(tostring(fault), "no such table", 1, true) ~= nil
end

-- Makes the table if it is not there. Another server may do the same at this moment.
local function ready(self)
  if self.is_prepared then return self.db end
  local db = self.db
  local function look() return db:transaction(function() return db:value("select 1 from luafcgid_shared where dict = ''") end) end
  local ok, fault = waiting.pcall(look)
  if not ok then
    if not is_missing_table(fault) then error(fault, 0) end
    local is_made, wrong = waiting.pcall(db.exec, db, "create table if not exists luafcgid_shared (dict varchar(64) not null, " ..
      "name varchar(512) not null, value " .. self.dialect.bytes .. " not null, expires_ms bigint not null, primary key (dict, name))")
    if not is_made and not waiting.pcall(look) then error(wrong, 0) end
  end
  self.is_prepared = true
  return db
end

-- When a value ends that is set now, as SQL.
local function end_of(self, ms) return ms == "0" and "0" or self.dialect.now .. " + " .. ms end

-- Reads and changes one key in a single step: nobody else changes it meanwhile. `change` gets its text, nil when there is none,
-- and a function that writes another one, or with nil removes it; without an end the one that it has stays.
local function change_row(self, key, change)
  local db, kind = ready(self), self.kind
  return db:transaction(function()
    -- A row that has ended is there from now on, so that there is one to hold. "insert ignore" of MariaDB would lock an old row for
    -- reading: of two requests that then want to write it, one would be refused.
    db:exec("insert into luafcgid_shared (dict, name, value, expires_ms) values (?, ?, ?, 1) " ..
      (kind == "mysql" and "on duplicate key update name = name" or "on conflict do nothing"), self.name, key, db_module.bytes(""))
    local row = db:one("select value, case when " .. self.live .. " then 1 else 0 end as is_live from luafcgid_shared " ..
      "where dict = ? and name = ?" .. self.dialect.hold, self.name, key)
    local text
    if tonumber(row.is_live) == 1 then text = row.value end
    local is_gone = text == nil
    local function write(new, ends)
      is_gone = new == nil
      if is_gone then return end
      db:exec("update luafcgid_shared set value = ?" .. (ends and ", expires_ms = " .. ends or "") ..
        " where dict = ? and name = ?", db_module.bytes(new), self.name, key)
    end
    local first, second, third = change(text, write)
    if is_gone then db:exec("delete from luafcgid_shared where dict = ? and name = ?", self.name, key) end
    return first, second, third
  end, retrying)
end

local function text_of(self, key)
  return ready(self):value("select value from luafcgid_shared where dict = ? and name = ? and " .. self.live, self.name, key)
end

local function is_list(text) return byte(text, 1) == 108 end -- "l"

function methods:get(key)
  local text = text_of(self, key_of(key, "get"))
  if text == nil then return nil end
  if is_list(text) then return nil, "value is a list" end
  return decode(text)
end

-- What has expired is gone at once.
function methods:get_stale(key)
  local value, flags = self:get(key)
  if value == nil then return value, flags end
  return value, flags, false
end

function methods:set(key, value, ttl, flags)
  local name, ms = key_of(key, "set"), ttl_of(ttl, "set")
  local db = ready(self)
  if value == nil then
    db:exec("delete from luafcgid_shared where dict = ? and name = ?", self.name, name)
    return true, nil, false
  end
  local text = encode(value, flags, "set", 3)
  db:exec("insert into luafcgid_shared (dict, name, value, expires_ms) values (?, ?, ?, " .. end_of(self, ms) .. ")" ..
    (self.kind == "mysql" and " on duplicate key update value = values(value), expires_ms = values(expires_ms)" or
      " on conflict (dict, name) do update set value = excluded.value, expires_ms = excluded.expires_ms"),
    self.name, name, db_module.bytes(text))
  return true, nil, false
end

local function set_if(self, called, wants_old, word, key, value, ttl, flags)
  local name, ms = key_of(key, called), ttl_of(ttl, called)
  local text = encode(value, flags, called, 4)
  return change_row(self, name, function(old, write)
    if (old ~= nil) ~= wants_old then return nil, word, false end
    write(text, end_of(self, ms))
    return true, nil, false
  end)
end

function methods:add(key, value, ttl, flags)
  local ok, word, forcible = set_if(self, "add", false, "exists", key, value, ttl, flags)
  return ok, word, forcible
end

function methods:replace(key, value, ttl, flags)
  local ok, word, forcible = set_if(self, "replace", true, "not found", key, value, ttl, flags)
  return ok, word, forcible
end

methods.safe_set, methods.safe_add = methods.set, methods.add

function methods:delete(key)
  local name = key_of(key, "delete")
  ready(self):exec("delete from luafcgid_shared where dict = ? and name = ?", self.name, name)
end

function methods:cas(key, old, new, ttl)
  local name, ms = key_of(key, "cas"), ttl_of(ttl, "cas")
  local old_text = old ~= nil and encode(old, nil, "cas", 3) or nil
  local new_text = new ~= nil and encode(new, nil, "cas", 3) or nil
  return change_row(self, name, function(text, write)
    -- Flags do not count.
    if text then text = gsub(text, "^[%d.e+-]+([snitf])", "%1", 1) end
    if text ~= old_text then return nil, "changed" end
    write(new_text, end_of(self, ms))
    return true
  end)
end

function methods:incr(key, n, init, init_ttl)
  local name, ms = key_of(key, "incr"), ttl_of(init_ttl, "incr")
  if type(n) ~= "number" then error("bad argument #2 to 'incr' (number expected, got " .. type(n) .. ")", 2) end
  if init ~= nil and type(init) ~= "number" then error("bad argument #3 to 'incr' (number expected, got " .. type(init) .. ")", 2) end
  return change_row(self, name, function(text, write)
    if text == nil then
      if init == nil then return nil, "not found", false end
      write(encode(init + n, nil, "incr", 3), end_of(self, ms))
      return init + n, nil, false
    end
    if is_list(text) then return nil, "not a number", false end
    local value, flags = decode(text)
    if type(value) ~= "number" then return nil, "not a number", false end
    write(encode(value + n, flags, "incr", 3))
    return value + n, nil, false
  end)
end

-- ---- lists: "l", and the items, each with its length before it -------------------------------------------------------

local function items_of(text)
  local items, at = {}, 2
  while at <= #text do
    local _, last, length = find(text, "^(%d+):", at)
    items[#items + 1] = sub(text, last + 1, last + length)
    at = last + length + 1
  end
  return items
end

local function text_of_items(items)
  local pieces = { "l" }
  for at = 1, #items do pieces[#pieces + 1] = format("%d", #items[at]) .. ":" .. items[at] end
  return concat(pieces)
end

local function push(self, called, at, key, value)
  local item = encode(value, nil, called, 4)
  return change_row(self, key_of(key, called), function(text, write)
    if text and not is_list(text) then return nil, "value not a list" end
    local items = text and items_of(text) or {}
    table.insert(items, at or #items + 1, item)
    write(text_of_items(items), not text and "0" or nil)
    return #items
  end)
end

local function pop(self, called, at, key)
  return change_row(self, key_of(key, called), function(text, write)
    if not text then return nil end
    if not is_list(text) then return nil, "value not a list" end
    local items = items_of(text)
    local item = table.remove(items, at or #items)
    write(#items > 0 and text_of_items(items) or nil)
    return (decode(item))
  end)
end

function methods:lpush(key, value) local count, word = push(self, "lpush", 1, key, value) return count, word end
function methods:rpush(key, value) local count, word = push(self, "rpush", nil, key, value) return count, word end
function methods:lpop(key) local value, word = pop(self, "lpop", 1, key) return value, word end
function methods:rpop(key) local value, word = pop(self, "rpop", nil, key) return value, word end

function methods:llen(key)
  local text = text_of(self, key_of(key, "llen"))
  if not text then return 0 end
  if not is_list(text) then return nil, "value not a list" end
  return #items_of(text)
end

-- ---- times and keys ------------------------------------------------------------------------------------------------

function methods:ttl(key)
  local name = key_of(key, "ttl")
  local left = ready(self):value("select case when expires_ms = 0 then 0 else expires_ms - " .. self.dialect.now .. " end " ..
    "from luafcgid_shared where dict = ? and name = ? and " .. self.live, self.name, name)
  if left == nil then return nil, "not found" end
  return tonumber(left) / 1000
end

function methods:expire(key, ttl)
  local name, ms = key_of(key, "expire"), ttl_of(ttl, "expire")
  return change_row(self, name, function(text, write)
    if text == nil then return nil, "not found" end
    write(text, end_of(self, ms))
    return true
  end)
end

function methods:flush_all() ready(self):exec("delete from luafcgid_shared where dict = ?", self.name) end

function methods:flush_expired()
  local gone = ready(self):exec("delete from luafcgid_shared where dict = ? and not " .. self.live, self.name)
  return tonumber(gone.affected)
end

function methods:get_keys(most)
  most = most or 1024
  local rows = ready(self):query("select name from luafcgid_shared where dict = ? and " .. self.live ..
    (most > 0 and " limit " .. format("%d", most) or ""), self.name)
  local found = {}
  for at = 1, #rows do
    found[at] = gsub(rows[at].name, "%x%x", function(digits) return char(tonumber(digits, 16)) end)
  end
  return found
end

-- Its memory belongs to the database.
function methods:capacity() return nil end
function methods:free_space() return nil end

methods.fetch = parts.shared_fetch

-- A dictionary of this name in a data source.
return function(name, store)
  local db = db_module.open(store)
  local kind = db.source.kind
  local dialect = dialects[kind]
  local live = "(expires_ms = 0 or expires_ms > " .. dialect.now .. ")"
  return setmetatable({ name = name, db = db, kind = kind, dialect = dialect, live = live, is_prepared = false }, meta)
end
