-- Locks by name: require("luafcgid.lock").

--- ## The module luafcgid.lock
---
--- Locks by name, among all requests of the server: one request at a time holds a name.
---
--- ```lua
--- local lock = require("luafcgid.lock")
---
--- function main(env, con)
---   local ok, result = lock.with("invoice:7", function() return read_and_write() end)
---   if not ok then con:status(503) con:puts("busy: ", result) return end
---   con:puts(result)
--- end
--- ```
---
--- The setting [`locks`](configuration.md#locks) puts the locks into a data source, where they are those of all servers that use it: see there.
--- Then `lock`, `l:unlock` and `l:held` may also raise the errors of that source.
---
--- A script that waits for a lock holds no worker. Whoever waits gets the lock in turn. A lock belongs to the request: it is released when that
--- ends, however it ends, also when its worker is lost. Names are strings of at most 200 bytes. One request holds at most 256 locks in
--- the memory of the server, so that others find some, too.
---
--- `options.wait` is how many seconds the script waits for the lock: 10 when left out, and with 0 it does not wait. When the lock cannot be
--- had, the results are `nil` and a word: `"timeout"`, or `"deadlock"` when waiting would never end: the request holds the lock already, or those who hold
--- it wait, in turn, for what this request holds. Inside of a construct where Lua cannot be suspended (in Lua 5.1 an iterator or a
--- metamethod, everywhere a callback of table.sort or string.gsub) a lock that is free can be taken; waiting for one is an error.

local parts = ...

local host, waiting = parts.host, parts.waiting
local error, getmetatable, next, setmetatable, tostring, type = error, getmetatable, next, setmetatable, tostring, type
local type_name = parts.arguments.type_name

waiting.enable()

local M, methods = {}, {}
local meta = { __index = methods }
local DEFAULT_WAIT = 10
local MOST_NAME_BYTES = 200

-- Gives a token, or nil and a word.
local function acquire(name, seconds)
  local ok, start = host.lock(name, seconds, waiting.can_suspend())
  if not ok then error(start, 0) end
  if type(start) == "string" then return nil, start end
  if start.token then return start.token end
  local done, result = waiting.wait(start.wait)
  if not done then parts.data.raise(result) end
  if start.isTry and result == "timeout" then
    local _, fault = host.blockedlock(waiting.place())
    parts.data.raise(fault)
  end
  if type(result) == "string" then return nil, result end
  return result.token
end

-- An answer of the host, or of the data source that locks lie in.
local function answer(ok, result)
  if not ok then error(result, 0) end
  if type(result) ~= "table" then return result end
  local done, value = waiting.wait(result.wait)
  if not done then parts.data.raise(value) end
  return value
end

local function release(name, token)
  return answer(host.unlock(name, token))
end

-- Whether the request still holds it.
local function holds(name, token)
  return answer(host.holdslock(name, token))
end

-- For luafcgid.shared and sessions, with names that scripts cannot lock.
waiting.acquire_lock, waiting.release_lock, waiting.holds_lock = acquire, release, holds

local function wait_of(options, name)
  if options == nil then return DEFAULT_WAIT end
  if type(options) ~= "table" then
    error("bad argument #2 to '" .. name .. "' (table expected, got " .. type_name(options) .. ")", 4)
  end
  for option in next, options do
    if option ~= "wait" then error("unknown option '" .. tostring(option) .. "' of '" .. name .. "' (there is wait)", 4) end
  end
  local wait = options.wait
  if wait == nil then return DEFAULT_WAIT end
  if type(wait) ~= "number" or not (wait >= 0 and wait < 1e9) then
    error("bad option 'wait' of '" .. name .. "' (a number of seconds from 0)", 4)
  end
  return wait
end

local function take(name, wait, called)
  if type(name) ~= "string" then
    error("bad argument #1 to '" .. called .. "' (string expected, got " .. type_name(name) .. ")", 3)
  end
  if #name > MOST_NAME_BYTES then error("the name of a lock has at most " .. MOST_NAME_BYTES .. " bytes", 3) end
  local full_name = "lock:" .. name
  local token, word = acquire(full_name, wait)
  if not token then return nil, word end
  return setmetatable({ name = name, token = token, full_name = full_name }, meta)
end

--- #### `luafcgid.lock.lock(name [, options])`
---
--- Takes a lock, and waits for it if it is held. Gives the lock, with `name` and `token`, a number that grows each time that a lock is taken; or
--- `nil` and `"timeout"` or `"deadlock"`.
---
--- Errors: no string, or a longer one; a wait where Lua cannot be suspended; more requests wait than the setting `waiting` allows; more
---   than 256 locks.
---
--- ```lua
--- local l, why = lock.lock("invoice:7", { wait = 5 })
--- if l then work() l:unlock() end
--- ```
M.lock = function(name, options)
  local l, word = take(name, wait_of(options, "lock"), "lock")
  return l, word
end

--- #### `luafcgid.lock.try(name)`
---
--- Takes a lock if it is free; else gives `nil` and `"timeout"`, or `"deadlock"` when this request holds it.
M.try = function(name)
  local l, word = take(name, 0, "try")
  return l, word
end

local function finish(l, ok, ...)
  local is_asked, fault = waiting.pcall(l.unlock, l)
  if not ok then error((...), 0) end
  if not is_asked then error(fault, 0) end
  return true, ...
end

--- #### `luafcgid.lock.with(name [, options], f)`
---
--- Calls `f` with the lock while it is held, and releases it when `f` is over, also by an error. Gives `true` and the results of `f`, or `nil` and
--- `"timeout"` or `"deadlock"`: then `f` was not called.
M.with = function(name, options, f)
  if f == nil then options, f = nil, options end
  if type(f) ~= "function" then error("bad argument to 'with' (function expected, got " .. type_name(f) .. ")", 2) end
  local l, word = take(name, wait_of(options, "with"), "with")
  if not l then return nil, word end
  return finish(l, waiting.pcall(f, l))
end

local function check(self, name)
  if type(self) ~= "table" or getmetatable(self) ~= meta then error("call '" .. name .. "' with ':' on a lock", 3) end
end

--- #### `l:unlock()`
---
--- Releases the lock; the request that has waited for it the longest gets it. Gives `false` when it was released before.
function methods:unlock()
  check(self, "unlock")
  return release(self.full_name, self.token)
end

--- #### `l:held()`
---
--- Whether this request holds the lock.
function methods:held()
  check(self, "held")
  local is_held = holds(self.full_name, self.token)
  return is_held
end

return M
