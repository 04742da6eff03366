-- Stands in for the module `wsapi.request`: what a WSAPI application reads of its request.

local parts = ...

local util, url, con_input = parts.wsapi_util, parts.url, parts.con_input
local type, error, pairs, tonumber, tostring, rawset, setmetatable = type, error, pairs, tonumber, tostring, rawset, setmetatable
local find, gmatch, lower, match, sort = string.find, string.gmatch, string.lower, string.match, table.sort
local concat, huge = table.concat, math.huge

local methods = {}
local M = { methods = methods }

-- Ends the request of a client that has sent what cannot be taken.
local function refuse(kind, what) return con_input.refuse_input(kind, what, 4) end

-- Adds the fields of a text to a table. A name that comes twice has a list of values; its last value with `overwrite`.
local function add_fields(text, fields, overwrite)
  local lists, count = {}, 0
  for pair in gmatch(text, "[^&]+") do
    count = count + 1
    if count > con_input.field_limit() then refuse("fields", "form") end
    local name, value = match(pair, "^([^=]*)=?(.*)$")
    name, value = util.url_decode(name), util.url_decode(value)
    if overwrite then fields[name] = value else url.add_field(fields, lists, name, value) end
  end
  return fields
end

-- What WSAPI calls a file of a form.
local function as_file(file)
  return { name = match(file.filename, "([^/\\]*)$"), contents = file.content, size = file.size, ["content-type"] = file.type }
end

local function convert(value)
  if type(value) ~= "table" then return value end
  if value.filename then return as_file(value) end
  local list = {}
  for at = 1, #value do list[at] = convert(value[at]) end
  return list
end

local function add_multipart(text, content_type, fields, overwrite)
  local limits = con_input.limits()
  local found, _, fault = parts.form.multipart(text, content_type, { parts = limits.parts, field = limits.field, memory = huge })
  if not found then
    if fault == "size" then refuse("field", "form") end
    refuse(fault == "parts" and "fields" or "multipart", fault == "parts" and "form" or fault)
  end
  for name, value in pairs(found) do
    value = convert(value)
    local is_list = type(value) == "table" and value[1] ~= nil
    fields[name] = overwrite and is_list and value[#value] or value
  end
end

local function add_body(wsapi_env, fields, overwrite)
  local content_type = wsapi_env.CONTENT_TYPE or ""
  local kind = lower(match(content_type, "^[^;%s]*"))
  local text = wsapi_env.input:read(tonumber(wsapi_env.CONTENT_LENGTH)) or ""
  if find(kind, "x-www-form-urlencoded", 1, true) then
    add_fields(text, fields, overwrite)
  elseif kind == "multipart/form-data" then
    if text ~= "" then add_multipart(text, content_type, fields, overwrite) end
  else
    fields.post_data = text
  end
  return fields
end

function methods:qs_encode(query, address)
  local fields = {}
  for name, value in pairs(query or {}) do fields[#fields + 1] = name .. "=" .. util.url_encode(tostring(value)) end
  sort(fields)
  if #fields == 0 then return address or "" end
  return (address and address .. "?" or "") .. concat(fields, "&")
end

-- An address of the application's route of this name.
function methods:route_link(route, query, ...)
  local builder = self.mk_app and self.mk_app["link_" .. route]
  if not builder then error("there is no route named " .. tostring(route), 2) end
  return self:qs_encode(query, builder(self.mk_app, self.env, ...))
end

local function prefix(self) return self.mk_app and self.mk_app.prefix or self.script_name end

function methods:link(address, query) return self:qs_encode(query, prefix(self) .. address) end
function methods:absolute_link(address, query) return self:qs_encode(query, address) end

-- The address of a file beside the application's script.
function methods:static_link(address)
  local start = prefix(self)
  if not find(start, "%.%w+$") then return self:link(address) end
  return (match(start, "^(.*)/") or "") .. address
end

function methods:empty(text) return not text or find(text, "^%s*$") ~= nil end
function methods:empty_param(name) return self:empty(self.params[name]) end

local meta = {}

function meta.__index(_, name)
  local method = methods[name]
  if method then return method end
  local route = type(name) == "string" and match(name, "^link_([%w_]+)$")
  if not route then return nil end
  return function(self, query, ...) return self:route_link(route, query, ...) end
end

local function already_parsed() return nil, "postdata already parsed" end

-- `options`: `overwrite` (one value for a name, the last), `delay_post` (the body is read by `parse_post`), `mk_app`.
function M.new(wsapi_env, options)
  if type(wsapi_env) ~= "table" then parts.arguments.bad(1, "new", "table", wsapi_env) end
  options = options or {}
  local overwrite = options.overwrite
  local request = {
    GET = add_fields(wsapi_env.QUERY_STRING or "", {}, overwrite), POST = {},
    method = wsapi_env.REQUEST_METHOD, path_info = wsapi_env.PATH_INFO, query_string = wsapi_env.QUERY_STRING,
    script_name = wsapi_env.SCRIPT_NAME, env = wsapi_env, mk_app = options.mk_app, doc_root = wsapi_env.DOCUMENT_ROOT,
    app_path = wsapi_env.APP_PATH, parse_post = already_parsed,
  }
  if options.delay_post then
    function request.parse_post(self)
      self.parse_post = already_parsed
      return add_body(wsapi_env, self.POST, overwrite)
    end
  else
    add_body(wsapi_env, request.POST, overwrite)
  end
  request.params = setmetatable({}, {
    __index = function(self, name)
      local value = request.GET[name]
      if value == nil then value = request.POST[name] end
      rawset(self, name, value)
      return value
    end,
  })
  request.cookies = {}
  for pair in gmatch(wsapi_env.HTTP_COOKIE or "", "[^;]+") do
    local name, value = match(pair, "^%s*([^=%s]+)%s*=%s*(.*)$")
    -- A pattern that ends in "(.-)%s*$" takes time by the square of the spaces before another character.
    value = value and (match(value, "^(.*%S)") or "")
    if name and request.cookies[name] == nil then request.cookies[name] = util.url_decode(value) end
  end
  return setmetatable(request, meta)
end

return M
