-- The module luafcgid.console: what `luafcgid console` runs in a state. Each request is what somebody has typed: its body is Lua
-- source, its answer what the source has printed, and its values. It is not for pages: whoever may call it runs anything.

local parts = ...

local getmetatable, next, pcall, select, tostring, type = debug.getmetatable, next, pcall, select, tostring, type
local error, load, loadstring, setfenv, rawset, rawget = error, load, loadstring, setfenv, rawset, rawget
local find, gmatch, gsub, match = string.find, string.gmatch, string.gsub, string.match
local concat, sort = table.concat, table.sort
local con_meta, traceback, quoted_up_to = parts.run.meta, parts.debug.traceback, parts.frames.quoted
local G = parts.globals

local MOST_BYTES, MOST_FIELDS, MOST_DEPTH, WIDTH = 4000, 200, 6, 76
local NAME = "^[%a_][%w_]*$"

-- ---- values, readable -----------------------------------------------------------------------------------------------

local function quoted(text) return quoted_up_to(text, MOST_BYTES) end

-- Numbers before names, each in their order; other keys come last.
local function comes_first(left, right)
  local kinds = { number = 1, string = 2 }
  local a, b = kinds[type(left)] or 3, kinds[type(right)] or 3
  if a ~= b then return a < b end
  if a == 3 then return tostring(left) < tostring(right) end
  return left < right
end

-- What the __tostring of an object says; nil where it has none that works.
local function told(value)
  local meta = getmetatable(value)
  if type(meta) ~= "table" or not rawget(meta, "__tostring") then return nil end
  local ok, text = pcall(tostring, value)
  return ok and type(text) == "string" and text or nil
end

local inspect

local function inspect_table(value, indent, seen)
  if seen[value] then return "<the table around it>" end
  local depth = #indent / 2
  if depth >= MOST_DEPTH then return next(value) == nil and "{}" or "{...}" end
  seen[value] = true
  local keys, count = {}, 0
  for key in next, value do
    count = count + 1
    if count <= MOST_FIELDS then keys[count] = key end
  end
  sort(keys, comes_first)
  local inner, items, length, at = indent .. "  ", {}, 0, 1
  for index = 1, #keys do
    local key = keys[index]
    local item = inspect(rawget(value, key), inner, seen)
    if key == at then
      at = at + 1
    elseif type(key) == "string" and find(key, NAME) then
      item = key .. " = " .. item
    else
      item = "[" .. inspect(key, inner, seen) .. "] = " .. item
    end
    items[index], length = item, length + #item + 2
  end
  seen[value] = nil
  if count > MOST_FIELDS then items[#items + 1] = "... (" .. count .. " fields)" end
  local text = concat(items, ", ")
  if length + #indent <= WIDTH and not find(text, "\n", 1, true) then return #items == 0 and "{}" or "{ " .. text .. " }" end
  return "{\n" .. inner .. concat(items, ",\n" .. inner) .. "\n" .. indent .. "}"
end

function inspect(value, indent, seen)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  local meta = getmetatable(value)
  if meta ~= nil and meta == con_meta then return "con" end
  local text = (kind == "table" or kind == "userdata") and told(value)
  if text then return text end
  if kind == "table" then return inspect_table(value, indent, seen) end
  return tostring(value)
end

-- ---- what is typed --------------------------------------------------------------------------------------------------

local function compile(source)
  if not loadstring then return load(source, "=console", "t", G) end
  local chunk, message = loadstring(source, "=console")
  if chunk and setfenv then setfenv(chunk, G) end
  return chunk, message
end

-- A function, or nil and a message, and whether more of the source may make it right.
local function read(source)
  local expression = gsub(source, "^%s*=", "")
  local chunk = compile("return " .. expression)
  if chunk then return chunk end
  local message
  chunk, message = compile(source)
  return chunk, message, message and find(message, "<eof>'?$") ~= nil
end

local con

local function out(...)
  con:puts(...)
  con:flush()
end

-- What scripts print goes to the log otherwise, and would be seen later than the values.
local function take_output()
  rawset(G, "print", function(...)
    local texts = {}
    for at = 1, select("#", ...) do texts[at] = G.tostring((select(at, ...))) end
    out(concat(texts, "\t"), "\n")
  end)
  G.io.write = function(...)
    out(...)
    return G.io.stdout
  end
end

-- What an error says, with the part of its stack that belongs to what was typed. `value` comes from debug.traceback, which leaves
-- all but strings as they are.
local function explain(value)
  if type(value) ~= "string" then return told(value) or inspect(value, "", {}) end
  local message, stack = match(value, "^(.*)\nstack traceback:\n(.*)$")
  if not message then return value end
  local lines = {}
  for line in gmatch(stack, "[^\n]+") do
    if find(line, "xpcall", 1, true) or find(line, "[luafcgid]", 1, true) then break end
    if not find(line, "^\t%[C%]: i?n? ?%?") and not find(line, "tail call", 1, true) then lines[#lines + 1] = line end
  end
  -- What was typed is on every stack, by a name that nobody knows.
  local last = lines[#lines]
  if last and (find(last, "in main chunk", 1, true) or find(last, "in function 'f'", 1, true)) then lines[#lines] = nil end
  return #lines > 1 and message .. "\n" .. concat(lines, "\n") or message
end

local function show(ok, ...)
  local count = select("#", ...)
  if not ok then return out(explain((...)), "\n") end
  if count == 0 then return end
  rawset(G, "_", (...))
  local texts = {}
  for at = 1, count do texts[at] = inspect((select(at, ...)), "", {}) end
  out(concat(texts, "  "), "\n")
end

local console = {}

-- Answers with what comes of the body of the request. The header X-Console is "more" when the source goes on in the next line.
function console.serve(env, request_con)
  con = request_con
  local pieces = {}
  for piece in function() return con:gets(65536) end do pieces[#pieces + 1] = piece end
  local chunk, message, is_open = read(concat(pieces))
  con:type("text/plain; charset=utf-8")
  con:header("X-Console", is_open and env.CONSOLE_END ~= "1" and "more" or "read")
  con:flush()
  take_output()
  if chunk then
    show(G.xpcall(chunk, traceback))
  elseif not is_open or env.CONSOLE_END == "1" then
    out(message, "\n")
  end
end

return console
