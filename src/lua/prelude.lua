-- The first Lua code of every state: puts the other parts together and gives the engine the functions it calls.
-- `host` holds the raw host functions. Each returns true and its results, or nil and a message (`load` and `loadfile`:
-- the function, or nil and a message). None raises a Lua error itself: the wrappers in these files do.

--- # The Lua interface
---
--- A script is a Lua 5.1 file that defines a global function `main` (the setting `handler` can name another one):
---
--- ```lua
--- function main(env, con)
---   con:puts("Hello")
--- end
--- ```
---
--- When a state is made for the script, the file runs once, from top to bottom. After that every request that this
--- state gets calls `main(env, con)`. Globals and the file's local variables keep their values between requests; a
--- script that is in demand has several states, each with values of its own (`clones`). The values that `main` returns
--- are ignored. An error that it raises ends the request, not the state.
---
--- Strings are bytes. All 256 values pass unchanged through `env`, `con:gets` and `con:puts`. A first line that starts
--- with `#` and a UTF-8 byte order mark are skipped.
---
--- ## env
---
--- A new table for each request. It holds the FastCGI parameters of the web server as strings: `REQUEST_METHOD`,
--- `QUERY_STRING`, `SCRIPT_NAME`, `PATH_INFO`, `REMOTE_ADDR`, the request headers as `HTTP_HOST`, `HTTP_COOKIE` and so
--- on; `CONTENT_TYPE` and `CONTENT_LENGTH` describe the body. Which there are is up to the web server. If it sends a
--- name twice, the last value counts. A client's `Proxy` header is left out, since libraries take `HTTP_PROXY` for a
--- setting. `LUAFCGID_VERSION` is the version of this server.
---
--- Values come from the client: use `escape` of the module `luafcgid` before you put one into HTML.

local host, version, new_luafcgid, new_form, new_cookie, new_request, new_sandbox = ...

local G = _G
local type, tostring, pcall, pairs, rawequal = type, tostring, pcall, pairs, rawequal
local error, collectgarbage, getmetatable = error, collectgarbage, debug.getmetatable
local randomseed, tonumber = math.randomseed, tonumber
local traceback = debug.traceback

local luafcgid, internal = new_luafcgid(version)
package.loaded.luafcgid = luafcgid
local sandbox = new_sandbox(host)
local request = new_request(host, luafcgid, new_form(internal), new_cookie(internal))

local engine = {}

-- What an error value says. Whatever was thrown, the result is a string.
local function describe(value)
  local kind = type(value)
  if kind == "string" or kind == "number" then return tostring(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__tostring then
    local ok, text = pcall(tostring, value)
    if ok and type(text) == "string" then return text end
    return "error object is a " .. kind .. " value whose __tostring fails: " .. (ok and "it returns no string" or describe(text))
  end
  return "error object is a " .. kind .. " value"
end

-- The message handler of everything the engine calls.
function engine.onerror(value)
  if not sandbox.is_exiting() then host.report(describe(value), traceback("", 2)) end
  return value
end

-- A fresh state learns about its surroundings.
function engine.init()
  local _, directory = host.argument(1)
  local _, path = host.argument(2)
  local _, seed = host.argument(3)
  randomseed(tonumber(seed))
  sandbox.init(directory, path)
  request.init()
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

function engine.has()
  local _, name = host.argument(1)
  return callable(G[name])
end

function engine.call()
  local _, name = host.argument(1)
  named_function(name)()
end

function engine.serve()
  local _, name = host.argument(1)
  local _, env = host.params()
  env.LUAFCGID_VERSION = version
  local con = request.begin(env)
  named_function(name)(env, con)
  request.complete()
end

-- After a request that did not complete: hands over the output it had collected.
function engine.abandon()
  request.complete()
end

-- Forgets the request, so that its `con` is dead.
function engine.forget()
  request.forget()
  sandbox.clear_exit()
end

function engine.collect()
  collectgarbage("step", 64)
end

local baseline = {}

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
