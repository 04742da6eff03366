-- Stands in for the module bit of LuaJIT and Debian's lua-bitop: operations on 32 bits, with signed results.

local parts = ...

local host = parts.host
local bad_argument = parts.arguments.bad_in_library
local type, tonumber, select, load, format, sub = type, tonumber, select, load, string.format, string.sub
local floor, tointeger = math.floor, math.tointeger

local bit = {}

local function number(value, position, name)
  local result = tonumber(value)
  if not result then bad_argument(position, name, "number", value, 4) end
  return result
end

-- The nearest integer, and of it the low 32 bits as a signed number.
local magic = 2 ^ 52 + 2 ^ 51
local function to_bits(value)
  if value % 1 ~= 0 then value = (value + magic) - magic end
  value = value % 4294967296
  if value >= 2147483648 then return value - 4294967296 end
  return value
end

if tointeger then
  local as_float = to_bits
  function to_bits(value) return tointeger(as_float(value)) end
end

-- Of numbers that may be any: the operations that all others are made of.
local band, bor, bxor, lshift, rshift

if host.bitop then
  -- The embedded engine's host knows them, by number.
  local bitop = host.bitop
  function band(a, b) return bitop(0, a, b) end
  function bor(a, b) return bitop(1, a, b) end
  function bxor(a, b) return bitop(2, a, b) end
  function lshift(a, n) return bitop(3, a, n) end
  function rshift(a, n) return bitop(4, a, n) end
elseif tointeger then
  -- This text is none of Lua 5.1.
  band, bor, bxor, lshift, rshift = load([[
    local bits = ...
    return function(a, b) return bits(bits(a) & bits(b)) end, function(a, b) return bits(bits(a) | bits(b)) end,
      function(a, b) return bits(bits(a) ~ bits(b)) end, function(a, n) return bits(bits(a) << (n & 31)) end,
      function(a, n) return bits((bits(a) & 0xFFFFFFFF) >> (n & 31)) end]], "=[luafcgid]", "t", {})(to_bits)
else
  -- Sixteen values each way, four bits at a time.
  local ands, xors = {}, {}
  for a = 0, 15 do
    for b = 0, 15 do
      local both, either, place = 0, 0, 1
      for shift = 0, 3 do
        local x, y = floor(a / 2 ^ shift) % 2, floor(b / 2 ^ shift) % 2
        if x + y == 2 then both = both + place elseif x + y == 1 then either = either + place end
        place = place * 2
      end
      ands[a * 16 + b], xors[a * 16 + b] = both, either
    end
  end

  local function combine(a, b, results)
    a, b = to_bits(a) % 4294967296, to_bits(b) % 4294967296
    local result, place = 0, 1
    for _ = 1, 8 do
      local x, y = a % 16, b % 16
      result = result + results[x * 16 + y] * place
      a, b, place = (a - x) / 16, (b - y) / 16, place * 16
    end
    return to_bits(result)
  end

  function band(a, b) return combine(a, b, ands) end
  function bxor(a, b) return combine(a, b, xors) end
  function bor(a, b) return to_bits(band(a, b) + bxor(a, b)) end
  function lshift(a, n) return to_bits((to_bits(a) % 2 ^ (32 - n % 32)) * 2 ^ (n % 32)) end
  function rshift(a, n) return to_bits(floor((to_bits(a) % 4294967296) / 2 ^ (n % 32))) end
end

local function shifts(n) return to_bits(n) % 32 end

local function folded(name, combine)
  bit[name] = function(...)
    local a, b = ...
    local count = select("#", ...)
    a = number(a, 1, name)
    if count == 1 then return to_bits(a) end
    local result = combine(a, number(b, 2, name))
    for position = 3, count do result = combine(result, number((select(position, ...)), position, name)) end
    return result
  end
end

folded("band", band)
folded("bor", bor)
folded("bxor", bxor)

function bit.tobit(a)
  a = number(a, 1, "tobit")
  return to_bits(a)
end

function bit.bnot(a)
  a = number(a, 1, "bnot")
  return -1 - to_bits(a)
end

function bit.lshift(a, n)
  a, n = number(a, 1, "lshift"), number(n, 2, "lshift")
  return lshift(a, shifts(n))
end

function bit.rshift(a, n)
  a, n = number(a, 1, "rshift"), number(n, 2, "rshift")
  return rshift(a, shifts(n))
end

function bit.arshift(a, n)
  a, n = number(a, 1, "arshift"), number(n, 2, "arshift")
  return floor(to_bits(a) / 2 ^ shifts(n))
end

local function rotate(a, n) return bor(lshift(a, n), n == 0 and 0 or rshift(a, 32 - n)) end

function bit.rol(a, n)
  a, n = number(a, 1, "rol"), number(n, 2, "rol")
  return rotate(to_bits(a), shifts(n))
end

function bit.ror(a, n)
  a, n = number(a, 1, "ror"), number(n, 2, "ror")
  return rotate(to_bits(a), shifts(-n))
end

function bit.bswap(a)
  a = to_bits(number(a, 1, "bswap")) % 4294967296
  local b0, b1, b2 = a % 256, floor(a / 256) % 256, floor(a / 65536) % 256
  return to_bits(b0 * 16777216 + b1 * 65536 + b2 * 256 + floor(a / 16777216))
end

function bit.tohex(a, n)
  a = number(a, 1, "tohex")
  n = n == nil and 8 or to_bits(number(n, 2, "tohex"))
  local digits = format(n < 0 and "%08X" or "%08x", to_bits(a) % 4294967296)
  n = n < 0 and -n or n
  return n >= 8 and digits or n == 0 and "" or sub(digits, -n)
end

return bit
