-- Functions of this server's Lua code look like C functions to a script: those that stand in the place of functions of
-- Lua's library do so to be like them, and a change of one would break this state. So debug.getinfo says "C" of them, hooks
-- do not see what they do, and nothing can change or dump them.
--
-- What these wrappers of the debug library add to the stack is left out where a script gives a level.

local parts = ...

local replace, raise, names = parts.stock.replace, parts.stock.raise, parts.stock.name

local type, pcall, select, next = type, pcall, select, next
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local getinfo = parts.debug.getinfo
local debug_getinfo, traceback = debug.getinfo, debug.traceback
local sethook, gethook = debug.sethook, debug.gethook
local setmetatable, tonumber = setmetatable, tonumber

local own_source = getinfo(1, "S").source
local is_51 = _VERSION == "Lua 5.1"

local function is_own(work)
  return type(work) == "function" and getinfo(work, "S").source == own_source
end

-- By what a script's hook was wrapped into: the hook.
local hooks = setmetatable({}, { __mode = "k" })
local has_hooks = false

-- The level, in a protected call that a wrapper makes, of what its caller knows by another. The wrapper takes the place of
-- the library's function at level 0; what calls the script's hooks is left out.
local function real_level(level)
  level = tonumber(level)
  if not level then return nil end
  if level > 1000000 then return level end -- there is no such one, and C would cut the sum off
  if not has_hooks or level < 1 then return level >= 0 and level + 2 or level end
  local at = 2
  for _ = 1, level do
    at = at + 1
    local info = getinfo(at, "f")
    if not info then return at end
    if hooks[info.func] then at = at + 1 end
  end
  return at
end

-- What debug.getinfo tells of a C function.
local function as_c_function(info)
  if info.source then
    info.what, info.source, info.short_src = "C", "=[C]", "[C]"
    info.linedefined, info.lastlinedefined = -1, -1
  end
  if info.currentline then info.currentline = -1 end
  if info.nups then info.nups = 0 end
  if info.nparams then info.nparams, info.isvararg = 0, true end
  info.activelines = nil
  return info
end

replace(debug, "debug", "getinfo", function(...)
  local ok, info, source
  local first, second = ...
  if type(first) == "thread" then
    ok, info = pcall(debug_getinfo, ...)
    source = ok and info and getinfo(first, second, "S").source
  elseif type(first) == "function" then
    ok, info = pcall(debug_getinfo, ...)
    source = ok and getinfo(first, "S").source
  else
    local level = real_level(first)
    if level then
      ok, info = pcall(debug_getinfo, level, select(2, ...))
      source = ok and info and getinfo(level - 1, "S").source
    else
      ok, info = pcall(debug_getinfo, ...)
    end
  end
  if not ok then raise(info) end
  if info and source == own_source then as_c_function(info) end
  return info
end)

-- A line of a traceback about a function of ours.
local function traceback_line(line)
  local rest = match(line, ": (in .*)$")
  if rest and not find(rest, "<", 1, true) then return "\n\t[C]: " .. rest end
  return is_51 and not jit and "\n\t[C]: ?" or "\n\t[C]: in ?"
end

replace(debug, "debug", "traceback", function(...)
  local first, second = ...
  local ok, text
  if type(first) == "thread" then
    ok, text = pcall(traceback, ...)
  elseif first ~= nil and type(first) ~= "string" and type(first) ~= "number" then
    return first
  else
    local level = real_level(second == nil and 1 or second)
    if select("#", ...) == 0 then
      ok, text = pcall(traceback, "", 3)
      text = sub(text, 2)
    else
      ok, text = pcall(traceback, first, level or second)
    end
  end
  if not ok then raise(text) end
  return type(text) == "string" and gsub(text, "\n\t%[luafcgid%]:[^\n]*", traceback_line) or text
end)

-- Functions that take a level, or a coroutine and a level.
for _, name in next, { "getlocal", "setlocal" } do
  local work = debug[name]
  replace(debug, "debug", name, function(...)
    local first, second = ...
    local ok, a, b
    if type(first) == "thread" or type(first) == "function" then
      ok, a, b = pcall(work, ...)
    else
      ok, a, b = pcall(work, real_level(first) or first, select(2, ...))
    end
    if not ok then raise(a) end
    if b == nil and name == "setlocal" then return a end
    if a ~= nil then return a, b end
    return nil
  end)
end

---- hooks ----

-- Whether a hook would not be called for what happens in the function at level 2 of the hook if ours were C functions.
local function is_hidden(event)
  local level = 3
  local info = getinfo(level, "Sf")
  if event == "line" or event == "count" then return info.source == own_source end
  if info.source ~= own_source and info.what ~= "C" then return false end
  -- A tail call leaves nothing of the function that made it; scripts make one of a wrapper, ours of other functions.
  if info.source == own_source and (event == "tail call" or jit) and not names[info.func] then return true end
  -- A call that ours have made, by a C function or not.
  repeat
    level = level + 1
    info = getinfo(level, "S")
  until not info or info.what ~= "C" and info.what ~= "tail"
  return info ~= nil and info.source == own_source
end

local function wrap_hook(hook)
  local function filter(event, line)
    if is_hidden(event) then return end
    hook(event, line)
  end
  hooks[filter], has_hooks = hook, true
  return filter
end

replace(debug, "debug", "sethook", function(...)
  local first, second = ...
  local ok, message
  if type(first) == "thread" and type(second) == "function" then
    ok, message = pcall(sethook, first, wrap_hook(second), select(3, ...))
  elseif type(first) == "function" then
    ok, message = pcall(sethook, wrap_hook(first), select(2, ...))
  else
    ok, message = pcall(sethook, ...)
  end
  if not ok then raise(message) end
end)

local function script_hook(hook, ...) return hooks[hook] or hook, ... end

replace(debug, "debug", "gethook", function(...) return script_hook(gethook(...)) end)

---- what changes or reads functions: of a C function without upvalues nothing can be had ----

local function results(ok, ...)
  if ok then return true, select("#", ...), ... end
  return false, ...
end

for library_name, functions in next, {
  string = { "dump" }, debug = { "getupvalue", "setupvalue", "upvalueid", "upvaluejoin" }, _G = { "setfenv", "getfenv" },
} do
  local library = _G[library_name] or _G
  for _, name in next, functions do
    local work = library[name]
    if work then
      replace(library, library_name, name, function(...)
        local first, second, third, fourth = ...
        if is_own(first) then first = type end
        if is_own(third) then third = type end
        if library_name == "_G" and type(first) ~= "function" then
          if first == nil and name == "getfenv" then first = 1 end
          local level = tonumber(first)
          if level and level > 0 then first = real_level(level) end
        end
        local count = select("#", ...)
        if count == 0 and first ~= nil then count = 1 end
        local ok, found, a, b
        if count > 3 then ok, found, a, b = results(pcall(work, first, second, third, fourth))
        elseif count == 3 then ok, found, a, b = results(pcall(work, first, second, third))
        elseif count == 2 then ok, found, a, b = results(pcall(work, first, second))
        elseif count == 1 then ok, found, a, b = results(pcall(work, first))
        else ok, found, a, b = results(pcall(work)) end
        if not ok then raise(found) end
        if found == 0 then return end
        if found == 1 then return a end
        return a, b
      end)
    end
  end
end

return true
