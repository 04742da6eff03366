-- `con`, through which a script answers one request. A con lives as long as its request.

--- ## con
---
--- The second argument of `main`: the connection to the client. Its methods are called with a colon. `con` is valid
--- until `main` returns; a script that keeps it and uses it later gets an error.
---
--- An answer is kept until the script ends or flushes, or until it is larger than the setting `outputbuffer`. So
--- headers may be set after output, and an error replaces the whole answer by an error page. A script that sets nothing
--- answers with the settings `httpstatus`, `contenttype` and `headers`.
---
--- Every method raises a Lua error when it cannot do what it is asked. An error that nobody catches ends the request
--- with status 500, or with the status that is named below.
---
--- The C daemon had `puts`, `header`, `flush`, `reset`, `gets`, `config` and `log`; the other methods are new.

local host, luafcgid, form, cookie = ...

local type, tostring, tonumber, select, error, pcall = type, tostring, tonumber, select, error, pcall
local setmetatable, getmetatable = setmetatable, debug.getmetatable
local lower, match, format = string.lower, string.match, string.format
local concat, floor, huge = table.concat, math.floor, math.huge

local Con = {}
local con_meta = { __index = Con, __metatable = "con" }

-- Output is collected here and handed over in larger pieces: a call to the host costs more than many small puts.
local piece_bytes, piece_count = 32768, 512
local pieces, count, bytes = {}, 0, 0

local current -- the con of the running request; nil between requests
local finished -- whether con:finish() was called
local direct -- whether each puts goes out at once (buffering is off)
local env, settings, body_read
local query, cookies, fields -- parsed input, once somebody asked for it
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

-- The text of a string or number argument; anything else is an error of the script's line.
local function text_argument(value, position, method)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  error("bad argument #" .. position .. " to '" .. method .. "' (string or number expected, got " .. type_name(value) .. ")", 3)
end

-- Raises an error at the line that called puts if one of its arguments can be no output.
local function check_piece(piece, position)
  local kind = type(piece)
  if kind ~= "string" and kind ~= "number" then
    error("bad argument #" .. position .. " to 'puts' (string or number expected, got " .. type_name(piece) .. ")", 3)
  end
end

-- The pieces as one string. (LuaJIT makes traces without end of a table of all arguments.)
local function join(left, a, b, c, d, ...)
  if left > 4 then return a .. b .. c .. d .. join(left - 4, ...) end
  if left == 4 then return a .. b .. c .. d end
  if left == 3 then return a .. b .. c end
  if left == 2 then return a .. b end
  return left == 1 and a .. "" or ""
end

--- con:puts(...)
---
--- Adds strings and numbers to the body of the answer, in order and byte for byte. Many small pieces are cheap. The
--- answer to a HEAD request, or of status 204 or 304, goes without its body.
---
--- Errors: an argument that is neither string nor number; after `con:finish()`.
--- Example: con:puts("<p>", 6 * 7, "</p>\n")
--- C daemon: took one argument and ignored the others.
function Con.puts(self, ...)
  if self ~= current or finished then refuse(self, "puts") end
  local argument_count = select("#", ...)
  local piece = ...
  if argument_count ~= 1 then
    -- Joining them costs less than looking at each.
    local ok, joined = pcall(join, argument_count, ...)
    if type(joined) ~= "string" then ok = false end
    if not ok then
      for i = 1, argument_count do check_piece((select(i, ...)), i) end
      error(joined, 0) -- all are fine: not enough memory
    end
    piece = joined
  elseif type(piece) ~= "string" then
    check_piece(piece, 1)
    piece = tostring(piece)
  end
  local size = #piece
  if size < piece_bytes and not direct then
    local at = count + 1
    count = at
    pieces[at] = piece
    bytes = bytes + size
    if bytes < piece_bytes and at < piece_count then return end
    local ok, message = hand_over()
    if not ok then error(message, 2) end
  elseif size > 0 then
    local ok, message = hand_over()
    if ok then ok, message = host.write(piece) end
    if not ok then error(message, 2) end
  end
end

--- con:header(name, value)
--- con:header(line)
---
--- Adds a response header. `Status`, `Content-Type`, `Content-Length` and `Location` replace what is set; others are
--- added, so two calls with `Set-Cookie` give two cookies. `Location` without a status makes the answer a redirect
--- (302). Headers that belong to the web server's own connection (`Connection`, `Transfer-Encoding` and the like) are
--- left out, and the log says so. So is a `Content-Length` that is not the length of the body, when the whole body is
--- there before anything is sent.
---
--- Errors: a name that is no header name; CR, LF or NUL in the value; a line without a colon; after headers were sent.
--- Example: con:header("Cache-Control", "no-store")
--- C daemon: always sent its own `Status` and `Content-Type` first, did not check for line breaks, and was silent after
---   headers were sent.
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

--- con:status(code)
---
--- Sets the HTTP status: a code from 200 to 599, alone or with its text.
---
--- Errors: anything else; after headers were sent.
--- Example: con:status("404 Not Found")
function Con.status(self, status)
  if self ~= current or finished then refuse(self, "status") end
  if type(status) == "number" then
    if floor(status) ~= status then bad_argument(1, "status", "whole number", status) end
    status = format("%d", status) -- Lua 5.4 would write 404.0
  end
  local ok, message = host.status(text_argument(status, 1, "status"))
  if not ok then error(message, 2) end
end

--- con:type(mime)
---
--- Sets the Content-Type.
---
--- Errors: no string; CR, LF or NUL in it; after headers were sent.
--- Example: con:type("text/plain; charset=utf-8")
function Con.type(self, mime)
  if self ~= current or finished then refuse(self, "type") end
  if type(mime) ~= "string" then bad_argument(1, "type", "string", mime) end
  local ok, message = host.header("Content-Type", mime)
  if not ok then error(message, 2) end
end

local redirect_codes = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- con:redirect(url[, code])
---
--- Answers with a redirect to `url`. The code is 301, 302 (if left out), 303, 307 or 308. The script goes on; `return`
--- after it.
---
--- Errors: another code; a URL that is no string or has a line break; after headers were sent.
--- Example: con:redirect("/thanks.lua", 303)
function Con.redirect(self, url, code)
  if self ~= current or finished then refuse(self, "redirect") end
  if type(url) ~= "string" then bad_argument(1, "redirect", "string", url) end
  code = code == nil and 302 or code
  if not redirect_codes[tonumber(code) or 0] then
    error("con:redirect with the code " .. tostring(code) .. "; use 301, 302, 303, 307 or 308", 2)
  end
  local ok, message = host.header("Location", url)
  if ok then ok, message = host.status(format("%d", code)) end
  if not ok then error(message, 2) end
end

--- con:cookie(name, value[, options])
---
--- Adds a cookie. The value is percent-encoded where cookies need it; `con:cookies()` decodes it. `options` is a table
--- with any of `path` (begins with /), `domain`, `expires` (a time of `os.time()` or an HTTP date), `maxage` (seconds;
--- 0 deletes the cookie), `secure`, `httponly` (true or false) and `samesite` (`"Strict"`, `"Lax"` or `"None"`, which
--- needs `secure`).
---
--- Errors: a name or an option that cannot be in a cookie; an option that does not exist; after headers were sent.
--- Example: con:cookie("theme", "dark", { maxage = 86400, httponly = true, samesite = "Lax" })
function Con.cookie(self, name, value, options)
  if self ~= current or finished then refuse(self, "cookie") end
  value = text_argument(value, 2, "cookie")
  if options ~= nil and type(options) ~= "table" then bad_argument(3, "cookie", "table", options) end
  local line, wrong = cookie.write(name, value, options or {})
  if not line then error("con:cookie" .. wrong, 2) end
  local ok, message = host.header("Set-Cookie", line)
  if not ok then error(message, 2) end
end

--- con:flush()
---
--- Sends headers and everything put so far to the web server, now. A web server may collect output itself: nginx passes
--- it on at once if the script sets the header `X-Accel-Buffering: no`.
---
--- Errors: after `con:finish()`.
--- Example: con:flush()
--- C daemon: left the data in a buffer of its FastCGI library.
function Con.flush(self)
  if self ~= current or finished then refuse(self, "flush") end
  local ok, message = hand_over()
  if ok then ok, message = host.flush() end
  if not ok then error(message, 2) end
end

--- con:reset()
---
--- Drops body, headers and status that were set so far, to begin anew.
---
--- Errors: after headers were sent.
--- Example: con:reset()
--- C daemon: dropped the body only.
function Con.reset(self)
  if self ~= current or finished then refuse(self, "reset") end
  local ok, message = host.reset()
  if not ok then error(message, 2) end
  count, bytes = 0, 0
end

--- con:finish()
---
--- Sends the answer and ends it for the client. The script goes on, for work that nobody has to wait for; its worker
--- stays busy until `main` returns. `con:log`, `con:config` and what was read of the input still work; an error after
--- it is in the log only.
---
--- Errors: a second time.
--- Example: con:finish()
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

--- con:gets([n])
---
--- Reads the request body: all of it, or at most `n` bytes of what is left. Gives less than `n` bytes only at the end,
--- and nil when nothing is left. Waits for bytes that have not come yet.
---
--- nginx sends no more of a body once an answer has begun. So read a body to its end before you put more than
--- `outputbuffer` or flush, unless `bodymemory` is as large as `maxpost`, which it is by default.
---
--- Errors: `n` is no whole number above 0; the body is larger than the setting `maxpost` (status 413); it ended before
---   its announced length (status 400).
--- Example: local text = con:gets()
--- C daemon: cut off what was longer than `maxpost`, and had no `n`.
function Con.gets(self, wanted)
  if self ~= current then refuse(self, "gets") end
  if wanted == nil then
    wanted = huge
  elseif type(wanted) ~= "number" or wanted < 1 or floor(wanted) ~= wanted then
    error("con:gets takes a number of bytes, at least 1, or nothing for the whole rest of the body; it was given " ..
      (type(wanted) == "string" and format("%q", wanted) or tostring(wanted)), 2)
  end
  local text, message = read_body(wanted)
  if message then error(message, 2) end
  return text
end

-- A day, in seconds.
local most_watchdog = 86400

local function to_boolean(value)
  if value == true or value == "true" or value == "on" or value == "1" or value == 1 then return true end
  if value == false or value == "false" or value == "off" or value == "0" or value == 0 then return false end
end

--- con:config(name)
--- con:config(name, value)
---
--- Gives the value of a setting of the server, or nil for names that do not exist or are not for scripts (files,
--- addresses). With a value, changes `buffering`, `httpstatus`, `contenttype`, `watchdog` or `onabort` for this request.
---
--- `con:config("watchdog", seconds)` lets the script run for so long from now on, fractions allowed, and 0 without a limit;
--- a script with much to do can call it again and again. `con:config("onabort", "stop")` has the script stopped when its
--- client has gone, `"finish"` lets it do its work to the end.
---
--- Errors: a setting that cannot be changed; a value that it cannot have; changes after `con:finish()` except of
---   `watchdog`, and of `httpstatus` and `contenttype` after headers were sent.
--- Example: con:config("buffering", false)
--- C daemon: always gave nil and changed nothing.
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
  elseif name == "watchdog" then
    value = tonumber(value)
    if not value or not (value >= 0 and value <= most_watchdog) then
      error("con:config: watchdog is a number of seconds from 0 to " .. most_watchdog .. ", not " .. tostring((...)), 2)
    end
  elseif name == "onabort" then
    if value ~= "finish" and value ~= "stop" then
      error('con:config: onabort is "finish" or "stop", not ' .. tostring(value), 2)
    end
  else
    error("con:config cannot set " .. format("%q", name) .. "; a script may set buffering, httpstatus, contenttype, " ..
      "watchdog and onabort", 2)
  end
  if finished and name ~= "watchdog" then refuse(self, "config") end
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

--- con:log([level,] text)
---
--- Writes to the server's log, with the request's id and the script. The level is `"debug"`, `"info"` (if left out),
--- `"warn"` or `"error"`; the setting `loglevel` says which are written. The text is never a format: `%` is just a
--- character. `print` and `io.write` go to the log as `info`, `io.stderr:write` as `warn`.
---
--- Errors: another level.
--- Example: con:log("warn", "the quota is nearly used up")
--- C daemon: took the text for a format.
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

--- con:query()
---
--- The fields of the query string, as a table: see `parse` of the module `luafcgid`.
---
--- Errors: none while the request runs.
--- Example: local page = con:query().page or "1"
function Con.query(self)
  if self ~= current then refuse(self, "query") end
  query = query or luafcgid.parse(env.QUERY_STRING)
  return query
end

--- con:cookies()
---
--- The cookies that the browser sent, as a table from name to value, percent-decoded. A name that came twice has a list
--- of values.
---
--- Errors: none while the request runs.
--- Example: local theme = con:cookies().theme
function Con.cookies(self)
  if self ~= current then refuse(self, "cookies") end
  cookies = cookies or cookie.read(env.HTTP_COOKIE)
  return cookies
end

--- con:form()
---
--- The fields of a posted form, as a table: `application/x-www-form-urlencoded` or `multipart/form-data`; empty for any
--- other body, which `con:gets` can still read. A field is a string. A file is a table with `filename` (what the
--- browser says), `type` and `content`. A name that comes more than once has a list of these. The whole body is read
--- into memory.
---
--- Errors: the body was read with `con:gets` before; those of `con:gets`.
--- Example: local name = con:form().name
function Con.form(self)
  if self ~= current then refuse(self, "form") end
  if fields then return fields end
  local content_type = env.CONTENT_TYPE or ""
  local kind = lower(match(content_type, "^[^;%s]*"))
  if kind == "application/x-www-form-urlencoded" or kind == "multipart/form-data" then
    if body_read then error("con:form: the body was already read with con:gets", 2) end
    local body, message = read_body(huge)
    if message then error(message, 2) end
    if kind == "multipart/form-data" then
      fields = form.multipart(body or "", content_type)
    else
      fields = luafcgid.parse(body)
    end
  end
  fields = fields or {}
  return fields
end

local request = {}

function request.init()
  local _, value = host.config("buffering")
  buffering_setting = to_boolean(value)
end

function request.begin(request_env)
  current = setmetatable({}, con_meta)
  env = request_env
  finished, body_read = false, false
  direct = buffering_setting == false
  count, bytes = 0, 0
  return current
end

-- The output that was not handed over yet, at the end of a request; nil when there is none.
function request.take()
  if finished or count == 0 then return nil end
  if count == 1 then return pieces[1] end
  return concat(pieces, "", 1, count)
end

function request.forget()
  current, env, settings, query, cookies, fields = nil, nil, nil, nil, nil, nil
  if pieces[64] then pieces = {} end
  count, bytes = 0, 0
end

return request
