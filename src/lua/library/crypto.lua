-- The module luafcgid.crypto: the host does the work.

--- ## The module luafcgid.crypto
---
--- Random bytes, digests, tokens that nobody can forge, hashes of passwords, base64 and hexadecimal digits.
---
--- ```lua
--- local crypto = require("luafcgid.crypto")
--- ```

local parts = ...

local call, waiting = parts.host.crypto, parts.waiting
local bad_argument, text_argument = parts.arguments.bad, parts.arguments.text

local type, tostring, error, next, floor, gsub = type, tostring, error, next, math.floor, string.gsub

local M = { password = {} }

--- crypto.random(n)
---
--- `n` bytes that nobody can foresee, at most 1 MiB.
---
--- Errors: `n` is no whole number from 1 to 1048576.
--- Example: local token = crypto.hex(crypto.random(16))
function M.random(n)
  if type(n) ~= "number" or floor(n) ~= n or n < 1 or n > 1048576 then
    bad_argument(1, "random", "whole number from 1 to 1048576", n)
  end
  local ok, bytes = call("random", n)
  if not ok then error(bytes, 2) end
  return bytes
end

--- crypto.uuid()
---
--- A random UUID (version 4), as `1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed`.
---
--- Errors: none.
--- Example: con:header("X-Request-Id", crypto.uuid())
function M.uuid()
  local ok, text = call("uuid")
  if not ok then error(text, 2) end
  return text
end

--- crypto.hash(algorithm, text)
---
--- The digest as bytes: `"sha256"`, `"sha512"`, `"sha384"`, `"sha224"`, and for what already exists `"sha1"` and `"md5"`.
--- Not for passwords: see `crypto.password.hash`.
---
--- Errors: another algorithm; `text` is neither string nor number.
--- Example: local etag = crypto.hex(crypto.hash("sha256", "text"))
function M.hash(algorithm, text)
  algorithm = text_argument(algorithm, 1, "hash")
  text = text_argument(text, 2, "hash")
  local ok, bytes = call("digest", algorithm, text)
  if not ok then error(bytes, 2) end
  return bytes
end

--- crypto.hmac(algorithm, key, text)
---
--- The keyed digest (HMAC) as bytes, with the algorithms of `crypto.hash`.
---
--- Errors: another algorithm; `key` or `text` is neither string nor number.
--- Example: local signature = crypto.hmac("sha256", "key", "text")
function M.hmac(algorithm, key, text)
  algorithm = text_argument(algorithm, 1, "hmac")
  key = text_argument(key, 2, "hmac")
  text = text_argument(text, 3, "hmac")
  local ok, bytes = call("hmac", algorithm, key, text)
  if not ok then error(bytes, 2) end
  return bytes
end

--- crypto.equal(a, b)
---
--- Whether two strings are the same, in a time that does not tell where they differ: for signatures and tokens.
---
--- Errors: neither string nor number.
--- Example: assert(crypto.equal("abc", "abc"))
function M.equal(a, b)
  a = text_argument(a, 1, "equal")
  b = text_argument(b, 2, "equal")
  local ok, same = call("equal", a, b)
  if not ok then error(same, 2) end
  return same
end

--- crypto.base64(text)
---
--- Base64 with padding (RFC 4648).
---
--- Errors: neither string nor number.
--- Example: assert(crypto.base64("hi!") == "aGkh")
function M.base64(text)
  text = text_argument(text, 1, "base64")
  local ok, encoded = call("base64", text)
  if not ok then error(encoded, 2) end
  return encoded
end

--- crypto.base64url(text)
---
--- Base64 for URLs and file names: `-` and `_` in the place of `+` and `/`, no padding.
---
--- Errors: neither string nor number.
--- Example: assert(crypto.base64url("\255\239") == "_-8")
function M.base64url(text)
  text = text_argument(text, 1, "base64url")
  local ok, encoded = call("base64", text)
  if not ok then error(encoded, 2) end
  return (gsub(encoded, "[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
end

--- crypto.unbase64(text)
---
--- The bytes of base64, of either alphabet, with or without padding; or nil when the text is no base64.
---
--- Errors: neither string nor number.
--- Example: assert(crypto.unbase64("aGkh") == "hi!")
function M.unbase64(text)
  text = text_argument(text, 1, "unbase64")
  local ok, bytes = call("unbase64", text)
  if not ok then error(bytes, 2) end
  return bytes
end

--- crypto.hex(text)
---
--- Two hexadecimal digits for each byte, in lower case.
---
--- Errors: neither string nor number.
--- Example: assert(crypto.hex("hi") == "6869")
function M.hex(text)
  text = text_argument(text, 1, "hex")
  local ok, digits = call("hex", text)
  if not ok then error(digits, 2) end
  return digits
end

--- crypto.unhex(text)
---
--- The bytes of hexadecimal digits; or nil when the text is anything else.
---
--- Errors: neither string nor number.
--- Example: assert(crypto.unhex("6869") == "hi")
function M.unhex(text)
  text = text_argument(text, 1, "unhex")
  local ok, bytes = call("unhex", text)
  if not ok then error(bytes, 2) end
  return bytes
end

local function options_of(options, position, name, known)
  if options == nil then return {} end
  if type(options) ~= "table" then bad_argument(position, name, "table", options, 4) end
  for option in next, options do
    if not known[option] then error("crypto." .. name .. " has no option " .. (type(option) == "string" and option or "of that kind"), 3) end
  end
  if options.context ~= nil and type(options.context) ~= "string" then bad_argument(position, name, "context as a string", options.context, 4) end
  return options
end

--- crypto.seal(key, text[, options])
---
--- A token of `text` that nobody can read or change without the key: AES-256-GCM, in base64 for URLs. `key` is a name of the
--- setting `keys`, whose first secret seals. Options: `expires`, in how many seconds the token becomes worthless; `context`, a
--- string that `open` has to be given again, as the name of a field or a user's id.
---
--- Errors: a name that the configuration does not have; more than 1 MiB of text; an option that does not exist.
--- Example: local token = pcall(function() return crypto.seal("session", "user=7", { expires = 3600 }) end)
function M.seal(key, text, options)
  key = text_argument(key, 1, "seal")
  text = text_argument(text, 2, "seal")
  options = options_of(options, 3, "seal", { expires = true, context = true })
  local expires = options.expires
  if expires ~= nil and (type(expires) ~= "number" or not (expires >= 1 and expires < 2 ^ 40)) then
    error("crypto.seal: expires is a number of seconds of at least 1", 2)
  end
  local ok, token = call("seal", key, text, options.context or "", expires or 0)
  if not ok then error(token, 2) end
  return token
end

local words = { "forged", "expired" }

--- crypto.open(key, token[, options])
---
--- The text of a token that `seal` made with any secret of the key; or nil and `"forged"` (which is also what was never a
--- token, or has another context), or nil and `"expired"`. `options` may have the `context`.
---
--- Errors: a name that the configuration does not have; `token` is neither string nor nil.
--- Example: local ok, text, why = pcall(function() return crypto.open("session", con:cookies().session) end)
function M.open(key, token, options)
  key = text_argument(key, 1, "open")
  options = options_of(options, 3, "open", { context = true })
  if token == nil then return nil, words[1] end
  token = text_argument(token, 2, "open")
  local ok, text = call("open", key, token, options.context or "")
  if not ok then error(text, 2) end
  if type(text) == "number" then return nil, words[text] end
  return text
end

-- The result of work that another thread may do: the request waits for it.
local function password_work(name, ...)
  -- From the next request on, if this one cannot be suspended.
  waiting.enable()
  local ok, result = call(name .. "password", ...)
  if ok and type(result) == "table" then ok, result = waiting.wait(result.wait) end
  if not ok then error("crypto.password." .. name .. ": " .. tostring(result), 3) end
  return result
end

--- crypto.password.hash(password)
---
--- What to store of a password: a PHC string, with argon2id where Node.js has it (24.7), else with scrypt. It takes a tenth of
--- a second or more, on purpose, on a thread of its own: where Lua can be suspended, the worker serves others meanwhile. The whole server
--- makes two at a time.
---
--- Errors: no string; more than 4,096 bytes.
--- Example: local hash = crypto.password.hash("correct horse")
function M.password.hash(password)
  if type(password) ~= "string" then bad_argument(1, "hash", "string", password) end
  local hash = password_work("hash", password)
  return hash
end

--- crypto.password.verify(password, hash)
---
--- Whether a password is that of a stored hash. Takes as long as `hash`.
---
--- Errors: no strings; `hash` is no hash of a password, or one whose costs are beyond all reason.
--- Example: local ok = pcall(function() return crypto.password.verify("guess", "$scrypt$...") end)
function M.password.verify(password, hash)
  if type(password) ~= "string" then bad_argument(1, "verify", "string", password) end
  if type(hash) ~= "string" then bad_argument(2, "verify", "string", hash) end
  local same = password_work("verify", password, hash)
  return same
end

--- crypto.password.needs_rehash(hash)
---
--- Whether `hash` would do better today: then hash the password anew, when its user has just given it.
---
--- Errors: no hash of a password.
--- Example: local ok, better = pcall(function() return crypto.password.needs_rehash("$scrypt$...") end)
function M.password.needs_rehash(hash)
  if type(hash) ~= "string" then bad_argument(1, "needs_rehash", "string", hash) end
  local ok, better = call("needsrehash", hash)
  if not ok then error("crypto.password.needs_rehash: " .. better, 2) end
  return better
end

return M
