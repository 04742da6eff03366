-- Lua source of values, for the module luafcgid.

local type, tostring, tonumber, error, next, pcall, rawget = type, tostring, tonumber, error, next, pcall, rawget
local find, gsub, format = string.find, string.gsub, string.format
local concat, floor, huge, math_type = table.concat, math.floor, math.huge, math.type

local lowest_integer = math.mininteger

-- Lua's parser gives up at 200 nested levels.
local deepest = 180

local function serialize_string(text)
  return (gsub(format("%q", text), "\\\n", "\\n"))
end

local function serialize_number(number)
  if math_type and math_type(number) == "integer" then
    -- The digits of the lowest one would be read as a float.
    return number == lowest_integer and "(-9223372036854775807-1)" or format("%d", number)
  end
  if number ~= number then return "0/0" end
  if number == huge then return "1/0" end
  if number == -huge then return "-1/0" end
  -- Lua keeps 0 and -0 as one constant, so minus zero is computed.
  if number == 0 then return 1 / number < 0 and "-1/(1/0)" or math_type and "0.0" or "0" end
  if number % 1 == 0 and number < 1e14 and number > -1e14 then return tostring(number) end
  local text
  for digits = 14, 17 do
    text = format("%." .. digits .. "g", number)
    if tonumber(text) == number then break end
  end
  -- Where Lua has integers, a float must not come back as one.
  return math_type and not find(text, "[.e]") and text .. ".0" or text
end

local serialize_value

-- A path has keys as they are written, and places in lists as numbers.
local function fail(what, path)
  local keys = {}
  for at = 1, #path do keys[at] = type(path[at]) == "number" and "[" .. path[at] .. "]" or path[at] end
  error("cannot serialize " .. what .. (#keys == 0 and "" or " (at " .. concat(keys) .. ")"), 0)
end

local function serialize_key(key, path)
  local kind = type(key)
  if kind == "string" then return "[" .. serialize_string(key) .. "]" end
  if kind == "number" then return "[" .. serialize_number(key) .. "]" end
  if kind == "boolean" then return "[" .. tostring(key) .. "]" end
  fail("a table with a key that is a " .. kind, path)
end

local function serialize_table(value, path, open)
  if open[value] then fail("a table that contains itself", path) end
  if #path >= deepest then fail("tables nested deeper than " .. deepest .. " levels", {}) end
  open[value] = true
  local items, depth = {}, #path + 1
  local length = 0
  while rawget(value, length + 1) ~= nil do
    length = length + 1
    path[depth] = length
    items[length] = serialize_value(rawget(value, length), path, open)
  end
  for key, item in next, value do
    if not (type(key) == "number" and key >= 1 and key <= length and floor(key) == key) then
      path[depth] = nil
      local name = serialize_key(key, path)
      path[depth] = name
      items[#items + 1] = name .. "=" .. serialize_value(item, path, open)
    end
  end
  path[depth] = nil
  open[value] = nil
  return "{" .. concat(items, ",") .. "}"
end

function serialize_value(value, path, open)
  local kind = type(value)
  if kind == "table" then return serialize_table(value, path, open) end
  if kind == "string" then return serialize_string(value) end
  if kind == "number" then return serialize_number(value) end
  if kind == "boolean" or kind == "nil" then return tostring(value) end
  fail("a " .. kind, path)
end

-- True and the text, or false and a message.
return function(value) return pcall(serialize_value, value, {}, {}) end
