---@meta luafcgid.wsapi

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Runs applications that are written for WSAPI: functions that take an environment and give a status, headers and an iterator. A script of one line is enough:
---@class luafcgid.wsapi.module
local wsapi = {}

---A handler `handler(env, con)` that answers by a WSAPI application: a function, a table with a function `run`, or the name of a module that gives one of these. `options.app_path` stands as `APP_PATH` in the place of the script's folder. The environment has all that `env` has, and the empty text for anything else; `input:read(n)` reads the body, `error:write(...)` writes to the log. Headers with a list of values are sent once for each.
---@param app any
---@param options? table
---@return luafcgid.handler
function wsapi.handler(app, options) end

return wsapi
