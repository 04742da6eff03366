-- The parts of the embedded engine's standard library that touch the world outside: there are no processes and no C
-- modules here, and no files but those that the configuration grants.

--- ## Lua's standard library
---
--- This is about the embedded engine, which runs scripts unless the setting `engine` names another one: Lua 5.1 with its
--- whole language and the libraries `string`, `table`, `math`, `coroutine` and `debug`. What reaches outside of a state
--- is different:
---
--- - **Files**: none, unless the setting `files` names directories; then Lua's `io` and the functions of `os` work on
---   regular files below these. Relative names start beside the script, as in the C daemon. What is not granted gives nil, a
---   message and 13 (the system's number for "permission denied"), whether it is there or not; `io.lines` raises an error.
---   Links are followed as long as they lead to what is granted. `io.tmpfile` and `os.tmpname` use the first directory of
---   `write`. A state has at most 16 files open. What was written and not closed is stored at the end of the request; the
---   file itself stays open as long as the script keeps it. (The error number that a method of a file gives is that of
---   WebAssembly's C library, not the system's.)
--- - **Numbers** are doubles, and functions that want integers behave as in the stock interpreter of a 64-bit system on x86
---   processors, also beyond 2^31. Where C leaves something open, results may differ: whether a number that is none is
---   printed as `nan` or `-nan`, which exponent `math.frexp` gives for an infinite number, which one of two wrong arguments an
---   error names.
--- - **`os.setlocale`** knows the locale "C" only.
--- - **Processes**: there are none. `io.popen` and `os.execute(command)` give nil and a message, and `os.execute()` 0: there
---   is no shell.
--- - **Standard streams**: `print`, `io.write` and `io.stderr:write` write lines to the server's log; `io.read` is
---   always at its end.
--- - **`os.exit(code)`** ends the request, not the server; what was put so far is the answer. Nothing that the script
---   does can catch it. The code goes to the web server as the FastCGI appStatus.
--- - **`os.getenv`** gives what the setting `environment` grants, by default nil. (The configuration sees the server's
---   whole environment.)
--- - **`os.time`, `os.date`, `os.clock`** work, in the time zone of the server: `TZ` names one of the
---   system's database or has rules (`CET-1CEST,M3.5.0,M10.5.0/3`), and is UTC where it is not understood; without it
---   /etc/localtime counts. An hour that comes twice is the first one to `os.time`, unless `isdst` is given. `os.clock`
---   counts real time.
--- - **`math.random`** is seeded in each new state, so states draw different numbers. They are no secrets: Lua 5.1 draws
---   them from a plain generator.
--- - **`require`** looks beside the script (`NAME.lua`, then `NAME/init.lua`), then along the setting `path`. A module
---   is loaded once in each state. When its file changes, or one appears that was looked for before it, the states that
---   loaded it are made anew. (Of each state 500 names are remembered that were looked for and not there.)
--- - **`dofile`, `loadfile`** read Lua files under the same rules; a relative name starts beside the script. A file
---   that lies neither beside or below the script, nor along `path`, nor below a `root` or a directory of `files.read`, is
---   treated as missing, and the log says so.
--- - **C modules** cannot be loaded: `package.cpath` is empty and `package.loadlib` fails.
--- - **Precompiled chunks** are refused by `load`, `loadstring`, `loadfile`, `require` and for scripts, since forged
---   ones can break a state, unless the setting `bytecode` allows them. `string.dump` works always.
--- - **Memory**: a state may use as much as the setting `memory` says. Going beyond is the Lua error "not enough
---   memory"; a state whose request ended with it is replaced.
---
--- In the C daemon scripts had Lua's library as the system has it, with files, processes and C modules, and `os.exit`
--- ended the daemon. It also changed the working directory to the script's before each request; here relative names
--- only matter to `require`, `dofile` and `loadfile`.

local parts = ...

local host, sources, files = parts.host, parts.sources, parts.files
local checked_text = parts.arguments.library_text

local type, tostring, error = type, tostring, error
local find, collectgarbage = string.find, collectgarbage

local no_files = "the embedded Lua engine gives scripts no files"
local no_processes = "the embedded Lua engine gives scripts no processes"
local denied = 13 -- EACCES

-- Whether the configuration grants files. The host looks at each of them all the same.
local has_files = false

---- io ----

-- The C library here has error numbers of its own; scripts know those of the system.
local system_numbers = {
  [2] = denied, [8] = 9, [10] = 16, [19] = 122, [20] = 17, [22] = 27, [28] = 22, [29] = 5, [31] = 21, [32] = 40,
  [33] = 24, [37] = 36, [41] = 23, [44] = 2, [48] = 12, [51] = 28, [54] = 20, [55] = 39, [60] = 6, [63] = 1,
  [69] = 30, [74] = 26, [75] = 18,
}
local too_many = 33 -- EMFILE

-- Calls a function of the C library with names of files: its results, or nil, a message and the system's error number.
local function call(work, name, ...)
  if not has_files then return nil, name .. ": " .. no_files, denied end
  if find(name, "\0", 1, true) then return nil, name .. ": No such file or directory", 2 end
  local result, message, number = work(name, ...)
  if result then return result end
  return nil, message, system_numbers[number] or number
end

local io, os = io, os
local lines = io.lines
local c_open, c_remove, c_rename = files.open, os.remove, os.rename

local function open(name, mode)
  local file, message, number = call(c_open, name, mode)
  if not file and number == system_numbers[too_many] then
    collectgarbage() -- files that were forgotten are closed
    return call(c_open, name, mode)
  end
  return file, message, number
end

files.open = open

function io.open(name, mode)
  name = checked_text(name, 1, "open")
  return open(name, mode ~= nil and checked_text(mode, 2, "open") or nil)
end
function io.lines(name)
  if name ~= nil then
    name = checked_text(name, 1, "lines")
    if not has_files then error(name .. ": " .. no_files, 2) end
    if find(name, "\0", 1, true) then error(name .. ": No such file or directory", 2) end
  end
  return lines(name)
end
function io.popen(command)
  command = checked_text(command, 1, "popen")
  return nil, tostring(command) .. ": " .. no_processes, denied
end
function io.tmpfile()
  local name, message, number = os.tmpname()
  if not name then return nil, message, number end
  local file
  file, message, number = open(name, "w+b")
  c_remove(name)
  return file, message, number
end

---- os ----

function os.clock()
  local _, seconds = host.clock()
  return seconds
end
function os.getenv(name)
  local _, value = host.getenv(checked_text(name, 1, "getenv"))
  return value
end
function os.execute(command)
  if command == nil then return 0 end
  return nil, tostring(command) .. ": " .. no_processes, denied
end
function os.remove(name) return call(c_remove, checked_text(name, 1, "remove")) end
function os.rename(from, to)
  to = checked_text(to, 2, "rename")
  if find(to, "\0", 1, true) then return nil, to .. ": No such file or directory", 2 end
  return call(c_rename, checked_text(from, 1, "rename"), to)
end
function os.tmpname()
  if not has_files then return nil, no_files, denied end
  local ok, name = host.tempname()
  if not ok then return nil, "no file can be made in the first directory of files.write: " .. name, denied end
  return name
end

---- package ----

-- The last one finds nothing, and says what a script may miss.
package.loaders = { package.loaders[1], sources.search_path, function()
  return "\n\tthe embedded Lua engine loads modules that are written in Lua; C modules need another one, as engine = \"lua5.1\""
end }
package.cpath = ""
function package.loadlib(library)
  library = checked_text(library, 1, "loadlib")
  return nil, tostring(library) .. ": the embedded Lua engine cannot load C libraries", "absent"
end

local library = {}

function library.init(start)
  package.path = start.path
  has_files = start.has_files
end

return library
