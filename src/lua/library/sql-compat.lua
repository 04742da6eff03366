-- What the stand-ins for modules of databases share (luasql.lua, lsqlite3.lua): statements as these modules have them, upon the
-- data sources of the configuration.

local parts = ...

local data, waiting, host = parts.data, parts.waiting, parts.host
local perform = data.perform
local type, tostring, getmetatable = type, tostring, getmetatable
local find, sub, lower, match, format = string.find, string.sub, string.lower, string.match, string.format
local tonumber, huge, concat = tonumber, math.huge, table.concat

-- Of src/io/protocol.ts.
local BEGIN, COMMIT, ROLLBACK, RUN = 3, 4, 5, 19

local compat = {}

-- A data source by what a script calls its database: its name, or that of a file without folders and extension. Gives nil and a
-- message when there is none.
function compat.open(name, kind, module)
  local ok, source = host.datasource(name)
  if not ok then
    local file = match(name, "([^/\\]+)$") or name
    local of_file
    ok, of_file = host.datasource(match(file, "^(.+)%.[^.]*$") or file)
    if not ok then return nil, tostring(source) end
    source = of_file
  end
  if source.kind ~= kind then return nil, "the data source " .. name .. " is " .. source.kind .. ": " .. module .. " cannot use it" end
  return source
end

-- Where what begins at `at` ends: a string, a quoted name or a comment; nil when it is none of these.
local function after_quoted(sql, at)
  local character = sub(sql, at, at)
  local last
  if character == "'" or character == '"' or character == "`" then last = find(sql, character, at + 1, true)
  elseif character == "[" then last = find(sql, "]", at + 1, true)
  elseif sub(sql, at, at + 1) == "--" then last = find(sql, "\n", at + 2, true)
  elseif sub(sql, at, at + 1) == "/*" then
    last = find(sql, "*/", at + 2, true)
    last = last and last + 1
  else return nil end
  return (last or #sql) + 1
end

local function is_empty(text)
  while true do
    local at = find(text, "%S")
    if not at then return true end
    local is_comment = sub(text, at, at + 1) == "--" or sub(text, at, at + 1) == "/*"
    if not is_comment then return false end
    text = sub(text, after_quoted(text, at))
  end
end

-- A trigger has statements of its own, up to its END.
local function is_open_trigger(text)
  local head = lower(sub(text, 1, 200))
  local is_trigger = match(head, "^%s*create%s+trigger") or match(head, "^%s*create%s+temp%a*%s+trigger")
  return is_trigger and not match(lower(sub(text, -20)), "%send%s*$")
end

-- The statements of a text, without what is empty.
function compat.statements(sql)
  local list, start, at = {}, 1, 1
  local function take(last)
    local text = sub(sql, start, last)
    if not is_empty(text) then list[#list + 1] = text end
    start = last + 2
  end
  while true do
    local from = find(sql, "[;'\"`%[%-/]", at)
    if not from then break end
    if sub(sql, from, from) == ";" then
      if not is_open_trigger(sub(sql, start, from - 1)) then take(from - 1) end
      at = from + 1
    else
      at = after_quoted(sql, from) or from + 1
    end
  end
  take(#sql)
  return list
end

-- The parameters of a statement: how many there are, and their names in the order in which they first come (none: they are "?"). Gives
-- the statement with ":name" for "@name" and "$name".
function compat.parameters(sql)
  local count, names, known, at, pieces, copied = 0, {}, {}, 1, {}, 1
  while true do
    local from = find(sql, "[%?:@%$'\"`%[%-/]", at)
    if not from then break end
    local name = match(sql, "^[:@%$]([%a_][%w_]*)", from)
    if sub(sql, from, from) == "?" then
      count, at = count + 1, from + 1
    elseif name and sub(sql, from - 1, from - 1) ~= ":" then
      if not known[name] then
        known[name], count = true, count + 1
        names[#names + 1] = name
      end
      pieces[#pieces + 1] = sub(sql, copied, from - 1) .. ":"
      at, copied = from + 1 + #name, from + 1
    else
      at = after_quoted(sql, from) or from + 1
    end
  end
  return concat(pieces) .. sub(sql, copied), count, names
end

local function add(args, value)
  local kind = type(value)
  if kind == "string" then args:add("s", value)
  elseif kind == "number" then args:number(value)
  elseif kind == "boolean" then args:add(value and "t" or "f")
  elseif value == nil then args:add("0")
  elseif getmetatable(value) == compat.blob_meta then args:add("b", value.value)
  else return false end
  return true
end

compat.blob_meta = {}

-- The arguments of a statement without parameters, or with these values, by position or (`names`) by name. Nil where a value is none.
local function arguments_of(sql, values, count, names)
  local args = data.arguments()
  args:add("s", sql)
  if names and #names > 0 then
    args:add("M", #names)
    for at = 1, #names do
      args:add("s", names[at])
      if not add(args, values[at]) then return nil end
    end
  else
    args:add("A", count)
    for at = 1, count do if not add(args, values[at]) then return nil end end
  end
  return args
end

-- What a statement does to a transaction: "begin", "commit", "rollback", or nil.
local function transaction_word(sql)
  if #sql > 200 then return nil end
  local text = lower(match(sql, "^%s*(.-)[%s;]*$"))
  if match(text, "^begin[%s%a]*$") or text == "start transaction" then return "begin" end
  if match(text, "^commit[%s%a]*$") or match(text, "^end[%s%a]*$") then return "commit" end
  if match(text, "^rollback%s*%a*$") and not match(text, "%sto$") then return "rollback" end
end

local function protected(source, action, handle, args)
  local ok, result = waiting.pcall(perform, source, action, handle, args)
  if ok then return result or true end
  return nil, result
end

function compat.lease(source) return waiting.leases[source.id] end

-- Begins a transaction that lasts until it is ended, or the request is.
function compat.begin(source)
  if compat.lease(source) then return nil, { message = "cannot start a transaction within a transaction" } end
  local args = data.arguments()
  args:add("M", 0)
  local handle, fault = protected(source, BEGIN, 0, args)
  if not handle then return nil, fault end
  waiting.leases[source.id] = { handle = handle, savepoints = 0 }
  return true
end

-- Ends it: `action` is "commit" or "rollback".
function compat.finish(source, action)
  local lease = compat.lease(source)
  if not lease then return nil, { message = "cannot " .. action .. " - no transaction is active" } end
  waiting.leases[source.id] = nil
  return protected(source, action == "commit" and COMMIT or ROLLBACK, lease.handle, data.arguments())
end

-- Runs one statement. Gives its result: `columns`, `rows` as arrays, and `affected` and `insert_id` where there are such; or nil and
-- the error, a table with `message`.
function compat.run(source, sql, values, count, names)
  local word = transaction_word(sql)
  if word then
    local ok, fault
    if word == "begin" then ok, fault = compat.begin(source) else ok, fault = compat.finish(source, word) end
    if not ok then return nil, fault end
    return { columns = {}, rows = {}, affected = 0 }
  end
  local args = arguments_of(sql, values or {}, count or 0, names)
  if not args then return nil, { message = "a value is neither string, number, boolean nor nil" } end
  local lease = compat.lease(source)
  local result, fault = protected(source, RUN, lease and lease.handle or 0, args)
  if not result then return nil, fault end
  local found = result.rows
  return { columns = found.columns, rows = found.rows, affected = result.affected, insert_id = result.insert_id }
end

-- The text of an error.
function compat.message(fault) return type(fault) == "table" and fault.message or tostring(fault) end

-- A number as databases write it: as few digits as give it back.
function compat.number_text(value)
  local short = format("%.14g", value)
  if tonumber(short) == value and value > -1e14 and value < 1e14 then return short end
  if value == huge then return "Infinity" elseif value == -huge then return "-Infinity" elseif value ~= value then return "NaN" end
  return data.number_text(value)
end

return compat
