-- Stands in for the module `wsapi.response`: collects the answer of a WSAPI application.

local parts = ...

local type, tostring, error, select, setmetatable = type, tostring, error, select, setmetatable
local find = string.find
local date = os.date

local methods = {}
local meta = { __index = methods }

local function write(self, value)
  if type(value) == "table" then
    for at = 1, #value do write(self, value[at]) end
  elseif value then
    local text = tostring(value)
    self.length = self.length + #text
    self.body[#self.body + 1] = text
  end
end

-- Strings, numbers, and lists of these.
function methods:write(...)
  local values = { ... }
  for at = 1, select("#", ...) do write(self, values[at]) end
end

-- The application is asked again, with another path.
function methods:forward(url)
  self.env.PATH_INFO = url or self.env.PATH_INFO
  return "MK_FORWARD"
end

-- What a WSAPI application returns.
function methods:finish()
  self.headers["Content-Length"] = self.length
  local body, at = self.body, 0
  return self.status, self.headers, function()
    at = at + 1
    return body[at]
  end
end

local function attribute(name, value)
  if value == nil or value == "" then return "" end
  if find(value, "[;%c]") then error("the " .. name .. " of a cookie cannot have a semicolon or a control character", 4) end
  return "; " .. name .. "=" .. value
end

local function cookie_line(name, value)
  if find(name, "[%s;,=%c]") or name == "" then error('"' .. name .. '" is no name of a cookie', 3) end
  local options = type(value) == "table" and value or { value = value }
  return name .. "=" .. parts.wsapi_util.url_encode(tostring(options.value or "")) ..
    attribute("expires", options.expires and date("!%a, %d %b %Y %H:%M:%S GMT", options.expires)) ..
    attribute("Max-Age", options.max_age and tostring(options.max_age)) ..
    attribute("path", options.path) .. attribute("domain", options.domain) ..
    (options.secure and "; secure" or "") .. (options.httponly and "; HttpOnly" or "")
end

-- The value is a text, or a table of `value`, `expires`, `max_age`, `path`, `domain`, `secure` and `httponly`.
function methods:set_cookie(name, value)
  local line, present = cookie_line(name, value), self.headers["Set-Cookie"]
  if present == nil then
    self.headers["Set-Cookie"] = line
  elseif type(present) == "table" then
    present[#present + 1] = line
  else
    self.headers["Set-Cookie"] = { present, line }
  end
end

function methods:delete_cookie(name, path, domain)
  self:set_cookie(name, { value = "xxx", expires = 1, path = path, domain = domain })
end

function methods:redirect(url)
  self.status, self.headers.Location = 302, url
  self.body, self.length = {}, 0
  return self:finish()
end

function methods:content_type(mime) self.headers["Content-Type"] = mime end

local M = { methods = methods }

function M.new(status, headers)
  headers = headers or {}
  headers["Content-Type"] = headers["Content-Type"] or "text/html"
  return setmetatable({ status = status or 200, headers = headers, body = {}, length = 0 }, meta)
end

return M
