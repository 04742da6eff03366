-- io with default files: those that scripts begin with are the server's log and an empty input, not the standard files of
-- the process.

local parts = ...

local streams, stock, caller_level = parts.streams, parts.stock, parts.arguments.caller_level

local type, error, pcall, select, unpack = type, error, pcall, select, unpack or table.unpack
local gsub, find = string.gsub, string.find
local replace, raise, bad_argument = stock.replace, stock.raise, stock.bad_argument

local io = io
local is_file, lines, close = io.type, io.lines, io.close
local is_standard = streams.is_standard
local default_input, default_output = streams.stdin, streams.stdout
local is_plain_51 = _VERSION == "Lua 5.1" and not jit

-- `open` is how files are opened here; engines may replace it.
local files = { open = io.open }

-- The results of a protected call; its error becomes one of the script's line.
local function checked(ok, ...)
  if ok then return ... end
  local message = ...
  if type(message) == "string" then
    message = gsub(gsub(message, "^%[luafcgid%]:%d+: ", ""), "to '%?' ", "")
  end
  error(message, caller_level)
end

files.checked = checked

local function pack(...) return select("#", ...), { ... } end

replace(io, "io", "type", function(...)
  local value = ...
  if is_standard(value) then return "file" end
  local ok, kind = pcall(is_file, ...)
  if not ok then raise(kind) end
  return kind
end)

-- io.input and io.output: which file is the default one.
local function wrap_default(name, mode, get, set)
  replace(io, "io", name, function(...)
    local file = ...
    if file == nil then return get() end
    if type(file) == "string" or type(file) == "number" then
      local opened, message = files.open(file .. "", mode)
      if not opened then
        if is_plain_51 then bad_argument(1, message) end
        error(find(message, "^cannot open") and message or jit and message or "cannot open file '" .. file .. "' (" ..
          gsub(message, "^.*: ", "") .. ")", 2)
      end
      file = opened
    elseif not is_standard(file) and not is_file(file) then
      bad_argument(1, "FILE* expected, got " .. type(file))
    end
    set(file)
    return file
  end)
end

wrap_default("input", "r", function() return default_input end, function(file) default_input = file end)
wrap_default("output", "w", function() return default_output end, function(file) default_output = file end)

replace(io, "io", "write", function(...)
  if is_standard(default_output) then
    local ok, position, text = streams.write(default_output, ...)
    if ok == false then bad_argument(position, text) end
    return ok, position, text
  end
  local ok, a, b, c = pcall(default_output.write, default_output, ...)
  if not ok then raise(a, 1) end
  if a then return a end
  return a, b, c
end)

replace(io, "io", "read", function(...)
  if is_standard(default_input) then
    local wrong, position, text = streams.read(...)
    if wrong == false then bad_argument(position, text) end
    return streams.read(...)
  end
  local count, results = pack(pcall(default_input.read, default_input, ...))
  if not results[1] then raise(results[2], 1) end
  return unpack(results, 2, count)
end)

replace(io, "io", "flush", function() return default_output:flush() end)

replace(io, "io", "close", function(...)
  local file = ...
  if file == nil then file = default_output end
  if is_standard(file) then return file:close() end
  local count, results = pack(pcall(close, file))
  if not results[1] then raise(results[2]) end
  return unpack(results, 2, count)
end)

replace(io, "io", "lines", function(name, ...)
  local count, results
  if name == nil then
    count, results = pack(pcall(default_input.lines, default_input, ...))
  else
    count, results = pack(pcall(lines, name, ...))
  end
  if not results[1] then raise(results[2], name == nil and 1 or 0) end
  return unpack(results, 2, count)
end)

return files
