-- os.exit ends a request, wherever it is called, and nothing that a script does can catch it: the host sets a hook that
-- raises an error at each instruction from then on. Hooks belong to one thread, so coroutines pass the end on.
--
-- A request that is stopped from outside ends the same way. For this a hook looks around every so often: `host.rearm`
-- brings it back where a script has taken it away, and looks at once; `host.watch` gives it to coroutines, where they do not
-- inherit it.

local parts = ...

local host, stock, caller_level = parts.host, parts.stock, parts.arguments.caller_level

local type, error, tonumber, setmetatable, pcall, select = type, error, tonumber, setmetatable, pcall, select
local replace, raise = stock.replace, stock.raise

local exiting = false
local exit_signal = setmetatable({}, { __tostring = function() return "os.exit" end })

local exit = {
  -- What a coroutine yields that waits for an operation: the one that has resumed it waits as well (waiting.lua).
  WAIT = {},
  -- What has to be done before the answer of the running request goes out, such as to save its session.
  at_end = nil,
  -- Hands over what the running request has put, as far as that may have to wait for its client (con.lua).
  last_flush = function() end,
}

replace(os, "os", "exit", function(...)
  local code = ...
  if code == nil or code == true then code = 0 elseif code == false then code = 1 end
  local number = tonumber(code)
  if not number then stock.bad_argument(1, stock.expected("number", select("#", ...), 1, code)) end
  local at_end = exit.at_end
  if at_end then
    exit.at_end = nil
    at_end()
  end
  exit.last_flush()
  exiting = true
  host.exit(number)
  error(exit_signal, 0) -- in case that hooks are off, as they are inside a debug hook
end)

local sethook, gethook = debug.sethook, debug.gethook
local rearm, watch = host.rearm, not jit and host.watch -- LuaJIT's hooks are those of all its threads

replace(debug, "debug", "sethook", function(...)
  if exiting then return end
  local ok, message = pcall(sethook, ...)
  if not ok then raise(message) end
  if rearm then rearm() end
end)

local function script_hook(ok, hook, ...)
  if not ok or hook == "external hook" then return nil, "", 0 end
  return hook, ...
end

replace(debug, "debug", "gethook", function(...)
  return script_hook(pcall(gethook, ...))
end)

local create, resume, wrap = coroutine.create, coroutine.resume, coroutine.wrap
local close, status = coroutine.close, coroutine.status

if watch then
  local plain_create = create
  create = replace(coroutine, "coroutine", "create", function(...)
    local ok, thread = pcall(plain_create, ...)
    if not ok then raise(thread) end
    watch(thread)
    return thread
  end)
end

-- LuaJIT does not count coroutines that resume each other, and each takes a part of the C stack. Lua itself stops at 200
-- nested C calls, of which each is one. What runs in a coroutine takes of the stack as well, so LuaJIT's host is asked for
-- those inside of others.
local deepest, depth = 190, 0
local has_room = jit and host.hasroom

local function may_resume()
  if depth >= deepest then return false end
  if depth == 0 or not has_room then return true end
  local _, room = has_room()
  return room ~= false
end

exit.create, exit.plain_resume = create, resume
local WAIT = exit.WAIT

function exit.is_exiting() return exiting end
function exit.clear() exiting = false end

-- The end goes on in this coroutine.
function exit.go_on()
  host.exit()
  error(exit_signal, 0)
end

local function pass_on(thread, ok, ...)
  depth = depth - 1
  if exiting then exit.go_on() end
  if ... == WAIT then
    exit.pause()
    depth = depth + 1
    return pass_on(thread, resume(thread))
  end
  return ok, ...
end

replace(coroutine, "coroutine", "resume", function(thread, ...)
  if type(thread) ~= "thread" then
    local _, message = pcall(resume, thread)
    raise(message)
  end
  if not may_resume() then return false, "C stack overflow" end
  depth = depth + 1
  return pass_on(thread, resume(thread, ...))
end)

local is_plain_51 = _VERSION == "Lua 5.1" and not jit
local function unwrap(thread, ok, ...)
  depth = depth - 1
  if exiting then exit.go_on() end
  local value = ...
  if ok and value == WAIT then
    exit.pause()
    depth = depth + 1
    return unwrap(thread, resume(thread))
  end
  if ok then return ... end
  if close and status(thread) == "dead" then
    -- What closing its variables raises counts more than the error that ended it.
    local is_closed, another = close(thread)
    if not is_closed then value = another end
  end
  local kind = type(value)
  if kind == "number" and is_plain_51 then value, kind = value .. "", "string" end
  error(value, kind == "string" and caller_level or 0)
end

replace(coroutine, "coroutine", "wrap", function(...)
  local body = ...
  if type(body) ~= "function" then
    local _, message = pcall(wrap, ...)
    raise(message)
  end
  local ok, thread = pcall(create, body)
  if not ok then raise(thread) end
  return function(...)
    if not may_resume() then error("C stack overflow", 2) end
    depth = depth + 1
    return unwrap(thread, resume(thread, ...)) -- a tail call: caller_level counts on it
  end
end)

return exit
