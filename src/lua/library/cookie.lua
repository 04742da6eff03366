-- Cookies: reading what browsers send, writing what they should keep.
local parts = ...

local type, tostring, tonumber, pairs = type, tostring, tonumber, pairs
local find, gsub, gmatch, match, lower = string.find, string.gsub, string.gmatch, string.match, string.lower
local format, char, byte = string.format, string.char, string.byte
local concat, floor, date = table.concat, math.floor, os.date
local add_field = parts.url.add_field

local cookie = {}

local function unescape_percent(digits) return char(tonumber(digits, 16)) end

-- The cookies of a Cookie header; nil when there are more than `most`. Unlike in forms a + is a plus.
function cookie.read(header, most)
  local cookies, lists, count = {}, {}, 0
  for pair in gmatch(header or "", "[^;]+") do
    count = count + 1
    if count > most then return nil end
    local name, value = match(pair, "^%s*([^=%s]+)%s*=%s*(.*)$")
    if name then
      value = match(value, "^(.*%S)") or ""
      value = match(value, '^"(.*)"$') or value
      add_field(cookies, lists, name, (gsub(value, "%%(%x%x)", unescape_percent)))
    end
  end
  return cookies
end

local function percent(c) return format("%%%02X", byte(c)) end

-- Numbers hold all whole numbers up to this one.
local most_seconds = 2 ^ 53
-- An HTTP date has four digits for the year, and calendars of browsers begin in 1601.
local first_time, last_time = -11644473600, 253402300799

local samesite_values = { strict = "Strict", lax = "Lax", none = "None" }

-- Each option gives its part of the Set-Cookie line, or nil and what is wrong with it.
local options_of = {
  path = function(value)
    if type(value) ~= "string" or not find(value, "^/[^%c;]*$") then return nil, "a path that starts with /" end
    return "; Path=" .. value
  end,
  domain = function(value)
    if type(value) ~= "string" or not find(value, "^[%w%.%-]+$") then return nil, "a host name" end
    return "; Domain=" .. value
  end,
  maxage = function(value)
    -- Written so that what is no number is refused, too.
    if type(value) ~= "number" or not (value >= -most_seconds and value <= most_seconds) or floor(value) ~= value then
      return nil, "a whole number of seconds"
    end
    return "; Max-Age=" .. format("%.0f", value)
  end,
  expires = function(value)
    if type(value) == "number" then
      if not (value >= first_time and value <= last_time) then return nil, "a time of the years 1601 to 9999" end
      value = date("!%a, %d %b %Y %H:%M:%S GMT", floor(value))
    end
    if type(value) ~= "string" or not find(value, "^[%w ,:%-]+$") then
      return nil, "a time as os.time() gives it, or an HTTP date"
    end
    return "; Expires=" .. value
  end,
  secure = function(value)
    if type(value) ~= "boolean" then return nil, "true or false" end
    return value and "; Secure" or ""
  end,
  httponly = function(value)
    if type(value) ~= "boolean" then return nil, "true or false" end
    return value and "; HttpOnly" or ""
  end,
  samesite = function(value)
    local known = type(value) == "string" and samesite_values[lower(value)]
    if not known then return nil, '"Strict", "Lax" or "None"' end
    return "; SameSite=" .. known
  end,
}
local option_order = { "path", "domain", "expires", "maxage", "secure", "httponly", "samesite" }

-- The value of a Set-Cookie header; or nil and what is wrong, to follow the name of the function in a message.
function cookie.write(name, value, options)
  if type(name) ~= "string" then return nil, ": the name of a cookie is a string, not a " .. type(name) .. " value" end
  if not find(name, "^[%w!#$%%&'*+%-.^_`|~]+$") then
    return nil, ": " .. format("%q", tostring(name)) .. " is no cookie name; use letters, digits and !#$%&'*+-.^_`|~"
  end
  for option in pairs(options) do
    if not options_of[option] then
      return nil, " has no option " .. tostring(option) .. "; there are " .. concat(option_order, ", ")
    end
  end
  local line = name .. "=" .. gsub(value, "[^%w%-%._~]", percent)
  for i = 1, #option_order do
    local option = option_order[i]
    if options[option] ~= nil then
      local part, wanted = options_of[option](options[option])
      if not part then return nil, ": the option " .. option .. " must be " .. wanted .. ", not " .. tostring(options[option]) end
      line = line .. part
    end
  end
  if find(line, "SameSite=None", 1, true) and not options.secure then
    return nil, ": browsers refuse SameSite=None without secure = true"
  end
  return line
end

return cookie
