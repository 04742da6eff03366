-- The methods of `con` that read and remove headers of the answer, and those for answers that a client has already.

local parts = ...

local host, run = parts.host, parts.run
local Con, refuse = run.methods, run.refuse
local bad_argument = parts.arguments.bad
local type, error, tonumber, tostring = type, error, tonumber, tostring
local find, gmatch, match, format, floor, date, time = string.find, string.gmatch, string.match, string.format, math.floor, os.date, os.time
local unpack = unpack or table.unpack

local redirect_codes = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- con:redirect(url[, code])
---
--- Answers with a redirect to `url`. The code is 301, 302 (if left out), 303, 307 or 308. The script goes on; `return`
--- after it.
---
--- Errors: another code; a URL that is no string or has a line break; after headers were sent.
--- Example: con:redirect("/thanks.lua", 303)
function Con.redirect(self, url, code)
  if self ~= run.con or run.finished then refuse(self, "redirect") end
  if type(url) ~= "string" then bad_argument(1, "redirect", "string", url) end
  code = code == nil and 302 or code
  if not redirect_codes[tonumber(code) or 0] then
    error("con:redirect with the code " .. tostring(code) .. "; use 301, 302, 303, 307 or 308", 2)
  end
  local ok, message = host.header("Location", url)
  if ok then ok, message = host.status(format("%d", code)) end
  if not ok then error(message, 2) end
end

--- con:get_header(name)
---
--- The value of a response header as it is set now: nil when it is not set; as many results as values where it was added more
--- than once.
---
--- Errors: no string.
--- Example: local cookies = { con:get_header("Set-Cookie") }
function Con.get_header(self, name)
  if self ~= run.con then refuse(self, "get_header") end
  if type(name) ~= "string" then bad_argument(1, "get_header", "string", name) end
  local ok, values = host.headervalues(name)
  if not ok then error(values, 2) end
  if #values <= 1 then return values[1] end
  return unpack(values, 1, #values)
end

--- con:remove_header(name)
---
--- Removes a response header, also one that the setting `headers` gives every answer. `Status` and `Content-Type` become those
--- of the configuration again.
---
--- Errors: no string; after headers were sent.
--- Example: con:remove_header("X-Powered-By")
function Con.remove_header(self, name)
  if self ~= run.con or run.finished then refuse(self, "remove_header") end
  if type(name) ~= "string" then bad_argument(1, "remove_header", "string", name) end
  local ok, message = host.removeheader(name)
  if not ok then error(message, 2) end
end

local function may_be_known()
  local method = run.env.REQUEST_METHOD or "GET"
  return method == "GET" or method == "HEAD"
end

-- Lists of tags come from the client: longer ones are not looked through.
local most_tags = 100

--- con:etag(tag[, options])
---
--- Sets the header `ETag` and tells whether the client has this version already: then the status is 304, and the script has
--- nothing more to do. `tag` is any text without quotes that names the version of the page, as a number of a revision or a
--- digest. `options` may have `weak = true` for a version that means the same without being the same bytes.
---
--- Errors: a tag that is no string or number, is empty, or has quotes, spaces or control characters; after headers were sent.
--- Example: if con:etag("revision-7") then return end
function Con.etag(self, tag, options)
  if self ~= run.con or run.finished then refuse(self, "etag") end
  tag = parts.arguments.text(tag, 1, "etag", "string or number")
  if not find(tag, '^[^%c%s"\127]+$') then error('con:etag: a tag is a text without quotes, spaces and control characters', 2) end
  local strong = '"' .. tag .. '"'
  local ok, message = host.header("ETag", options and options.weak and "W/" .. strong or strong)
  if not ok then error(message, 2) end
  local known = run.env.HTTP_IF_NONE_MATCH
  if not known or not may_be_known() then return false end
  local is_known, count = match(known, "^%s*%*%s*$") ~= nil, 0
  -- What follows a W/ is compared: a weak comparison (RFC 9110, section 13.1.2).
  for one in gmatch(known, '"[^"]*"') do
    count = count + 1
    if one == strong then is_known = true end
    if is_known or count >= most_tags then break end
  end
  if is_known then host.status("304") end
  return is_known
end

local months = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

-- Days from 1 January 1970 to a date of the Gregorian calendar.
local function days_before(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400) + floor((153 * month - 457) / 5) + day - 719469
end

-- The time of an HTTP date in the form that is in use; nil for all others.
local function time_of(text)
  local day, name, year, hour, minute, second = match(text, "^%s*%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT%s*$")
  local month = months[name]
  if not month then return nil end
  return ((days_before(tonumber(year), month, tonumber(day)) * 24 + tonumber(hour)) * 60 + tonumber(minute)) * 60 + tonumber(second)
end

--- con:last_modified(time)
---
--- Sets the header `Last-Modified` and tells whether what the client has is as new: then the status is 304, and the script has
--- nothing more to do. `time` is one of `os.time()`. A client that names tags is asked by `con:etag` only.
---
--- Errors: no number, or one that is no time of the years 1970 to 9999; after headers were sent.
--- Example: if con:last_modified(os.time({ year = 2026, month = 1, day = 1 })) then return end
function Con.last_modified(self, modified)
  if self ~= run.con or run.finished then refuse(self, "last_modified") end
  if type(modified) ~= "number" or not (modified >= 0 and modified <= 253402300799) then
    bad_argument(1, "last_modified", "time of os.time()", modified)
  end
  modified = floor(modified)
  -- One that is to come is of a clock that is wrong (RFC 9110, section 8.8.2.1).
  local now = time()
  local ok, message = host.header("Last-Modified", date("!%a, %d %b %Y %H:%M:%S GMT", modified > now and now or modified))
  if not ok then error(message, 2) end
  local since = run.env.HTTP_IF_MODIFIED_SINCE
  if not since or run.env.HTTP_IF_NONE_MATCH or not may_be_known() then return false end
  local known = time_of(since)
  local is_known = known ~= nil and modified <= known
  if is_known then host.status("304") end
  return is_known
end

return true
