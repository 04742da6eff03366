-- Stands in for lsqlite3, upon SQLite data sources of the configuration. What it says of itself stands in luasql.lua.

local parts = ...

local compat = parts.sql_compat
local type, error, tostring, tonumber, setmetatable, next, select = type, error, tostring, tonumber, setmetatable, next, select
local match, unpack = string.match, unpack or table.unpack

local M = {
  OK = 0, ERROR = 1, INTERNAL = 2, PERM = 3, ABORT = 4, BUSY = 5, LOCKED = 6, NOMEM = 7, READONLY = 8, INTERRUPT = 9, IOERR = 10,
  CORRUPT = 11, NOTFOUND = 12, FULL = 13, CANTOPEN = 14, PROTOCOL = 15, EMPTY = 16, SCHEMA = 17, TOOBIG = 18, CONSTRAINT = 19,
  MISMATCH = 20, MISUSE = 21, NOLFS = 22, FORMAT = 24, RANGE = 25, NOTADB = 26, ROW = 100, DONE = 101,
  INTEGER = 1, FLOAT = 2, TEXT = 3, BLOB = 4, NULL = 5, OPEN_READONLY = 1, OPEN_READWRITE = 2, OPEN_CREATE = 4,
}

local db_methods, stmt_methods = {}, {}
local db_meta = { __index = db_methods, __tostring = function(self)
  return "sqlite database" .. (self.is_closed and " (closed)" or "")
end }
local stmt_meta = { __index = stmt_methods, __tostring = function() return "sqlite virtual machine" end }

-- The number that SQLite has for an error, which the data source gives as its word.
local function code_of(fault)
  local digits = type(fault) == "table" and type(fault.sqlstate) == "string" and match(fault.sqlstate, "^SQLITE (%d+)$")
  -- The lowest byte of what SQLite says in more detail.
  return digits and tonumber(digits) % 256 or M.ERROR
end

local function fail(db, fault)
  db.code, db.message = code_of(fault), compat.message(fault)
  return nil, db.code
end

local function run(db, sql, values, count, names)
  local result, fault = compat.run(db.source, sql, values, count, names)
  if not result then return fail(db, fault) end
  db.code, db.message = M.OK, "not an error"
  if result.affected then
    db.changed = result.affected
    db.total = db.total + result.affected
  end
  if result.insert_id ~= nil then db.last_id = result.insert_id end
  return result
end

local function open(self)
  if type(self) ~= "table" or self.is_closed then error("attempt to use closed sqlite database", 3) end
  return self
end

local function named(columns, row)
  local fields = {}
  for at = 1, #columns do fields[columns[at]] = row[at] end
  return fields
end

local function positioned(columns, row)
  local values = {}
  for at = 1, #columns do values[at] = row[at] end
  return values
end

-- An iterator over the rows of a result, each as `shape` gives it.
local function over(result, shape)
  local at = 0
  return function()
    at = at + 1
    local row = result.rows[at]
    if row then return shape(result.columns, row) end
  end
end

local function all_values(columns, row) return unpack(row, 1, #columns) end

function M.open(name)
  if type(name) ~= "string" then error("bad argument #1 to 'open' (string expected, got " .. type(name) .. ")", 2) end
  local source, message = compat.open(name, "sqlite", "lsqlite3")
  if not source then return nil, M.CANTOPEN, message end
  return setmetatable({ source = source, code = M.OK, message = "not an error", changed = 0, total = 0, last_id = 0 }, db_meta)
end

function M.open_memory()
  return nil, M.CANTOPEN, 'a database in memory belongs to no request: use a data source "sqlite:FILE", or luafcgid.shared'
end

function M.complete(sql) return match(sql, ";%s*$") ~= nil end
function M.version() return "3" end
function M.lversion() return "luafcgid" end
M.sqlversion = M.version

function M.temp_directory() return nil end

function db_methods:exec(sql, f, udata)
  local db = open(self)
  for _, statement in next, compat.statements(sql) do
    local result, code = run(db, statement)
    if not result then return code end
    if f then
      for _, row in next, result.rows do
        local texts = {}
        for at = 1, #result.columns do texts[at] = row[at] ~= nil and tostring(row[at]) or nil end
        local answer = f(udata, #result.columns, texts, result.columns)
        if answer ~= 0 then
          db.code, db.message = M.ABORT, "query aborted"
          return M.ABORT
        end
      end
    end
  end
  return M.OK
end

db_methods.execute = db_methods.exec

local function each(db, sql, shape, level)
  local result = run(db, sql)
  if not result then error(db.message, level + 1) end
  return over(result, shape)
end

function db_methods:nrows(sql) local rows = each(open(self), sql, named, 2) return rows end
function db_methods:rows(sql) local rows = each(open(self), sql, positioned, 2) return rows end
function db_methods:urows(sql) local rows = each(open(self), sql, all_values, 2) return rows end

function db_methods:prepare(sql)
  local db = open(self)
  local list = compat.statements(sql)
  if #list == 0 then return fail(db, { message = "there is no statement" }) end
  local text, count, names = compat.parameters(list[1])
  local statement = setmetatable({ db = db, sql = text, count = count, names = names, values = {}, at = 0 }, stmt_meta)
  return statement, M.OK
end

function db_methods:last_insert_rowid() return open(self).last_id end
function db_methods:changes() return open(self).changed end
function db_methods:total_changes() return open(self).total end
function db_methods:errcode() return open(self).code end
function db_methods:errmsg() return open(self).message end
db_methods.error_code, db_methods.error_message = db_methods.errcode, db_methods.errmsg
function db_methods:isopen() return not self.is_closed end
-- The data source has limits of time: waiting for a lock is one of them.
function db_methods:busy_timeout() open(self) return M.OK end
function db_methods:interrupt() open(self) end

function db_methods:close()
  if self.is_closed then return M.MISUSE end
  if compat.lease(self.source) then compat.finish(self.source, "rollback") end
  self.is_closed = true
  return M.OK
end

function db_methods:close_vm() return M.OK end

for _, name in next, { "create_function", "create_aggregate", "create_collation", "busy_handler", "trace", "progress_handler",
  "commit_hook", "rollback_hook", "update_hook", "load_extension", "backup_init", "changeset_apply" } do
  db_methods[name] = function() error("lsqlite3: " .. name .. " is not offered here: SQLite runs in another thread", 2) end
end

local function ready(self)
  if self.is_finalized then error("attempt to use closed sqlite virtual machine", 3) end
  return open(self.db)
end

function stmt_methods:bind(index, value)
  ready(self)
  if type(index) ~= "number" or index < 1 or index > self.count then return M.RANGE end
  self.values[index] = value
  return M.OK
end

function stmt_methods:bind_blob(index, value) return self:bind(index, setmetatable({ value = value }, compat.blob_meta)) end

function stmt_methods:bind_values(...)
  ready(self)
  local given = select("#", ...)
  if given ~= self.count then
    error("incorrect number of parameters to bind (" .. given .. " given, " .. self.count .. " to bind)", 2)
  end
  self.values = { ... }
  return M.OK
end

function stmt_methods:bind_names(fields)
  ready(self)
  for at = 1, #self.names do self.values[at] = fields[self.names[at]] end
  if #self.names == 0 then for at = 1, self.count do self.values[at] = fields[at] end end
  return M.OK
end

function stmt_methods:bind_parameter_count() return self.count end
function stmt_methods:bind_parameter_name(index) return self.names[index] and ":" .. self.names[index] end

-- The result of the statement, which runs when it is first asked for.
local function result_of(self)
  local db = ready(self)
  if not self.result then self.result = run(db, self.sql, self.values, self.count, self.names) end
  return self.result
end

function stmt_methods:step()
  local result = result_of(self)
  if not result then return self.db.code end
  self.at = self.at + 1
  if result.rows[self.at] then return M.ROW end
  -- As in SQLite, the next step begins anew.
  self.result, self.at, self.last = nil, 0, result
  return M.DONE
end

function stmt_methods:reset()
  ready(self)
  self.result, self.at = nil, 0
  return M.OK
end

function stmt_methods:finalize()
  self.is_finalized, self.result = true, nil
  return M.OK
end

function stmt_methods:isopen() return not self.is_finalized end

local function iterate(self, shape, level)
  self:reset()
  local result = result_of(self)
  if not result then error(self.db.message, level + 1) end
  self.result = nil
  return over(result, shape)
end

function stmt_methods:nrows() local rows = iterate(self, named, 2) return rows end
function stmt_methods:rows() local rows = iterate(self, positioned, 2) return rows end
function stmt_methods:urows() local rows = iterate(self, all_values, 2) return rows end

local function row_of(self)
  ready(self)
  local row = self.result and self.result.rows[self.at]
  if not row then error("there is no row: call step first", 3) end
  return row, self.result.columns
end

function stmt_methods:get_value(index) local row = row_of(self) return row[index + 1] end
function stmt_methods:get_values() local row, columns = row_of(self) return positioned(columns, row) end
function stmt_methods:get_uvalues() local row, columns = row_of(self) return all_values(columns, row) end
function stmt_methods:get_named_values() local row, columns = row_of(self) return named(columns, row) end

local function columns_of(self)
  local result = self.result or self.last or result_of(self)
  return result and result.columns or {}
end

function stmt_methods:columns() return #columns_of(self) end
function stmt_methods:get_name(index) return columns_of(self)[index + 1] end
function stmt_methods:get_names() return positioned(columns_of(self), columns_of(self)) end
function stmt_methods:get_unames() return unpack(columns_of(self)) end
function stmt_methods:last_insert_rowid() return ready(self).last_id end
stmt_methods.data, stmt_methods.idata, stmt_methods.get_named = stmt_methods.get_named_values, stmt_methods.get_values, stmt_methods.get_named_values

return M
