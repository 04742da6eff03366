---@meta luafcgid.crypto

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Random bytes, digests, tokens that nobody can forge, hashes of passwords, base64 and hexadecimal digits.
---@class luafcgid.crypto.module
local crypto = {}

crypto.password = {}

---`n` bytes that nobody can foresee, at most 1 MiB.
---@param n number
---@return string
function crypto.random(n) end

---A random UUID (version 4), as `1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed`.
---@return string
function crypto.uuid() end

---The digest as bytes: `"sha256"`, `"sha512"`, `"sha384"`, `"sha224"`, and for what already exists `"sha1"` and `"md5"`. Not for passwords: see `crypto.password.hash`.
---@param algorithm string
---@param text string
---@return string
function crypto.hash(algorithm, text) end

---The keyed digest (HMAC) as bytes, with the algorithms of `crypto.hash`.
---@param algorithm string
---@param key string|number
---@param text string
---@return string
function crypto.hmac(algorithm, key, text) end

---Whether two strings are the same, in a time that does not tell where they differ: for signatures and tokens.
---@param a any
---@param b any
---@return boolean
function crypto.equal(a, b) end

---Base64 with padding (RFC 4648).
---@param text string
---@return string
function crypto.base64(text) end

---Base64 for URLs and file names: `-` and `_` in the place of `+` and `/`, no padding.
---@param text string
---@return string
function crypto.base64url(text) end

---The bytes of base64, of either alphabet, with or without padding; or nil when the text is no base64.
---@param text string
---@return string
function crypto.unbase64(text) end

---Two hexadecimal digits for each byte, in lower case.
---@param text string
---@return string
function crypto.hex(text) end

---The bytes of hexadecimal digits; or nil when the text is anything else.
---@param text string
---@return string
function crypto.unhex(text) end

---A token of `text` that nobody can read or change without the key: AES-256-GCM, in base64 for URLs. `key` is a name of the setting `keys`, whose first secret seals. Options: `expires`, in how many seconds the token becomes worthless; `context`, a string that `open` has to be given again, as the name of a field or a user's id.
---@param key string|number
---@param text string
---@param options? table
---@return string
function crypto.seal(key, text, options) end

---The text of a token that `seal` made with any secret of the key; or nil and `"forged"` (which is also what was never a token, or has another context), or nil and `"expired"`. `options` may have the `context`.
---@param key string|number
---@param token string
---@param options? table
---@return any
function crypto.open(key, token, options) end

---What to store of a password: a PHC string, with argon2id where Node.js has it (24.7), else with scrypt. It takes a tenth of a second or more, on purpose, on a thread of its own: where Lua can be suspended, the worker serves others meanwhile. The whole server makes two at a time.
---@param password string
---@return string
function crypto.password.hash(password) end

---Whether a password is that of a stored hash. Takes as long as `hash`.
---@param password string
---@param hash string
---@return boolean
function crypto.password.verify(password, hash) end

---Whether `hash` would do better today: then hash the password anew, when its user has just given it.
---@param hash string
---@return boolean
function crypto.password.needs_rehash(hash) end

return crypto
