-- The module luafcgid.validate.

--- ## The module luafcgid.validate
---
--- Checks what a form, a query string or a JSON body has sent, and tells its sender what is wrong in words.
---
--- ```lua
--- local validate = require("luafcgid.validate")
--- local rules = {
---   name = { required = true, max = 80 },
---   age = { type = "integer", min = 0, max = 150 },
---   mail = { required = true, type = "email" },
---   color = { one_of = { "red", "green" } },
---   tags = { list = true, max = 20 },
--- }
--- function main(env, con)
---   local user, wrong = validate.check(con:form(), rules)
---   if not user then con:status(422) con:puts(wrong.name or "") return end
--- end
--- ```
---
--- A rule may have `required`; `type`: `"string"` (if left out), `"integer"`, `"number"`, `"boolean"` or `"email"`; `min` and `max`, of
--- a number, or of the length of a text in bytes; `one_of`, a list of values; `pattern`, a Lua pattern that the whole text has to
--- match (a slow one is slow for whoever sends the text: bound it by `max`); `check`, a function of the value that gives nil or what
--- is wrong; `list`, for fields that may come more than once: then the value is a list; `trim = false` keeps spaces around a text;
--- `message`, in the place of the message of this module.

local parts = ...

local is_utf8 = parts.utf8.is_valid
local bad_argument = parts.arguments.bad
local type, error, next, tonumber, tostring = type, error, next, tonumber, tostring
local find, floor, huge, match = string.find, math.floor, math.huge, string.match

local function to_number(value)
  if type(value) == "string" then
    -- The pattern takes time by the square of the digits before something that is none.
    if #value > 40 or not find(value, "^[+-]?%d+%.?%d*$") then return nil end
    value = tonumber((match(value, "^%+?(.*)$")))
  end
  if type(value) ~= "number" or value ~= value or value == huge or value == -huge then return nil end
  return value
end

local booleans = { ["true"] = true, on = true, ["1"] = true, ["false"] = false, off = false, ["0"] = false }

-- By type: the value, or nil and what is wrong.
local readers = {
  string = function(value)
    if type(value) == "number" then value = tostring(value) end
    if type(value) ~= "string" then return nil, "has to be a text" end
    if not is_utf8(value) then return nil, "has to be UTF-8" end
    return value
  end,
  integer = function(value)
    value = to_number(value)
    if not value or floor(value) ~= value or value > 2 ^ 53 or value < -2 ^ 53 then return nil, "has to be a whole number" end
    return floor(value)
  end,
  number = function(value)
    value = to_number(value)
    if not value then return nil, "has to be a number" end
    return value
  end,
  boolean = function(value)
    if type(value) == "string" then value = booleans[value] end
    if type(value) ~= "boolean" then return nil, "has to be true or false" end
    return value
  end,
  -- What HTML takes for an address, without its finer points.
  email = function(value)
    if type(value) ~= "string" or #value > 254 or not find(value, "^[%w.!#$%%&'*+/=?^_`{|}~-]+@[%w-]+%.[%w.-]+$")
      or find(value, "..", 1, true) then
      return nil, "has to be an e-mail address"
    end
    return value
  end,
}

local known = { required = true, type = true, min = true, max = true, one_of = true, pattern = true, check = true, list = true,
  trim = true, message = true }

local function trimmed(value, rule)
  if type(value) ~= "string" or rule.trim == false then return value end
  return match(match(value, "^%s*(.*)$"), "^(.*%S)") or ""
end

local function check_one(value, rule)
  local wrong
  value, wrong = readers[rule.type or "string"](trimmed(value, rule))
  if wrong then return nil, wrong end
  local size = type(value) == "string" and #value or value
  local unit = type(value) == "string" and " characters" or ""
  if type(size) == "number" then
    if rule.min and size < rule.min then return nil, "has to be at least " .. rule.min .. unit end
    if rule.max and size > rule.max then return nil, "may be at most " .. rule.max .. unit end
  end
  if rule.one_of then
    local is_one = false
    for at = 1, #rule.one_of do is_one = is_one or rule.one_of[at] == value end
    if not is_one then return nil, "is none of those that there are" end
  end
  if rule.pattern then
    local first, last = find(value, rule.pattern)
    if first ~= 1 or last ~= #value then return nil, "does not have the right form" end
  end
  if rule.check then
    wrong = rule.check(value)
    if wrong then return nil, tostring(wrong) end
  end
  return value
end

local function check_field(value, rule)
  if value == nil or trimmed(value, rule) == "" then
    if rule.required then return nil, "is missing" end
    return nil
  end
  if not rule.list then return check_one(value, rule) end
  if type(value) ~= "table" then value = { value } end
  local list = {}
  for at = 1, #value do
    local item, wrong = check_one(value[at], rule)
    if wrong then return nil, wrong end
    list[at] = item
  end
  return list
end

local M = {}

--- validate.check(values, rules)
---
--- A table with the values of the rules' fields, of the types that the rules name, and nothing else; or nil and a table from
--- field to what is wrong with it.
---
--- Errors: `values` or `rules` is no table; a rule has a part that does not exist, or a type that does not.
--- Example: assert(validate.check({ age = "7" }, { age = { type = "integer" } }).age == 7)
function M.check(values, rules)
  if type(values) ~= "table" then bad_argument(1, "check", "table", values) end
  if type(rules) ~= "table" then bad_argument(2, "check", "table", rules) end
  local good, wrong = {}, nil
  for field, rule in next, rules do
    if type(rule) ~= "table" then error("the rule of " .. tostring(field) .. " is a " .. type(rule) .. " value, not a table", 2) end
    for part in next, rule do
      if not known[part] then error("the rule of " .. tostring(field) .. " has a part " .. tostring(part) .. " that does not exist", 2) end
    end
    if rule.type ~= nil and not readers[rule.type] then error("there is no type " .. tostring(rule.type) .. ": see the rule of " .. tostring(field), 2) end
    local value, message = check_field(values[field], rule)
    if message then
      wrong = wrong or {}
      wrong[field] = rule.message or message
    else
      good[field] = value
    end
  end
  if wrong then return nil, wrong end
  return good
end

return M
