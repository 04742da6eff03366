-- Stands in for LuaSQL's drivers: `parts.luasql(kind, name)` makes the module of one. Scripts written for LuaSQL run upon the data
-- sources of the configuration.

--- ## Scripts written for LuaSQL and lsqlite3
---
--- Where no C module of the name is installed, `luasql.postgres`, `luasql.mysql`, `luasql.sqlite3` and `lsqlite3` use the data sources of the
--- setting [`data`](configuration.md#data), also in the embedded engine. What such a script opens is a data source by its name; of a file,
--- such as `"/srv/app/users.db"`, its name without folders and extension: `users`. Users and passwords that it gives are not looked at: those
--- of the configuration count.
---
--- ```lua
--- local env = require("luasql.postgres").postgres()
--- local con = env:connect("main")
--- local cursor = con:execute("select id, name from users")
--- local row = cursor:fetch({}, "a")
--- ```
---
--- Connections are leased for a statement or a transaction, as with `luafcgid.db`. `BEGIN`, `COMMIT` and `ROLLBACK` as statements work;
--- what is not committed when the request ends is rolled back. As in LuaSQL, values of PostgreSQL and MySQL are strings. A whole result is in
--- memory, at most `maxresult` bytes. `cursor:getcoltypes` and, in lsqlite3, functions of your own, hooks and backups are not there and
--- say so. New scripts use `luafcgid.db`, which binds values.

local parts = ...

local compat = parts.sql_compat
local type, error, tostring, setmetatable, next = type, error, tostring, setmetatable, next
local gsub, unpack = string.gsub, unpack or table.unpack

local function make(kind, name)
  local env_methods, con_methods, cursor_methods = {}, {}, {}
  local function meta_of(methods, what)
    return { __index = methods, __tostring = function(self)
      return name .. " " .. what .. (self.is_closed and " (closed)" or "")
    end }
  end
  local env_meta, con_meta, cursor_meta =
    meta_of(env_methods, "environment"), meta_of(con_methods, "connection"), meta_of(cursor_methods, "cursor")

  local function open(self, what)
    if type(self) ~= "table" then error("LuaSQL: " .. what .. " expected", 3) end
    if self.is_closed then error("LuaSQL: " .. what .. " is closed", 3) end
    return self
  end

  -- LuaSQL's drivers of PostgreSQL and MySQL give text for everything.
  local function value_of(value)
    if kind == "sqlite" or value == nil then return value end
    local of = type(value)
    if of == "boolean" then return value and "t" or "f" end
    return of == "number" and compat.number_text(value) or value
  end

  function env_methods:connect(source_name)
    open(self, "environment")
    if type(source_name) ~= "string" then error("bad argument #1 to 'connect' (string expected, got " .. type(source_name) .. ")", 2) end
    local source, message = compat.open(source_name, kind, "luasql." .. name)
    if not source then return nil, "LuaSQL: error connecting to database. Message: " .. message end
    return setmetatable({ source = source, env = self, autocommit = true }, con_meta)
  end

  function env_methods:close()
    if self.is_closed then return false end
    self.is_closed = true
    return true
  end

  function con_methods:execute(sql)
    local source = open(self, "connection").source
    if type(sql) ~= "string" then error("bad argument #1 to 'execute' (string expected, got " .. type(sql) .. ")", 2) end
    if not self.autocommit and not compat.lease(source) then
      local ok, fault = compat.begin(source)
      if not ok then return nil, "LuaSQL: " .. compat.message(fault) end
    end
    local result, fault = compat.run(source, sql)
    if not result then return nil, "LuaSQL: error executing statement. Message: " .. compat.message(fault) end
    if result.insert_id ~= nil then self.last_id = result.insert_id end
    if #result.columns == 0 then return result.affected or 0 end
    return setmetatable({ con = self, columns = result.columns, rows = result.rows, at = 0 }, cursor_meta)
  end

  local function finish(self, action)
    local source = open(self, "connection").source
    if not compat.lease(source) then return true end
    local ok, fault = compat.finish(source, action)
    if not ok then return nil, "LuaSQL: " .. compat.message(fault) end
    return true
  end

  function con_methods:commit() return finish(self, "commit") end
  function con_methods:rollback() return finish(self, "rollback") end

  function con_methods:setautocommit(is_on)
    local ok, message = true, nil
    if is_on and not self.autocommit then ok, message = finish(self, "rollback") end
    if not ok then return nil, message end
    open(self, "connection").autocommit = is_on and true or false
    return true
  end

  function con_methods:close()
    if self.is_closed then return false end
    -- What was not committed is not wanted.
    if not self.autocommit then finish(self, "rollback") end
    self.is_closed = true
    return true
  end

  -- Inside of quotes of the database. MySQL reads a backslash as the beginning of an escape.
  function con_methods:escape(text)
    open(self, "connection")
    text = tostring(text)
    if kind == "mysql" then
      return (gsub(text, "[%z\n\r\\'\"\26]", { ["\0"] = "\\0", ["\n"] = "\\n", ["\r"] = "\\r", ["\\"] = "\\\\", ["'"] = "\\'",
        ['"'] = '\\"', ["\26"] = "\\Z" }))
    end
    return (gsub(text, "'", "''"))
  end

  function con_methods:getlastautoid() return open(self, "connection").last_id end

  function con_methods:ping()
    local result = compat.run(open(self, "connection").source, "select 1")
    return result ~= nil
  end

  function cursor_methods:fetch(into, mode)
    open(self, "cursor")
    self.at = self.at + 1
    local row, count = self.rows[self.at], #self.columns
    if not row then
      self.is_closed = true
      return nil
    end
    if into == nil then
      local values = {}
      for at = 1, count do values[at] = value_of(row[at]) end
      return unpack(values, 1, count)
    end
    if type(into) ~= "table" then error("bad argument #1 to 'fetch' (table expected, got " .. type(into) .. ")", 2) end
    mode = mode or "n"
    for at = 1, count do
      local value = value_of(row[at])
      if mode ~= "a" then into[at] = value end
      if mode ~= "n" then into[self.columns[at]] = value end
    end
    return into
  end

  function cursor_methods:getcolnames()
    local names = {}
    for at, column in next, open(self, "cursor").columns do names[at] = column end
    return names
  end

  function cursor_methods:getcoltypes() error("LuaSQL: getcoltypes is not offered here; use luafcgid.db", 2) end

  function cursor_methods:numrows() return #open(self, "cursor").rows end

  function cursor_methods:close()
    if self.is_closed then return false end
    self.is_closed, self.rows = true, {}
    return true
  end

  local function environment() return setmetatable({}, env_meta) end
  return { [name] = environment, _VERSION = "LuaSQL interface of luafcgid" }
end

return make
