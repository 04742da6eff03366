-- The module luafcgid.cgilua.

--- ## The module luafcgid.cgilua
---
--- Runs pages and scripts that are written for CGILua. Such a file runs from top to bottom for each request, and writes with
--- `cgilua.put` or, in a page, around its Lua:
---
--- ```html
--- <h1>Hello, <?lua= cgilua.QUERY.name or "you" ?></h1>
--- <% for at = 1, 3 do %><p>line <%= at %></p><% end %>
--- ```
---
--- The setting `adapters = { lp = "cgilua" }` makes scripts of all pages. [Existing software](existing-software.md#cgilua) tells what
--- the table `cgilua` has.

local parts = ...

local host, run, waiting, lua_page = parts.host, parts.run, parts.waiting, parts.lua_page
local interface, G = parts.cgilua_interface, parts.globals
local type, error, setmetatable, tostring = type, error, setmetatable, tostring
local find, sub = string.find, string.sub
local loaded = parts.globals.package.loaded

local M = {}

-- The modules of these names are ours, also where CGILua is installed: its own count on its launcher.
local function take_names()
  loaded["cgilua"] = interface.cgilua
  loaded["cgilua.lp"] = interface.lp
  loaded["cgilua.urlcode"] = parts.cgilua_urlcode
  loaded["cgilua.cookies"], loaded["cgilua.session"] = parts.cgilua_cookies, parts.cgilua_session
  interface.cgilua.cookies, interface.cgilua.session = parts.cgilua_cookies, parts.cgilua_session
end

-- What globals a file has during one request. What it sets is gone after that, as in a process of its own.
local function new_globals()
  local cgilua = interface.cgilua
  local globals = setmetatable({ cgilua = cgilua, SAPI = interface.sapi, print = cgilua.print, write = cgilua.put }, { __index = G })
  globals._G = globals
  return globals
end

-- The file of a path that a script gives, compiled once in each state. Raises an error that names the file.
local compiled = {}
local function file_of(path)
  local file = compiled[path]
  if file then return file end
  local ok, text = host.textfile(path)
  if not ok then error(text, 0) end
  if not text then error("cannot open " .. path .. ": there is no such file, or it may not be read", 0) end
  return M.compile(text, path)
end

-- For the parts beside this one; not part of the module. `text` is what the file has.
function M.compile(text, path)
  local compile = find(path, "%.lua$") and lua_page.compile_script or lua_page.compile
  local file, message = compile(text, "@" .. path)
  if not file then error(message, 0) end
  compiled[path] = file
  return file
end

function M.run_file(path, globals)
  local file = file_of(parts.sources.resolve(path))
  return file(run.con, globals or new_globals())
end

-- Answers a request by a file. Where the script has set handlers of its own for errors, they answer.
local function answer(path, env, con)
  interface.begin(env, con, path)
  if not find(path, "%.lua$") then con:type("text/html") end
  if not interface.has_error_handlers() then
    M.run_file(path)
    return interface.finish()
  end
  local ok, message = waiting.pcall(M.run_file, path)
  if not ok then interface.fail(message) end
  interface.finish()
end

--- cgilua.handler(file)
---
--- A handler `handler(env, con)` that answers by a file of CGILua's: a script when its name ends with `.lua`, a page with any other. A
--- relative name begins beside the script. The file is read when it is first asked for, and again when it has changed.
---
--- Errors: no name. The request fails when the file cannot be read, or its Lua has an error.
--- Example: local handler = cgilua.handler("page.lp")
function M.handler(file)
  if type(file) ~= "string" then parts.arguments.bad(1, "handler", "string", file) end
  take_names()
  local path = parts.sources.resolve(file)
  return function(env, con) return answer(path, env, con) end
end

return M
