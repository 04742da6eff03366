-- The parts of Lua's standard library that touch the world outside: there are no files and no processes here, standard
-- output is the log, Lua sources come through the host, and os.exit ends a request.

--- ## Lua's standard library
---
--- The embedded engine is Lua 5.1 with its whole language and the libraries `string`, `table`, `math`, `coroutine` and
--- `debug`. What reaches outside of a state is different:
---
--- - **Files and processes**: there are none. `io.open`, `io.popen`, `io.tmpfile`, `os.remove`, `os.rename` and
---   `os.tmpname` give nil, a message and 13 (the system's number for "permission denied"); `io.lines(name)` raises an
---   error; `os.execute(command)` gives nil and a message, and `os.execute()` 0: there is no shell.
--- - **Standard streams**: `print`, `io.write` and `io.stderr:write` write lines to the server's log; `io.read` is
---   always at its end.
--- - **`os.exit(code)`** ends the request, not the server; what was put so far is the answer. Nothing that the script
---   does can catch it. The code goes to the web server as the FastCGI appStatus.
--- - **`os.getenv`** gives nil: a script does not see the server's environment. (The configuration does.)
--- - **`os.time`, `os.date`, `os.clock`** work, in the time zone of the server. `os.clock` counts real time.
--- - **`math.random`** is seeded in each new state, so states draw different numbers. They are no secrets: Lua 5.1 draws
---   them from a plain generator.
--- - **`require`** looks beside the script (`NAME.lua`, then `NAME/init.lua`), then along the setting `path`. A module
---   is loaded once in each state. When its file changes, the states that loaded it are made anew.
--- - **`dofile`, `loadfile`** read Lua files under the same rules; a relative name starts beside the script. A file
---   that lies neither beside or below the script, nor along `path`, nor below a `root`, is treated as missing, and the
---   log says so.
--- - **C modules** cannot be loaded: `package.cpath` is empty and `package.loadlib` fails.
--- - **Precompiled chunks** are refused by `load`, `loadstring`, `loadfile`, `require` and for scripts, since forged
---   ones can break a state. `string.dump` works, but what it gives cannot be loaded.
--- - **Memory**: a state may use as much as the setting `memory` says. Going beyond is the Lua error "not enough
---   memory"; a state whose request ended with it is replaced.
---
--- In the C daemon scripts had Lua's library as the system has it, with files, processes and C modules, and `os.exit`
--- ended the daemon. It also changed the working directory to the script's before each request; here relative names
--- only matter to `require`, `dofile` and `loadfile`.

local host = ...

local G = _G
local type, tostring, select, error, pcall = type, tostring, select, error, pcall
local concat, gsub, gmatch, sub, find = table.concat, string.gsub, string.gmatch, string.sub, string.find
local setmetatable, newproxy, getmetatable, unpack, tonumber = setmetatable, newproxy, getmetatable, unpack, tonumber

local sandbox = {}

local no_files = "the embedded Lua engine gives scripts no files"
local no_processes = "the embedded Lua engine gives scripts no processes"
local denied = 13 -- EACCES

local function bad_argument(position, name, wanted, value)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. wanted .. " expected, got " ..
    (value == nil and "no value" or type(value)) .. ")", 3)
end

---- print and io ----

local out, err = 1, 2
local stream_of = setmetatable({}, { __mode = "k" })
local file_methods = {}

local function standard_file(name, stream)
  local file = newproxy(true)
  local meta = getmetatable(file)
  meta.__index = file_methods
  meta.__tostring = function() return "file (" .. name .. ")" end
  stream_of[file] = stream
  return file
end

local stdin, stdout, stderr = standard_file("stdin", 0), standard_file("stdout", out), standard_file("stderr", err)
local default_input, default_output = stdin, stdout

local function checked(file, name)
  local stream = stream_of[file]
  if not stream then
    error("bad argument #1 to '" .. name .. "' (file expected; call it with a colon: file:" .. name .. "(...))", 3)
  end
  return stream
end

local function write(file, ...)
  local stream = stream_of[file]
  if stream == 0 then return nil, "Bad file descriptor", 9 end
  for i = 1, select("#", ...) do
    local piece = select(i, ...)
    if type(piece) ~= "string" and type(piece) ~= "number" then bad_argument(i, "write", "string", piece) end
    host.print(stream, piece)
  end
  return true
end

-- Standard input is always at its end.
local function read(...)
  if select("#", ...) == 0 then return nil end
  local results = {}
  for i = 1, select("#", ...) do
    local format = select(i, ...)
    if type(format) == "string" and find(format, "^%*a") then
      results[i] = ""
    else
      return unpack(results, 1, i)
    end
  end
  return unpack(results, 1, select("#", ...))
end

local function nothing() return nil end

function file_methods.write(file, ...)
  checked(file, "write")
  return write(file, ...)
end
function file_methods.read(file, ...) checked(file, "read") return read(...) end
function file_methods.lines(file) checked(file, "lines") return nothing end
function file_methods.flush(file) checked(file, "flush") return true end
function file_methods.setvbuf(file) checked(file, "setvbuf") return true end
function file_methods.seek(file) checked(file, "seek") return nil, "Illegal seek", 29 end
function file_methods.close(file) checked(file, "close") return nil, "cannot close standard file" end

-- Sets or gets the default file, as io.input and io.output do.
local function default_file(current, file, name)
  if file == nil then return current end
  if type(file) == "string" then error(file .. ": " .. no_files, 3) end
  if not stream_of[file] then bad_argument(1, name, "file", file) end
  return file
end

local io = io
for name in pairs(io) do io[name] = nil end
io.stdin, io.stdout, io.stderr = stdin, stdout, stderr
function io.write(...) return write(default_output, ...) end
function io.read(...) return read(...) end
function io.flush() return true end
function io.input(file) default_input = default_file(default_input, file, "input") return default_input end
function io.output(file) default_output = default_file(default_output, file, "output") return default_output end
function io.type(value) return stream_of[value] and "file" or nil end
function io.close() return nil, "cannot close standard file" end
function io.open(name) return nil, tostring(name) .. ": " .. no_files, denied end
function io.tmpfile() return nil, no_files, denied end
function io.popen(command) return nil, tostring(command) .. ": " .. no_processes, denied end
function io.lines(name)
  if name == nil then return nothing end
  error(tostring(name) .. ": " .. no_files, 2)
end

function print(...)
  local count = select("#", ...)
  local parts = {}
  for i = 1, count do
    local text = G.tostring((select(i, ...)))
    if type(text) ~= "string" and type(text) ~= "number" then error("'tostring' must return a string to 'print'", 2) end
    parts[i] = text
  end
  host.print(out, concat(parts, "\t", 1, count) .. "\n")
end

---- os ----

local exiting = false
local exit_signal = setmetatable({}, { __tostring = function() return "os.exit" end })

function os.exit(code)
  if code == nil or code == true then code = 0 elseif code == false then code = 1 end
  local number = tonumber(code)
  if not number then bad_argument(1, "exit", "number", code) end
  exiting = true
  -- From here on every instruction of the running threads raises an error, so that no pcall can keep the request alive.
  host.exit(number)
  error(exit_signal, 0) -- in case that hooks are off, as they are inside a debug hook
end

function sandbox.is_exiting() return exiting end
function sandbox.clear_exit() exiting = false end

function os.clock()
  local _, seconds = host.clock()
  return seconds
end
function os.getenv(name)
  if type(name) ~= "string" and type(name) ~= "number" then bad_argument(1, "getenv", "string", name) end
  local _, value = host.getenv(name)
  return value
end
function os.execute(command)
  if command == nil then return 0 end
  return nil, tostring(command) .. ": " .. no_processes, denied
end
function os.remove(name) return nil, tostring(name) .. ": " .. no_files, denied end
function os.rename(from) return nil, tostring(from) .. ": " .. no_files, denied end
function os.tmpname() return nil, no_files, denied end

local sethook = debug.sethook
function debug.sethook(...)
  if not exiting then return sethook(...) end
end

---- coroutines: os.exit inside one ends the request outside of it too ----

local create, resume = coroutine.create, coroutine.resume

local function pass_on(...)
  if exiting then
    host.exit()
    error(exit_signal, 0)
  end
  return ...
end

function coroutine.resume(...)
  return pass_on(resume(...))
end

local function unwrap(ok, ...)
  if exiting then
    host.exit()
    error(exit_signal, 0)
  end
  if ok then return ... end
  local value = ...
  error(value, type(value) == "string" and 3 or 0)
end

function coroutine.wrap(body)
  if type(body) ~= "function" then bad_argument(1, "wrap", "function", body) end
  local thread = create(body)
  return function(...)
    return unwrap(resume(thread, ...)) -- a tail call: unwrap's levels count on it
  end
end

---- Lua sources ----

local directory = "/"

local function resolve(path)
  if sub(path, 1, 1) == "/" then return path end
  return directory .. "/" .. gsub(path, "^%./", "")
end

function loadstring(source, name)
  if type(source) ~= "string" and type(source) ~= "number" then bad_argument(1, "loadstring", "string", source) end
  source = tostring(source)
  return host.load(source, name == nil and source or tostring(name))
end

function load(reader, name)
  if type(reader) ~= "function" then bad_argument(1, "load", "function", reader) end
  local pieces, count = {}, 0
  local ok, message = pcall(function()
    while true do
      local piece = reader()
      if piece == nil or piece == "" then return end
      if type(piece) ~= "string" and type(piece) ~= "number" then error("reader function must return a string", 0) end
      count = count + 1
      pieces[count] = piece
    end
  end)
  if not ok then return nil, message end
  return host.load(concat(pieces), name == nil and "=(load)" or tostring(name))
end

function loadfile(path)
  if path == nil then return nil, "cannot read standard input: " .. no_files end
  path = resolve(tostring(path))
  local chunk, message = host.loadfile(path)
  if chunk == false then return nil, "cannot open " .. path end
  return chunk, message
end

local loadfile = loadfile

function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then error(message, 0) end
  return chunk()
end

local function search_path(name)
  local path = package.path
  if type(path) ~= "string" then error("'package.path' must be a string", 0) end
  local file_name = gsub(gsub(name, "%.", "/"), "%%", "%%%%")
  local tried = {}
  for template in gmatch(path, "[^;]+") do
    local file = resolve((gsub(template, "%?", file_name)))
    local chunk, message = host.loadfile(file)
    if chunk then return chunk end
    if message then error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. message, 0) end
    tried[#tried + 1] = "\n\tno file '" .. file .. "'"
  end
  return concat(tried)
end

package.loaders = { package.loaders[1], search_path }
package.cpath = ""
function package.loadlib(library)
  return nil, tostring(library) .. ": the embedded Lua engine cannot load C libraries", "absent"
end

function sandbox.init(state_directory, path)
  directory = state_directory
  package.path = path
end

return sandbox
