---@meta luafcgid.cgilua

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Runs pages and scripts that are written for CGILua. Such a file runs from top to bottom for each request, and writes with `cgilua.put` or, in a page, around its Lua:
---@class luafcgid.cgilua.module
local cgilua = {}

---A handler `handler(env, con)` that answers by a file of CGILua's: a script when its name ends with `.lua`, a page with any other. A relative name begins beside the script. The file is read when it is first asked for, and again when it has changed.
---@param file string
---@return luafcgid.handler
function cgilua.handler(file) end

return cgilua
