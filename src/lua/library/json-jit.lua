-- What LuaJIT compiles of reading and writing JSON: loops over the bytes of a text, where patterns would not be compiled. A part
-- of luafcgid.json, in luajit alone. Whatever is unusual or wrong is left to json-decode.lua and json-encode.lua.

local ffi = require("ffi")

local cast, bytes_pointer, bytes_array, to_string = ffi.cast, ffi.typeof("const uint8_t *"), ffi.typeof("uint8_t[?]"), ffi.string

local next, sub, tonumber = next, string.sub, tonumber

local M = {}

-- Digits that make a number below this, by a power of ten of at most this exponent, are one operation, which rounds once.
local exact_limit, exact_power = 2 ^ 53, 22
local powers = ffi.new("double[23]")
for power = 0, exact_power do powers[power] = tonumber("1e" .. power) end

-- By letter of an escape: the byte that it means. By byte: the letter of its escape, 1 for `\u00XX`, 0 for none.
local meant, escape = ffi.new("uint8_t[256]"), ffi.new("uint8_t[256]")
for code = 0, 31 do escape[code] = 1 end
escape[127] = 1
for letter, character in next, { ['"'] = '"', ["\\"] = "\\", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" } do
  meant[letter:byte()] = character:byte()
  escape[character:byte()] = letter:byte()
end
meant[47] = 47
local hex_digits = ffi.new("uint8_t[17]", "0123456789abcdef")

-- Room for strings with escapes, replaced by larger ones and not kept when it is large.
local usual_room = 4096
local room, room_bytes = bytes_array(usual_room), usual_room

local function room_for(bytes)
  if bytes <= room_bytes then return room end
  if bytes > 65536 then return bytes_array(bytes) end
  room, room_bytes = bytes_array(2 * bytes), 2 * bytes
  return room
end

-- Whether a string is written as it is.
function M.is_plain(text)
  local bytes = cast(bytes_pointer, text)
  for at = 0, #text - 1 do
    local byte = bytes[at]
    if byte < 32 or byte > 126 or byte == 34 or byte == 92 or byte == 47 then return false end
  end
  return true
end

-- The text of a string between quotes.
function M.quoted(text)
  local bytes, out, to = cast(bytes_pointer, text), room_for(#text * 6 + 2), 1
  out[0] = 34
  for at = 0, #text - 1 do
    local byte = bytes[at]
    local letter = escape[byte]
    if letter == 0 then
      out[to] = byte
      to = to + 1
    else
      out[to] = 92
      if letter == 1 then
        out[to + 1], out[to + 2], out[to + 3] = 117, 48, 48
        out[to + 4], out[to + 5] = hex_digits[byte >= 16 and (byte >= 32 and 7 or 1) or 0], hex_digits[byte % 16]
        to = to + 6
      else
        out[to + 1] = letter
        to = to + 2
      end
    end
  end
  out[to] = 34
  return to_string(out, to + 1)
end

-- The number at a place of a text, and the place after it; nothing where it has an exponent or is wrong.
function M.number(text, at)
  local bytes, last = cast(bytes_pointer, text) - 1, #text
  local from = at
  if bytes[at] == 45 then at = at + 1 end
  local first, value, power = at, 0, 0
  while at <= last and bytes[at] >= 48 and bytes[at] <= 57 do
    value = value * 10 + (bytes[at] - 48)
    at = at + 1
  end
  local digits = at - first
  if digits == 0 or digits > 1 and bytes[first] == 48 then return nil end
  if at <= last and bytes[at] == 46 then
    local fraction = at + 1
    at = fraction
    while at <= last and bytes[at] >= 48 and bytes[at] <= 57 do
      value = value * 10 + (bytes[at] - 48)
      at = at + 1
    end
    power = at - fraction
    if power == 0 then return nil end
  end
  if at <= last and (bytes[at] == 101 or bytes[at] == 69) then return nil end
  if value >= exact_limit or power > exact_power then return tonumber(sub(text, from, at - 1)), at end
  value = value / powers[power]
  if bytes[from] == 45 then value = -value end
  return value, at
end

-- The string whose quote is at a place of a text, and the place after it; nothing where it has `\u` or is wrong.
function M.string(text, at)
  local bytes, last = cast(bytes_pointer, text) - 1, #text
  local stop = at + 1
  while stop <= last and bytes[stop] ~= 34 do
    if bytes[stop] == 92 then stop = stop + 1 end
    stop = stop + 1
  end
  if stop > last then return nil end
  local out, to = room_for(stop - at), 0
  local from = at + 1
  while from < stop do
    local byte = bytes[from]
    if byte < 32 then return nil end
    if byte == 92 then
      byte = meant[bytes[from + 1]]
      if byte == 0 then return nil end
      from = from + 1
    end
    out[to] = byte
    to = to + 1
    from = from + 1
  end
  return to_string(out, to), stop + 1
end

return M
