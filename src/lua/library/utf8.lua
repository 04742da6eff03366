-- Whether a string is UTF-8 (RFC 3629): no surrogates, nothing beyond U+10FFFF, nothing longer than it has to be.

local parts = ...

local host = parts.host
local find = string.find
local len = utf8 and utf8.len

-- Short strings without a byte beyond ASCII are not worth a call of the host.
local short = 64

local function is_utf8(text)
  if #text < short and not find(text, "[\128-\255]") then return true end
  local _, is_valid = host.isutf8(text)
  return is_valid
end

if len then
  function is_utf8(text) return len(text) ~= nil end
end

return { is_valid = is_utf8 }
