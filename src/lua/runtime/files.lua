-- io with default files: those that scripts begin with are the server's log and an empty input, not the standard files of
-- the process.

local parts = ...

local streams, caller_level = parts.streams, parts.arguments.caller_level

local type, error, pcall = type, error, pcall
local gsub = string.gsub

local io = io
local is_file, lines = io.type, io.lines
local is_standard = streams.is_standard
local default_input, default_output = streams.stdin, streams.stdout

-- `open` is how files are opened here; engines may replace it.
local files = { open = io.open }

local function default_file(current, file, mode, name)
  if file == nil then return current end
  if type(file) == "string" then
    local opened, message = files.open(file, mode)
    if not opened then error(message, 3) end
    return opened
  end
  if not is_standard(file) and not is_file(file) then
    error("bad argument #1 to '" .. name .. "' (FILE* expected, got " .. type(file) .. ")", 3)
  end
  return file
end

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

function io.type(value)
  if is_standard(value) then return "file" end
  return is_file(value)
end
function io.input(file) default_input = default_file(default_input, file, "r", "input") return default_input end
function io.output(file) default_output = default_file(default_output, file, "w", "output") return default_output end
function io.write(...)
  if is_standard(default_output) then return streams.write(default_output, ...) end
  return checked(pcall(default_output.write, default_output, ...))
end
function io.read(...)
  if is_standard(default_input) then return streams.read(...) end
  return checked(pcall(default_input.read, default_input, ...))
end
function io.flush() return default_output:flush() end
function io.close(file)
  if file == nil then file = default_output end
  return file:close()
end
function io.lines(name, ...)
  if name == nil then return checked(pcall(default_input.lines, default_input, ...)) end
  return checked(pcall(lines, name, ...))
end

return files
