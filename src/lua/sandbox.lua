-- The parts of the embedded engine's standard library that touch the world outside: there are no files, no processes and
-- no C modules here.

--- ## Lua's standard library
---
--- This is about the embedded engine, which runs scripts unless the setting `engine` names another one: Lua 5.1 with its
--- whole language and the libraries `string`, `table`, `math`, `coroutine` and `debug`. What reaches outside of a state
--- is different:
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

local host, streams, sources = ...

local type, tostring, error = type, tostring, error

local no_files = "the embedded Lua engine gives scripts no files"
local no_processes = "the embedded Lua engine gives scripts no processes"
local denied = 13 -- EACCES

---- io ----

local default_input, default_output = streams.stdin, streams.stdout
local nothing = streams.nothing

-- Sets or gets the default file, as io.input and io.output do.
local function default_file(current, file, name)
  if file == nil then return current end
  if type(file) == "string" then error(file .. ": " .. no_files, 3) end
  if not streams.is_standard(file) then
    error("bad argument #1 to '" .. name .. "' (file expected, got " .. type(file) .. ")", 3)
  end
  return file
end

local io = io
for name in pairs(io) do io[name] = nil end
io.stdin, io.stdout, io.stderr = streams.stdin, streams.stdout, streams.stderr
local write, read, is_standard = streams.write, streams.read, streams.is_standard
function io.write(...) return write(default_output, ...) end
function io.read(...) return read(...) end
function io.flush() return true end
function io.input(file) default_input = default_file(default_input, file, "input") return default_input end
function io.output(file) default_output = default_file(default_output, file, "output") return default_output end
function io.type(value) return is_standard(value) and "file" or nil end
function io.close() return nil, "cannot close standard file" end
function io.open(name) return nil, tostring(name) .. ": " .. no_files, denied end
function io.tmpfile() return nil, no_files, denied end
function io.popen(command) return nil, tostring(command) .. ": " .. no_processes, denied end
function io.lines(name)
  if name == nil then return nothing end
  error(tostring(name) .. ": " .. no_files, 2)
end

---- os ----

function os.clock()
  local _, seconds = host.clock()
  return seconds
end
function os.getenv(name)
  if type(name) ~= "string" and type(name) ~= "number" then
    error("bad argument #1 to 'getenv' (string expected, got " .. (name == nil and "no value" or type(name)) .. ")", 2)
  end
  local _, value = host.getenv(tostring(name))
  return value
end
function os.execute(command)
  if command == nil then return 0 end
  return nil, tostring(command) .. ": " .. no_processes, denied
end
function os.remove(name) return nil, tostring(name) .. ": " .. no_files, denied end
function os.rename(from) return nil, tostring(from) .. ": " .. no_files, denied end
function os.tmpname() return nil, no_files, denied end

---- package ----

package.loaders = { package.loaders[1], sources.search_path }
package.cpath = ""
function package.loadlib(library)
  return nil, tostring(library) .. ": the embedded Lua engine cannot load C libraries", "absent"
end

local library = {}

-- `path`: beside the script, then along the configured path.
function library.init(directory, path)
  package.path = path
end

return library
