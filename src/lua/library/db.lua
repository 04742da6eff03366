-- SQL: require("luafcgid.db").

--- ## The module luafcgid.db
---
--- SQL on PostgreSQL, MySQL or MariaDB, and SQLite. A script names a data source that the setting
--- [`data`](configuration.md#data) describes; it has no address and no password.
---
--- ```lua
--- local db = require("luafcgid.db").open("main")
--- local row = db:one("select name from users where id = ?", id)
--- ```
---
--- Values are always bound, never made part of the SQL text: `?` stands for one, or `:name` for a field of a table that is
--- the only argument. nil and `luafcgid.db.null` are NULL; in a row a NULL is an absent key. Whole numbers beyond 2^53 are strings of
--- digits (Lua 5.4: pass integers). Dates and decimals are strings. One call is one statement.
---
--- While a statement is under way the worker serves other requests. Errors are raised as tables with `code`, `message` and,
--- where there is one, `sqlstate`; `retry` says whether the same may succeed later. What a request leaves open (a transaction, a
--- cursor, a session setting) ends with it and is never seen by another request.

local parts = ...

local data, waiting = parts.data, parts.waiting
local perform, raise = data.perform, data.raise
local type, error, next, select, setmetatable, getmetatable = type, error, next, select, setmetatable, getmetatable
local unpack = unpack or table.unpack

-- Of src/io/protocol.ts.
local QUERY, EXECUTE, BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK_TO, OPEN_CURSOR, FETCH, CLOSE_CURSOR =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
local KINDS = { postgres = true, mysql = true, sqlite = true }
local BATCH_ROWS = 100

local M = { null = setmetatable({}, { __tostring = function() return "db.null" end }) }

local list_meta, bytes_meta = {}, {}

--- #### `luafcgid.db.list(values)`
---
--- Stands for as many values as the table has, where SQL has a list of them.
---
--- Errors: no table. A statement with an empty one.
---
--- ```lua
--- db:query("select * from users where id in (?)", luafcgid.db.list({ 1, 2, 3 }))
--- ```
M.list = function(values)
  if type(values) ~= "table" then error("bad argument #1 to 'list' (table expected, got " .. type(values) .. ")", 2) end
  return setmetatable({ values = values }, list_meta)
end

--- #### `luafcgid.db.bytes(value)`
---
--- A string that is bytes (bytea, BLOB), also where it would pass for text.
---
--- Errors: no string.
---
--- ```lua
--- db:exec("insert into photos (data) values (?)", luafcgid.db.bytes("\255\216"))
--- ```
M.bytes = function(value)
  if type(value) ~= "string" then error("bad argument #1 to 'bytes' (string expected, got " .. type(value) .. ")", 2) end
  return setmetatable({ value = value }, bytes_meta)
end

local function add(args, value, what)
  local kind = type(value)
  if kind == "string" then args:add("s", value)
  elseif kind == "number" then
    if value ~= value then error(what .. " is not a number (NaN)", 4) end
    args:number(value)
  elseif kind == "boolean" then args:add(value and "t" or "f")
  elseif value == nil or value == M.null then args:add("0")
  elseif getmetatable(value) == bytes_meta then args:add("b", value.value)
  elseif getmetatable(value) == list_meta then
    args:add("A", #value.values)
    for at = 1, #value.values do add(args, value.values[at], what) end
  else
    error(what .. " is a " .. kind .. ": encode it first, or use luafcgid.db.list for \"in (?)\"", 4)
  end
end

-- Whether the only argument of a statement is a table of named ones.
local function is_named(value)
  return type(value) == "table" and value ~= M.null and getmetatable(value) ~= bytes_meta and getmetatable(value) ~= list_meta
end

local function statement(sql, ...)
  if type(sql) ~= "string" then error("bad argument #1 (SQL text expected, got " .. type(sql) .. ")", 3) end
  local args, count, first = data.arguments(), select("#", ...), ...
  args:add("s", sql)
  if count == 1 and is_named(first) then
    local fields = 0
    for _ in next, first do fields = fields + 1 end
    args:add("M", fields)
    for name, value in next, first do
      if type(name) ~= "string" then error("the named arguments have a key that is no string", 3) end
      args:add("s", name)
      add(args, value, "argument " .. name)
    end
  else
    args:add("A", count)
    for at = 1, count do add(args, (select(at, ...)), "argument " .. at) end
  end
  return args
end

local methods = {}
local meta = { __index = methods }

-- The transaction that the request is in, on this source; 0: none.
local function handle_of(source)
  local lease = waiting.leases[source.id]
  return lease and lease.handle or 0
end

local function rows_of(self, sql, ...)
  local source = self.source
  local result = perform(source, QUERY, handle_of(source), statement(sql, ...))
  local rows = result.rows
  rows.columns = result.columns
  return rows
end

--- #### `luafcgid.db.open(name)`
---
--- Gives a handle of a data source, with the methods below. No connection is made yet.
---
--- Errors: a name that is not configured, that is no SQL database, or that this script may not use.
---
--- ```lua
--- local db = require("luafcgid.db").open("main")
--- ```
M.open = function(name)
  return setmetatable({ source = data.open(name, KINDS, "luafcgid.db") }, meta)
end

--- #### `db:query(sql, ...)`
---
--- All rows, as an array of tables; `rows.columns` lists the names. Errors: more than `maxresult` bytes: use db:each.
function methods:query(sql, ...) return rows_of(self, sql, ...) end

--- #### `db:one(sql, ...)`
---
--- The only row, or nil when there is none. Errors: more than one row.
function methods:one(sql, ...)
  local rows = rows_of(self, sql, ...)
  if #rows > 1 then raise({ code = "LUAFCGID_DATA_ROWS", message = "db:one got " .. #rows .. " rows; add a limit, or use db:query" }) end
  return rows[1]
end

--- #### `db:value(sql, ...)`
---
--- The first column of the first row; nil when there is no row, or for NULL.
function methods:value(sql, ...)
  local rows = rows_of(self, sql, ...)
  return rows[1] and rows[1][rows.columns[1]]
end

--- #### `db:exec(sql, ...)`
---
--- Executes a statement that gives no rows. The result has `affected` and, where the database has one, `insert_id`.
function methods:exec(sql, ...)
  local source = self.source
  return perform(source, EXECUTE, handle_of(source), statement(sql, ...))
end

local cursor_methods = {}
local cursor_meta = { __index = cursor_methods }

--- #### `db:cursor(sql, ...)`
---
--- Reads rows in batches, however many there are: `cursor:fetch()` gives the next one or nil, `cursor:close()` ends it. It ends with
--- the request at the latest.
function methods:cursor(sql, ...)
  local source = self.source
  local handle = perform(source, OPEN_CURSOR, handle_of(source), statement(sql, ...))
  return setmetatable({ source = source, handle = handle, rows = {}, at = 0 }, cursor_meta)
end

function cursor_methods:fetch()
  self.at = self.at + 1
  local row = self.rows[self.at]
  if row or not self.handle then return row end
  local args = data.arguments()
  args:add("n", BATCH_ROWS)
  local rows = perform(self.source, FETCH, self.handle, args).rows
  -- Fewer than were asked for: the I/O thread has closed it.
  if #rows < BATCH_ROWS then self.handle = nil end
  self.rows, self.at = rows, 1
  return rows[1]
end

function cursor_methods:close()
  local handle = self.handle
  self.handle, self.rows, self.at = nil, {}, 0
  if handle then perform(self.source, CLOSE_CURSOR, handle, data.arguments()) end
end

--- #### `db:each(sql, ..., f)`
---
--- Calls f(row) for each row, read in batches, until f returns false. Gives how many rows there were.
function methods:each(sql, ...)
  local count = select("#", ...)
  local values = { ... }
  local f = values[count]
  if type(f) ~= "function" then error("bad argument to 'each' (the last one has to be a function)", 2) end
  local cursor = self:cursor(sql, unpack(values, 1, count - 1))
  local seen = 0
  for row in function() return cursor:fetch() end do
    seen = seen + 1
    if f(row) == false then cursor:close() break end
  end
  return seen
end

--- #### `db:rows(sql, ...)`
---
--- An iterator over the rows: `for row in db:rows("select ...") do ... end`. In Lua 5.1 a batch after the first one blocks the worker:
--- db:each does not.
function methods:rows(sql, ...)
  local cursor = self:cursor(sql, ...)
  local first = cursor:fetch()
  return function()
    local row = first
    if row then first = nil return row end
    return cursor:fetch()
  end
end

local ROLLED_BACK = setmetatable({}, { __tostring = function() return "db:rollback() outside of a transaction" end })

--- #### `db:rollback()`
---
--- Inside of db:transaction: ends it, and undoes what it did. The transaction then gives nil.
function methods:rollback() error(ROLLED_BACK, 0) end

local function pack(...) return { n = select("#", ...), ... } end

local function savepoint(self, lease, f)
  lease.savepoints = lease.savepoints + 1
  local name = "s" .. lease.savepoints
  local function tell(action)
    local args = data.arguments()
    args:add("s", name)
    perform(self.source, action, lease.handle, args)
  end
  tell(SAVEPOINT)
  local results = pack(waiting.pcall(f, self))
  if results[1] then
    tell(RELEASE)
    return unpack(results, 2, results.n)
  end
  tell(ROLLBACK_TO)
  if results[2] ~= ROLLED_BACK then error(results[2], 0) end
end

local function begin(source, options)
  local args, fields = data.arguments(), 0
  if options.isolation ~= nil then fields = fields + 1 end
  if options.readonly ~= nil then fields = fields + 1 end
  args:add("M", fields)
  if options.isolation ~= nil then
    args:add("s", "isolation")
    args:add("s", options.isolation)
  end
  if options.readonly ~= nil then
    args:add("s", "readonly")
    args:add(options.readonly and "t" or "f")
  end
  return perform(source, BEGIN, 0, args)
end

--- #### `db:transaction(f, options)`
---
--- Calls f(db) in a transaction: commits when it returns, and gives its results; rolls back when it raises an error, and raises that.
--- All statements on this data source that f makes belong to it. A transaction in a transaction is a savepoint. `options`:
--- `isolation` ("serializable", …), `readonly`, and `retries`: how often f is called again when the database asks for that.
---
--- Errors: what f raises. `LUAFCGID_DATA_COMMIT_UNKNOWN`: the connection was lost while it committed, so nobody knows whether it did.
function methods:transaction(f, options)
  if type(f) ~= "function" then error("bad argument #1 to 'transaction' (function expected, got " .. type(f) .. ")", 2) end
  options = options or {}
  local source, leases = self.source, waiting.leases
  if leases[source.id] then return savepoint(self, leases[source.id], f) end
  for left = options.retries or 0, 0, -1 do
    leases[source.id] = { handle = begin(source, options), savepoints = 0 }
    local handle = leases[source.id].handle
    local results = pack(waiting.pcall(f, self))
    leases[source.id] = nil
    local ok, fault = results[1], results[2]
    if ok then
      ok, fault = waiting.pcall(perform, source, COMMIT, handle, data.arguments())
      if ok then return unpack(results, 2, results.n) end
    else
      waiting.pcall(perform, source, ROLLBACK, handle, data.arguments())
      if fault == ROLLED_BACK then return nil end
    end
    local may_retry = left > 0 and type(fault) == "table" and fault.retry == true
    if not may_retry then error(fault, 0) end
  end
end

--- #### `db:safe()`
---
--- The same handle, whose methods give nil and the error instead of raising it.
function methods:safe()
  local plain = self
  return setmetatable({}, { __index = function(_, name)
    local method = methods[name]
    if not method then return nil end
    return function(_, ...)
      local results = pack(waiting.pcall(method, plain, ...))
      if results[1] then return unpack(results, 2, results.n) end
      return nil, results[2]
    end
  end })
end

return M
