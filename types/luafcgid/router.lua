---@meta luafcgid.router

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---@alias luafcgid.router.handler fun(env: table<string, string>, con: luafcgid.con, params: table<string, string>): any

---@class luafcgid.router
local app = {}
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:get(path, handler) end
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:post(path, handler) end
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:put(path, handler) end
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:patch(path, handler) end
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:delete(path, handler) end
---@param method string
---@param path string
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:route(method, path, handler) end
---@param middleware fun(env: table<string, string>, con: luafcgid.con, params: table<string, string>, next: fun())
---@return luafcgid.router
function app:use(middleware) end
---@param prefix string
---@param define fun(group: luafcgid.router)
---@return luafcgid.router
function app:group(prefix, define) end
---@param handler luafcgid.router.handler
---@return luafcgid.router
function app:not_found(handler) end
---@param env table<string, string>
---@param con luafcgid.con
function app:run(env, con) end

---One script for all addresses of an application: routes by method and path, with parameters, groups and middleware.
---@class luafcgid.router.module
local router = {}

---A router without routes. `app:get`, `post`, `put`, `patch` and `delete` take a path and a function `handler(env, con, params)`; `app:route(method, path, handler)` any method. `app:use(run)` adds middleware for the routes that are added after it: `run(env, con, params, next)` calls `next()` to go on, or answers by itself. `app:group(prefix, define)` calls `define(group)`, whose routes begin with `prefix` and whose middleware is its own. `app:not_found(handler)` answers what has no route. `app:run(env, con)` answers a request.
---@return luafcgid.router
function router.new() end

---What the addresses of the application's pages begin with: `router.base(env) .. "/users/7"`. Where the web server sends paths that are no files to the script, it is the folder of the script (`""` for that of the site); elsewhere the script's own address (`/app/index.lua`).
---@param env table<string, string>
---@return string
function router.base(env) end

return router
