-- Reads the form bodies that browsers send.
local parts = ...

local find, gsub, gmatch, match, sub, lower = string.find, string.gsub, string.gmatch, string.match, string.sub, string.lower
local add_field = parts.url.add_field

local form = {}

-- A parameter of a header field value such as `form-data; name="x"`, or nil.
local function parameter(value, wanted)
  local at = find(value, ";", 1, true)
  while at do
    local from, to, name = find(value, "^;%s*([^=;%s]+)%s*=%s*", at)
    if not from then return nil end
    local text
    if sub(value, to + 1, to + 1) == '"' then
      local close = to + 2
      while true do
        close = find(value, '["\\]', close)
        if not close then return nil end
        if sub(value, close, close) == '"' then break end
        -- Only \" is an escape: old browsers send Windows paths with plain backslashes.
        close = close + (sub(value, close + 1, close + 1) == '"' and 2 or 1)
      end
      text = gsub(sub(value, to + 2, close - 1), '\\"', '"')
      at = find(value, ";", close, true)
    else
      text = match(value, "^[^;%s]*", to + 1)
      at = find(value, ";", to + 1, true)
    end
    if lower(name) == wanted then return text end
  end
end

-- How browsers write these characters in the names of fields and files (WHATWG HTML, multipart/form-data).
local browser_escapes = { ["%22"] = '"', ["%0D"] = "\r", ["%0A"] = "\n", ["%0d"] = "\r", ["%0a"] = "\n" }

local function field_name(text)
  return text and (gsub(text, "%%[02][2DAda]", browser_escapes))
end

-- The value of one header field in the head of a part.
local function part_header(head, wanted)
  -- Line by line: a pattern over all of it would try a long line without a colon from each of its bytes on.
  for line in gmatch(head, "[^\r\n]+") do
    local name, value = match(line, "^([^:]+):[ \t]*(.*)$")
    if name and lower(name) == wanted then return value end
  end
end

-- Finds the next boundary line at or after `position`: where its text starts, where the next part starts, and whether it
-- was the last one.
local function next_boundary(body, delimiter, position)
  while true do
    local from, to = find(body, delimiter, position, true)
    if not from then return nil end
    if sub(body, to + 1, to + 2) == "--" then return from, nil, true end
    local _, line_end = find(body, "^[ \t]*\r\n", to + 1)
    if line_end then return from, line_end + 1, false end
    position = to + 1
  end
end

-- RFC 2046 allows 70; some clients make longer ones.
local longest_boundary = 200

-- The boundary that the header of a body names; or nil and what is wrong.
local function boundary_of(content_type)
  local boundary = parameter(content_type, "boundary")
  if not boundary or boundary == "" then return nil, "its Content-Type names no boundary" end
  if #boundary > longest_boundary or find(boundary, "%c") then
    return nil, "its boundary is none: it has more than " .. longest_boundary .. " characters, or control characters"
  end
  return boundary
end

local unclosed = "it ends before its last boundary"

-- The fields of a multipart/form-data body. Otherwise nil and what is wrong with it, or nil alone when it has more than `most`
-- parts. Each byte is looked at a fixed number of times: whatever is not as it should be ends the reading.
function form.multipart(body, content_type, most)
  local fields, lists = {}, {}
  if body == "" then return fields end
  local boundary, fault = boundary_of(content_type)
  if not boundary then return nil, fault end
  local delimiter = "\r\n--" .. boundary
  -- The first boundary has no line end before it unless there is a preamble.
  local start, last
  if sub(body, 1, #delimiter - 2) == sub(delimiter, 3) then
    if sub(body, #delimiter - 1, #delimiter) == "--" then return fields end
    local _, line_end = find(body, "^[ \t]*\r\n", #delimiter - 1)
    start = line_end and line_end + 1
  end
  if not start then
    local _
    _, start, last = next_boundary(body, delimiter, 1)
  end
  if not start and not last then return nil, unclosed end
  local count = 0
  while not last do
    count = count + 1
    if count > most then return nil end
    local stop, following
    stop, following, last = next_boundary(body, delimiter, start - 2)
    if not stop then return nil, unclosed end
    local head, content
    if sub(body, start, start + 1) == "\r\n" then
      head, content = "", sub(body, start + 2, stop - 1)
    else
      local head_end, content_start = find(body, "\r\n\r\n", start, true)
      if not head_end or content_start > stop + 1 then return nil, "a part of it has no empty line after its headers" end
      head, content = sub(body, start, head_end - 1), sub(body, content_start + 1, stop - 1)
    end
    local disposition = part_header(head, "content-disposition")
    local name = disposition and field_name(parameter(disposition, "name"))
    if name then
      local filename = field_name(parameter(disposition, "filename"))
      if filename then
        local kind = part_header(head, "content-type") or "application/octet-stream"
        content = { filename = filename, type = kind, content = content }
      end
      add_field(fields, lists, name, content)
    end
    start = following
  end
  return fields
end

return form
