-- Lua 5.1 and LuaJIT: a module that failed can be required again. Their `require` marks in package.loaded that a module is
-- being loaded and leaves the mark there when that fails, so that later requests would be told "loop or previous error"
-- and not the reason. Here the mark is kept outside of the table, and counts as long as a call of `require` is at it.

if _VERSION ~= "Lua 5.1" then return end

local require, loaded, rawget, rawset, setmetatable = require, package.loaded, rawget, rawset, setmetatable
local getinfo, getlocal = debug.getinfo, debug.getlocal
local running, status = coroutine.running, coroutine.status

-- The mark: what is there while a module is being loaded.
local mark
local probe = "luafcgid.probe"
package.preload[probe] = function() mark = loaded[probe] end
require(probe)
package.preload[probe], loaded[probe] = nil, nil

-- By name of the module: the coroutine that loads it, or true for none.
local loading = {}

-- A call of `require` has more on its stack when it asks what its loader has left than when it begins.
local values_at_start = jit and 4 or 2

-- Whether a call of `require` further up on a stack, from this level on, is at this module.
local function is_at(name, level)
  local thread = loading[name]
  local here = running() or true
  if thread ~= here and thread ~= true and status(thread) == "dead" then return false end
  if thread == here or thread == true then
    while true do
      local info = getinfo(level, "f")
      if not info then return thread ~= here end -- the main one waits for this coroutine
      if info.func == require then
        local _, of = getlocal(level, 1)
        if of == name then return true end
      end
      level = level + 1
    end
  end
  level = 0
  while true do
    local info = getinfo(thread, level, "f")
    if not info then return false end
    if info.func == require then
      local _, of = getlocal(thread, level, 1)
      if of == name then return true end
    end
    level = level + 1
  end
end

local meta = {}

function meta.__newindex(modules, name, value)
  if value == mark then
    loading[name] = running() or true
  else
    loading[name] = nil
    rawset(modules, name, value)
  end
end

function meta.__index(_, name)
  if not loading[name] then return nil end
  local is_end = getinfo(2, "f").func == require and getlocal(2, values_at_start + 2) ~= nil
  if is_end or is_at(name, 4) then return mark end
  loading[name] = nil
end

setmetatable(loaded, meta)
