-- Sessions in a database: a row for each, and a row for each of its values, so that requests change single values. A store
-- is called with digests of ids, and with values as text.

local parts = ...

local db_module, pcall = parts.db, parts.waiting.pcall
local type, error, tonumber, tostring, next, find = type, error, tonumber, tostring, next, string.find
local time, byte = os.time, string.byte

-- Sessions that have expired are looked for when a new one is made, each time with this chance of so many.
local sweep_of_256, most_swept = 4, 100

local tables = {
  -- Digests and names are compared byte by byte: in MySQL texts are not, by default.
  mysql = { id = "varbinary(64)", name = "varbinary(160)", value = "longblob" },
  postgres = { id = "varchar(64)", name = "varchar(160)", value = "text" },
  sqlite = { id = "text", name = "text", value = "text" },
}

local function make_tables(db, kind)
  local of = tables[kind]
  db:exec("create table if not exists luafcgid_sessions (id " .. of.id .. " primary key, created bigint not null, " ..
    "expires bigint not null)")
  db:exec("create table if not exists luafcgid_session_values (session " .. of.id .. " not null, name " .. of.name ..
    " not null, value " .. of.value .. " not null, primary key (session, name))")
end

local function is_missing_table(fault)
  if type(fault) ~= "table" then return false end
  return fault.sqlstate == "42P01" or fault.sqlstate == "42S02" or find(tostring(fault), "no such table", 1, true) ~= nil
end

-- Makes the tables if they are not there. Another state may do the same at this moment.
local function prepare(db, kind)
  local function look() return db:value("select count(*) from luafcgid_session_values where session = ''") end
  local ok, fault = pcall(look)
  if ok then return end
  if not is_missing_table(fault) then error(fault, 0) end
  local is_made, wrong = pcall(make_tables, db, kind)
  if is_made then return end
  if not pcall(look) then error(wrong, 0) end
end

return function(name, random)
  local db = db_module.open(name)
  local kind = db.source.kind
  local is_prepared = false
  local store = {}

  local upsert = "insert into luafcgid_session_values (session, name, value) values (?, ?, ?) " ..
    (kind == "mysql" and "on duplicate key update value = values(value)" or
      "on conflict (session, name) do update set value = excluded.value")
  -- Whoever changes a session holds its row first, so that nobody changes one that is being removed.
  local hold = "select id from luafcgid_sessions where id = ? and expires > ?" .. (kind == "sqlite" and "" or " for update")

  local function ready()
    if is_prepared then return end
    prepare(db, kind)
    is_prepared = true
  end

  local function write(id, changes)
    for key, text in next, changes do
      if text then
        db:exec(upsert, id, key, text)
      else
        db:exec("delete from luafcgid_session_values where session = ? and name = ?", id, key)
      end
    end
  end

  local function remove(id)
    db:exec("delete from luafcgid_sessions where id = ?", id)
    db:exec("delete from luafcgid_session_values where session = ?", id)
  end

  -- In transactions of their own: a session is removed as a whole or not at all.
  local function sweep()
    local expired = db:query("select id from luafcgid_sessions where expires <= ? limit " .. most_swept, time())
    for at = 1, #expired do
      local id = expired[at].id
      db:transaction(function()
        local gone = db:one("select id from luafcgid_sessions where id = ? and expires <= ?" ..
          (kind == "sqlite" and "" or " for update"), id, time())
        if gone then remove(id) end
      end)
    end
  end

  -- Its time of creation, the time when it expires, and its values; nil when there is none.
  function store.load(id)
    ready()
    local rows = db:query("select s.created, s.expires, v.name, v.value from luafcgid_sessions s " ..
      "left join luafcgid_session_values v on v.session = s.id where s.id = ? and s.expires > ?", id, time())
    local first = rows[1]
    if not first then return nil end
    local values = {}
    for at = 1, #rows do
      local row = rows[at]
      if row.name then values[row.name] = row.value end
    end
    return { created = tonumber(first.created), expires = tonumber(first.expires), values = values }
  end

  function store.create(id, created, expires, values)
    ready()
    db:transaction(function()
      db:exec("insert into luafcgid_sessions (id, created, expires) values (?, ?, ?)", id, created, expires)
      write(id, values)
    end, { retries = 2 })
    if byte(random(1)) < sweep_of_256 then sweep() end
  end

  -- Changes some values. Gives false when there is no such session any more.
  function store.patch(id, changes, expires)
    ready()
    return db:transaction(function()
      if not db:one(hold, id, time()) then return false end
      db:exec("update luafcgid_sessions set expires = ? where id = ?", expires, id)
      write(id, changes)
      return true
    end, { retries = 2 })
  end

  function store.rename(id, new_id)
    ready()
    return db:transaction(function()
      if not db:one(hold, id, time()) then return false end
      db:exec("update luafcgid_sessions set id = ? where id = ?", new_id, id)
      db:exec("update luafcgid_session_values set session = ? where session = ?", new_id, id)
      return true
    end, { retries = 2 })
  end

  function store.remove(id)
    ready()
    db:transaction(function() remove(id) end, { retries = 2 })
  end

  return store
end
