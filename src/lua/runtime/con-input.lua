-- What a script reads of its request: the body, the query string, cookies and forms.

local parts = ...

local host, run = parts.host, parts.run
local Con, refuse = run.methods, run.refuse
local parse = parts.luafcgid.parse

local type, tostring, error = type, tostring, error
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
  input().body_was_read = true
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
--- Errors: none while the request runs.
--- Example: local page = con:query().page or "1"
function Con.query(self)
  if self ~= run.con then refuse(self, "query") end
  local present = input()
  present.query = present.query or parse(run.env.QUERY_STRING)
  return present.query
end

--- con:cookies()
---
--- The cookies that the browser sent, as a table from name to value, percent-decoded. A name that came twice has a list
--- of values.
---
--- Errors: none while the request runs.
--- Example: local theme = con:cookies().theme
function Con.cookies(self)
  if self ~= run.con then refuse(self, "cookies") end
  local present = input()
  present.cookies = present.cookies or parts.cookie.read(run.env.HTTP_COOKIE)
  return present.cookies
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
  if self ~= run.con then refuse(self, "form") end
  local present = input()
  if present.fields then return present.fields end
  local content_type = run.env.CONTENT_TYPE or ""
  local kind = lower(match(content_type, "^[^;%s]*"))
  if kind == "application/x-www-form-urlencoded" or kind == "multipart/form-data" then
    if present.body_was_read then error("con:form: the body was already read with con:gets", 2) end
    local body, message = read_body(huge)
    if message then error(message, 2) end
    if kind == "multipart/form-data" then
      present.fields = parts.form.multipart(body or "", content_type)
    else
      present.fields = parse(body)
    end
  end
  present.fields = present.fields or {}
  return present.fields
end

return true
