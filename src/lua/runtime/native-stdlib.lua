-- What is different in Lua's library of the native engines: little. Standard output is the log, and Lua files and C
-- modules are found beside the script.

--- ## Native engines
---
--- With `engine` (or `--engine`) set to `lua5.1`, `lua5.4` or `luajit` scripts run in the system's library of that name.
--- `con`, `env` and the module `luafcgid` are the same; Lua's own library is the system's, whole:
---
--- - **Files and processes**: `io.open`, `io.popen`, `os.execute`, `os.remove` and all others work, with the rights of the
---   server. Relative names start beside the script, as in the C daemon, wherever another script has changed the directory to; they
---   start at the server's working directory where the system gives no thread a directory of its own (not Linux, or a container that
---   forbids `unshare`). `env.SCRIPT_FILENAME` tells where the script lies.
--- - **Standard streams**: `print`, `io.write`, `io.stderr:write` (and `warn` of Lua 5.4) write to the log, and `io.read`
---   is at its end, as in the embedded engine. What a process writes that a script started goes to the server's own
---   standard output. Such a process inherits the standard streams and no other descriptor of the server.
--- - **`os.exit`** ends the request, as in the embedded engine. **`os.getenv`** sees the server's environment.
---   **`os.clock`** is the processor time of the whole server. **`os.setlocale`** knows the locale `C` only, since any other
---   would be that of all scripts. Random numbers and dates of a state are its own.
--- - **`require`** looks beside the script, along the setting `path`, then where the system has Lua modules (`LUA_PATH`
---   counts), then for C modules: beside the script, and where the system has them (`LUA_CPATH` counts). Debian's
---   `lua-cjson`, `lua-filesystem`, `lua-sql-sqlite3` and `lua-lpeg` work, as others do. A C module is shared by all
---   states of the server: one that keeps data of its own outside of Lua must be fit for threads.
--- - **`dofile`, `loadfile`** read any file that the server may read; a relative name starts beside the script, and where no
---   such file is, at the script's working directory (`lfs.chdir`).
--- - **Precompiled chunks** are refused here too, unless the setting `bytecode` allows them: a forged one ends the server
---   or takes it over. `files` and `environment` do not confine native scripts, so a server with both does not start.
--- - **Memory**: the setting `memory` is looked at whenever the garbage collector has finished a cycle, and after each
---   request. A script that goes beyond is ended and cannot catch that. `string.rep` does not make a longer string, nor does
---   `table.concat` of Lua 5.1 and 5.4. Between two looks a state may hold more. `collectgarbage("stop")` puts the next cycle off until
---   the limit is near.
---   In Lua 5.1 and LuaJIT the collector works in whole cycles, so its pauses grow with what a state holds.
--- - **Crashes**: a script can end the whole server, as with the C daemon: by a faulty C module, or by LuaJIT's
---   `ffi`. Nested calls, coroutines and patterns have limits that fit the C stack; in Lua 5.1 a pattern has at most 100,000
---   characters.
---
--- What differs by Lua version:
---
--- | | `embedded`, `lua5.1` | `luajit` | `lua5.4` |
--- |---|---|---|---|
--- | `setfenv`, `getfenv`, `loadstring`, `unpack`, `newproxy` | yes | yes | no: use `load(text, name, "t", env)`, `table.unpack` |
--- | `load` takes a text | no: `loadstring` | yes | yes |
--- | integers | no | no | yes: `con:puts(1.0)` puts `1.0`, `con:puts(1)` puts `1` |
--- | `//`, `&`, `~`, `utf8`, `goto` | no | `goto`, the module `bit` | yes |
--- | `print` calls the global `tostring` | yes | yes | no |
--- | `io.write` gives back | true | true | the file |
---
--- Functions of the library that this server replaces (`load`, `print`, `io.write`, `coroutine.wrap` and others) look like
--- Lua's own: to the debug library they are C functions, with the texts and places of Lua's errors. What differs: coroutines
--- of LuaJIT nest to a depth of 190 only, since each takes a part of the C stack that nobody counts; `string.rep` says "not
--- enough memory" before it begins; file names that `require` gives are absolute; inside of a function that a replaced one
--- calls (a reader of `load`), the stack has further C functions.
---
--- Where a number stands for something whole (`con:status(404.0)`, `maxage = 60.0`), Lua 5.4's floats are fine.

local parts = ...

local host, sources, files = parts.host, parts.sources, parts.files
local replace, raise = parts.stock.replace, parts.stock.raise
local bad_argument, expected = parts.stock.bad_argument, parts.stock.expected
local caller_level = parts.arguments.caller_level

local type, error, pcall, select = type, error, pcall, select
local concat, gmatch, sub, gsub = table.concat, string.gmatch, string.sub, string.gsub
local collectgarbage, setmetatable, newproxy, getmetatable = collectgarbage, setmetatable, newproxy, debug.getmetatable
local ipairs, max, unpack, tonumber = ipairs, math.max, unpack, tonumber
local is_51 = _VERSION == "Lua 5.1"

if warn then
  replace(_G, "_G", "warn", function(...)
    local count, pieces = select("#", ...), { ... }
    for i = 1, max(count, 1) do
      local kind = type(pieces[i])
      if kind ~= "string" and kind ~= "number" then bad_argument(i, expected("string", count, i, pieces[i])) end
    end
    if count > 1 or sub(pieces[1], 1, 1) ~= "@" then host.print(2, concat(pieces) .. "\n") end
  end)
end

---- string: one call can ask for more memory than the machine has, before any limit is looked at ----

local limit_bytes = math.huge
local rep = string.rep

replace(string, "string", "rep", function(...)
  local text, times, separator = ...
  if type(text) == "string" and type(times) == "number" and times % 1 == 0 then
    local piece = #text + (type(separator) == "string" and #separator or 0)
    if piece == 0 and (separator == nil or type(separator) == "string") then return "" end -- it would count to the end
    if piece * times > limit_bytes then error("not enough memory", 0) end
  end
  local ok, result = pcall(rep, ...)
  if not ok then raise(result) end
  return result
end)

---- table: pieces that are the same string make one that is larger than all of them. LuaJIT keeps its own, which it compiles ----

if not jit then
  replace(table, "table", "concat", function(...)
    local list, separator, from, to = ...
    if type(list) == "table" and not getmetatable(list) then
      local first, last = from == nil and 1 or tonumber(from), to == nil and #list or tonumber(to)
      local between = type(separator) == "string" and #separator or 0
      -- No string is larger than what the state holds, so short lists need no look.
      if first and last and (last - first + 1) * 2048 * (collectgarbage("count") or limit_bytes) > limit_bytes then
        local bytes = 0
        for i = first, last do
          local piece = list[i]
          local kind = type(piece)
          if kind == "string" then bytes = bytes + #piece + between elseif kind == "number" then bytes = bytes + between else break end
          if bytes > limit_bytes then error("not enough memory", 0) end
        end
      end
    end
    local ok, result = pcall(concat, ...)
    if not ok then raise(result) end
    return result
  end)
end

---- string: LuaJIT does not count nested calls of C functions, and each gsub takes 9 KiB of the C stack ----

if jit then
  local has_room = host.hasroom
  local calls_per_look = 16
  local depth = 0 -- or more: errors leave calls without counting, and then there is a look more often

  local function leave(...)
    depth = depth - 1
    return ...
  end

  replace(string, "string", "gsub", function(...)
    local text, pattern, replacement, limit = ...
    local is_called = type(replacement) == "function" or type(replacement) == "table"
    if not is_called or type(text) ~= "string" or type(pattern) ~= "string" or limit ~= nil and type(limit) ~= "number" then
      local ok, result, count = pcall(gsub, ...)
      if not ok then raise(result) end
      return result, count
    end
    depth = depth + 1
    if depth % calls_per_look == 0 then
      local _, room = has_room()
      if room == false then
        depth = depth - 1
        error("C stack overflow", 2)
      end
    end
    return leave(gsub(...))
  end)
end

---- string: in Lua 5.1 each item of a pattern may take 100 bytes of the C stack, and nothing counts them ----

if is_51 and not jit then
  local longest = 100000

  local function all(...) return select("#", ...), { ... } end

  local function limited(name)
    local work = string[name]
    -- The results of a protected call of it, whose error becomes one of the script's line.
    local function results(ok, ...)
      if ok then return ... end
      error(gsub(gsub((...), "^%[luafcgid%]:%d+: ", ""), "'%?'", "'" .. name .. "'"), caller_level)
    end
    return function(...)
      local text, pattern, _, plain = ...
      if type(text) == "string" and type(pattern) == "string" then
        if #pattern > longest and not (name == "find" and plain) then error("pattern too complex", 2) end
        return results(pcall(work, ...))
      end
      local count, given = all(pcall(work, ...))
      if not given[1] then raise(given[2]) end
      return unpack(given, 2, count)
    end
  end

  for _, name in ipairs({ "find", "match", "gmatch" }) do replace(string, "string", name, limited(name)) end
  string.gfind = string.gmatch

  local limited_gsub = limited("gsub")
  replace(string, "string", "gsub", function(...)
    local text, pattern, replacement, limit = ...
    local kind = (limit == nil or type(limit) == "number") and type(text) == "string" and type(replacement)
    -- A protected call would hide where an error of the function comes from.
    if (kind == "function" or kind == "table") and type(pattern) == "string" and #pattern <= longest then
      return gsub(...)
    end
    return limited_gsub(...)
  end)
end

---- os, math: what the C library keeps for the whole process, or in one place for all threads ----

local setlocale = os.setlocale

-- Another locale than C would be that of all states.
replace(os, "os", "setlocale", function(...)
  local locale = ...
  if type(locale) == "string" and locale ~= "C" and locale ~= "POSIX" then return nil end
  local ok, result = pcall(setlocale, ...)
  if not ok then raise(result) end
  return result
end)

if is_51 and not jit then
  local date, time = os.date, os.time
  local floor, abs = math.floor, math.abs
  local latest = 2 ^ 43 -- some 278,000 years; the C library is asked for anything else

  replace(os, "os", "date", function(...)
    local format, seconds = ...
    if format == nil then format = "%c" end
    local number = seconds == nil and time() or tonumber(seconds)
    local kind = type(format)
    if (kind ~= "string" and kind ~= "number") or not number or not (abs(number) < latest) then
      local ok, result = pcall(date, ...)
      if not ok then raise(result) end
      return result
    end
    format = format .. ""
    local is_utc = sub(format, 1, 1) == "!"
    if is_utc then format = sub(format, 2) end
    local whole = number < 0 and -floor(-number) or floor(number) -- as C makes an integer of a number
    local ok, result = host.date(format, whole, is_utc)
    if not ok then error(result, 2) end
    return result
  end)

  -- Two generators by Pierre L'Ecuyer, together; the C library's is one for the process.
  local one, other = 1, 1
  local random, randomseed = math.random, math.randomseed

  local function fraction()
    one, other = one * 40014 % 2147483563, other * 40692 % 2147483399
    return (one - other) % 2147483562 / 2147483562
  end

  replace(math, "math", "randomseed", function(...)
    local seed = tonumber((...))
    if not seed then
      local _, message = pcall(randomseed, ...)
      raise(message)
    end
    seed = floor(abs(seed)) % 2147483562
    if seed ~= seed then seed = 0 end
    one, other = seed + 1, (seed * 7 + 12345) % 2147483398 + 1
    for _ = 1, 8 do fraction() end
  end)

  replace(math, "math", "random", function(...)
    local count = select("#", ...)
    if count == 0 then return fraction() end
    local low, high = tonumber((...)), tonumber((select(2, ...)))
    if count > 2 or not low or (count == 2 and not high) or low ~= low or high ~= high then
      local ok, result = pcall(random, ...)
      if not ok then raise(result) end
      return result
    end
    low, high = floor(low), high and floor(high)
    if count == 1 then low, high = 1, low end
    if low > high then bad_argument(count, "interval is empty") end
    return floor(fraction() * (high - low + 1)) + low
  end)
end

---- xpcall: a script that is stopped runs no message handlers ----

-- In Lua 5.4 and LuaJIT they would be called by the hook that stops it, inside of which no other hook is.
if jit or not is_51 then
  local xpcall, stopping, getinfo = xpcall, host.stopping, debug.getinfo

  local function unless_stopped(handler)
    return function(...)
      local _, is_stopping = stopping()
      if is_stopping then return nil end
      return handler(...) -- a tail call, which leaves nothing on the stack
    end
  end

  replace(_G, "_G", "xpcall", function(...)
    local work, handler = ...
    if type(handler) == "function" and not parts.stock.original[handler] and getinfo(handler, "S").what ~= "C" then
      return xpcall(work, unless_stopped(handler), select(3, ...))
    end
    if type(handler) == "function" or (jit and select("#", ...) > 1) then return xpcall(...) end
    local _, message = pcall(xpcall, ...)
    raise(message)
  end)
end

---- package ----

(package.loaders or package.searchers)[2] = sources.search_path

-- A search path without the templates that are relative to a working directory.
local function absolute(path)
  local kept = {}
  for template in gmatch(path, "[^;]+") do
    if sub(template, 1, 1) == "/" then kept[#kept + 1] = template end
  end
  return concat(kept, ";")
end

---- memory: looked at whenever the garbage collector has finished a cycle ----

local limit_kib
local usual_pause, usual_step = 200, 200
-- A small heap grows by this before it is looked through again: its garbage is not worth the time of that.
local least_growth_kib = 512
-- What was set here last; anything else is the script's own.
local own_pause = usual_pause
local check

-- Lua 5.1 and LuaJIT: the collector's step multiplier that stands for no limit, so that each cycle is one step. In small
-- steps a cycle would not end while a string doubles and doubles.
local whole_cycles = 0
local needs_whole_cycles = newproxy ~= nil

-- While a script has stopped the collector: it begins no cycle before the limit, which without any cycle nobody would look at.
local is_stopped = false

-- The longest pause in percent with which the next cycle still ends before the limit, not far beyond.
local function longest_pause(used)
  local longest = max(limit_kib / used * 100, 105)
  return longest - longest % 1
end

replace(_G, "_G", "collectgarbage", function(...)
  local option = ...
  if option == "stop" then
    is_stopped = true
    own_pause = longest_pause(collectgarbage("count") or limit_kib)
    collectgarbage("setpause", own_pause)
    return 0
  end
  if option == "restart" and is_stopped then
    is_stopped, own_pause = false, usual_pause
    collectgarbage("setpause", usual_pause)
  end
  if option == "isrunning" and is_stopped then return false end
  -- A step that a script asks for is a step all the same.
  local is_step = needs_whole_cycles and option == "step"
  local previous = is_step and collectgarbage("setstepmul", usual_step)
  local ok, result = pcall(collectgarbage, ...)
  if is_step then collectgarbage("setstepmul", previous == whole_cycles and whole_cycles or previous) end
  if not ok then raise(result) end
  return result
end)

-- An object that the next cycle finds dead.
local function watch()
  if newproxy then
    getmetatable(newproxy(true)).__gc = check
  else
    setmetatable({}, { __gc = check })
  end
end

function check()
  watch()
  local used = collectgarbage("count")
  if not used then
    host.checkmemory() -- Lua 5.4 cannot tell inside of a finalizer
  elseif used > limit_kib then
    host.overmemory()
  else
    local longest = longest_pause(used)
    local pause = is_stopped and longest or max(usual_pause, (used + least_growth_kib) / used * 100)
    if pause > longest then pause = longest end
    pause = pause - pause % 1
    local previous = collectgarbage("setpause", pause)
    if previous ~= own_pause and previous <= longest then
      collectgarbage("setpause", previous)
    else
      own_pause = pause
    end
  end
end

local library = {}

function library.init(start)
  package.path = start.path .. ";" .. absolute(package.path)
  package.cpath = start.directory .. "/?.so;" .. absolute(package.cpath)
  limit_kib, limit_bytes = start.memory_bytes / 1024, start.memory_bytes + 0
  watch()
  if needs_whole_cycles then collectgarbage("setstepmul", whole_cycles) end
end

-- A step of garbage collection while the state is idle: a small one.
function library.collect_step()
  if needs_whole_cycles then collectgarbage("setstepmul", usual_step) end
  local ok, message = pcall(collectgarbage, "step", 64)
  if needs_whole_cycles then collectgarbage("setstepmul", whole_cycles) end
  if not ok then error(message, 0) end
end

return library
