-- The module luafcgid: helpers that web scripts need most. require("luafcgid") gives it.

--- ## The module luafcgid
---
--- Helpers that web scripts need most. The module is part of the server; nothing has to be installed.
---
--- ```lua
--- local luafcgid = require("luafcgid")
--- ```
---
--- `luafcgid.version` is the version of the server, as `env.LUAFCGID_VERSION`.

local parts = ...

local host, error = parts.host, error

local M = { version = parts.version }

--- luafcgid.serialize(value)
---
--- Gives Lua source that makes the value again: `loadstring("return " .. s)()` (in Lua 5.4 `load`). Values are strings, numbers, booleans,
--- nil and tables of these. Tables that are used twice are written twice.
---
--- Errors: functions, threads and userdata; a table that contains itself; more than 180 nested tables.
--- Example: assert(loadstring("return " .. luafcgid.serialize({ 1, "two" }))()[2] == "two")
--- C daemon: wrote tables that did not load.
function M.serialize(value)
  local ok, result = parts.serialize(value)
  if not ok then error(result, 2) end
  return result
end

local waiting, bad, type, select, unpack = parts.waiting, parts.arguments.bad, type, select, unpack or table.unpack

--- luafcgid.sleep(seconds)
---
--- Waits. The worker serves other requests meanwhile; the time does not count for `watchdog`.
---
--- Errors: no number, or one below 0; more requests wait than the setting `waiting` allows.
--- Example: luafcgid.sleep(0.25)
function M.sleep(seconds)
  if type(seconds) ~= "number" then bad(1, "sleep", "number", seconds) end
  if not (seconds >= 0 and seconds < 1e9) then error("bad argument #1 to 'sleep' (a number of seconds from 0)", 2) end
  local ok, token = host.starttimer(seconds)
  if not ok then error(token, 2) end
  local done, message = waiting.wait(token)
  if not done then error(message, 2) end
end

--- luafcgid.all(f1, f2, ...)
---
--- Calls the functions so that what they wait for takes its time at once, not one after the other. Gives the first result
--- of each, in their order, when all have ended. While one computes the others stand still: it is for waiting.
---
--- Errors: an argument that is no function; the first error that one of them raised, when all have ended.
--- Example: local a, b = luafcgid.all(function() luafcgid.sleep(1) return "a" end, function() return "b" end)
function M.all(...)
  local count = select("#", ...)
  local functions, results, values = { ... }, {}, {}
  for at = 1, count do
    if type(functions[at]) ~= "function" then bad(at, "all", "function", functions[at]) end
  end
  waiting.all(functions, count, results)
  for at = 1, count do
    local result = results[at]
    if not result.ok then error(result[1], 0) end
    values[at] = result[1]
  end
  return unpack(values, 1, count)
end

--- luafcgid.isolation(mode)
---
--- Says how long the values of this script live, in the place of the setting [`isolation`](configuration.md#isolation). Called
--- while the script is loaded, outside of all functions. With `"request"` each request begins with what the main chunk has
--- left; with `"state"` globals and local variables of the file keep their values between requests. Embedded engine only.
--- [states.md](states.md#isolation) tells more. At the top of a script: `require("luafcgid").isolation("request")`.
---
--- Errors: another word; called by a request; another engine.
--- Example: local is_late = not pcall(function() luafcgid.isolation("request") end) -- in a request it is too late
function M.isolation(mode)
  if mode ~= "request" and mode ~= "state" then
    error("bad argument #1 to 'isolation' (\"request\" or \"state\" expected)", 2)
  end
  local ok, message = host.isolation(mode)
  if not ok then error(message, 2) end
end

--- luafcgid.app()
---
--- The settings of the application: the table `app` of the configuration. It is a copy, which may be changed without an effect
--- elsewhere. It can be called when the script is loaded.
---
--- Errors: none.
--- Example: local title = luafcgid.app().title or "Guestbook"
function M.app()
  local _, settings = host.config("app")
  return settings or {}
end

--- luafcgid.con_methods()
---
--- Gives the names of all methods of [con](#con), in the order of the alphabet: for tools that look at scripts.
---
--- Errors: none.
--- Example: assert(luafcgid.con_methods()[1] == "check_csrf")
function M.con_methods() return parts.run.names() end

-- Scripts that require this module can wait from then on.
package.preload.luafcgid = function()
  waiting.enable()
  return M
end

return M
