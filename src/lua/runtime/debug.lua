-- The debug library without what takes numbers for functions, and, in native engines, without the ways to functions and
-- objects of C that would end the process or load precompiled chunks that are refused. Likewise LuaJIT's profiler.

local parts = ...

local host, stock = parts.host, parts.stock
local replace, raise, bad_argument = stock.replace, stock.raise, stock.bad_argument

local G = _G
local type, select, pcall, tonumber, next, error = type, select, pcall, tonumber, next, error
local find, sub = string.find, string.sub
local running = coroutine.running
local debug = debug
local getinfo = debug.getinfo

local is_native = host.hasroom ~= nil
local is_51 = _VERSION == "Lua 5.1"
local own_source = getinfo(1, "S").source

local library = { getinfo = getinfo, getlocal = debug.getlocal, traceback = debug.traceback }

-- What a wrapper stands for is shown as the wrapper.
local function shown(value)
  if is_native and type(value) == "function" then
    for wrapper, original in next, stock.original do
      if original == value then return wrapper end
    end
  end
  return value
end

-- A level as the wrapped function counts it when a wrapper calls it protected: it and pcall are on the stack as well.
-- Numbers that are no level stay what they are.
local function deeper(level)
  local number = tonumber(level)
  if number and number >= 0 and number < 2 ^ 30 then return number + 2 end
  return level
end

replace(debug, "debug", "getinfo", function(...)
  local thread, level, what = nil, ...
  local count, at = select("#", ...), 2
  if type(level) == "thread" then
    thread, level, what = ...
    at = 3
  end
  -- Lua 5.1 and LuaJIT take the value on top of the stack for a function then, whatever it is.
  if type(what) == "string" and find(what, ">", 1, true) then
    bad_argument(at, is_51 and "invalid option" or "invalid option '>'")
  end
  local ok, info
  if thread and thread ~= running() then
    ok, info = pcall(getinfo, ...)
  elseif count < at - 1 or (type(level) ~= "number" and type(level) ~= "string") then
    ok, info = pcall(getinfo, ...)
  elseif what == nil then
    ok, info = pcall(getinfo, deeper(level))
  else
    ok, info = pcall(getinfo, deeper(level), what)
  end
  if not ok then raise(info) end
  if is_native and info and info.func then info.func = shown(info.func) end
  return info
end)

-- Lua 5.1 tells of a level below zero 2^31 times, in one call of C.
local traceback = debug.traceback
local most_levels = 2 ^ 20

replace(debug, "debug", "traceback", function(...)
  local thread, message, level = nil, ...
  if type(message) == "thread" then thread, message, level = ... end
  local number = tonumber(level)
  if number and not (number >= 0 and number < most_levels) then number = most_levels end
  if thread and thread ~= running() then
    if number then return traceback(thread, message, number) end
    return traceback(...)
  end
  if select("#", ...) == 0 then
    local text = traceback("", 2)
    return (sub(text, 2))
  end
  if level ~= nil and not number then
    local ok, text = pcall(traceback, ...)
    if not ok then raise(text) end
    return text
  end
  local text = traceback(message, (number or 1) + 1)
  return text
end)

if not is_native then return library end

---- native engines ----

-- Functions of this server and of C tell nothing of what is inside of them.
local function is_closed(value)
  if type(value) ~= "function" then return false end
  local info = getinfo(value, "S")
  return info.what == "C" or info.source == own_source
end

local getupvalue, setupvalue = debug.getupvalue, debug.setupvalue

replace(debug, "debug", "getupvalue", function(...)
  if is_closed((...)) then return end
  local ok, name, value = pcall(getupvalue, ...)
  if not ok then raise(name) end
  if name == nil then return end
  return name, shown(value)
end)

replace(debug, "debug", "setupvalue", function(...)
  if is_closed((...)) then return end
  local ok, name = pcall(setupvalue, ...)
  if not ok then raise(name) end
  return name
end)

for _, name in next, { "upvalueid", "upvaluejoin" } do
  local work = debug[name]
  if work then
    replace(debug, "debug", name, function(...)
      local one, _, other = ...
      if is_closed(one) then bad_argument(1, "invalid upvalue index") end
      if is_closed(other) then bad_argument(3, "invalid upvalue index") end
      local ok, result = pcall(work, ...)
      if not ok then raise(result) end
      return result
    end)
  end
end

-- Variables of calls: none of this server's own functions.
for _, name in next, { "getlocal", "setlocal" } do
  local work = debug[name]
  replace(debug, "debug", name, function(...)
    local thread, level = nil, ...
    local ok, variable, value
    if type(level) == "thread" then
      thread, level = ...
      if thread ~= running() and type(level) == "number" then
        local known, info = pcall(getinfo, thread, level, "f")
        if known and info and is_closed(info.func) then return end
      end
      ok, variable, value = pcall(work, ...)
    elseif type(level) == "number" or type(level) == "string" then
      local number = tonumber(level)
      local info = number and number >= 0 and number < 2 ^ 30 and getinfo(number + 1, "f")
      if info and is_closed(info.func) then return end
      ok, variable, value = pcall(work, deeper(level), select(2, ...))
    else
      ok, variable, value = pcall(work, ...)
    end
    if not ok then raise(variable) end
    if value == nil then return variable end
    return variable, shown(value)
  end)
end

-- C libraries tell their userdata by metatables that lie in the registry under names. Scripts get a copy of the registry,
-- and such a metatable belongs to the objects that the library has made: with another, C code would take any memory for
-- one of its own objects.
local registry, setmetatable, getmetatable = debug.getregistry(), debug.setmetatable, debug.getmetatable

replace(debug, "debug", "getregistry", function()
  local copy = {}
  for key, value in next, registry do
    local kind = type(key)
    local is_loader = kind == "string" and (key == "_LOADLIB" or key == "_CLIBS" or find(key, "^LOADLIB: "))
    if (kind == "string" or kind == "number") and not is_loader then copy[key] = shown(value) end
  end
  return copy
end)

replace(debug, "debug", "setmetatable", function(...)
  local value, meta = ...
  if type(value) == "userdata" and getmetatable(value) ~= meta then
    for key, registered in next, registry do
      if type(key) == "string" and (registered == meta or registered == getmetatable(value)) and type(registered) == "table" then
        error("the metatable of a C library cannot be given to another object, nor taken from one", 2)
      end
    end
  end
  local ok, result = pcall(setmetatable, ...)
  if not ok then raise(result) end
  return result
end)

---- Lua 5.1 and LuaJIT: the environments of C functions and userdata belong to C ----

if getfenv then
  local getfenv, debug_getfenv, debug_setfenv = getfenv, debug.getfenv, debug.setfenv

  local function is_of_c(value)
    return type(value) == "userdata" or (type(value) == "function" and getinfo(value, "S").what == "C")
  end

  replace(G, "_G", "getfenv", function(...)
    local of = ...
    if is_of_c(of) then return G end
    local ok, result
    if of == nil then
      ok, result = pcall(getfenv, 3)
    elseif tonumber(of) and tonumber(of) > 0 then
      ok, result = pcall(getfenv, deeper(of))
    else
      ok, result = pcall(getfenv, ...)
    end
    if not ok then raise(result) end
    return result
  end)

  replace(debug, "debug", "getfenv", function(...)
    if is_of_c((...)) then return G end
    local ok, result = pcall(debug_getfenv, ...)
    if not ok then raise(result) end
    return result
  end)

  replace(debug, "debug", "setfenv", function(...)
    if is_of_c((...)) then error("'setfenv' cannot change environment of given object", 2) end
    local ok, result = pcall(debug_setfenv, ...)
    if not ok then raise(result) end
    return result
  end)
end

---- Lua 5.1: unpack counts in 32 bits ----

if unpack and not G.jit then
  local unpack = unpack
  local most = 1000000

  replace(G, "_G", "unpack", function(...)
    local list, from, to = ...
    if from == nil and to == nil and type(list) == "table" then return unpack(list) end
    local first = from == nil and 1 or tonumber(from)
    local last = to == nil and type(list) == "table" and #list or tonumber(to)
    if type(list) == "table" and first and last then
      if last < first then return end
      if not (last - first < most and first > -2 ^ 31 and last < 2 ^ 31) then error("too many results to unpack", 2) end
      return unpack(list, first, last)
    end
    local ok, message = pcall(unpack, ...)
    if not ok then raise(message) end
  end)
end

---- LuaJIT's profiler: an error in its function ends the process, and its timer, of the process, outlives the state ----

if G.jit then
  package.preload["jit.profile"] = function()
    error("jit.profile would end the server, by an error in its function or when its state is closed; use luafcgid run --profile", 0)
  end
end

return library
