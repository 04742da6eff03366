---@meta luafcgid.lapis

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Runs applications of the framework Lapis. The script is one line:
---@class luafcgid.lapis.module
local lapis = {}

---A handler `handler(env, con)` that answers by an application of Lapis: the name of its module, its class, or an instance.
---@param app any
---@return luafcgid.handler
function lapis.serve(app) end

return lapis
