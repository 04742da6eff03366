-- Stands in for the module `openssl.hmac` of luaossl, with which Lapis signs.

local parts = ...

local crypto, setmetatable = parts.crypto, setmetatable

local Hmac = {}
Hmac.__index = Hmac

function Hmac:update(text)
  self.text = self.text .. text
  return self
end

-- The bytes, of all that was added and of `text`.
function Hmac:final(text) return crypto.hmac(self.algorithm, self.key, self.text .. (text or "")) end

local M = {}

function M.new(key, algorithm) return setmetatable({ key = key, algorithm = algorithm or "sha1", text = "" }, Hmac) end

return M
