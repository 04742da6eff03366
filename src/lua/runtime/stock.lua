-- Wrappers: functions of ours that stand in the place of functions of Lua's library. To a script they are functions of
-- the library: their errors have the same texts and places, and the debug library tells nothing else (disguise.lua).

local type, error, tonumber = type, error, tonumber
local gsub, match = string.gsub, string.match
local getinfo = debug.getinfo

-- Since Lua 5.4 a function of the library is named in an error even where the call does not name it.
local knows_names = _VERSION ~= "Lua 5.1"

local stock = {
  -- By wrapper: the function that it stands for, or true where Lua's library has none.
  original = {},
  -- By wrapper: its name, as "io.open".
  name = {},
}

-- Puts a wrapper into a library in the place of its function.
function stock.replace(library, library_name, name, wrapper)
  stock.original[wrapper] = library[name] or true
  stock.name[wrapper] = library_name == "_G" and name or library_name .. "." .. name
  library[name] = wrapper
  return wrapper
end

-- The text of an error of the library with the name by which the wrapper was called.
local function renamed(message, info, shift)
  local name, method_self = info.name, nil
  if name and info.namewhat == "method" then method_self = 1 end
  name = name or (knows_names and stock.name[info.func]) or "?"
  local position, rest = match(message, "^bad argument #(%d+) to '[^']*'(.*)$")
  if not position then return message end
  position = tonumber(position) - (method_self or 0) - (shift or 0)
  if position == 0 then return "calling '" .. name .. "' on bad self" .. rest end
  return "bad argument #" .. gsub(position, "%.0$", "") .. " to '" .. name .. "'" .. rest
end

-- Raises in a wrapper's caller what a protected call of the wrapped function has raised. To be called by the wrapper
-- itself, not as a tail call.
-- `shift` is by how many the wrapped function had more arguments.
function stock.raise(message, shift)
  if type(message) ~= "string" or message == "not enough memory" then error(message, 0) end
  error(renamed(gsub(message, "^%[luafcgid%]:%d+: ", ""), getinfo(2, "nf"), shift), 3)
end

-- Raises the error for an argument that a wrapper itself refuses. To be called as `raise`.
function stock.bad_argument(position, text)
  error(renamed("bad argument #" .. position .. " to '?' (" .. text .. ")", getinfo(2, "nf")), 3)
end

-- Says what was wanted of an argument and what came.
function stock.expected(wanted, count, position, value)
  return wanted .. " expected, got " .. (position > count and "no value" or type(value))
end

return stock
