-- The module luafcgid.pegasus.

--- ## The module luafcgid.pegasus
---
--- Runs what Pegasus runs, a function `callback(request, response)` with its plugins, without the HTTP server of Pegasus. The script is
--- one line:
---
--- ```lua
--- return require("luafcgid.pegasus").handler(callback)
--- ```

local parts = ...

local con_log = {}
local type, next, require, tonumber, setmetatable = type, next, require, tonumber, setmetatable
local find, format, gmatch, gsub, lower, match, sub = string.find, string.format, string.gmatch, string.gsub, string.lower, string.match, string.sub
local run = parts.run

-- Pegasus' log goes to that of the server.
for name, level in next, { debug = "debug", info = "debug", warn = "warn", error = "error", fatal = "error" } do
  con_log[name] = function(_, text, ...)
    text = format(text, ...)
    if run.con then run.con:log(level, text) else parts.globals.print(text) end
  end
end

-- The lines of the request's head, as they came over HTTP.
local function head_of(env)
  local lines = { (env.REQUEST_METHOD or "GET") .. " " .. (env.REQUEST_URI or env.SCRIPT_NAME or "/") .. " HTTP/1.1" }
  for name, value in next, env do
    if type(name) == "string" and sub(name, 1, 5) == "HTTP_" and name ~= "HTTP_CONTENT_TYPE" and name ~= "HTTP_CONTENT_LENGTH" then
      lines[#lines + 1] = gsub(lower(sub(name, 6)), "_", "-") .. ": " .. value
    end
  end
  if (env.CONTENT_TYPE or "") ~= "" then lines[#lines + 1] = "Content-Type: " .. env.CONTENT_TYPE end
  if (env.CONTENT_LENGTH or "") ~= "" then lines[#lines + 1] = "Content-Length: " .. env.CONTENT_LENGTH end
  lines[#lines + 1] = ""
  return lines
end

-- The answer as it goes over HTTP, taken apart again: its head, and its body, which may be chunked.
local Answer = {}
Answer.__index = Answer

function Answer:read_head()
  local stop, last = find(self.text, "\r\n\r\n", 1, true)
  if not stop then return false end
  local con, is_first = run.con, true
  for line in gmatch(sub(self.text, 1, stop + 1), "(.-)\r\n") do
    local name, value = match(line, "^([^:]+):%s*(.*)$")
    value = value and (match(value, "^(.*%S)") or "")
    if is_first then
      con:status(match(line, "^HTTP/%d%.%d (%d%d%d)") or 200)
      is_first = false
    elseif name and lower(name) == "transfer-encoding" then
      self.is_chunked = lower(value) == "chunked"
    elseif name and lower(name) ~= "connection" and lower(name) ~= "date" then
      con:header(name, value)
    end
  end
  self.has_head, self.text = true, sub(self.text, last + 1)
  return true
end

function Answer:add(text)
  self.text = self.text .. text
  if not self.has_head and not self:read_head() then return end
  if not self.is_chunked then
    if self.text ~= "" then run.con:puts(self.text) end
    self.text = ""
    return
  end
  local at = 1
  while true do
    local digits, size_end = match(self.text, "^(%x+)[^\r\n]*\r\n()", at)
    local size = digits and tonumber(digits, 16)
    if not size or #self.text < size_end + size + 1 then break end
    if size > 0 then run.con:puts(sub(self.text, size_end, size_end + size - 1)) end
    at = size_end + size + 2
  end
  self.text = sub(self.text, at)
end

-- What looks like a socket to Pegasus.
local function new_client(env, con)
  local lines, at = head_of(env), 0
  local answer = setmetatable({ text = "", has_head = false, is_chunked = false }, Answer)
  return {
    getpeername = function() return env.REMOTE_ADDR end,
    settimeout = function() end,
    receive = function(_, what)
      if at < #lines then
        at = at + 1
        return lines[at]
      end
      local text = con:gets(type(what) == "number" and what > 0 and what or 65536)
      if not text then return nil, "closed", "" end
      return text
    end,
    send = function(_, text)
      answer:add(text)
      return #text
    end,
    close = function() end,
  }
end

local M = {}

--- pegasus.handler(callback[, options])
---
--- A handler `handler(env, con)` that answers as Pegasus does with this callback. `options` may have `plugins` and `location`, as
--- Pegasus itself; it has to be installed.
---
--- Errors: no function; the module `pegasus.handler` is not found.
--- Example: if false then local handler = pegasus.handler(function(request, response) response:write("hello") end) end
function M.handler(callback, options)
  if type(callback) ~= "function" then parts.arguments.bad(1, "handler", "function", callback) end
  if options ~= nil and type(options) ~= "table" then parts.arguments.bad(2, "handler", "table", options) end
  options = options or {}
  local Handler = require("pegasus.handler")
  local pegasus = Handler:new(callback, options.location or "", options.plugins, con_log)
  return function(env, con)
    local _ = env.REQUEST_METHOD -- parameters are there when one is asked for
    pegasus:processRequest(tonumber(env.SERVER_PORT), new_client(env, con), {})
  end
end

return M
