-- How a script waits without holding its worker. The handler of a state that can wait runs in a coroutine, the run thread.
-- An operation that is not over yet suspends that: the worker serves other requests, and resumes it when the operation is
-- over. Where Lua cannot be suspended (inside of an iterator, a metamethod, a callback of table.sort, …) the operation
-- blocks the worker instead, with the same result.
--
-- A state can wait once its script, or a module of it, has required a module that waits (`enable`). Other states run
-- their handlers as a plain call.

local parts = ...

local host, exit, stock = parts.host, parts.exit, parts.stock

local error, select, type, setmetatable, next, rawget = error, select, type, setmetatable, next, rawget
local create, resume, status, yield, running = exit.create, exit.plain_resume, coroutine.status, coroutine.yield, coroutine.running
local plain_pcall, plain_xpcall, traceback, getinfo = pcall, xpcall, debug.traceback, debug.getinfo
local sub = string.sub
local is_plain_51 = _VERSION == "Lua 5.1" and not jit

-- What coroutines yield while an operation is not over: every coroutine around passes it on (exit.lua).
local WAIT = exit.WAIT
-- What the run thread yields when the handler has returned.
local DONE = {}

local waiting = {
  is_enabled = false,
  -- A protected call that can wait.
  pcall = plain_pcall,
  -- What modules have open for the request, by data source: it ends with the request.
  leases = {},
}

local run_thread
-- Whether the run thread executes.
local is_active = false
-- Whether the coroutine that calls may yield.
local may_yield = coroutine.isyieldable

if is_plain_51 then
  local host_yieldable = host.yieldable
  function may_yield()
    local _, is_yieldable = host_yieldable()
    return is_yieldable
  end
end

-- Where the script is that waits, as "file:line".
local function place()
  for level = 3, 20 do
    local info = getinfo(level, "Sl")
    if not info then return "" end
    if info.currentline > 0 and info.short_src ~= "[luafcgid]" then return info.short_src .. ":" .. info.currentline end
  end
  return ""
end

waiting.place = place

-- Waits until one of the request's operations is over.
function waiting.pause()
  if is_active and may_yield() then
    yield(WAIT)
  else
    local ok, message = host.block(place())
    if not ok then error(message, 0) end
  end
end

exit.pause = waiting.pause

-- Whether `pause` would suspend the request, and not block the worker.
function waiting.can_suspend() return is_active and may_yield() end

-- Waits for an operation. Gives true and its result, or nil and what is known of its error: a message, or a table of the
-- fields that an error of a data source has.
function waiting.wait(token)
  local ok, is_over = host.isover(token)
  while ok and not is_over do
    waiting.pause()
    ok, is_over = host.isover(token)
  end
  if not ok then return nil, is_over end
  local taken, result = host.takeresult(token)
  if not taken then return nil, result end
  if result.failed then return nil, result.value end
  return true, result.value
end

-- Waits until the client has read, before output that it is too slow for. Gives true when the output is to be tried again so that
-- it may block the worker.
function waiting.for_output()
  if is_active and may_yield() then
    local ok, token = host.awaitoutput()
    if ok and token then
      waiting.wait(token)
      return false
    end
  end
  host.blockedoutput(place())
  return true
end

-- ---- the run thread ------------------------------------------------------------------------------------------------

local function loop(handler, request_env, con)
  while true do
    local result = handler(request_env, con)
    if exit.at_end then exit.at_end() end
    exit.last_flush()
    handler, request_env, con = yield(DONE, result)
  end
end

-- Gives "waits", "done" with what the handler has returned, or "failed" with the error and the coroutine that it was raised in.
local function outcome(thread, ok, signal, result)
  is_active = false
  if ok and signal == WAIT then return "waits" end
  if ok and signal == DONE then return "done", result end
  run_thread = nil
  if ok then return "failed", "attempt to yield from outside a coroutine", thread end
  return "failed", signal, thread
end

function waiting.begin(handler, request_env, con)
  -- What the request before has left open has ended with it.
  if next(waiting.leases) ~= nil then waiting.leases = {} end
  local thread = run_thread or create(loop)
  run_thread = thread
  is_active = true
  return outcome(thread, resume(thread, handler, request_env, con))
end

function waiting.go_on()
  is_active = true
  return outcome(run_thread, resume(run_thread))
end

-- The suspended handler never runs again.
function waiting.drop()
  run_thread, is_active = nil, false
  exit.at_end = nil
  waiting.leases = {}
end

-- The Lua stack of the suspended handler.
function waiting.where() return run_thread and traceback(run_thread, "", 0) or "" end

-- ---- several at once -----------------------------------------------------------------------------------------------

local function keep(results, at, ok, ...)
  results[at] = { ok = ok, n = select("#", ...), ... }
  return ok
end

-- Runs functions so that they wait at the same time. Gives true, or false and the error of the first that failed.
function waiting.all(functions, count, results)
  local threads, open = {}, count
  for at = 1, count do threads[at] = create(functions[at]) end
  local function step(at)
    local thread = threads[at]
    local ok, signal = true, nil
    local function note(is_ok, first, ...)
      ok, signal = is_ok, first
      if not is_ok or first ~= WAIT then keep(results, at, is_ok, first, ...) end
    end
    note(resume(thread))
    if exit.is_exiting() then exit.go_on() end
    if ok and signal == WAIT then return end
    threads[at], open = false, open - 1
    if ok and status(thread) ~= "dead" then
      results[at] = { ok = false, n = 1, "attempt to yield from outside a coroutine" }
    end
  end
  while open > 0 do
    for at = 1, count do if threads[at] then step(at) end end
    if open > 0 then waiting.pause() end
  end
end

-- ---- what looks as if the handler ran outside of a coroutine -------------------------------------------------------

-- Lua 5.1 cannot suspend what pcall and xpcall call. So these run it in a coroutine of their own, which passes on what it
-- yields: the signal to wait, and what the script's own coroutines yield through it.
local parent = setmetatable({}, { __mode = "k" })

-- `known`: see `enable`.
local function install_protected_calls(known)
  local free, count = {}, 0

  local function body(f, ...) return body(yield(DONE, f(...))) end

  -- The place of that call, which errors of functions that are called here would name as the place of their caller. The caller is
  -- pcall, which has none.
  local _, own_place = resume(create(body), function() error("", 2) end)

  local function without_place(message)
    if type(message) == "string" and sub(message, 1, #own_place) == own_place then return sub(message, #own_place + 1) end
    return message
  end

  local finish

  local function again(thread, handle, ...) return finish(thread, handle, resume(thread, ...)) end

  function finish(thread, handle, ok, signal, ...)
    if exit.is_exiting() then exit.go_on() end
    if ok and signal == WAIT then
      waiting.pause()
      return again(thread, handle)
    elseif ok and signal == DONE then
      parent[thread] = nil
      count = count + 1
      free[count] = thread
      return true, ...
    elseif ok then
      return again(thread, handle, yield(signal, ...))
    end
    parent[thread] = nil
    signal = without_place(signal)
    if handle == nil then return false, signal end
    return false, handle(signal, thread)
  end

  local function take()
    local thread = free[count]
    if thread == nil then return create(body) end
    free[count] = nil
    count = count - 1
    return thread
  end

  -- A function of C waits for nothing. Called from here, its errors would name a place in this file.
  local function is_of_c(f)
    return type(f) == "function" and not stock.original[f] and getinfo(f, "S").what == "C"
  end

  -- A script that has put its own function in the place of one keeps that.
  local function put(name, wrapper)
    if known == nil or rawget(_G, name) == known[name] then stock.replace(_G, "_G", name, wrapper) end
    return wrapper
  end

  local pcall_wrapper = put("pcall", function(...)
    if not is_active or select("#", ...) == 0 or is_of_c((...)) then return plain_pcall(...) end
    local thread = take()
    parent[thread] = running()
    return finish(thread, nil, resume(thread, ...))
  end)

  put("xpcall", function(...)
    local f, handler = ...
    if not is_active or select("#", ...) < 2 or is_of_c(f) then return plain_xpcall(...) end
    local function handle(value, thread)
      if handler == traceback or stock.original[handler] == traceback then
        if type(value) ~= "string" and type(value) ~= "number" and value ~= nil then return value end
        return traceback(thread, value)
      end
      local ok, result = plain_pcall(handler, value)
      return result
    end
    local thread = take()
    parent[thread] = running()
    return finish(thread, handle, resume(thread, f))
  end)
  return pcall_wrapper
end

local function install_running()
  local main = running()
  stock.replace(coroutine, "coroutine", "running", function()
    local thread, is_main = running()
    while thread and parent[thread] do thread = parent[thread] end
    if thread ~= nil and thread == run_thread then
      if is_main == nil then return nil end
      return main, true
    end
    return thread, is_main
  end)
  local is_yieldable = coroutine.isyieldable
  if is_yieldable then
    stock.replace(coroutine, "coroutine", "isyieldable", function()
      return running() ~= run_thread and is_yieldable()
    end)
  end
end

-- Lua 5.1 tells nobody whether a coroutine may yield: the host reads it in Lua's memory, where this version has it.
local function tells_truth()
  local plainly, protected
  local thread = create(function()
    plainly = may_yield()
    plain_pcall(function() protected = may_yield() end)
  end)
  resume(thread)
  return plainly == true and protected == false
end

-- From now on handlers of this state can wait. `known`: the engine's own functions by name, when a script may have replaced some.
function waiting.enable(known)
  if waiting.is_enabled then return end
  waiting.is_enabled = true
  if is_plain_51 then
    if not tells_truth() then may_yield = function() return false end end
    waiting.pcall = install_protected_calls(known)
  end
  install_running()
end

return waiting
