---@meta luafcgid.pegasus

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Runs what Pegasus runs, a function `callback(request, response)` with its plugins, without the HTTP server of Pegasus. The script is one line:
---@class luafcgid.pegasus.module
local pegasus = {}

---A handler `handler(env, con)` that answers as Pegasus does with this callback. `options` may have `plugins` and `location`, as Pegasus itself; it has to be installed.
---@param callback function
---@param options? table
---@return luafcgid.handler
function pegasus.handler(callback, options) end

return pegasus
