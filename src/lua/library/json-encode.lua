-- Writing JSON (RFC 8259): a part of luafcgid.json.

local parts = ...

local is_utf8 = parts.utf8.is_valid
local getmetatable = debug.getmetatable
local next, error, pcall, tonumber, tostring, type, rawget = next, error, pcall, tonumber, tostring, type, rawget
local char, find, format, gsub, sub, concat = string.char, string.find, string.format, string.gsub, string.sub, table.concat
local floor, huge, math_type = math.floor, math.huge, math.type

-- Of the value that is written now. A finalizer or a hook may write another one meanwhile: `encode` brings these back.
local out, count, keys, settings, null, array_meta, empty_array_meta, deepest, escapes

local escaped = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
for code = 0, 31 do
  local character = char(code)
  escaped[character] = escaped[character] or format("\\u%04x", code)
end
escaped["\127"] = "\\u007f"
local escaped_slashes = { ["/"] = "\\/" }
for character, escape in next, escaped do escaped_slashes[character] = escape end

-- What is wrong with the value; raised as an error that no script sees.
local failure = {}
local not_utf8 = "Cannot serialise string: it is not UTF-8"
-- Whether there were strings that are not plain, and whether the place of a fault is looked for.
local has_others, is_explaining = false, false

local function fail(message)
  failure.message = message
  error(failure, 0)
end

-- Whether a string is written as it is. A pattern from the start to the end is the fastest; its class begins with what is
-- most frequent, since it is gone through for each byte.
local function is_plain(text)
  return find(text, "^[a-z A-Z0-9!#-.:-@%[%]%^_`{-~]*$") ~= nil
end

local compiled = jit and parts.json_jit
if compiled then is_plain = compiled.is_plain end

-- The text between quotes of a string that is not plain.
local function quoted_others(text)
  -- The whole text is looked at in the end, and single strings where a fault has been found.
  has_others = true
  if is_explaining and settings.checks_utf8 and not is_utf8(text) then fail(not_utf8) end
  if compiled and escapes == escaped then return compiled.quoted(text) end
  return '"' .. gsub(text, '[%c"\\/]', escapes) .. '"'
end

local function quoted(text)
  if is_plain(text) then return '"' .. text .. '"' end
  return quoted_others(text)
end

local function number_text(number)
  if number ~= number or number == huge or number == -huge then
    local invalid = settings.encode_invalid_numbers
    if invalid == "null" then return "null" end
    if not invalid then fail("Cannot serialise number: must not be NaN or Infinity") end
    return number ~= number and "nan" or number > 0 and "inf" or "-inf"
  end
  local digits = settings.precision
  if digits then return format("%." .. digits .. "g", number) end
  if math_type and math_type(number) == "integer" then return format("%d", number) end
  if floor(number) == number and number < 2 ^ 63 and number > -2 ^ 63 and (number ~= 0 or 1 / number > 0) then
    return format(math_type and "%.1f" or "%.0f", number)
  end
  local text
  -- Numbers with few decimals are frequent. Of all others most need 16 or 17 digits.
  if number * 1000 % 1 == 0 or number > -1e-3 and number < 1e-3 then
    text = format("%.14g", number)
    if tonumber(text) == number then return text end
  end
  text = format("%.16g", number)
  if tonumber(text) == number then return text end
  return format("%.17g", number)
end

-- The number of items of a table that is an array, or nothing: then it is an object.
local function array_length(value, meta)
  if meta and (meta == array_meta or meta == empty_array_meta) then
    local longest = 0
    for key in next, value do
      if type(key) == "number" and key > longest and floor(key) == key then longest = key end
    end
    return longest
  end
  local items, longest = 0, 0
  for key in next, value do
    if type(key) ~= "number" or key < 1 or floor(key) ~= key then return nil end
    items = items + 1
    if key > longest then longest = key end
  end
  if items == 0 then
    if settings.empty_as_object then return nil end
    return 0
  end
  if longest > items and longest > settings.sparse_safe and longest > items * settings.sparse_ratio then
    if settings.sparse_convert then return nil end
    fail("Cannot serialise table: excessively sparse array")
  end
  return longest
end

local write

local function write_array(value, length, depth)
  local at = count + 1
  out[at] = length == 0 and "[]" or "["
  local writes_plain = not math_type and not settings.precision
  for i = 1, length do
    local item = rawget(value, i)
    local kind = type(item)
    if kind == "string" then
      if is_plain(item) then
        out[at + 1] = '"'
        out[at + 2] = item
        out[at + 3] = '"'
        at = at + 4
      else
        out[at + 1] = quoted_others(item)
        at = at + 2
      end
    elseif kind == "number" and writes_plain and item > 0 and item < 1e14 and item % 1 == 0 then
      out[at + 1] = item -- table.concat writes it
      at = at + 2
    else
      count = at
      write(item, depth)
      at = count + 1
    end
    out[at] = ","
  end
  if length > 0 then out[at] = "]" end
  count = at
end

-- The quoted key with its colon.
local function key_text(key)
  local kind = type(key)
  if kind == "string" then
    local text = quoted(key) .. ":"
    keys[key] = text
    return text
  end
  if kind == "number" then return '"' .. number_text(key) .. '":' end
  fail("Cannot serialise table: table key must be a number or string")
end

local function write_object(value, depth)
  count = count + 1
  out[count] = "{"
  local start = count
  for key, field in next, value do
    local at = count + 1
    out[at] = keys[key] or key_text(key)
    if type(field) == "string" then
      if is_plain(field) then
        out[at + 1] = '"'
        out[at + 2] = field
        out[at + 3] = '"'
        out[at + 4] = ","
        count = at + 4
      else
        out[at + 1] = quoted_others(field)
        out[at + 2] = ","
        count = at + 2
      end
    else
      count = at
      write(field, depth)
      count = count + 1
      out[count] = ","
    end
  end
  if count == start then out[count] = "{}" else out[count] = "}" end
end

-- `depth` is that of a table that the value may be.
function write(value, depth)
  local kind = type(value)
  if kind == "string" then
    count = count + 1
    out[count] = quoted(value)
  elseif kind == "number" then
    count = count + 1
    -- Small whole numbers are left to table.concat.
    if value % 1 == 0 and value < 1e14 and value > 0 and not math_type and not settings.precision then
      out[count] = value
    else
      out[count] = number_text(value)
    end
  elseif kind == "boolean" then
    count = count + 1
    out[count] = value and "true" or "false"
  elseif value == nil or value == null then
    count = count + 1
    out[count] = "null"
  elseif kind == "table" then
    local meta = getmetatable(value)
    if depth > deepest then fail("Cannot serialise, excessive depth (" .. depth .. ")") end
    local length = array_length(value, meta)
    if length then write_array(value, length, depth + 1) else write_object(value, depth + 1) end
  elseif value == settings.empty_array then
    count = count + 1
    out[count] = "[]"
  else
    fail("Cannot serialise " .. kind .. ": type not supported")
  end
end

-- Where in a value the first fault is, and which; walks as `write` does.
local function find_fault(value, depth, path, open)
  if type(value) ~= "table" or value == null then
    local ok = pcall(write, value, depth)
    return not ok
  end
  if open[value] then
    failure.message = "Cannot serialise a table that contains itself"
    return true
  end
  local ok, length = pcall(array_length, value, getmetatable(value))
  if not ok or depth > deepest then
    if ok then failure.message = "Cannot serialise, excessive depth (" .. depth .. ")" end
    return true
  end
  open[value] = true
  local at = #path + 1
  for key, field in next, value do
    if not length then
      path[at] = nil
      if not pcall(key_text, key) then return true end
    end
    if type(key) == "string" then
      path[at] = find(key, "^[%a_][%w_]*$") and "." .. key or "[" .. format("%q", key) .. "]"
    else
      path[at] = "[" .. tostring(key) .. "]"
    end
    if find_fault(field, depth + 1, path, open) then return true end
  end
  path[at] = nil
  open[value] = nil
  return false
end

local function document(value)
  write(value, 1)
  local text = concat(out, "", 1, count)
  if has_others and settings.checks_utf8 and not is_utf8(text) then fail(not_utf8) end
  return text
end

-- What is wrong with a value that cannot be written, and where.
local function explain(value)
  local message, path = failure.message, {}
  out, count, keys = {}, 0, {}
  is_explaining = true
  local ok, is_found = pcall(find_fault, value, 1, path, {})
  is_explaining = false
  if not ok then error(is_found, 0) end
  if is_found then message = failure.message end
  local place = gsub(concat(path), "^%.", "")
  if #place > 200 then place = "..." .. sub(place, -200) end
  return place == "" and message or message .. " (at " .. place .. ")"
end

-- The text of a value, or nil and why there is none.
local function encode(value, chosen)
  local outer_out, outer_count, outer_keys, outer_settings = out, count, keys, settings
  local outer_null, outer_meta, outer_empty, outer_depth, outer_escapes = null, array_meta, empty_array_meta, deepest, escapes
  settings, null, array_meta, empty_array_meta = chosen, chosen.null, chosen.array_meta, chosen.empty_array_meta
  deepest = chosen.encode_depth
  escapes = chosen.escapes_slash and escaped_slashes or escaped
  local outer_others, outer_explaining = has_others, is_explaining
  has_others, is_explaining = false, false
  out, count, keys = {}, 0, {}
  local ok, result = pcall(document, value)
  local message
  if not ok and result == failure then message = explain(value) end
  out, count, keys, settings = outer_out, outer_count, outer_keys, outer_settings
  null, array_meta, empty_array_meta, deepest, escapes = outer_null, outer_meta, outer_empty, outer_depth, outer_escapes
  has_others, is_explaining = outer_others, outer_explaining
  if ok then return result end
  if not message then error(result, 0) end
  return nil, message
end

return { encode = encode }
