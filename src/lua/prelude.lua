-- The first Lua code of every state: puts the other parts together and gives the engine the functions it calls.
-- `host` holds the raw host functions. Each returns true and its results, or nil and a message (`load` and `loadfile`:
-- the function, or nil and a message). None raises a Lua error itself: the wrappers in these files do.
local host, version, new_luafcgid, new_form, new_request, new_sandbox = ...

local G = _G
local type, tostring, pcall, pairs, rawequal = type, tostring, pcall, pairs, rawequal
local error, collectgarbage, getmetatable = error, collectgarbage, debug.getmetatable
local traceback = debug.traceback

local luafcgid, internal = new_luafcgid(version)
package.loaded.luafcgid = luafcgid
local sandbox = new_sandbox(host)
local request = new_request(host, luafcgid, new_form(internal))

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
