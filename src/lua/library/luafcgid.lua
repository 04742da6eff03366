-- The module luafcgid: helpers that web scripts need most. require("luafcgid") gives it.

--- ## The module luafcgid
---
--- Helpers that web scripts need most. The module is part of the server; nothing has to be installed.
---
--- ```lua
--- local luafcgid = require("luafcgid")
--- ```
---
--- `luafcgid.version` is the version of the server, as `env.LUAFCGID_VERSION`.

-- `host_escape` escapes strings faster than Lua can; only the embedded engine's host has it, and not for long strings.
local version, host_escape = ...

local type, tostring, tonumber, error, next, pcall = type, tostring, tonumber, error, next, pcall
local rawget = rawget
local find, gsub, gmatch, sub, char = string.find, string.gsub, string.gmatch, string.sub, string.char
local byte, format, setmetatable = string.byte, string.format, setmetatable
local concat, floor, huge, math_type = table.concat, math.floor, math.huge, math.type

local lowest_integer = math.mininteger

local M = { version = version }

-- The text of a string or number; anything else is an error of the caller's caller.
local function text_argument(value, name)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  error("bad argument #1 to '" .. name .. "' (string expected, got " .. (value == nil and "nil" or kind) .. ")", 3)
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- luafcgid.escape(text)
---
--- Makes a string or number safe for HTML, as content and as a quoted attribute value: `&`, `<`, `>`, `"` and `'`
--- become entities.
---
--- Errors: neither string nor number.
--- Example: con:puts("<p>", luafcgid.escape(env.QUERY_STRING), "</p>")
function M.escape(value)
  -- The usual case without a call more; to look first whether there is anything to replace is no faster.
  if type(value) ~= "string" then value = text_argument(value, "escape") end
  local text = gsub(value, "[&<>\"']", entities)
  return text
end

if host_escape then
  local escape = M.escape

  function M.escape(value)
    return type(value) == "string" and host_escape(value) or escape(value)
  end
end

-- LuaJIT compiles a loop over bytes into machine code, but calls of the library's pattern functions end its traces.
if jit then
  local ffi = require("ffi")
  local copy, cast, to_string = ffi.copy, ffi.cast, ffi.string
  local bytes_pointer, word_pointer = ffi.typeof("const uint8_t *"), ffi.typeof("uint64_t *")
  -- For each byte the entity, as a word that is stored whole, and its length; 0 for bytes that stay.
  local words, lengths = ffi.new("uint64_t[256]"), ffi.new("uint8_t[256]")
  for character, entity in next, entities do
    copy(words + character:byte(), entity, #entity)
    lengths[character:byte()] = #entity
  end
  -- Room for texts of this length, all of whose bytes become the longest entity. A longer text is rare.
  local longest = 4096
  local room = ffi.new("uint8_t[?]", 6 * longest + 8)
  local escape = M.escape

  function M.escape(value)
    if type(value) ~= "string" or #value > longest then return escape(value) end
    local text, length = cast(bytes_pointer, value), #value
    local at = 0
    while at < length and lengths[text[at]] == 0 do at = at + 1 end
    if at == length then return value end
    copy(room, text, at)
    local to = at
    while at < length do
      local byte = text[at]
      local entity_length = lengths[byte]
      if entity_length == 0 then
        room[to] = byte
        to = to + 1
      else
        cast(word_pointer, room + to)[0] = words[byte]
        to = to + entity_length
      end
      at = at + 1
    end
    return to_string(room, to)
  end
end

-- Made as they are needed: each state has its own.
local encoded = setmetatable({ [" "] = "+" }, {
  __index = function(escapes, character)
    local escape = format("%%%02X", byte(character))
    escapes[character] = escape
    return escape
  end,
})

--- luafcgid.urlencode(text)
---
--- Encodes a string or number for a query string or a form body: letters, digits and `- . _ ~` stay, a space becomes
--- `+`, all other bytes become `%XX`. Gives nil for nil.
---
--- Errors: another type.
--- Example: con:redirect("/search.lua?word=" .. luafcgid.urlencode("bread & butter"))
function M.urlencode(value)
  if value == nil then return nil end
  return (gsub(text_argument(value, "urlencode"), "[^%w%-%._~]", encoded))
end

local function from_hex(digits)
  return char(tonumber(digits, 16))
end

local function decode(text)
  if not find(text, "[%%+]") then return text end
  return (gsub(gsub(text, "%+", " "), "%%(%x%x)", from_hex))
end

--- luafcgid.urldecode(text)
---
--- The inverse of `urlencode`. What is no valid escape stays as it is. Gives nil for nil.
---
--- Errors: neither string, number nor nil.
--- Example: assert(luafcgid.urldecode("bread+%26+butter") == "bread & butter")
function M.urldecode(value)
  if value == nil then return nil end
  return decode(text_argument(value, "urldecode"))
end

-- Adds a field to a table of fields; a second value makes it a list. `lists` remembers which values are lists.
local function add_field(fields, lists, name, value)
  local present = fields[name]
  if present == nil then
    fields[name] = value
  elseif lists[name] then
    present[#present + 1] = value
  else
    fields[name] = { present, value }
    lists[name] = true
  end
end

--- luafcgid.parse(text)
---
--- The fields of a query string or of a form body, as a table from name to value, both decoded. A name without `=` has
--- the value `""`. A name that comes more than once has a list of its values. Gives an empty table for nil.
---
--- Errors: neither string, number nor nil.
--- Example: assert(luafcgid.parse("a=1&b=2&b=3").b[2] == "3")
--- C daemon: failed on a name without `=`, cut values at their second `=`, and kept one value of each name.
function M.parse(value)
  local fields, lists = {}, {}
  if value == nil then return fields end
  for pair in gmatch(text_argument(value, "parse"), "[^&]+") do
    local equals = find(pair, "=", 1, true)
    if equals then
      add_field(fields, lists, decode(sub(pair, 1, equals - 1)), decode(sub(pair, equals + 1)))
    else
      add_field(fields, lists, decode(pair), "")
    end
  end
  return fields
end

---- serialize ----

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
  local text
  for digits = 14, 17 do
    text = format("%." .. digits .. "g", number)
    if tonumber(text) == number then break end
  end
  -- Where Lua has integers, a float must not come back as one.
  return math_type and not find(text, "[.e]") and text .. ".0" or text
end

local serialize_value

local function fail(what, path)
  error("cannot serialize " .. what .. (#path == 0 and "" or " (at " .. concat(path) .. ")"), 0)
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
    path[depth] = "[" .. length .. "]"
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

--- luafcgid.serialize(value)
---
--- Gives Lua source that makes the value again: `loadstring("return " .. s)()` (in Lua 5.4 `load`). Values are strings, numbers, booleans,
--- nil and tables of these. Tables that are used twice are written twice.
---
--- Errors: functions, threads and userdata; a table that contains itself; more than 180 nested tables.
--- Example: assert(loadstring("return " .. luafcgid.serialize({ 1, "two" }))()[2] == "two")
--- C daemon: wrote tables that did not load.
function M.serialize(value)
  local ok, result = pcall(serialize_value, value, {}, {})
  if not ok then error(result, 2) end
  return result
end

-- For the parts of the server that build on this module; not part of the interface.
local internal = { add_field = add_field }

return M, internal
