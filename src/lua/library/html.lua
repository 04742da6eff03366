-- Escaping for HTML: a part of the module luafcgid.

local parts = ...

-- Escapes strings faster than Lua can; only the embedded engine's host has it, and not for long strings.
local host_escape = parts.host.escape
local text_argument = parts.arguments.text

local type, next = type, next
local gsub = string.gsub

local M = parts.luafcgid

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
  if type(value) ~= "string" then value = text_argument(value, 1, "escape") end
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

return { entities = entities }
