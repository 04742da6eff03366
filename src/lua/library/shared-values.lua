-- Values of shared dictionaries as they lie in a data source, and times to live.

local parts = ...

local error, tonumber, type = error, tonumber, type
local find, floor, format, huge, sub = string.find, math.floor, string.format, math.huge, string.sub
local integer_type, to_integer = math.type, math.tointeger

-- A value as text: the flags, if it has any, a letter, and the value as text.
local KINDS = { s = true, n = true, i = true, t = true, f = true }

local function encode(value, flags, name, level)
  local kind = type(value)
  local text
  if kind == "string" then
    text = "s" .. value
  elseif kind == "boolean" then
    text = value and "t" or "f"
  elseif kind == "number" then
    local is_integer = integer_type and integer_type(value) == "integer"
    text = is_integer and "i" .. format("%d", value) or "n" .. format("%.17g", value)
  else
    error("bad argument to '" .. name .. "' (string, number or boolean expected, got " .. kind .. "; encode it first)", level)
  end
  if flags and flags ~= 0 then return format("%.17g", flags) .. text end
  return text
end

local function to_number(text)
  if find(text, "nan", 1, true) then return 0 / 0 end
  if find(text, "inf", 1, true) then return sub(text, 1, 1) == "-" and -huge or huge end
  return tonumber(text)
end

local function decode(text)
  local _, last, flags, kind = find(text, "^([%d.e+-]*)([snitf])")
  if not KINDS[kind] then return text end
  local value = sub(text, last + 1)
  if kind == "t" or kind == "f" then
    value = kind == "t"
  elseif kind == "i" then
    value = tonumber(value)
  elseif kind == "n" then
    value = to_number(value)
    if to_integer then value = value * 1.0 end
  end
  return value, flags ~= "" and to_number(flags) or nil
end

-- Milliseconds, as text.
local function ttl_of(ttl, name)
  if ttl == nil then return "0" end
  if type(ttl) ~= "number" or not (ttl >= 0 and ttl < 1e12) then
    error("bad argument to '" .. name .. "' (number of seconds expected)", 3)
  end
  return format("%.0f", ttl == 0 and 0 or floor(ttl * 1000) + (ttl < 0.001 and 1 or 0))
end

return { encode = encode, decode = decode, ttl_of = ttl_of }
