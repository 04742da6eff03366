-- Standard input, output and error of a script: what it prints goes to the server's log, and it has nothing to read. The
-- three are the files that Lua's io library made, with methods of their own.

local parts = ...

local host = parts.host
local bad_argument = parts.arguments.bad_in_library

local G = _G
local type, tostring, select, error = type, tostring, select, error
local concat, find, unpack = table.concat, string.find, unpack or table.unpack
local setmetatable, debug_setmetatable = setmetatable, debug.setmetatable

local out, err = 1, 2
local stream_of = setmetatable({}, { __mode = "k" })
local methods = {}

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

local function checked(file, name)
  local stream = stream_of[file]
  if not stream then
    error("bad argument #1 to '" .. name .. "' (file expected; call it with a colon: file:" .. name .. "(...))", 3)
  end
  return stream
end

-- What file:write gives back: the file since Lua 5.2, before that true.
local gives_file = _VERSION ~= "Lua 5.1"

function streams.write(file, ...)
  local stream = stream_of[file]
  if stream == 0 then return nil, "Bad file descriptor", 9 end
  local pieces = { ... } -- `select` for each would pass all that follow it
  for i = 1, select("#", ...) do
    local piece = pieces[i]
    if type(piece) ~= "string" and type(piece) ~= "number" then bad_argument(i, "write", "string", piece) end
    host.print(stream, tostring(piece))
  end
  return not gives_file or file
end

-- Standard input is always at its end.
function streams.read(...)
  if select("#", ...) == 0 then return nil end
  local results = {}
  for i = 1, select("#", ...) do
    local format = select(i, ...)
    if type(format) == "string" and find(format, "^%*?a") then
      results[i] = ""
    else
      return unpack(results, 1, i)
    end
  end
  return unpack(results, 1, select("#", ...))
end

function streams.nothing() return nil end

-- Whether a value is one of the three.
function streams.is_standard(value) return stream_of[value] ~= nil end

function methods.write(file, ...)
  checked(file, "write")
  return streams.write(file, ...)
end
function methods.read(file, ...) checked(file, "read") return streams.read(...) end
function methods.lines(file) checked(file, "lines") return streams.nothing end
function methods.flush(file) checked(file, "flush") return true end
function methods.setvbuf(file) checked(file, "setvbuf") return true end
function methods.seek(file) checked(file, "seek") return nil, "Illegal seek", 29 end
function methods.close(file) checked(file, "close") return nil, "cannot close standard file" end

local own_tostring = _VERSION ~= "Lua 5.1" and tostring

function print(...)
  local count = select("#", ...)
  local parts = { ... }
  for i = 1, count do
    local text = (own_tostring or G.tostring)(parts[i])
    if type(text) ~= "string" and type(text) ~= "number" then error("'tostring' must return a string to 'print'", 2) end
    parts[i] = text
  end
  host.print(out, concat(parts, "\t", 1, count) .. "\n")
end

return streams
