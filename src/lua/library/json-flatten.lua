-- Puts the usual values into a row of pieces, of which the host of a native state makes JSON (json-stream.ts): a part of
-- luafcgid.json. What cannot be written so, and every error, is left to json-encode.lua.

local parts = ...

local host_text = parts.host.jsontext
local getmetatable = debug.getmetatable
local next, error, pcall, tonumber, type = next, error, pcall, tonumber, type
local format, floor, math_type = string.format, math.floor, math.type
-- Without the look at the size of the text, which is taken here.
local concat = parts.stock.original[table.concat] or table.concat

-- Longer texts are left to json-encode.lua.
local most_bytes = 16 * 1024 * 1024
-- Those of the strings of the value that is written now.
local bytes

-- Raised where a value is left to json-encode.lua.
local refusal = {}

-- Pieces that keys become, by what their values are.
local longest_key, most_keys = 100, 1000
local string_keys, plain_keys, float_keys, table_keys = {}, {}, {}, {}
local key_count = 0

local function key_piece(letter, known, key)
  if type(key) ~= "string" then
    if type(key) ~= "number" or floor(key) ~= key or key >= 1e14 or key <= -1e14 then error(refusal, 0) end
    return letter .. format("%d", key)
  end
  local piece = letter .. key
  bytes = bytes + #key
  if #key <= longest_key then
    if key_count == most_keys then string_keys, plain_keys, float_keys, table_keys, key_count = {}, {}, {}, {}, 0 end
    known[key] = piece
    key_count = key_count + 1
  end
  return piece
end

-- The piece of a number, and whether the host has to find out how many of its digits are needed.
local function number_piece(number)
  if math_type and math_type(number) == "integer" then return format("%d", number) end
  if number % 1 == 0 and number < 1e15 and number > -1e15 then
    if number == 0 and 1 / number < 0 then return math_type and "-0.0" or "-0" end
    return format(math_type and "%.1f" or "%d", number)
  end
  if number ~= number or number % 1 == 0 or number - number ~= 0 then error(refusal, 0) end
  if number * 1000 % 1 == 0 then
    local text = format("%.14g", number)
    if tonumber(text) == number then return text end
  end
  return format("%.17g", number), true
end

local null, empty_array, array_meta, empty_array_meta, deepest
local flatten

local function word_piece(value)
  if value == true then return "true" end
  if value == false then return "false" end
  if value == null then return "null" end
  if value == empty_array then return "[]" end
  error(refusal, 0)
end

-- Pieces are put into their row one after the other: an assignment of several would begin with the last one, and the row
-- would become a hash table.
local function flatten_object(value, out, n, depth)
  n = n + 1
  out[n] = "{"
  for key, field in next, value do
    local kind = type(field)
    if kind == "string" then
      out[n + 1] = string_keys[key] or key_piece("s", string_keys, key)
      n = n + 2
      out[n] = field
      bytes = bytes + #field
    elseif kind == "table" then
      out[n + 1] = table_keys[key] or key_piece("t", table_keys, key)
      n = flatten(field, out, n + 1, depth)
    else
      local piece, is_float
      if kind == "number" then
        piece, is_float = number_piece(field)
      else
        piece = word_piece(field)
      end
      out[n + 1] = is_float and (float_keys[key] or key_piece("f", float_keys, key)) or plain_keys[key] or key_piece("j", plain_keys, key)
      n = n + 2
      out[n] = piece
    end
  end
  out[n + 1] = "}"
  return n + 1
end

-- Gives nothing where the keys do not come as 1, 2 and so on.
local function flatten_array(value, out, n, depth)
  n = n + 1
  out[n] = "["
  local index, run, counted = 0, nil, nil
  for key, item in next, value do
    index = index + 1
    if key ~= index then return nil end
    local kind = type(item)
    if kind == "table" then
      if run then
        out[counted] = n - counted
        run = nil
      end
      n = flatten(item, out, n, depth)
    else
      local wanted, piece, is_float = "S", item, nil
      if kind == "string" then
        bytes = bytes + #item
      else
        if kind == "number" then
          piece, is_float = number_piece(item)
        else
          piece = word_piece(item)
        end
        wanted = is_float and "F" or "J"
      end
      if run ~= wanted then
        if run then out[counted] = n - counted end
        run, counted = wanted, n + 2
        out[n + 1] = run
        out[counted] = 0
        n = n + 2
      end
      n = n + 1
      out[n] = piece
    end
  end
  if run then out[counted] = n - counted end
  out[n + 1] = "]"
  return n + 1
end

-- Appends the pieces of a table to the first `n`; gives the number of all.
function flatten(value, out, n, depth)
  if depth > deepest then error(refusal, 0) end
  local meta = getmetatable(value)
  local is_array = meta and (meta == array_meta or meta == empty_array_meta)
  local first = next(value)
  if is_array or first == 1 then
    local count = flatten_array(value, out, n, depth + 1)
    if count then return count end
  end
  -- A table whose first key is a string is no array.
  if is_array or type(first) == "number" then error(refusal, 0) end
  return flatten_object(value, out, n, depth + 1)
end

-- The row of the last value, unless it was large: one that need not grow is written in half the time.
local spare
local most_kept, most_kept_bytes = 2000, 65536

local function document(value, checks_utf8)
  -- A finalizer may write another value meanwhile.
  local out, outer_bytes = spare or {}, bytes
  spare, bytes = nil, 0
  local n = flatten(value, out, 0, 1)
  if n <= most_kept and bytes <= most_kept_bytes then spare = out end
  local is_long = bytes > most_bytes
  bytes = outer_bytes
  if is_long then error(refusal, 0) end
  out[n + 1] = n
  out[n + 2] = checks_utf8 and "1" or "0"
  out[n + 3] = ""
  local ok, text = host_text(concat(out, "\0", 1, n + 3))
  return ok and text
end

-- The text of a table, or nothing where it is left to json-encode.lua.
local function encode(value, checks_utf8)
  local ok, text = pcall(document, value, checks_utf8)
  if ok then return text end
  if text ~= refusal then error(text, 0) end
end

-- Values that stand for something else, and the largest depth.
local function use(settings)
  null, empty_array = settings.null, settings.empty_array
  array_meta, empty_array_meta, deepest = settings.array_meta, settings.empty_array_meta, settings.encode_depth
end

return { encode = encode, use = use }
