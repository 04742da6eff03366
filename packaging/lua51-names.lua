-- Names of Lua 5.1 that Lua 5.4 does not have, for software that is written for 5.1:
--
--   engine = "lua5.4"
--   preload = "/path/of/this/file/lua51-names.lua"
--
-- It changes nothing with other engines. What differs in the language itself stays as it is in 5.4: `goto` is a word, integers are
-- printed without ".0" only where they are integers, `#` and `%d` look at what a number is, and a `for` loop keeps no upvalue of its variable.

if _VERSION == "Lua 5.1" then return end

local debug, error, type, tostring = debug, error, type, tostring

unpack = unpack or table.unpack
loadstring = loadstring or load
table.getn = table.getn or function(list) return #list end
table.maxn = table.maxn or function(list)
  local largest = 0
  for key in next, list do
    if type(key) == "number" and key > largest then largest = key end
  end
  return largest
end
math.pow = math.pow or function(base, exponent) return base ^ exponent end
math.log10 = math.log10 or function(number) return math.log(number, 10) end
math.mod = math.mod or math.fmod
math.ldexp = math.ldexp or function(fraction, exponent) return fraction * 2.0 ^ exponent end
string.gfind = string.gfind or string.gmatch
package.loaders = package.loaders or package.searchers

-- Which upvalue of a function is its table of globals; nil: it uses none.
local function globals_upvalue(work)
  for at = 1, 255 do
    local name = debug.getupvalue(work, at)
    if name == "_ENV" then return at end
    if not name then return nil end
  end
end

-- The function that is meant by a function, or by a level of the stack of whoever has called the caller of this one.
local function function_of(what, name)
  if type(what) == "function" then return what end
  if what == nil then what = 1 end
  if type(what) ~= "number" or what < 0 then
    error("bad argument #1 to '" .. name .. "' (number expected, got " .. type(what) .. ")", 3)
  end
  if what == 0 then return nil end
  local info = debug.getinfo(what + 2, "f")
  if not info then error("bad argument #1 to '" .. name .. "' (invalid level)", 3) end
  return info.func
end

function setfenv(what, globals)
  if type(globals) ~= "table" then error("bad argument #2 to 'setfenv' (table expected, got " .. type(globals) .. ")", 2) end
  local work = function_of(what, "setfenv")
  if not work then error("bad argument #1 to 'setfenv' (Lua 5.4 has no globals of a thread)", 2) end
  local at = globals_upvalue(work)
  -- A variable of its own: other functions that share this one keep theirs.
  if at then debug.upvaluejoin(work, at, function() return globals end, 1) end
  return work
end

function getfenv(what)
  local work = function_of(what, "getfenv")
  local at = work and globals_upvalue(work)
  if not at then return _G end
  local _, globals = debug.getupvalue(work, at)
  return globals
end

function package.seeall(module_table)
  local meta = getmetatable(module_table)
  if not meta then
    meta = {}
    setmetatable(module_table, meta)
  end
  meta.__index = _G
end

-- The table at `a.b.c` of the globals, made where it is not there; nil when something else is.
local function find_table(name)
  local found = _G
  for part in name:gmatch("[^.]+") do
    local next_one = rawget(found, part)
    if next_one == nil then
      next_one = {}
      found[part] = next_one
    elseif type(next_one) ~= "table" then
      return nil
    end
    found = next_one
  end
  return found
end

function module(name, ...)
  if type(name) ~= "string" then error("bad argument #1 to 'module' (string expected, got " .. type(name) .. ")", 2) end
  local own = package.loaded[name]
  if type(own) ~= "table" then
    own = find_table(name)
    if not own then error("name conflict for module '" .. tostring(name) .. "'", 2) end
    package.loaded[name] = own
  end
  if own._NAME == nil then
    own._M, own._NAME, own._PACKAGE = own, name, name:match("^(.*%.)[^.]*$") or ""
  end
  setfenv(2, own)
  for at = 1, select("#", ...) do (select(at, ...))(own) end
end
