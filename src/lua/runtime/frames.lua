-- The local variables of the functions on the stack when an error was raised, in a few words each, for the page that shows
-- the error to who develops. Values are looked at without their metamethods. What has the name of a secret is not shown.

local parts = ...

local getinfo, getlocal, con_meta = parts.debug.getinfo, parts.debug.getlocal, parts.run.meta
local getmetatable, next, type, tostring = debug.getmetatable, next, type, tostring
local byte, find, format, gsub, lower, sub = string.byte, string.find, string.format, string.gsub, string.lower, string.sub
local concat, sort = table.concat, table.sort

local MOST_LEVELS, MOST_FRAMES, MOST_LOCALS, MOST_FIELDS, MOST_BYTES = 100, 8, 24, 8, 160
local OWN = "=[luafcgid]"
local HIDDEN = "(hidden)"

-- Parts of the names of secrets; src/cgi/secrets.ts has them for requests.
local SECRETS = { "pass", "pwd", "token", "secret", "key", "cookie", "auth", "session", "csrf", "credential", "signature" }

local frames = {}

local function is_secret(name)
  local plain = lower(name)
  for at = 1, #SECRETS do
    if find(plain, SECRETS[at], 1, true) then return true end
  end
  return false
end

local function escaped(character)
  if character == "\n" then return "\\n" end
  if character == "\t" then return "\\t" end
  if character == '"' or character == "\\" then return "\\" .. character end
  return format("\\%d", byte(character))
end

-- A string as Lua has it, on one line. Of a longer one so many bytes are shown. `mask` may change what is shown.
function frames.quoted(text, most, mask)
  local shown = sub(text, 1, most)
  if mask then shown = mask(shown) end
  shown = '"' .. gsub(shown, '[%c"\\]', escaped) .. '"'
  return #text > most and shown .. " ... (" .. #text .. " bytes)" or shown
end

-- Values of a query or a form that have the names of secrets are left out.
local function without_secrets(text)
  return (gsub(text, "([%w_%.%-%%]+)=([^&;%s]+)", function(name)
    return is_secret(name) and name .. "=" .. HIDDEN or nil
  end))
end

local function quoted(text) return frames.quoted(text, MOST_BYTES, without_secrets) end

local render

local function fields_of(value, depth)
  local fields, count = {}, 0
  for key, field in next, value do
    count = count + 1
    if count > MOST_FIELDS then break end
    local is_name = type(key) == "string" and find(key, "^[%a_][%w_]*$") ~= nil
    local name = is_name and key or "[" .. render(key, depth + 1) .. "]"
    local is_hidden = type(key) == "string" and is_secret(key) and type(field) ~= "table"
    fields[count] = name .. " = " .. (is_hidden and HIDDEN or render(field, depth + 1))
  end
  sort(fields)
  if count > MOST_FIELDS then fields[#fields + 1] = "..." end
  return "{" .. concat(fields, ", ") .. "}"
end

function render(value, depth)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "nil" or kind == "number" or kind == "boolean" then return tostring(value) end
  if kind == "function" then
    local info = getinfo(value, "S")
    if info.what == "C" or info.source == OWN then return "function of C" end
    return "function at line " .. info.linedefined
  end
  if kind ~= "table" then return kind end
  if getmetatable(value) == con_meta then return "con" end
  if depth >= 2 then return next(value) == nil and "{}" or "{...}" end
  return fields_of(value, depth)
end

-- The variables of a level, each once: the innermost of a name.
local function locals_of(lines, thread, level)
  local names, values, count = {}, {}, 0
  local places = {}
  for at = 1, 250 do
    local name, value
    if thread then name, value = getlocal(thread, level, at) else name, value = getlocal(level + 1, at) end
    if not name then break end
    if find(name, "^[%a_]") then
      local place = places[name]
      if not place and count < MOST_LOCALS then
        count = count + 1
        place, names[count] = count, name
        places[name] = place
      end
      if place then values[place] = is_secret(name) and type(value) ~= "table" and HIDDEN or render(value, 0) end
    end
  end
  for at = 1, count do lines[#lines + 1] = "L" .. names[at] .. "\t" .. values[at] end
end

-- Gives text: a line for each function, "F", its file, a tab and its line, and one for each of its variables, "L", its name, a
-- tab and its value. `thread` is the coroutine that the error has ended; nil: the calling one.
function frames.collect(thread)
  local lines, count = {}, 0
  for level = thread and 0 or 1, MOST_LEVELS do
    local info
    if thread then info = getinfo(thread, level, "Sl") else info = getinfo(level, "Sl") end
    if not info or count == MOST_FRAMES then break end
    if info.currentline > 0 and info.source ~= OWN and sub(info.source, 1, 1) == "@" then
      count = count + 1
      lines[#lines + 1] = "F" .. sub(info.source, 2) .. "\t" .. info.currentline
      locals_of(lines, thread, level)
    end
  end
  return concat(lines, "\n")
end

return frames
