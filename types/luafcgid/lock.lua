---@meta luafcgid.lock

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---@class luafcgid.lock.held
local l = {}

---Locks by name, among all requests of the server: one request at a time holds a name.
---@class luafcgid.lock.module
local lock = {}

---Takes a lock, and waits for it if it is held. Gives the lock, with `name` and `token`, a number that grows each time that a lock is taken; or `nil` and `"timeout"` or `"deadlock"`.
---@param name string
---@param options? table
---@return luafcgid.lock.held?
function lock.lock(name, options) end

---Takes a lock if it is free; else gives `nil` and `"timeout"`, or `"deadlock"` when this request holds it.
---@param name string
---@return luafcgid.lock.held?
function lock.try(name) end

---Calls `f` with the lock while it is held, and releases it when `f` is over, also by an error. Gives `true` and the results of `f`, or `nil` and `"timeout"` or `"deadlock"`: then `f` was not called.
---@param name string
---@param options? table
---@param f function
---@return any
function lock.with(name, options, f) end

---Releases the lock; the request that has waited for it the longest gets it. Gives `false` when it was released before.
---@return boolean
function l:unlock() end

---Whether this request holds the lock.
---@return boolean
function l:held() end

return lock
