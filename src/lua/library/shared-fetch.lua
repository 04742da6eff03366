-- `fetch` of shared dictionaries, wherever they lie: one request computes what many miss.

local parts = ...

local waiting, bad, crypto = parts.waiting, parts.arguments.bad, parts.host.crypto
local error, tostring, type = error, tostring, type
local DEFAULT_WAIT = 10

-- Loads the module, which has these for names that scripts cannot lock.
local lock = parts.lock and { acquire = waiting.acquire_lock, release = waiting.release_lock }

local function finish(name, token, ok, ...)
  lock.release(name, token)
  if not ok then error((...), 0) end
  return ...
end

--- #### `d:fetch(key, ttl, f [, options])`
---
--- The value, or else what `f` gives, which is stored for `ttl` seconds: of all requests that miss it at the same time one calls `f`, and the
--- others get the value that has just expired, if it is still there, or wait for the new one. `options.wait` is how many seconds they wait, 10 when
--- left out; then they get `nil` and `"timeout"`. `"deadlock"` is told as by luafcgid.lock. What `f` gives as `nil` is not stored, and an
--- error of it is raised. A value for which there is no room is given all the same.
---
--- ```lua
--- local page = cache:fetch("front page", 60, function() return render() end)
--- ```
local function fetch(self, key, ttl, f, options)
  if type(f) ~= "function" then bad(3, "fetch", "function", f) end
  if options ~= nil and type(options) ~= "table" then bad(4, "fetch", "table", options) end
  local wait = options and options.wait
  if wait == nil then wait = DEFAULT_WAIT end
  if type(wait) ~= "number" or not (wait >= 0 and wait < 1e9) then bad(4, "fetch", "wait of a number of seconds", wait) end
  local value = self:get(key)
  if value ~= nil then return value end
  key = tostring(key)
  local name = "fetch:" .. self.name .. ":" .. key
  if #name > 255 then
    local ok, digest = crypto("digest", "sha256", key)
    if not ok then error(digest, 2) end
    name = "fetch:" .. self.name .. ":sha256:" .. digest
  end
  local token, word = lock.acquire(name, 0)
  if not token then
    if word == "deadlock" then return nil, word end
    local stale = self:get_stale(key)
    if stale ~= nil then return stale end
    token, word = lock.acquire(name, wait)
    if not token then return nil, word end
  end
  -- Another request may have stored it meanwhile.
  value = self:get(key)
  if value ~= nil then return finish(name, token, true, value) end
  return finish(name, token, waiting.pcall(function()
    local made = f()
    if made ~= nil then self:set(key, made, ttl) end
    return made
  end))
end

return fetch
