-- What a message could say besides what Lua says in it.

local parts = ...

local methods, con_meta, names = parts.run.methods, parts.run.meta, parts.run.names
local match, sub, min = string.match, string.sub, math.min
local next, getlocal, getmetatable = next, debug.getlocal, debug.getmetatable

local patterns = {
  "attempt to call method '([%a_][%w_]*)'", "attempt to call field '([%a_][%w_]*)'",
  "attempt to call a nil value %(method '([%a_][%w_]*)'%)", "attempt to call a nil value %(field '([%a_][%w_]*)'%)",
}

-- How many letters have to be added, taken away or replaced to make one word of the other.
local function distance(left, right)
  local row = {}
  for j = 0, #right do row[j] = j end
  for i = 1, #left do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #right do
      local replaced = diagonal + (sub(left, i, i) == sub(right, j, j) and 0 or 1)
      diagonal = row[j]
      row[j] = min(row[j] + 1, row[j - 1] + 1, replaced)
    end
  end
  return row[#right]
end

-- The method of con with the most similar name; nothing when none is similar.
local function similar_method(name)
  local best, best_distance
  for _, method in next, names() do
    local far = distance(name, method)
    if far <= (#name < 7 and 1 or 2) and (not best or far < best_distance or far == best_distance and method < best) then
      best, best_distance = method, far
    end
  end
  return best
end

-- Whether a function on the stack has a con among its variables and what it works with. `thread`: on whose stack; nil: on
-- that of the caller.
local function has_con(level, thread)
  for at = 1, 250 do
    local name, value
    if thread then name, value = getlocal(thread, level, at) else name, value = getlocal(level + 1, at) end
    if not name then return false end
    if getmetatable(value) == con_meta then return true end
  end
  return false
end

local hints = {}

-- A message with a hint, if there is one. `level` is that of the function that raised it, 0 with a `thread` that it ended.
function hints.add(message, level, thread)
  for i = 1, #patterns do
    local name = match(message, patterns[i])
    if name and not methods[name] then
      local method = #name < 50 and has_con(thread and level or level + 1, thread) and similar_method(name)
      return method and message .. "; did you mean con:" .. method .. "?" or message
    end
  end
  return message
end

return hints
