-- Reads the form bodies that browsers send.
local parts = ...

local host = parts.host
local type, error, setmetatable, rawget, io = type, error, setmetatable, rawget, io
local concat, max, min = table.concat, math.max, math.min
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
local long_head = "the headers of a part have more than 16 KiB"
local no_empty_line = "a part of it has no empty line after its headers"

-- Headers of a part have a few hundred bytes.
local longest_head = 16384
-- So many characters after a boundary may be spaces.
local longest_padding = 200
local most_buffered = 262144
-- A file goes to the host in pieces of at least so many bytes: a body may come in pieces of a few, which its sender chooses.
local least_written = 65536

-- ---- files ---------------------------------------------------------------------------------------------------------

local file_methods = {}

-- A file that was sent. What is larger than `uploadmemory` lies in a file of the host until the request is over: its content
-- is read when somebody asks for it.
local file_meta = {
  __index = function(file, name)
    local method = file_methods[name]
    if method then return method end
    if name ~= "content" or not file.upload_at then return nil end
    local content = file:read(file.size, 0)
    return content
  end,
}

-- Bytes of the file: at most `count` from `offset` on. Nil at its end.
function file_methods.read(file, count, offset)
  if offset >= file.size then return nil end
  local in_memory = rawget(file, "content")
  if in_memory then return sub(in_memory, offset + 1, offset + count) end
  local pieces, left, at = {}, min(count, file.size - offset), file.upload_at + offset
  while left > 0 do
    local ok, piece = host.readupload(at, min(left, most_buffered))
    if not ok then error(piece, 2) end
    pieces[#pieces + 1] = piece
    left, at = left - #piece, at + #piece
  end
  return concat(pieces)
end

function file_methods.save(file, path)
  local out, message = io.open(path, "wb")
  if not out then return nil, message end
  local offset, ok = 0, true
  while ok and offset < file.size do
    local piece = file:read(most_buffered, offset)
    offset = offset + #piece
    ok, message = out:write(piece)
  end
  local is_closed, wrong = out:close()
  if not ok then return nil, message end
  if not is_closed then return nil, wrong end
  return true
end

-- Takes the content of a file piece by piece.
local function new_file(filename, kind, limits)
  local file = setmetatable({ filename = filename, type = kind, size = 0 }, file_meta)
  local pieces, count, size = {}, 0, 0
  local function write()
    local text = concat(pieces, "", 1, count)
    pieces, count, size = {}, 0, 0
    local ok, at = host.writeupload(text)
    if not ok then return nil, at end
    file.upload_at = file.upload_at or at
    return true
  end
  local function take(text)
    count = count + 1
    pieces[count] = text
    size, file.size = size + #text, file.size + #text
    if file.size <= limits.memory or size < least_written then return true end
    return write()
  end
  return take, function()
    if file.size <= limits.memory then
      file.content = concat(pieces, "", 1, count)
    elseif count > 0 then
      local ok, message = write()
      if not ok then return nil, message end
    end
    return file
  end
end

-- Takes the text of a field, up to a limit.
local function new_text(limits)
  local pieces, count, size = {}, 0, 0
  return function(text)
    size = size + #text
    if size > limits.field then return nil, nil, "size" end
    count = count + 1
    pieces[count] = text
    return true
  end, function() return concat(pieces, "", 1, count) end
end

local function ignore() return true end

-- ---- the body ------------------------------------------------------------------------------------------------------

local reader = {}
local reader_meta = { __index = reader }

-- Reads on. What was looked at is dropped: what is left begins at 1. False at the end of the body.
function reader:fill()
  if self.is_over then return false end
  local piece, message = self.more()
  if not piece then
    self.is_over, self.message = true, message
    return false
  end
  self.buffer, self.at = sub(self.buffer, self.at) .. piece, 1
  return true
end

-- Gives what comes before the next boundary line to `take`, without the first `skipped` bytes, and goes behind that line.
-- Gives true, and whether it was the last one; or nil, a message of the host and what is wrong.
function reader:to_boundary(take, skipped)
  local delimiter = self.delimiter
  local function give(last)
    local first = self.at + skipped
    skipped = max(0, first - 1 - last)
    if first <= last then return take(sub(self.buffer, first, last)) end
    return true
  end
  while true do
    local from, to = find(self.buffer, delimiter, self.at, true)
    local ok, message, fault = true, nil, nil
    if from then
      local tail = sub(self.buffer, to + 1, to + longest_padding)
      local _, line_end = find(tail, "^[ \t]*\r\n")
      local is_last = sub(tail, 1, 2) == "--"
      local is_cut = not is_last and not line_end and #tail < longest_padding and find(tail, "^[ \t]*\r?%-?$")
      if not (is_cut and not self.is_over) then
        ok, message, fault = give((is_last or line_end) and from - 1 or to)
        if not ok then return nil, message, fault end
        self.at = to + 1 + (line_end or 0)
        if is_last or line_end then return true, is_last end
      else
        ok, message, fault = give(from - 1)
        if not ok then return nil, message, fault end
        self.at = from
        if not self:fill() and self.message then return nil, self.message end
      end
    else
      local keep = #self.buffer - #delimiter + 1
      if keep >= self.at then
        ok, message, fault = give(keep)
        if not ok then return nil, message, fault end
        self.at = keep + 1
      end
      if not self:fill() then return nil, self.message, unclosed end
    end
  end
end

-- The headers of a part. The reader stands at the line end before its content then. Nil, a message and what is wrong.
function reader:head()
  local delimiter = self.delimiter
  while true do
    if #self.buffer - self.at >= 1 and sub(self.buffer, self.at, self.at + 1) == "\r\n" then return "" end
    local head_end = find(self.buffer, "\r\n\r\n", self.at, true)
    local boundary = sub(self.buffer, self.at, self.at + #delimiter - 3) == sub(delimiter, 3) and self.at or
      find(self.buffer, delimiter, self.at, true)
    if boundary and not (head_end and head_end <= boundary) then return nil, nil, no_empty_line end
    if head_end and head_end - self.at <= longest_head then
      local head = sub(self.buffer, self.at, head_end - 1)
      self.at = head_end + 2
      return head
    end
    if #self.buffer - self.at > longest_head then return nil, nil, long_head end
    if not self:fill() then return nil, self.message, unclosed end
  end
end

-- The fields of a multipart/form-data body. Otherwise nil, a message of the host, and what is wrong with the body: a text, or "parts"
-- when it has more than `limits.parts`, or "size" when a field has more bytes than `limits.field`. `more` gives the next piece of the
-- body, or nil at its end. Each byte is looked at a fixed number of times: whatever is not as it should be ends the reading.
function form.multipart(more, content_type, limits)
  local fields, lists = {}, {}
  if type(more) == "string" then
    local text = more
    more = function()
      local piece = text
      text = nil
      return piece
    end
  end
  -- The first boundary has no line end before it unless there is a preamble: so it has this one.
  local self = setmetatable({ more = more, buffer = "\r\n", at = 1, is_over = false }, reader_meta)
  if not self:fill() or #self.buffer == 2 then return not self.message and fields or nil, self.message end
  local boundary, fault = boundary_of(content_type)
  if not boundary then return nil, nil, fault end
  self.delimiter = "\r\n--" .. boundary
  local ok, last, wrong = self:to_boundary(ignore, 0)
  local count = 0
  while ok and not last do
    count = count + 1
    if count > limits.parts then return nil, nil, "parts" end
    local head, message, what = self:head()
    if not head then return nil, message, what end
    local disposition = part_header(head, "content-disposition")
    local name = disposition and field_name(parameter(disposition, "name"))
    local filename = name and field_name(parameter(disposition, "filename"))
    local take, finish = ignore, nil
    if filename then
      take, finish = new_file(filename, part_header(head, "content-type") or "application/octet-stream", limits)
    elseif name then
      take, finish = new_text(limits)
    end
    ok, last, wrong = self:to_boundary(take, 2)
    if ok and finish then
      local value, failure = finish()
      if not value then return nil, failure end
      add_field(fields, lists, name, value)
    end
  end
  if not ok then return nil, last, wrong end
  return fields
end

return form
