---@meta luafcgid.shared

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---@class luafcgid.shared.dictionary
local d = {}

---Dictionaries in memory that the scripts of all workers share, named by the setting `shared`; without a configuration there is one, `cache`.
---@class luafcgid.shared.module
---@field [string] luafcgid.shared.dictionary
local shared = {}

---The value, and the number that `set` was given as `flags`, if it was. `nil`: there is none.
---@param key string|number
---@return any
function d:get(key) end

---The same, also when the value has expired and its memory was not needed since. The third result tells whether it has.
---@param key string|number
---@return any
function d:get_stale(key) end

---Sets a value; `nil` removes it. Gives `true`, or `nil` and `"no memory"`. The third result tells whether other values were evicted to make room; only a dictionary with `evict = true` does that. `flags` is a number that `get` gives back.
---@param key string|number
---@param value any
---@param ttl? number
---@param flags? integer
---@return any
function d:set(key, value, ttl, flags) end

---The same; nothing is evicted for it.
---@param key string|number
---@param value any
---@param ttl? number
---@param flags? integer
---@return any
function d:safe_set(key, value, ttl, flags) end

---Sets a value if there is none; else gives `nil` and `"exists"`.
---@param key string|number
---@param value any
---@param ttl? number
---@param flags? integer
---@return any
function d:add(key, value, ttl, flags) end

---The same; nothing is evicted for it.
---@param key string|number
---@param value any
---@param ttl? number
---@param flags? integer
---@return any
function d:safe_add(key, value, ttl, flags) end

---Sets a value if there is one; else gives `nil` and `"not found"`.
---@param key string|number
---@param value any
---@param ttl? number
---@param flags? integer
---@return any
function d:replace(key, value, ttl, flags) end

---Sets the value to `new` if it is `old`, in one step. `old = nil`: there must be none; `new = nil`: removes it. Gives `true`, or `nil` and `"changed"` (or `"no memory"`).
---@param key string|number
---@param old any
---@param new any
---@param ttl? number
---@return any
function d:cas(key, old, new, ttl) end

---Removes a value, if there is one.
---@param key string|number
---@return any
function d:delete(key) end

---Adds `n` to a number and gives the sum; its time to live stays. Where there is none, it begins with `init`, for `init_ttl` seconds. Gives `nil` and `"not found"` without `init`, `"not a number"`, or `"no memory"`. The third result is that of `set`.
---@param key string|number
---@param n number
---@param init? number
---@param init_ttl? number
---@return any
function d:incr(key, n, init, init_ttl) end

---Adds a value at the begin or at the end of a list, which is made if there is none. Gives how many it has now, or `nil` and `"value not a list"` or `"no memory"`.
---@param key string|number
---@param value any
---@return any
function d:lpush(key, value) end

---Adds a value at the begin or at the end of a list, which is made if there is none. Gives how many it has now, or `nil` and `"value not a list"` or `"no memory"`.
---@param key string|number
---@param value any
---@return any
function d:rpush(key, value) end

---Removes the first or the last value of a list and gives it; `nil` when there is none, `nil` and `"value not a list"`.
---@param key string|number
---@return any
function d:lpop(key) end

---Removes the first or the last value of a list and gives it; `nil` when there is none, `nil` and `"value not a list"`.
---@param key string|number
---@return any
function d:rpop(key) end

---How many values a list has; 0 when there is none, `nil` and `"value not a list"`.
---@param key string|number
---@return any
function d:llen(key) end

---Seconds until the value is gone, 0 for never; or `nil` and `"not found"`.
---@param key string|number
---@return any
function d:ttl(key) end

---Lets a value be gone after `ttl` seconds from now, or never (0). Gives `true`, or `nil` and `"not found"`.
---@param key string|number
---@param ttl number
---@return any
function d:expire(key, ttl) end

---Removes everything.
---@return any
function d:flush_all() end

---Gives back the memory of values that are gone, which is done by itself when memory is needed. Gives how many they were.
---@param most? integer
---@return any
function d:flush_expired(most) end

---An array of the keys, in no order; at most `most` (1024 when left out, 0 for all).
---@param most? integer
---@return string[]
function d:get_keys(most) end

---The size of the dictionary, and how many bytes of it are free: any value that fits into these can be stored.
---@return integer
function d:capacity() end

---The size of the dictionary, and how many bytes of it are free: any value that fits into these can be stored.
---@return integer
function d:free_space() end

---The value, or else what `f` gives, which is stored for `ttl` seconds: of all requests that miss it at the same time one calls `f`, and the others get the value that has just expired, if it is still there, or wait for the new one. `options.wait` is how many seconds they wait, 10 when left out; then they get `nil` and `"timeout"`. `"deadlock"` is told as by luafcgid.lock. What `f` gives as `nil` is not stored, and an error of it is raised. A value for which there is no room is given all the same.
---@param key string|number
---@param ttl number
---@param f function
---@param options? table
---@return any
function d:fetch(key, ttl, f, options) end

return shared
