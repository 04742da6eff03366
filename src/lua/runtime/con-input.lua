-- What a script reads of its request: the body, the query string, cookies and forms.

local parts = ...

local host, run, waiting = parts.host, parts.run, parts.waiting
local Con, refuse = run.methods, run.refuse

local type, tostring, tonumber, error = type, tostring, tonumber, error
local lower, match, format = string.lower, string.match, string.format
local concat, floor, huge = table.concat, math.floor, math.huge

-- What was read of the running request.
local function input()
  local present = run.input
  if not present then
    present = {}
    run.input = present
  end
  return present
end

local most_fields -- the setting maxfields

local function field_limit()
  if not most_fields then
    local _, most = host.config("maxfields")
    most_fields = most or huge
  end
  return most_fields
end

-- Ends the work on input that cannot be taken, with an error of the catalogue at the line that asked for it.
local function refuse_input(kind, what, level)
  local _, message = host.refuse(kind, what)
  error(message, level)
end

-- What con:query, con:cookies and con:form give. `level` is that of the script, for errors.
local function query_fields(level)
  local present = input()
  present.query = present.query or parts.url.parse(run.env.QUERY_STRING or "", field_limit()) or
    refuse_input("fields", "query string", level)
  return present.query
end

local function cookie_fields(level)
  local present = input()
  present.cookies = present.cookies or parts.cookie.read(run.env.HTTP_COOKIE, field_limit()) or
    refuse_input("fields", "Cookie header", level)
  return present.cookies
end

-- Waits for more of the body. What cannot be waited for so is waited for by reading.
local function await_more()
  local ok, token = host.awaitbody()
  if ok and token then waiting.wait(token) end
end

-- Reads `wanted` bytes of the body, or less at its end; nil at the end. Returns nil and a message on an error.
local function read_body(wanted)
  -- Where the client is still sending, and the request can be suspended meanwhile, pieces are read as they come.
  local suspends = waiting.can_suspend()
  if suspends then
    local _, is_whole = host.bodyiswhole()
    suspends = not is_whole
  end
  if wanted == huge and host.readall and not suspends then
    input().body_was_read = true
    local ok, text = host.readall(tonumber(run.env.CONTENT_LENGTH) or 0)
    if not ok then return nil, text end
    return text
  end
  local parts, part_count, left = {}, 0, wanted
  while left > 0 do
    if suspends then await_more() end
    local ok, part = host.readbody(left)
    if not ok then return nil, part end
    if not part then break end
    part_count = part_count + 1
    parts[part_count] = part
    left = left - #part
  end
  input().body_was_read = true
  if part_count == 0 then return nil end
  if part_count == 1 then return parts[1] end
  return concat(parts)
end

--- con:gets([n])
---
--- Reads the request body: all of it, or at most `n` bytes of what is left. Gives less than `n` bytes only at the end,
--- and nil when nothing is left, also of a request without a body. Waits for bytes that have not come yet; a script that has
--- required `luafcgid`, or another module that waits, holds no worker meanwhile.
---
--- All of the body at once takes twice its size of the state's memory, with native engines up to five times. Read large bodies
--- piece by piece.
---
--- nginx sends no more of a body once an answer has begun. So read a body to its end before you put more than
--- `outputbuffer` or flush, unless `bodymemory` is as large as `maxpost`, which it is by default.
---
--- Errors: `n` is no whole number above 0; the body is larger than the setting `maxpost` (status 413); it ended before
---   its announced length (status 400).
--- Example: for piece in function() return con:gets(65536) end do con:puts(#piece, " bytes\n") end
--- C daemon: cut off what was longer than `maxpost`, and had no `n`.
function Con.gets(self, wanted)
  if self ~= run.con then refuse(self, "gets") end
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

--- con:query()
---
--- The fields of the query string, as a table: see `parse` of the module `luafcgid`.
---
--- Errors: more fields than the setting `maxfields` (status 400).
--- Example: local page = con:query().page or "1"
function Con.query(self)
  if self ~= run.con then refuse(self, "query") end
  local fields = query_fields(4)
  return fields
end

--- con:cookies()
---
--- The cookies that the browser sent, as a table from name to value, percent-decoded. A name that came twice has a list
--- of values.
---
--- Errors: more cookies than the setting `maxfields` (status 400).
--- Example: local theme = con:cookies().theme
function Con.cookies(self)
  if self ~= run.con then refuse(self, "cookies") end
  local fields = cookie_fields(4)
  return fields
end

-- At most so much of a body is read at once.
local piece_bytes = 262144

-- The next piece of the body. Nil at its end, or nil and a message.
local function next_piece()
  if waiting.can_suspend() then await_more() end
  local ok, piece = host.readbody(piece_bytes)
  if not ok then return nil, piece end
  return piece
end

local limits -- of multipart bodies, by the settings

local function upload_limits()
  if not limits then
    local _, field = host.config("maxfield")
    local _, memory = host.config("uploadmemory")
    limits = { parts = field_limit(), field = field or huge, memory = memory or huge }
  end
  return limits
end

local function form_fields(level)
  local present = input()
  if present.fields then return present.fields end
  local content_type = run.env.CONTENT_TYPE or ""
  local kind = lower(match(content_type, "^[^;%s]*"))
  if kind == "application/x-www-form-urlencoded" or kind == "multipart/form-data" then
    if present.body_was_read then error("con:form: the body was already read with con:gets", level - 1) end
    if kind == "multipart/form-data" then
      local message, fault
      present.body_was_read = true
      present.fields, message, fault = parts.form.multipart(next_piece, content_type, upload_limits())
      if message then error(message, level - 1) end
      if fault == "size" then refuse_input("field", "form", level) end
      if fault then refuse_input(fault == "parts" and "fields" or "multipart", fault == "parts" and "form" or fault, level) end
    else
      local body, message = read_body(huge)
      if message then error(message, level - 1) end
      present.fields = parts.url.parse(body or "", field_limit()) or refuse_input("fields", "form", level)
    end
  end
  present.fields = present.fields or {}
  return present.fields
end

--- con:form([options])
---
--- The fields of a posted form, as a table: `application/x-www-form-urlencoded` or `multipart/form-data`; empty for any
--- other body, which `con:gets` can still read. A field is a string. A file is a table with `filename` (what the
--- browser says), `type`, `size` and `content`. An input for files in which none was chosen is one as well, with `filename` ""
--- and `size` 0. A name that comes more than once has a list of these. A multipart body is read piece
--- by piece: a file of more than `uploadmemory` bytes goes to a temporary file, which is gone when the request is over. Its `content`
--- is read when it is asked for; `file:read(count, offset)` gives a part of it (nil at its end), and `file:save(path)` writes it to a file that
--- the script may write, and gives true, or nil and a message. With `{ csrf = true }` it has to come from a page of this site: see `con:check_csrf`.
---
--- Errors: the body was read with `con:gets` before; more fields than the setting `maxfields`, a field of a multipart
---   body of more bytes than `maxfield` (status 413), or a multipart body that is
---   malformed or ends before its last boundary (status 400); those of `con:gets`.
--- Example: local photo = con:form().photo; if photo and photo.size > 0 then assert(photo:save("../files/photo.jpg")) end
function Con.form(self, options)
  if self ~= run.con then refuse(self, "form") end
  if options ~= nil then
    if type(options) ~= "table" then parts.arguments.bad(1, "form", "table", options) end
    if options.csrf then parts.con_csrf.require_token(nil, 4) end
  end
  local fields = form_fields(4)
  return fields
end

return {
  query = query_fields, cookies = cookie_fields, form = form_fields,
  field_limit = field_limit, limits = upload_limits, input = input, read_body = read_body, refuse_input = refuse_input,
}
