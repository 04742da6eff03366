-- The last part of every state that is loaded: gives the functions that the engine calls.
--
-- Each of these files is a part. It is called with the table `parts` and what it gives becomes `parts.NAME`, with the name
-- that manifest.ts has for it. `parts.host` holds the raw host functions. Each returns true and its results, or nil and a
-- message (`load`, `loadfile` and `part`: a function, or nil and a message). None raises a Lua error itself: the functions
-- in these files do.

--- # The Lua interface
---
--- A script is a Lua file (Lua 5.1, unless the setting `engine` says otherwise) that defines a global function `main` (the setting `handler` can name another one):
---
--- ```lua
--- function main(env, con)
---   con:puts("Hello")
--- end
--- ```
---
--- A script that defines no such function can return one at its end, `return function(env, con) ... end`, which is called in its
--- place. So keep modules that return functions where no address leads (the setting `path`): beside a script they could be asked for.
--- Scripts that are written for other interfaces run through [adapters](existing-software.md).
---
--- When a state is made for the script, the file runs once, from top to bottom. After that every request that this
--- state gets calls `main(env, con)`. Globals and the file's local variables keep their values between requests; a
--- script that is in demand has several states, each with values of its own (`clones`). The values that `main` returns
--- are ignored. An error that it raises ends the request, not the state.
---
--- A web server may ask for more than answers. Beside `main`, a script may define `authorize(env, con)`, which decides
--- whether a client may have something ([Authorizers](web-servers.md#authorizers)), and `filter(env, con)`, which answers with
--- what it makes of a file ([Filters](web-servers.md#filters)).
---
--- Strings are bytes. All 256 values pass unchanged through `env`, `con:gets` and `con:puts`. A first line that starts
--- with `#` and a UTF-8 byte order mark are skipped.
---
--- ## env
---
--- A new table for each request. It holds the FastCGI parameters of the web server as strings: `REQUEST_METHOD`,
--- `QUERY_STRING`, `SCRIPT_NAME`, `PATH_INFO`, `REMOTE_ADDR`, the request headers as `HTTP_HOST`, `HTTP_COOKIE` and so
--- on; `CONTENT_TYPE` and `CONTENT_LENGTH` describe the body. Which there are is up to the web server. If it sends a
--- name twice, the last value counts: nginx before 1.23 and HAProxy do so with a header that a client sends twice, others join the values.
--- (To look for each name twice would cost every request, and two values of a name like `CONTENT_LENGTH` have no sum.) A client's `Proxy` header is left out, since libraries take `HTTP_PROXY` for a
--- setting. `LUAFCGID_VERSION` is the version of this server, `FCGI_ROLE` is `RESPONDER`,
--- `AUTHORIZER` or `FILTER`.
---
--- Values come from the client: use `escape` of the module `luafcgid` before you put one into HTML.

local parts = ...

local host, env, exit, con, run = parts.host, parts.env, parts.exit, parts.con, parts.run
local add_hint = parts.hints.add
local sources, library, waiting = parts.sources, parts.stdlib, parts.waiting

local G = _G
local type, tostring, pcall = type, tostring, pcall
local error, collectgarbage, pairs, rawequal = error, collectgarbage, pairs, rawequal
local randomseed = math.randomseed
local traceback, getmetatable = parts.debug.traceback, debug.getmetatable
local next, format, sub, concat, sort = next, string.format, string.sub, table.concat, table.sort

local engine = {}

-- The fields of a table in a few words, for a log.
local function outline(value)
  local most, longest = 10, 100
  local fields, count = {}, 0
  for key, field in next, value do
    count = count + 1
    if count > most then
      fields[count] = "..."
      break
    end
    local kind = type(field)
    if kind == "string" then
      field = format("%q", #field > longest and sub(field, 1, longest) .. "..." or field)
    elseif kind ~= "number" and kind ~= "boolean" then
      field = kind
    end
    fields[count] = (type(key) == "string" and key or "[" .. (type(key) == "number" and key or type(key)) .. "]") .. " = " ..
      tostring(field)
  end
  sort(fields)
  return count == 0 and "{}" or "{ " .. concat(fields, ", ") .. " }"
end

-- What an error value says. Whatever was thrown, the result is a string. What its __tostring throws is described as well, but not
-- what the __tostring of that throws: there may be no end of it.
local function describe(value, is_within)
  local kind = type(value)
  if kind == "string" or kind == "number" then return tostring(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__tostring then
    if is_within then return "error object is a " .. kind .. " value with a __tostring" end
    local ok, text = pcall(tostring, value)
    if ok and type(text) == "string" then return text end
    return "error object is a " .. kind .. " value whose __tostring fails: " .. (ok and "it returns no string" or describe(text, true))
  end
  if kind ~= "table" then return "error object is a " .. kind .. " value" end
  return "error object is a table value: " .. outline(value)
end

-- Lua 5.1 itself walks down anew for each call that it leaves out of a long traceback: twenty thousand of them take a fifth
-- of a second, in which nothing stops the script. So the last call of a deep stack is searched by halves.
local stack_from = traceback
if G._VERSION == "Lua 5.1" and not G.jit then
  local getinfo = parts.debug.getinfo
  local DEEP, FIRST, LAST = 500, 11, 10 -- the latter two are those of Lua

  -- A line of the traceback, as Lua writes it.
  local function line(info)
    local place = "\n\t" .. info.short_src .. ":" .. (info.currentline > 0 and info.currentline .. ":" or "")
    if info.namewhat ~= "" then return place .. " in function '" .. info.name .. "'" end
    if info.what == "main" then return place .. " in main chunk" end
    if info.what == "C" or info.what == "tail" then return place .. " ?" end
    return place .. " in function <" .. info.short_src .. ":" .. info.linedefined .. ">"
  end

  function stack_from(message, level)
    local first = level + 1 -- this function is on the stack as well
    if not getinfo(first + DEEP, "") then
      local stack = traceback(message, first)
      return stack
    end
    local last, beyond = first + DEEP, first + 2 * DEEP
    while getinfo(beyond, "") do last, beyond = beyond, beyond * 2 end
    while beyond - last > 1 do
      local middle = (last + beyond - (last + beyond) % 2) / 2
      if getinfo(middle, "") then last = middle else beyond = middle end
    end
    local lines = { message, "\nstack traceback:" }
    for at = first, FIRST do lines[#lines + 1] = line(getinfo(at, "Snl")) end
    lines[#lines + 1] = "\n\t..."
    for at = last - LAST + 1, last do lines[#lines + 1] = line(getinfo(at, "Snl")) end
    return concat(lines)
  end
end

local reported, reported_traceback, reported_frames
local shows_locals = false

-- The local variables where an error was raised, where they may be shown. Loading what collects them may fail, as after a stack
-- overflow: then there are none.
local function frames_of(thread)
  if not shows_locals then return nil end
  local ok, text = pcall(function() return parts.frames.collect(thread) end)
  return ok and text or nil
end

-- An error of the run thread was described there, where its Lua stack was.
local is_reported = false

-- The message handler of everything the engine calls. After a stack overflow there is hardly any room for it: what it
-- finds is told later. While what runs is being stopped, the error says nothing: the host knows why, and tells it.
function engine.onerror(value)
  local _, is_stopping = host.stopping()
  if is_stopping then return nil end
  if is_reported then
    is_reported = false
  else
    reported_traceback = stack_from("", 2)
    reported = describe(value)
    if type(value) == "string" then reported = add_hint(value, 2) end
    reported_frames = frames_of()
  end
  return value
end

-- After an error: tells what the message handler has found.
function engine.report()
  local message, stack, frames = reported, reported_traceback, reported_frames
  reported, reported_traceback, reported_frames = nil, nil, nil
  if message then host.report(message, stack, frames) end
end

-- Called by a hook: where the code is that runs now.
function engine.traceback()
  local stack = stack_from("", 2)
  return stack -- no tail call: that would take this function off the stack
end

-- A fresh state learns about its surroundings.
function engine.init()
  local _, start = host.argument()
  randomseed(start.seed)
  shows_locals = start.shows_locals
  sources.init(start)
  library.init(start)
  con.init()
end

local function callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or (type(meta) == "table" and type(meta.__call) == "function")
end

local function named_function(name)
  local value = G[name]
  if not callable(value) then
    error("there is no function '" .. name .. "': the global is a " .. type(value) .. " value", 0)
  end
  return value
end

-- What the script's main chunk has returned, and whether it can be called: its handler when it defines none.
local returned, is_handler
-- The handler that an adapter has made of the script, and the name that it stands for.
local adapted, adapted_name

function engine.returned(value)
  returned, is_handler = value, callable(value)
end

-- Makes the handler of a script that is written for another interface. Without a source its main chunk has run already.
function engine.adapt()
  local _, asked = host.argument()
  adapted, adapted_name = parts.adapters.adapt(asked, returned), asked.handler
end

function engine.has()
  local _, asked = host.argument()
  if callable(G[asked.name]) then return true end
  return asked.role == "RESPONDER" and (is_handler or adapted_name == asked.name)
end

function engine.call()
  local _, name = host.argument()
  named_function(name)()
end

local handler_name

-- Names the global function that `serve` calls, and the role in which it answers.
function engine.handler()
  local _, asked = host.argument()
  handler_name, run.role = asked.name, asked.role
end

-- Found by a function of its own, so that in stack traces the handler does not bear the name of a variable here.
local function find_handler()
  if adapted_name == handler_name and run.role == "RESPONDER" then return adapted end
  local handler = G[handler_name]
  if type(handler) == "function" then return handler end
  if is_handler and run.role == "RESPONDER" and not callable(handler) then return returned end
  return named_function(handler_name)
end

-- The script is loaded: finds out now what its first request would. Gives whether nothing that it has belongs to a request.
function engine.settle()
  env.judge(find_handler())
  return next(waiting.leases) == nil
end

-- A state that is a copy of another one, or goes back to what it was, draws random numbers of its own.
function engine.reseed()
  local _, seed = host.argument()
  randomseed(seed)
end

-- The handler has returned: gives the output that is left to be handed over, or nil. Of an Authorizer the result counts:
-- what is not true refuses.
local function finish(result)
  exit.at_end = nil
  local output = con.take()
  if result == true and run.role == "AUTHORIZER" then host.grant() end
  con.forget()
  env.forget()
  return output
end

-- What has become of a handler that can wait. Gives true when it waits.
local function go_on_after(outcome, value, thread)
  if outcome == "waits" then return true end
  if outcome == "done" then return finish(value) end
  local _, is_stopping = host.stopping()
  if not is_stopping then
    reported_traceback = traceback(thread, "", 0)
    reported = describe(value)
    if type(value) == "string" then reported = add_hint(value, 0, thread) end
    reported_frames = frames_of(thread)
    is_reported = true
  end
  error(value, 0)
end

-- Answers a request. Gives the output that is left to be handed over, or nil; true when the handler waits.
function engine.serve()
  local request_env = env.new(find_handler())
  local request_con = con.begin(request_env)
  if waiting.is_enabled then return go_on_after(waiting.begin(find_handler(), request_env, request_con)) end
  local result = find_handler()(request_env, request_con)
  if exit.at_end then exit.at_end() end
  exit.last_flush()
  return finish(result)
end

-- Goes on with a handler that waits.
function engine.resume()
  return go_on_after(waiting.go_on())
end

-- Ends a handler where it waits: gives the output that it had collected.
function engine.cancel()
  waiting.drop()
  return con.take()
end

-- The Lua stack of a handler that waits.
function engine.where()
  return waiting.where()
end

-- The globals before the script runs.
local baseline = {}

-- From now on handlers can wait.
function engine.can_wait()
  local has_pcall, has_xpcall = G.pcall == baseline.pcall, G.xpcall == baseline.xpcall
  waiting.enable(baseline)
  -- These are the engine's own: the script has not changed them.
  if has_pcall then baseline.pcall = G.pcall end
  if has_xpcall then baseline.xpcall = G.xpcall end
end

-- After a request that did not complete: gives the output it had collected.
function engine.abandon()
  return con.take()
end

-- Forgets a request that did not complete, so that its `con` is dead.
function engine.forget()
  con.forget()
  env.forget()
  exit.clear()
  waiting.drop()
  reported, reported_traceback, reported_frames, is_reported = nil, nil, nil, false
end

local COLLECT_STEPS = 64

-- A step of garbage collection while the state is idle; without an argument a whole cycle.
function engine.collect()
  local _, what = host.argument()
  if not what then
    collectgarbage()
  elseif library.collect_step then
    library.collect_step()
  else
    -- A cycle at the most: a small state is done with one, and its finalizers have run.
    for _ = 1, COLLECT_STEPS do
      if collectgarbage("step", 64) then break end
    end
  end
end

-- What the script added to the globals or changed there.
function engine.globals()
  local values, functions = {}, {}
  for name, value in pairs(G) do
    if type(name) == "string" and not rawequal(baseline[name], value) then
      if type(value) == "function" then functions[#functions + 1] = name else values[name] = value end
    end
  end
  local ok, message = host.globals(values, functions)
  if not ok then error(message, 0) end
end

for name, value in pairs(G) do baseline[name] = value end

return engine
