-- Checks of arguments, in the words of Lua's own library. A check is called by the function whose argument it is, never
-- by a tail call, and raises its error at the line that called that function.

local type, tostring, error = type, tostring, error

local arguments = {}

local function type_name(value) return value == nil and "nil" or type(value) end

arguments.type_name = type_name

-- The level, for `error`, of who called a function that ends with a tail call of the function that raises the error: only
-- Lua 5.1 itself counts tail calls.
arguments.caller_level = (_VERSION == "Lua 5.1" and not jit) and 3 or 2

-- Raises the error. `level` is left out where the function with that argument calls this one itself.
function arguments.bad(position, name, wanted, value, level)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. wanted .. " expected, got " .. type_name(value) .. ")",
    level or 3)
end

-- The same for a function that takes the place of one of Lua's library, which says "no value".
function arguments.bad_in_library(position, name, wanted, value, level)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. wanted .. " expected, got " ..
    (value == nil and "no value" or type(value)) .. ")", level or 3)
end

-- The text of a string or number. `wanted` says what else than a string may stand there.
function arguments.text(value, position, name, wanted)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. (wanted or "string") .. " expected, got " ..
    type_name(value) .. ")", 3)
end

-- The same in the words of Lua's library.
function arguments.library_text(value, position, name)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  error("bad argument #" .. position .. " to '" .. name .. "' (string expected, got " ..
    (value == nil and "no value" or kind) .. ")", 3)
end

function arguments.table(value, position, name, level)
  if type(value) == "table" then return value end
  error("bad argument #" .. position .. " to '" .. name .. "' (table expected, got " .. type_name(value) .. ")", level or 3)
end

return arguments
