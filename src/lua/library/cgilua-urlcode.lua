-- Stands in for the module `cgilua.urlcode`: texts of addresses.

local parts = ...

local util = parts.wsapi_util
local pairs, tostring, type = pairs, tostring, type
local gmatch, match = string.gmatch, string.match
local concat, sort = table.concat, table.sort

local M = { escape = util.url_encode, unescape = util.url_decode }

-- Adds a field to a table. A name that comes twice has a list of values.
function M.insertfield(args, name, value)
  local present = args[name]
  if present == nil then
    args[name] = value
  elseif type(present) == "table" then
    present[#present + 1] = value
  else
    args[name] = { present, value }
  end
end

function M.parsequery(query, args)
  if type(query) ~= "string" then return end
  for pair in gmatch(query, "[^&]+") do
    local name, value = match(pair, "^([^=]*)=?(.*)$")
    M.insertfield(args, M.unescape(name), M.unescape(value))
  end
end

function M.encodetable(args)
  if args == nil then return "" end
  local fields = {}
  for name, value in pairs(args) do
    local values = type(value) == "table" and value or { value }
    for at = 1, #values do fields[#fields + 1] = M.escape(tostring(name)) .. "=" .. M.escape(tostring(values[at])) end
  end
  sort(fields)
  return concat(fields, "&")
end

return M
