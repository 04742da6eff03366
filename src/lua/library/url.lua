-- URLs, query strings and form bodies: a part of the module luafcgid.

local parts = ...

local text_argument = parts.arguments.text

local tonumber, setmetatable = tonumber, setmetatable
local find, gsub, gmatch, sub = string.find, string.gsub, string.gmatch, string.sub
local char, byte, format, huge = string.char, string.byte, string.format, math.huge

local M = parts.luafcgid

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
  return (gsub(text_argument(value, 1, "urlencode"), "[^%w%-%._~]", encoded))
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
  return decode(text_argument(value, 1, "urldecode"))
end

-- For the parts that read fields; not part of the module. Adds a field to a table of fields; a second value makes it a list. `lists` remembers which values are lists.
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

-- The fields of a query string; nil when there are more than `most`.
local function parse(text, most)
  local fields, lists, count = {}, {}, 0
  for pair in gmatch(text, "[^&]+") do
    count = count + 1
    if count > most then return nil end
    local equals = find(pair, "=", 1, true)
    if equals then
      add_field(fields, lists, decode(sub(pair, 1, equals - 1)), decode(sub(pair, equals + 1)))
    else
      add_field(fields, lists, decode(pair), "")
    end
  end
  return fields
end

--- luafcgid.parse(text)
---
--- The fields of a query string or of a form body, as a table from name to value, both decoded. A name without `=` has
--- the value `""`. A name that comes more than once has a list of its values. Gives an empty table for nil.
---
--- Errors: neither string, number nor nil.
--- Example: assert(luafcgid.parse("a=1&b=2&b=3").b[2] == "3")
--- C daemon: failed on a name without `=`, and cut values at their second `=`.
function M.parse(value)
  return value == nil and {} or parse(text_argument(value, 1, "parse"), huge)
end

return { decode = decode, add_field = add_field, parse = parse }
