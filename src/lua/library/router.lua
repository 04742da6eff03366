-- The module luafcgid.router.

--- ## The module luafcgid.router
---
--- One script for all addresses of an application: routes by method and path, with parameters, groups and middleware.
---
--- ```lua
--- local router = require("luafcgid.router")
--- local app = router.new()
--- app:get("/users/:id", function(env, con, params) con:puts("user ", params.id) end)
--- function main(env, con) app:run(env, con) end
--- ```
---
--- A path is made of literal parts and of `:name`, which stands for one part and is decoded from its percent-escapes; a last
--- part `*name` stands for the rest, as it came. Literal parts come before parameters, whichever was added first. The path is
--- `env.PATH_INFO`; where the web server gives none, `/` when `env.SCRIPT_NAME` is the name of the script's own file, else
--- `env.SCRIPT_NAME`. A slash at its end counts. HEAD is answered by
--- the route of GET. `OPTIONS`, and a method that a path does not have, are answered with the methods that it has (204, 405).

local parts = ...

local run = parts.run
local bad_argument = parts.arguments.bad
local type, error, next, tonumber, setmetatable = type, error, next, tonumber, setmetatable
local char, find, gmatch, gsub, match, sub, upper = string.char, string.find, string.gmatch, string.gsub, string.match, string.sub, string.upper
local concat, sort = table.concat, table.sort

local Router = {}
local router_meta = { __index = Router }

local function decode(text)
  return (gsub(text, "%%(%x%x)", function(digits) return char(tonumber(digits, 16)) end))
end

local function is_callable(value)
  return type(value) == "function"
end

-- The parts of a path between its slashes; a slash at the end makes an empty last one.
local function split(path)
  local found, count = {}, 0
  for part in gmatch(path, "/([^/]*)") do
    count = count + 1
    found[count] = part
  end
  return found, count
end

local function new_node() return { literals = {} } end

local function add(self, method, path, handler, level)
  if type(path) ~= "string" or sub(self.prefix .. path, 1, 1) ~= "/" then
    error("a route is a path that begins with /, not " .. (type(path) == "string" and '"' .. path .. '"' or "a " .. type(path) .. " value"), level)
  end
  if not is_callable(handler) then error("the handler of " .. path .. " is a " .. type(handler) .. " value", level) end
  local whole = self.prefix .. path
  local node, names = self.root, {}
  local found, count = split(whole)
  for at = 1, count do
    local part = found[at]
    local kind, name = match(part, "^([:*])([%a_][%w_]*)$")
    if not kind and find(part, "^[:*]") then error('"' .. part .. '" in the route ' .. whole .. " has no name", level) end
    if find(part, "^{.*}$") then error('"' .. part .. '" in the route ' .. whole .. ": a parameter is written :" .. (match(part, "^{([%a_][%w_]*)") or "name"), level) end
    if kind == "*" and at < count then error('"' .. part .. '" in the route ' .. whole .. " is not its last part", level) end
    if kind then
      if names[name] then error("the route " .. whole .. " has two parameters " .. name, level) end
      names[name], names[#names + 1] = true, name
    end
    if kind == ":" then
      node.any = node.any or new_node()
      node = node.any
    elseif kind == "*" then
      node.rest = node.rest or new_node()
      node = node.rest
    else
      node.literals[part] = node.literals[part] or new_node()
      node = node.literals[part]
    end
  end
  node.routes = node.routes or {}
  if node.routes[method] then error("there are two routes " .. method .. " " .. whole, level) end
  local before = {}
  for at = 1, #self.before do before[at] = self.before[at] end
  node.routes[method] = { handler = handler, names = names, before = before }
end

local methods = { get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE" }
for name, method in next, methods do
  Router[name] = function(self, path, handler)
    add(self, method, path, handler, 3)
    return self
  end
end

-- Any method.
function Router.route(self, method, path, handler)
  if type(method) ~= "string" or not find(method, "^%a+$") then bad_argument(1, "route", "name of a method", method) end
  add(self, upper(method), path, handler, 3)
  return self
end

function Router.use(self, middleware)
  if not is_callable(middleware) then bad_argument(1, "use", "function", middleware) end
  self.before[#self.before + 1] = middleware
  return self
end

function Router.group(self, prefix, define)
  if type(prefix) ~= "string" or not find(prefix, "^/.*[^/]$") then bad_argument(1, "group", "prefix like /admin", prefix) end
  if not is_callable(define) then bad_argument(2, "group", "function", define) end
  local before = {}
  for at = 1, #self.before do before[at] = self.before[at] end
  define(setmetatable({ root = self.root, prefix = self.prefix .. prefix, before = before, shared = self.shared }, router_meta))
  return self
end

function Router.not_found(self, handler)
  if not is_callable(handler) then bad_argument(1, "not_found", "function", handler) end
  self.shared.not_found = handler
  return self
end

-- The routes of a path, and the values of their parameters in order. `node.any` is tried after a literal part, so that a
-- path takes at most two ways at each part; parts of the path are bounded.
local function find_routes(node, found, count, at, values)
  if at > count then return node.routes end
  local part = found[at]
  local literal = node.literals[part]
  if literal then
    local routes = find_routes(literal, found, count, at + 1, values)
    if routes then return routes end
  end
  local depth = #values
  if node.any and part ~= "" then
    values[depth + 1] = decode(part)
    local routes = find_routes(node.any, found, count, at + 1, values)
    if routes then return routes end
    for position = #values, depth + 1, -1 do values[position] = nil end
  end
  if node.rest and node.rest.routes then
    values[depth + 1] = concat(found, "/", at, count)
    return node.rest.routes
  end
end

local most_parts = 50

local function call(route, env, con, params)
  local before, at = route.before, 0
  local function next_one()
    at = at + 1
    local middleware = before[at]
    if middleware then return middleware(env, con, params, next_one) end
    if at == #before + 1 then return route.handler(env, con, params) end
    error("next() was called twice", 2)
  end
  return next_one()
end

local function answer(con, status, text)
  con:status(status)
  con:type("text/plain; charset=utf-8")
  con:puts(text, "\n")
end

-- Whether the address names the script's file.
local function is_own_name(env)
  local name, file = env.SCRIPT_NAME or "", env.SCRIPT_FILENAME or ""
  return name ~= "" and name ~= "/" and sub(file, -#name) == name
end

function Router.run(self, env, con)
  if con ~= run.con then error("app:run takes env and con of the request that is running", 2) end
  local path = env.PATH_INFO
  if path == nil or path == "" then path = is_own_name(env) and "/" or env.SCRIPT_NAME or "/" end
  local method = env.REQUEST_METHOD or "GET"
  local found, count = split(path)
  local values = {}
  local routes = count <= most_parts and find_routes(self.root, found, count, 1, values) or nil
  if not routes then
    local handler = self.shared.not_found
    con:status(404)
    if handler then return handler(env, con, {}) end
    return answer(con, 404, "There is nothing at this address.")
  end
  local route = routes[method] or method == "HEAD" and routes.GET
  if not route then
    local allowed = {}
    for name in next, routes do allowed[#allowed + 1] = name end
    if routes.GET then allowed[#allowed + 1] = "HEAD" end
    allowed[#allowed + 1] = "OPTIONS"
    sort(allowed)
    con:header("Allow", concat(allowed, ", "))
    if method == "OPTIONS" then return con:status(204) end
    return answer(con, 405, "This address does not take " .. sub(method, 1, 20) .. ".")
  end
  local params = {}
  for at = 1, #route.names do params[route.names[at]] = values[at] end
  return call(route, env, con, params)
end

local M = {}

--- router.new()
---
--- A router without routes. `app:get`, `post`, `put`, `patch` and `delete` take a path and a function `handler(env, con, params)`;
--- `app:route(method, path, handler)` any method. `app:use(run)` adds middleware for the routes that are added after it:
--- `run(env, con, params, next)` calls `next()` to go on, or answers by itself. `app:group(prefix, define)` calls
--- `define(group)`, whose routes begin with `prefix` and whose middleware is its own. `app:not_found(handler)` answers what
--- has no route. `app:run(env, con)` answers a request.
---
--- Errors: a path that does not begin with a slash, has a nameless or a repeated parameter, or is there already; a handler
---   that is no function.
--- Example: local app = router.new():get("/", function(env, con) con:puts("home") end)
function M.new()
  return setmetatable({ root = new_node(), prefix = "", before = {}, shared = {} }, router_meta)
end

--- router.base(env)
---
--- What the addresses of the application's pages begin with: `router.base(env) .. "/users/7"`. Where the web server sends paths
--- that are no files to the script, it is the folder of the script (`""` for that of the site); elsewhere the script's own
--- address (`/app/index.lua`).
---
--- Errors: no table.
--- Example: con:redirect(router.base(env) .. "/users", 303)
function M.base(env)
  if type(env) ~= "table" then bad_argument(1, "base", "env of the request", env) end
  local name, uri = env.SCRIPT_NAME or "", env.REQUEST_URI or ""
  local after = sub(uri, #name + 1, #name + 1)
  if sub(uri, 1, #name) == name and (after == "" or after == "/" or after == "?") then return name end
  return match(name, "^(.*)/[^/]*$") or ""
end

return M
