-- `con`, through which a script answers one request. A con lives as long as its request.
local host, luafcgid, form = ...

local type, tostring, tonumber, select, error, pairs = type, tostring, tonumber, select, error, pairs
local setmetatable, getmetatable = setmetatable, debug.getmetatable
local concat, sort = table.concat, table.sort
local find, lower, match, format, gsub, char, byte =
  string.find, string.lower, string.match, string.format, string.gsub, string.char, string.byte
local date, floor = os.date, math.floor

local Con = {}
local con_meta = { __index = Con, __metatable = "con" }

-- Output is collected here and handed over in larger pieces: a call to the host costs more than many small puts.
local piece_bytes, piece_count = 32768, 512
local pieces, count, bytes = {}, 0, 0

local current -- the con of the running request; nil between requests
local finished -- whether con:finish() was called
local direct -- whether each puts goes out at once (buffering is off)
local env, settings, cache, body_read
local buffering_setting

local function type_name(value) return value == nil and "nil" or type(value) end

local function bad_argument(position, method, wanted, value)
  error("bad argument #" .. position .. " to '" .. method .. "' (" .. wanted .. " expected, got " .. type_name(value) .. ")", 3)
end

-- Says why this call is not possible now.
local function refuse(self, method)
  if current and self == current then
    error("con:" .. method .. " after con:finish(): the answer was already sent", 3)
  elseif getmetatable(self) == con_meta then
    error("con:" .. method .. ": the request of this con is over; use the con that main(env, con) was given", 3)
  else
    error("con." .. method .. " was called without its con; write con:" .. method .. "(...) with a colon", 3)
  end
end

local function hand_over()
  if count == 0 then return true end
  local text = concat(pieces, "", 1, count)
  count, bytes = 0, 0
  return host.write(text)
end

-- The text of a string or number argument.
local function text_argument(value, position, method)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  error("bad argument #" .. position .. " to '" .. method .. "' (string or number expected, got " .. type_name(value) .. ")", 3)
end

function Con.puts(self, ...)
  if self ~= current or finished then refuse(self, "puts") end
  local argument_count = select("#", ...)
  for i = 1, argument_count do
    local piece = select(i, ...)
    local size
    if type(piece) == "string" then
      size = #piece
    elseif type(piece) == "number" then
      size = 16
    else
      bad_argument(i, "puts", "string or number", piece)
    end
    if size < piece_bytes then
      count = count + 1
      pieces[count] = piece
      bytes = bytes + size
      if bytes >= piece_bytes or count >= piece_count then
        local ok, message = hand_over()
        if not ok then error(message, 2) end
      end
    else
      local ok, message = hand_over()
      if ok then ok, message = host.write(piece) end
      if not ok then error(message, 2) end
    end
  end
  if direct then
    local ok, message = hand_over()
    if not ok then error(message, 2) end
  end
end

function Con.header(self, ...)
  if self ~= current or finished then refuse(self, "header") end
  local argument_count = select("#", ...)
  local name, value = ...
  local ok, message
  if argument_count == 1 then
    ok, message = host.headerline(text_argument(name, 1, "header"))
  elseif argument_count == 2 then
    ok, message = host.header(text_argument(name, 1, "header"), text_argument(value, 2, "header"))
  else
    error("con:header takes a line, or a name and a value; it was given " .. argument_count .. " arguments", 2)
  end
  if not ok then error(message, 2) end
end

function Con.status(self, status)
  if self ~= current or finished then refuse(self, "status") end
  if type(status) == "number" and floor(status) ~= status then bad_argument(1, "status", "whole number", status) end
  local ok, message = host.status(text_argument(status, 1, "status"))
  if not ok then error(message, 2) end
end

function Con.type(self, mime)
  if self ~= current or finished then refuse(self, "type") end
  if type(mime) ~= "string" then bad_argument(1, "type", "string", mime) end
  local ok, message = host.header("Content-Type", mime)
  if not ok then error(message, 2) end
end

local redirect_codes = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

function Con.redirect(self, url, code)
  if self ~= current or finished then refuse(self, "redirect") end
  if type(url) ~= "string" then bad_argument(1, "redirect", "string", url) end
  code = code == nil and 302 or code
  if not redirect_codes[tonumber(code) or 0] then
    error("con:redirect with the code " .. tostring(code) .. "; use 301, 302, 303, 307 or 308", 2)
  end
  local ok, message = host.header("Location", url)
  if ok then ok, message = host.status(tostring(code)) end
  if not ok then error(message, 2) end
end

local function percent(c) return format("%%%02X", byte(c)) end

local samesite_values = { strict = "Strict", lax = "Lax", none = "None" }

-- Each option gives its part of the Set-Cookie line, or nil and what is wrong with it.
local cookie_options = {
  path = function(value)
    if type(value) ~= "string" or not find(value, "^/[^%c;]*$") then return nil, "a path that starts with /" end
    return "; Path=" .. value
  end,
  domain = function(value)
    if type(value) ~= "string" or not find(value, "^[%w%.%-]+$") then return nil, "a host name" end
    return "; Domain=" .. value
  end,
  maxage = function(value)
    if type(value) ~= "number" or floor(value) ~= value then return nil, "a whole number of seconds" end
    return "; Max-Age=" .. format("%d", value)
  end,
  expires = function(value)
    if type(value) == "number" then value = date("!%a, %d %b %Y %H:%M:%S GMT", value) end
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
local cookie_option_order = { "path", "domain", "expires", "maxage", "secure", "httponly", "samesite" }

function Con.cookie(self, name, value, options)
  if self ~= current or finished then refuse(self, "cookie") end
  if type(name) ~= "string" or not find(name, "^[%w!#$%%&'*+%-.^_`|~]+$") then
    error("con:cookie: " .. format("%q", tostring(name)) ..
      " is no cookie name; use letters, digits and !#$%&'*+-.^_`|~", 2)
  end
  value = text_argument(value, 2, "cookie")
  if options ~= nil and type(options) ~= "table" then bad_argument(3, "cookie", "table", options) end
  options = options or {}
  for option in pairs(options) do
    if not cookie_options[option] then
      error("con:cookie has no option " .. tostring(option) .. "; there are " .. concat(cookie_option_order, ", "), 2)
    end
  end
  local line = name .. "=" .. gsub(value, "[^%w%-%._~]", percent)
  for i = 1, #cookie_option_order do
    local option = cookie_option_order[i]
    if options[option] ~= nil then
      local part, wanted = cookie_options[option](options[option])
      if not part then
        error("con:cookie: the option " .. option .. " must be " .. wanted .. ", not " .. tostring(options[option]), 2)
      end
      line = line .. part
    end
  end
  if find(line, "SameSite=None", 1, true) and not options.secure then
    error("con:cookie: browsers refuse SameSite=None without secure = true", 2)
  end
  local ok, message = host.header("Set-Cookie", line)
  if not ok then error(message, 2) end
end

function Con.flush(self)
  if self ~= current or finished then refuse(self, "flush") end
  local ok, message = hand_over()
  if ok then ok, message = host.flush() end
  if not ok then error(message, 2) end
end

function Con.reset(self)
  if self ~= current or finished then refuse(self, "reset") end
  local ok, message = host.reset()
  if not ok then error(message, 2) end
  count, bytes = 0, 0
end

function Con.finish(self)
  if self ~= current or finished then refuse(self, "finish") end
  local ok, message = hand_over()
  if ok then ok, message = host.finish() end
  if not ok then error(message, 2) end
  finished = true
end

-- Reads `wanted` bytes of the body, or less at its end; nil at the end. Returns nil and a message on an error.
local function read_body(wanted)
  local parts, part_count, left = {}, 0, wanted
  while left > 0 do
    local ok, part = host.readbody(left)
    if not ok then return nil, part end
    if not part then break end
    part_count = part_count + 1
    parts[part_count] = part
    left = left - #part
  end
  body_read = true
  if part_count == 0 then return nil end
  if part_count == 1 then return parts[1] end
  return concat(parts)
end

function Con.gets(self, wanted)
  if self ~= current then refuse(self, "gets") end
  if wanted == nil then
    wanted = math.huge
  elseif type(wanted) ~= "number" or wanted < 1 or floor(wanted) ~= wanted then
    error("con:gets takes a number of bytes, at least 1, or nothing for the whole rest of the body; it was given " ..
      (type(wanted) == "string" and format("%q", wanted) or tostring(wanted)), 2)
  end
  local text, message = read_body(wanted)
  if message then error(message, 2) end
  return text
end

local function to_boolean(value)
  if value == true or value == "true" or value == "on" or value == "1" or value == 1 then return true end
  if value == false or value == "false" or value == "off" or value == "0" or value == 0 then return false end
end

function Con.config(self, name, ...)
  if self ~= current then refuse(self, "config") end
  if type(name) ~= "string" then bad_argument(1, "config", "string", name) end
  if select("#", ...) == 0 then
    if settings and settings[name] ~= nil then return settings[name] end
    local ok, value = host.config(name)
    if not ok then error(value, 2) end
    return value
  end
  local value = ...
  if name == "buffering" then
    value = to_boolean(value)
    if value == nil then error("con:config: buffering is true or false, not " .. tostring((...)), 2) end
  elseif name == "httpstatus" or name == "contenttype" then
    value = text_argument(value, 2, "config")
  else
    error("con:config cannot set " .. format("%q", name) .. "; a script may set buffering, httpstatus and contenttype", 2)
  end
  if finished then refuse(self, "config") end
  local ok, message = host.configure(name, value)
  if ok and name == "buffering" then
    if not value then ok, message = hand_over() end
    direct = not value
  end
  if not ok then error(message, 2) end
  settings = settings or {}
  settings[name] = value
end

local log_levels = { debug = true, info = true, warn = true, error = true }

function Con.log(self, ...)
  if self ~= current then refuse(self, "log") end
  local level, text = "info", ...
  if select("#", ...) >= 2 then
    level, text = ...
    if not log_levels[level] then
      error("con:log: " .. tostring(level) .. " is no level; use debug, info, warn or error", 2)
    end
  end
  local ok, message = host.log(level, tostring(text))
  if not ok then error(message, 2) end
end

function Con.query(self)
  if self ~= current then refuse(self, "query") end
  cache.query = cache.query or luafcgid.parse(env.QUERY_STRING)
  return cache.query
end

function Con.cookies(self)
  if self ~= current then refuse(self, "cookies") end
  cache.cookies = cache.cookies or form.cookies(env.HTTP_COOKIE)
  return cache.cookies
end

function Con.form(self)
  if self ~= current then refuse(self, "form") end
  if cache.form then return cache.form end
  local content_type = env.CONTENT_TYPE or ""
  local kind = lower(match(content_type, "^[^;%s]*"))
  local fields
  if kind == "application/x-www-form-urlencoded" or kind == "multipart/form-data" then
    if body_read then error("con:form: the body was already read with con:gets", 2) end
    local body, message = read_body(math.huge)
    if message then error(message, 2) end
    if kind == "multipart/form-data" then
      fields = form.multipart(body or "", content_type)
    else
      fields = luafcgid.parse(body)
    end
  end
  cache.form = fields or {}
  return cache.form
end

local request = {}

function request.init()
  local _, value = host.config("buffering")
  buffering_setting = to_boolean(value)
end

function request.begin(request_env)
  current = setmetatable({}, con_meta)
  env, cache, settings = request_env, {}, nil
  finished, body_read = false, false
  direct = buffering_setting == false
  count, bytes = 0, 0
  return current
end

-- Hands over what is left at the end of a request.
function request.complete()
  if finished then return end
  local ok, message = hand_over()
  if not ok then error(message, 0) end
end

function request.forget()
  current, env, cache, settings = nil, nil, nil, nil
  if pieces[64] then pieces = {} end
  count, bytes = 0, 0
end

return request
