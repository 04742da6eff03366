---@meta luafcgid.mod_lua

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Runs scripts that are written for Apache's mod_lua, whose function `handle(r)` answers a request, and frameworks that run on it, as Sailor does. With the setting `handler = "mod_lua"`, or in the script:
---@class luafcgid.mod_lua.module
---@field [string] any
local mod_lua = {}

---A handler `handler(env, con)` that answers by a function `handle(r)` of mod_lua. What that returns is `apache2.OK`, or a status of HTTP.
---@param handle function
---@return luafcgid.handler
function mod_lua.handler(handle) end

return mod_lua
