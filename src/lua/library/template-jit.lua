-- LuaJIT: writes the pieces of a page into one buffer. The loops become machine code.

local parts = ...

local ffi = require("ffi")
local entities = parts.html.entities
local type, tostring, next, byte = type, tostring, next, string.byte
local copy, cast, to_string, new = ffi.copy, ffi.cast, ffi.string, ffi.new
local bytes_pointer, word_pointer = ffi.typeof("const uint8_t *"), ffi.typeof("uint64_t *")

-- For each byte the entity, as a word that is stored whole, and its length; 0 for bytes that stay.
local words, lengths = new("uint64_t[256]"), new("uint8_t[256]")
for character, entity in next, entities do
  copy(words + byte(character), entity, #entity)
  lengths[byte(character)] = #entity
end
local longest_entity = 6

local size = 65536
local room = new("uint8_t[?]", size)
local largest_kept = 1048576

local function grow(used, needed)
  while size < needed do size = size * 2 end
  local larger = new("uint8_t[?]", size)
  copy(larger, room, used)
  room = larger
end

local function escape_into(at, text, length)
  local from, to = cast(bytes_pointer, text), room
  for i = 0, length - 1 do
    local value = from[i]
    local entity = lengths[value]
    if entity == 0 then
      to[at] = value
      at = at + 1
    else
      cast(word_pointer, to + at)[0] = words[value]
      at = at + entity
    end
  end
  return at
end

-- Appends the pieces; gives the end, or nil when one is neither string, number nor table of pieces.
local function append(out, at)
  local i = 1
  while true do
    local plain = out[i]
    if plain == nil then return at end
    if type(plain) == "table" then
      at = append(plain, at)
      if not at then return nil end
    else
      if type(plain) ~= "string" then
        if type(plain) ~= "number" then return nil end
        plain = tostring(plain)
      end
      local length = #plain
      if at + length > size then grow(at, at + length) end
      copy(room + at, plain, length)
      at = at + length
      local value = out[i + 1]
      if type(value) ~= "string" then
        if type(value) ~= "number" then return nil end
        value = tostring(value)
      end
      length = #value
      if length > 0 then
        local needed = at + length * longest_entity + 8
        if needed > size then grow(at, needed) end
        at = escape_into(at, value, length)
      end
    end
    i = i + 2
  end
end

local function join(out)
  local last = append(out, 0)
  local text = last and to_string(room, last)
  if size > largest_kept then
    size = 65536
    room = new("uint8_t[?]", size)
  end
  return text
end

return { join = join }
