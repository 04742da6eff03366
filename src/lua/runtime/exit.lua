-- os.exit ends a request, wherever it is called, and nothing that a script does can catch it: the host sets a hook that
-- raises an error at each instruction from then on. Hooks belong to one thread, so coroutines pass the end on.
--
-- A request that is stopped from outside ends the same way. For this a hook looks around every so often: `host.rearm`
-- brings it back where a script has taken it away; `host.watch` gives it to coroutines, where they do not inherit it.

local parts = ...

local host = parts.host
local bad_argument, caller_level = parts.arguments.bad_in_library, parts.arguments.caller_level

local type, error, tonumber, setmetatable = type, error, tonumber, setmetatable

local exiting = false
local exit_signal = setmetatable({}, { __tostring = function() return "os.exit" end })

function os.exit(code)
  if code == nil or code == true then code = 0 elseif code == false then code = 1 end
  local number = tonumber(code)
  if not number then bad_argument(1, "exit", "number", code) end
  exiting = true
  host.exit(number)
  error(exit_signal, 0) -- in case that hooks are off, as they are inside a debug hook
end

local sethook, gethook = debug.sethook, debug.gethook
local rearm, watch = host.rearm, not jit and host.watch -- LuaJIT's hooks are those of all its threads

function debug.sethook(...)
  if exiting then return end
  sethook(...)
  if rearm then rearm() end
end

local function script_hook(hook, ...)
  if hook == "external hook" then return nil, "", 0 end
  return hook, ...
end

function debug.gethook(...)
  return script_hook(gethook(...))
end

local create, resume, close = coroutine.create, coroutine.resume, coroutine.close

if watch then
  local plain_create = create
  function create(body)
    local thread = plain_create(body)
    watch(thread)
    return thread
  end
  function coroutine.create(body)
    if type(body) ~= "function" then bad_argument(1, "create", "function", body) end
    return create(body)
  end
end

-- LuaJIT does not count coroutines that resume each other, and each takes a part of the C stack. Lua itself stops at 200
-- nested C calls, of which each is one.
local deepest, depth = 190, 0

local exit = {
  -- What a coroutine yields that waits for an operation: the one that has resumed it waits as well (waiting.lua).
  WAIT = {},
  create = create,
  plain_resume = resume,
}
local WAIT = exit.WAIT

function exit.is_exiting() return exiting end
function exit.clear() exiting = false end

-- The end goes on in this coroutine.
function exit.go_on()
  host.exit()
  error(exit_signal, 0)
end

local function pass_on(thread, ok, first, ...)
  depth = depth - 1
  if exiting then exit.go_on() end
  if first == WAIT then
    exit.pause()
    depth = depth + 1
    return pass_on(thread, resume(thread))
  end
  return ok, first, ...
end

function coroutine.resume(thread, ...)
  if type(thread) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  if depth >= deepest then return false, "C stack overflow" end
  depth = depth + 1
  return pass_on(thread, resume(thread, ...))
end

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
  if close then close(thread) end
  error(value, type(value) == "string" and caller_level or 0)
end

function coroutine.wrap(body)
  if type(body) ~= "function" then bad_argument(1, "wrap", "function", body) end
  local thread = create(body)
  return function(...)
    if depth >= deepest then error("C stack overflow", 2) end
    depth = depth + 1
    return unwrap(thread, resume(thread, ...)) -- a tail call: caller_level counts on it
  end
end

return exit
