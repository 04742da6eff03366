-- What the modules for data sources share: operations, and the errors that they raise.

local parts = ...

local host, waiting = parts.host, parts.waiting
local type, error, tostring, setmetatable, unpack = type, error, tostring, setmetatable, unpack or table.unpack
local concat, floor, format = table.concat, math.floor, string.format
local integer_type = math.type

waiting.enable()

local data = {}

local error_meta = { __tostring = function(fault) return fault.message end }

-- Raises what an operation has failed with: a table with `code`, `message` and more, whose tostring is the message.
function data.raise(fault)
  if type(fault) ~= "table" then fault = { code = "LUAFCGID_DATA_ARGUMENT", message = tostring(fault) } end
  error(setmetatable(fault, error_meta), 0)
end

-- A data source by its name in the configuration, of one of these kinds.
function data.open(name, kinds, module)
  if type(name) ~= "string" then
    error("bad argument #1 to 'open' (string expected, got " .. parts.arguments.type_name(name) .. ")", 3)
  end
  local ok, source = host.datasource(name)
  if not ok then error(source, 3) end
  if not kinds[source.kind] then error("the data source " .. name .. " is " .. source.kind .. ": " .. module .. " cannot use it", 3) end
  source.name = name
  return source
end

-- The arguments of an operation: what they are, and their values (operation-values.ts).
local arguments_meta = { __index = {} }
local arguments = arguments_meta.__index

function data.arguments() return setmetatable({ shape = {}, kinds = 0, count = 0 }, arguments_meta) end

function arguments:add(kind, value)
  self.kinds = self.kinds + 1
  self.shape[self.kinds] = kind
  if value ~= nil then
    self.count = self.count + 1
    self[self.count] = value
  end
end

local EXACT = 2 ^ 53

-- The digits of a whole number, or nil where a double holds it.
local function digits_of(value)
  if integer_type and integer_type(value) == "integer" and (value > EXACT or value < -EXACT) then return format("%d", value) end
end

function arguments:number(value)
  local digits = digits_of(value)
  if digits then self:add("d", digits) else self:add("n", value) end
end

-- A number as text, without an exponent where it is whole.
function data.number_text(value)
  local digits = digits_of(value)
  if digits then return digits end
  if value == floor(value) and value > -EXACT and value < EXACT then return format("%.0f", value) end
  return format("%.17g", value)
end

-- Posts an operation and waits for it. Gives its result; raises its error.
function data.perform(source, action, handle, args)
  local ok, token = host.post(source.id, action, handle, 0, concat(args.shape), unpack(args, 1, args.count))
  if not ok then data.raise(token) end
  local done, value = waiting.wait(token)
  if not done then data.raise(value) end
  return value
end

return data
