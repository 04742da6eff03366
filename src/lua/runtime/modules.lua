-- Parts that a state loads when one of them is first needed: `parts.NAME` loads it, and so does `require` of those that
-- scripts can have.

local parts = ...

local host = parts.host
local error, next, rawset, setfenv = error, next, rawset, setfenv
local preload = package.preload

-- The globals of these parts, as they were before the script could change them. Written as constructors: copies made in
-- loops take a tenth of the time in which a native state is made.
local string, table, math = string, table, math
local globals = {
  _VERSION = _VERSION, jit = jit, package = package,
  error = error, ipairs = ipairs, getmetatable = getmetatable, load = load, loadstring = loadstring, next = next, pairs = pairs, pcall = pcall,
  rawequal = rawequal, rawget = rawget, rawset = rawset, require = require, select = select, setfenv = setfenv,
  newproxy = newproxy, setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
  string = { byte = string.byte, char = string.char, find = string.find, format = string.format, gmatch = string.gmatch,
    gsub = string.gsub, lower = string.lower, match = string.match, rep = string.rep, sub = string.sub, upper = string.upper },
  table = { concat = table.concat, insert = table.insert, remove = table.remove, sort = table.sort, unpack = table.unpack },
  math = { floor = math.floor, fmod = math.fmod, huge = math.huge, max = math.max, min = math.min,
    mininteger = math.mininteger, tointeger = math.tointeger, type = math.type },
  io = io, os = { clock = os.clock, date = os.date, exit = os.exit, time = os.time },
  coroutine = { wrap = coroutine.wrap },
  debug = { getmetatable = debug.getmetatable, upvalueid = debug.upvalueid },
  utf8 = utf8 and { len = utf8.len },
}

-- The globals of the script itself.
parts.globals = _G

setmetatable(parts, {
  __index = function(_, name)
    local chunk, message = host.part(name, globals)
    if not chunk then error(message or "there is no part '" .. name .. "'", 0) end
    if setfenv then setfenv(chunk, globals) end
    local part = chunk(parts)
    rawset(parts, name, part)
    return part
  end,
})

for module, name in next, parts.deferred do
  preload[module] = function() return parts[name] end
end
parts.deferred = nil

-- Last, the modules for which a part stands in when no other has been found.
local stand_ins = parts.stand_ins
local searchers = package.loaders or package.searchers

searchers[#searchers + 1] = function(name)
  local part = stand_ins[name]
  return part and function() return parts[part] end or nil
end

return true
