-- Standard input, output and error of a script: what it prints goes to the server's log, and it has nothing to read. The
-- three are the files that Lua's io library made, with methods of their own.

local parts = ...

local host, stock = parts.host, parts.stock
local bad_argument, replace = stock.bad_argument, stock.replace

local G = _G
local type, tostring, select, error = type, tostring, select, error
local concat, find, match, sub, unpack = table.concat, string.find, string.match, string.sub, unpack or table.unpack
local setmetatable, debug_setmetatable = setmetatable, debug.setmetatable

local out, err = 1, 2
local stream_of = setmetatable({}, { __mode = "k" })
local methods = {}
-- How io.read takes its formats: with a star up to Lua 5.1, in LuaJIT also without.
local is_51 = _VERSION == "Lua 5.1"
local is_jit, needs_star = jit ~= nil, _VERSION == "Lua 5.1" and not jit

local function standard(file, name, stream)
  debug_setmetatable(file, {
    __name = "FILE*",
    __index = methods,
    __tostring = function() return "file (" .. name .. ")" end,
  })
  stream_of[file] = stream
  return file
end

local streams = {
  stdin = standard(io.stdin, "stdin", 0),
  stdout = standard(io.stdout, "stdout", out),
  stderr = standard(io.stderr, "stderr", err),
}

-- What file:write gives back: the file since Lua 5.2, before that true.
local gives_file = _VERSION ~= "Lua 5.1"

-- Gives what a call of write gives; or false, and which of the pieces can be no output.
function streams.write(file, ...)
  local stream = stream_of[file]
  if stream == 0 then return nil, "Bad file descriptor", 9 end
  local pieces = { ... } -- `select` for each would pass all that follow it
  for i = 1, select("#", ...) do
    local piece = pieces[i]
    if type(piece) ~= "string" and type(piece) ~= "number" then return false, i, "string expected, got " .. type(piece) end
    host.print(stream, tostring(piece))
  end
  return not gives_file or file
end

-- Standard input is always at its end. Gives what a call of read gives; or false, and which format is none.
function streams.read(...)
  local results, count = {}, select("#", ...)
  for i = 1, count do
    local format = select(i, ...)
    if type(format) ~= "number" then
      if type(format) ~= "string" then
        return false, i, is_51 and "invalid option" or "string expected, got " .. type(format)
      end
      local letter = match(format, "^%*(.)") or needs_star and "" or sub(format, 1, 1)
      if not find(letter, is_jit and "^[nlaL]" or needs_star and "^[nla]" or "^[nlaL]") then
        if needs_star and not is_jit and sub(format, 1, 1) ~= "*" then return false, i, "invalid option" end
        return false, i, "invalid format"
      end
      if letter == "a" then results[i] = "" end
    end
    if results[i] == nil then return unpack(results, 1, i) end
  end
  return unpack(results, 1, count)
end

function streams.nothing() return nil end

-- Whether a value is one of the three.
function streams.is_standard(value) return stream_of[value] ~= nil end

-- A method of the files. What is not one of the three is refused as Lua's own methods do.
local function method(name, work)
  local function call(...)
    local file = ...
    if not stream_of[file] then
      bad_argument(1, "FILE* expected, got " .. (select("#", ...) == 0 and "no value" or type(file)))
    end
    local first, second, third = work(...)
    if first == false and third then bad_argument(second + 1, third) end
    if second == nil then return first end
    return first, second, third
  end
  stock.name[call] = "file:" .. name
  methods[name] = call
end

method("write", function(file, ...)
  local first, second, third = streams.write(file, ...)
  return first, second, third
end)
method("lines", function() return streams.nothing end)
method("flush", function() return true end)
method("setvbuf", function() return true end)
method("seek", function(_, whence)
  if whence ~= nil and whence ~= "set" and whence ~= "cur" and whence ~= "end" then
    return false, 1, "invalid option '" .. tostring(whence) .. "'"
  end
  return nil, "Illegal seek", 29
end)
method("close", function() return nil, "cannot close standard file" end)

function methods.read(...)
  local file = ...
  if not stream_of[file] then
    bad_argument(1, "FILE* expected, got " .. (select("#", ...) == 0 and "no value" or type(file)))
  end
  local wrong, position, text = streams.read(select(2, ...))
  if wrong == false then bad_argument(position + 1, text) end
  return streams.read(select(2, ...))
end

local own_tostring = _VERSION ~= "Lua 5.1" and tostring

replace(G, "_G", "print", function(...)
  local count = select("#", ...)
  local parts = { ... }
  for i = 1, count do
    local text = (own_tostring or G.tostring)(parts[i])
    if type(text) ~= "string" and type(text) ~= "number" then error("'tostring' must return a string to 'print'", 2) end
    parts[i] = text
  end
  host.print(out, concat(parts, "\t", 1, count) .. "\n")
end)

return streams
