-- Stands in for the module `cgilua.cookies`.

local parts = ...

local run, urlcode = parts.run, parts.cgilua_urlcode
local error, tostring, type = error, tostring, type
local date, find, gmatch, match = os.date, string.find, string.gmatch, string.match

local M = {}

local function attribute(name, value)
  if value == nil or value == "" then return "" end
  if type(value) == "string" and find(value, "[;%c\"]") then error("the " .. name .. " of a cookie cannot have a semicolon, a quote or a control character", 4) end
  return "; " .. name .. "=" .. value
end

local function line(name, value, options)
  if not name or not value then error("cookie needs a name and a value", 3) end
  if find(name, "[%s;,=%c\"]") then error('"' .. name .. '" is no name of a cookie', 3) end
  options = options or {}
  return name .. "=" .. urlcode.escape(tostring(value)) ..
    attribute("expires", options.expires and date("!%a, %d %b %Y %H:%M:%S GMT", options.expires)) ..
    attribute("path", options.path) .. attribute("domain", options.domain) .. (options.secure and "; secure" or "")
end

function M.set(name, value, options) run.con:header("Set-Cookie", line(name, value, options)) end

-- In a page, whose headers may have gone already.
function M.sethtml(name, value, options)
  run.con:puts('<meta http-equiv="Set-Cookie" content="', line(name, value, options), '">')
end

function M.get(name)
  for pair in gmatch(run.env.HTTP_COOKIE or "", "[^;]+") do
    local sent, value = match(pair, "^%s*([^=%s]+)%s*=%s*(.*)$")
    -- A pattern that ends in "(.-)%s*$" takes time by the square of the spaces before another character.
    value = value and (match(value, "^(.*%S)") or "")
    if sent == name then return urlcode.unescape(value) end
  end
  return nil
end

function M.delete(name, options)
  options = options or {}
  M.set(name, "xxx", { expires = 1, path = options.path, domain = options.domain, secure = options.secure })
end

return M
