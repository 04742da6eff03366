-- Reading JSON (RFC 8259): a part of luafcgid.json.

local parts = ...

local is_utf8 = parts.utf8.is_valid
local error, pcall, tonumber, type, setmetatable = error, pcall, tonumber, type, setmetatable
local byte, char, find, match, sub, concat = string.byte, string.char, string.find, string.match, string.sub, table.concat
local floor, lower = math.floor, string.lower

-- Of the text that is read now. A finalizer or a hook may read another one meanwhile: `decode` brings these back.
local text, null, array_meta, deepest, takes_invalid_numbers
-- Whether any string of the text may hold a backslash, or a control character.
local has_escapes, has_controls

-- What is wrong with the text; raised as an error that no script sees.
local failure = {}

local function fail(wanted, at)
  local found = "end of the text"
  if at <= #text then
    local token = match(text, "^[%w_.+-]+", at) or sub(text, at, at)
    found = #token > 20 and sub(token, 1, 20) .. "..." or token
    found = find(found, "^[\32-\126]+$") and "'" .. found .. "'" or "the byte " .. byte(text, at)
  end
  failure.message = "Expected " .. wanted .. " but found " .. found .. " at character " .. at
  error(failure, 0)
end

local function fail_with(message, at)
  failure.message = message .. " at character " .. at
  error(failure, 0)
end

-- The next byte that is no space, and its place.
local function token(at)
  local first = byte(text, at)
  if first and first > 32 then return first, at end
  at = find(text, "[^ \n\r\t]", at) or #text + 1
  return byte(text, at), at
end

local escapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function utf8_of(code)
  if code < 0x80 then return char(code) end
  local last = 0x80 + code % 64
  code = floor(code / 64)
  if code < 0x20 then return char(0xC0 + code, last) end
  local third = 0x80 + code % 64
  code = floor(code / 64)
  if code < 0x10 then return char(0xE0 + code, third, last) end
  return char(0xF0 + floor(code / 64), 0x80 + code % 64, third, last)
end

-- The character of an escape `\uXXXX` at a backslash, or of two that are a pair of surrogates, and what follows it.
local function unicode_escape(at)
  local digits = match(text, "^u(%x%x%x%x)", at + 1)
  local code = digits and tonumber(digits, 16)
  if not code then fail_with("Invalid unicode escape", at) end
  if code < 0xD800 or code > 0xDFFF then return utf8_of(code), at + 6 end
  local low = code < 0xDC00 and match(text, "^\\u([dD][c-fC-F]%x%x)", at + 6)
  if not low then fail_with("Half a surrogate pair in a unicode escape", at) end
  return utf8_of(0x10000 + (code - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00), at + 12
end

local compiled = jit and parts.json_jit

-- The string whose quote is at `at`, and the place after it: for strings with escapes.
local function long_string(at)
  if compiled then
    local result, after = compiled.string(text, at)
    if after then return result, after end
  end
  local pieces, count, from = {}, 0, at + 1
  while true do
    local stop = find(text, '["\\%c]', from)
    while stop and byte(text, stop) == 127 do stop = find(text, '["\\%c]', stop + 1) end
    if not stop then fail_with("Unfinished string", at) end
    count = count + 1
    pieces[count] = sub(text, from, stop - 1)
    local found = byte(text, stop)
    if found == 34 then return concat(pieces, "", 1, count), stop + 1 end
    if found ~= 92 then fail_with("Control character in a string", stop) end
    count = count + 1
    local escape = sub(text, stop + 1, stop + 1)
    if escape == "u" then
      pieces[count], from = unicode_escape(stop)
    else
      pieces[count] = escapes[escape] or fail_with("Invalid escape", stop)
      from = stop + 2
    end
  end
end

-- The same for any string. The search for a plain character is several times as fast as one for a pattern.
local function short_string(at)
  local stop = find(text, '"', at + 1, true)
  if not stop then return long_string(at) end
  local content = sub(text, at + 1, stop - 1)
  if has_escapes and find(content, "\\", 1, true) or has_controls and find(content, "%c") then return long_string(at) end
  return content, stop + 1
end

local function number(at)
  if compiled then
    local result, after = compiled.number(text, at)
    if after then return result, after end
  end
  local _, last = find(text, "^-?%d+", at)
  if not last then return nil end
  local after = last + 1
  local digits = sub(text, at, last)
  if find(digits, "^-?0%d") then fail("a number", at) end
  local fraction, exponent
  if byte(text, after) == 46 then
    fraction, after = match(text, "^(%.%d+)()", after)
    if not fraction then fail("a number", at) end
  end
  local first = byte(text, after)
  if first == 101 or first == 69 then
    exponent, after = match(text, "^([eE][+-]?%d+)()", after)
    if not exponent then fail("a number", at) end
  end
  return tonumber(digits .. (fraction or "") .. (exponent or "")), after
end

local words = { n = { "null" }, t = { "true", true }, f = { "false", false } }
local invalid_numbers = { nan = 0 / 0, inf = 1 / 0, infinity = 1 / 0 }

local function word(at)
  local found = match(text, "^%a+", at)
  local known = found and words[sub(found, 1, 1)]
  if known and known[1] == found then
    if found == "null" then return null, at + 4 end
    return known[2], at + #found
  end
  if takes_invalid_numbers then
    local sign, name = match(text, "^(-?)(%a+)", at)
    local value = name and invalid_numbers[lower(name)]
    if value then return sign == "-" and -value or value, at + #sign + #name end
  end
  fail("value", at)
end

local array, object

-- The value that begins with the byte `first` at `at`, and the place after it.
local function value(first, at, depth)
  if first == 34 then return short_string(at) end
  if first == 123 then return object(at, depth) end
  if first == 91 then return array(at, depth) end
  if first and (first == 45 or first >= 48 and first <= 57) then
    local result, after = number(at)
    if result then return result, after end
  end
  return word(at)
end

function array(at, depth)
  if depth > deepest then fail_with("Found too many nested data structures (" .. depth .. ")", at) end
  local items, count = {}, 0
  if array_meta then setmetatable(items, array_meta) end
  local first
  first, at = token(at + 1)
  if first == 93 then return items, at + 1 end
  while true do
    count = count + 1
    items[count], at = value(first, at, depth + 1)
    first, at = token(at)
    if first == 93 then return items, at + 1 end
    if first ~= 44 then fail("comma or array end", at) end
    first, at = token(at + 1)
  end
end

function object(at, depth)
  if depth > deepest then fail_with("Found too many nested data structures (" .. depth .. ")", at) end
  local fields = {}
  local first
  first, at = token(at + 1)
  if first == 125 then return fields, at + 1 end
  while true do
    if first ~= 34 then fail("object key string", at) end
    local name, after = short_string(at)
    first = byte(text, after)
    if first ~= 58 then
      first, after = token(after)
      if first ~= 58 then fail("colon", after) end
    end
    first, after = token(after + 1)
    fields[name], at = value(first, after, depth + 1)
    first, at = token(at)
    if first == 125 then return fields, at + 1 end
    if first ~= 44 then fail("comma or object end", at) end
    first, at = token(at + 1)
  end
end

local function document()
  local first, at = token(1)
  local result
  result, at = value(first, at, 1)
  first, at = token(at)
  if first then fail("the end", at) end
  return result
end

local function has_control_characters(json)
  if #json < 400 then return find(json, "%c") ~= nil end
  for code = 0, 31 do
    if find(json, char(code), 1, true) then return true end
  end
  return false
end

-- The value of a text, or nil and what is wrong with it.
local function decode(json, settings)
  if settings.checks_utf8 and not is_utf8(json) then return nil, "The text is not UTF-8" end
  local outer_text, outer_null, outer_meta, outer_depth, outer_takes = text, null, array_meta, deepest, takes_invalid_numbers
  local outer_escapes, outer_controls = has_escapes, has_controls
  text, null, array_meta, deepest = json, settings.null, settings.array_meta, settings.decode_depth
  takes_invalid_numbers = settings.decode_invalid_numbers
  has_escapes, has_controls = find(json, "\\", 1, true) ~= nil, has_control_characters(json)
  local ok, result = pcall(document)
  text, null, array_meta, deepest, takes_invalid_numbers = outer_text, outer_null, outer_meta, outer_depth, outer_takes
  has_escapes, has_controls = outer_escapes, outer_controls
  if ok then return result end
  if result ~= failure then error(result, 0) end
  return nil, failure.message
end

return { decode = decode }
