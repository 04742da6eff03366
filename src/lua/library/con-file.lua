-- con:sendfile: a file as the answer, sent by the web server where it can, else from here.

local parts = ...

local host, run, con, waiting = parts.host, parts.run, parts.con, parts.waiting
local Con, refuse = run.methods, run.refuse
local bad_argument = parts.arguments.bad
local resolve = parts.sources.resolve
local io, type, error, next, tonumber = io, type, error, next, tonumber
local byte, find, format, gsub, lower, match, sub = string.byte, string.find, string.format, string.gsub, string.lower, string.match, string.sub
local min = math.min

local piece_bytes = 131072

local types = {
  avif = "image/avif", css = "text/css; charset=utf-8", csv = "text/csv; charset=utf-8", gif = "image/gif",
  gz = "application/gzip", html = "text/html; charset=utf-8", ico = "image/x-icon", jpeg = "image/jpeg", jpg = "image/jpeg",
  js = "text/javascript; charset=utf-8", json = "application/json", mp3 = "audio/mpeg", mp4 = "video/mp4",
  pdf = "application/pdf", png = "image/png", svg = "image/svg+xml", txt = "text/plain; charset=utf-8",
  wasm = "application/wasm", webm = "video/webm", webp = "image/webp", xml = "application/xml", zip = "application/zip",
}

local function percent(character) return format("%%%02X", byte(character)) end

-- A path as it may stand in a URL or in a header.
local function encoded(path) return (gsub(path, "[^%w%-%._~/]", percent)) end

-- What tells a web server to send the file: the name and the value of a header. Nil where it has to be sent from here.
local function handed_over(path)
  local _, settings = host.config("sendfile")
  if not settings or settings.mode == "stream" then return nil end
  -- A path that is not plain might mean another file to the web server.
  if sub(path, 1, 1) ~= "/" or find(path, "//", 1, true) or find(path .. "/", "/%.%.?/") then return nil end
  if settings.mode == "x-sendfile" then return "X-Sendfile", encoded(path) end
  local longest, location = "", nil
  for directory, of in next, settings.locations do
    if #directory > #longest and sub(path, 1, #directory + 1) == directory .. "/" then longest, location = directory, of end
  end
  return location and "X-Accel-Redirect", location and location .. encoded(sub(path, #longest + 2))
end

-- The first and the last byte that a client wants, counted from 0; nil for all of them, false for none that there are.
local function range_of(size)
  local header = run.env.HTTP_RANGE
  if not header or (run.env.REQUEST_METHOD or "GET") ~= "GET" then return nil end
  local first, last = match(header, "^bytes=(%d*)%-(%d*)$")
  if not first or first .. last == "" or #first > 15 or #last > 15 then return nil end
  if first == "" then
    local count = min(tonumber(last), size)
    if count == 0 then return false end
    return size - count, size - 1
  end
  first, last = tonumber(first), tonumber(last)
  if last and first > last then return nil end
  if first >= size then return false end
  last = last or size - 1
  return first, min(last, size - 1)
end

local function set_header(name, value)
  local ok, message = host.header(name, value)
  if not ok then error(message, 3) end
end

local known_options = { type = true, download = true }

--- con:sendfile(path[, options])
---
--- Answers with a file: sent by the web server, or from here in pieces, as the setting `sendfile` says. The script needs to be able
--- to read it: with the embedded engine it lies below a directory of the setting `files`. `options` may have `type`, the content
--- type, which else comes from the ending of the name, and `download`, the name under which a browser keeps the file instead of
--- showing it. A client that asks for a part of the file (`Range`) gets that part. Gives true, or nil and a message when there is no such file.
---
--- Never let a visitor choose the path: look the name up, or take one apart with `string.match`.
---
--- Errors: `path` is no string; an option that does not exist; after headers were sent.
--- Example: if not con:sendfile("../files/report.pdf", { download = "report.pdf" }) then con:status(404) end
function Con.sendfile(self, path, options)
  if self ~= run.con or run.finished then refuse(self, "sendfile") end
  if type(path) ~= "string" then bad_argument(1, "sendfile", "string", path) end
  options = options or {}
  if type(options) ~= "table" then bad_argument(2, "sendfile", "table", options) end
  for name, value in next, options do
    if not known_options[name] then error("con:sendfile has the options type and download", 2) end
    if type(value) ~= "string" then error("con:sendfile: the option " .. name .. " is a string", 2) end
  end
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local size = file:seek("end")
  file:seek("set", 0)
  if not size or (size > 0 and not file:read(0)) then
    file:close()
    return nil, path .. ": it is no regular file"
  end
  local ok, wrong = waiting.pcall(function()
    set_header("Content-Type", options.type or types[lower(match(path, "%.(%w+)$") or "")] or "application/octet-stream")
    set_header("X-Content-Type-Options", "nosniff")
    if options.download then
      set_header("Content-Disposition", "attachment; filename*=UTF-8\'\'" .. gsub(encoded(options.download), "/", "%%2F"))
    end
    local name, value = handed_over(resolve(path))
    if name then return set_header(name, value) end
    local first, last = range_of(size)
    set_header("Accept-Ranges", "bytes")
    if first == false then
      set_header("Content-Range", "bytes */" .. format("%.0f", size))
      host.status("416")
      return
    end
    if first then
      set_header("Content-Range", format("bytes %.0f-%.0f/%.0f", first, last, size))
      host.status("206")
    end
    first, last = first or 0, last or size - 1
    set_header("Content-Length", format("%.0f", last - first + 1))
    if run.env.REQUEST_METHOD == "HEAD" then return end
    file:seek("set", first)
    local left = last - first + 1
    while left > 0 do
      local piece = file:read(min(left, piece_bytes))
      if not piece then error(path .. " has become shorter while it was sent", 0) end
      left = left - #piece
      local is_put, why = con.put_text(piece)
      if not is_put then error(why, 0) end
    end
  end)
  file:close()
  if not ok then error(match(wrong, "^%[luafcgid%]:%d+: (.*)$") or wrong, 2) end
  return true
end

return true
