-- What `ngx` says of the request: `ngx.var` and `ngx.req`.

local parts = ...

local run, url, host = parts.run, parts.url, parts.host
local type, tostring, tonumber, pairs, rawget, rawset, setmetatable = type, tostring, tonumber, pairs, rawget, rawset, setmetatable
local byte, format = string.byte, string.format
local concat, sort, find, gmatch, gsub, lower, match, sub, upper = table.concat, table.sort, string.find, string.gmatch, string.gsub, string.lower, string.match, string.sub, string.upper

local M = {}

local usual_most = 100

-- The fields of a query. A name without "=" is true; one that comes twice has a list. `most`: 0 for no limit. A second result says when
-- there were more.
function M.decode_args(text, most)
  most = tonumber(most) or usual_most
  local fields, lists, count = {}, {}, 0
  for pair in gmatch(text or "", "[^&]+") do
    if count == most and most > 0 then return fields, "truncated" end
    count = count + 1
    local equals = find(pair, "=", 1, true)
    local name = url.decode(equals and sub(pair, 1, equals - 1) or pair)
    if name ~= "" then url.add_field(fields, lists, name, not equals or url.decode(sub(pair, equals + 1))) end
  end
  return fields
end

local function to_hex(character) return format("%%%02X", byte(character)) end

function M.encode(text) return (gsub(tostring(text), "[^%w%-%._~]", to_hex)) end

local encode = M.encode

-- In the order of their names.
function M.encode_args(fields)
  local texts, keys = {}, {}
  for name in pairs(fields) do keys[#keys + 1] = name end
  sort(keys, function(one, other) return tostring(one) < tostring(other) end)
  for position = 1, #keys do
    local name = keys[position]
    local value = fields[name]
    local values = type(value) == "table" and value or { value }
    for at = 1, #values do
      local one = values[at]
      if one == true then
        texts[#texts + 1] = encode(name)
      elseif one ~= false then
        texts[#texts + 1] = encode(name) .. "=" .. encode(one)
      end
    end
  end
  return concat(texts, "&")
end

-- Variables of nginx that have other names among the parameters.
local names = {
  args = "QUERY_STRING", query_string = "QUERY_STRING", scheme = "REQUEST_SCHEME", hostname = "SERVER_NAME", https = "HTTPS",
  request_filename = "SCRIPT_FILENAME", realpath_root = "DOCUMENT_ROOT",
}

local function first(value)
  if type(value) == "table" then return value[1] end
  return value
end

local computed = {}

function computed.uri(env) return url.decode(gsub(env.REQUEST_URI or env.SCRIPT_NAME or "", "%?.*$", "")) end
computed.document_uri = computed.uri
function computed.host(env) return (gsub(lower(env.HTTP_HOST or env.SERVER_NAME or ""), ":%d+$", "")) end
function computed.is_args(env) return (env.QUERY_STRING or "") ~= "" and "?" or "" end
function computed.request_id() return run.con.id end
function computed.msec()
  local _, seconds = host.now()
  return ("%.3f"):format(seconds)
end
function computed.request(env) return (env.REQUEST_METHOD or "") .. " " .. (env.REQUEST_URI or "") .. " " .. (env.SERVER_PROTOCOL or "") end
function computed.request_body(_, request) return request.body end

local function variable(env, con, request, name)
  local set = request.vars[name]
  if set ~= nil then return set or nil end
  if computed[name] then return computed[name](env, request) end
  local kind, rest = match(name, "^(%l+)_(.+)$")
  if kind == "arg" then
    local value = M.decode_args(request.args or env.QUERY_STRING, 0)[rest]
    return value ~= true and first(value) or nil
  end
  if kind == "cookie" then return first(con:cookies()[rest]) end
  if names[name] then return env[names[name]] end
  return env[upper(name)]
end

-- The headers of a request, by name in small letters; other spellings are found as well.
local headers_meta = {
  __index = function(headers, name)
    local spelt = gsub(lower(tostring(name)), "_", "-")
    if spelt == name then return nil end
    return rawget(headers, spelt)
  end,
}

local function headers_of(env, request)
  local headers, _ = {}, env.REQUEST_METHOD -- parameters are there when one is asked for
  for name, value in pairs(env) do
    if type(name) == "string" and sub(name, 1, 5) == "HTTP_" then headers[gsub(lower(sub(name, 6)), "_", "-")] = value end
  end
  if (env.CONTENT_TYPE or "") ~= "" then headers["content-type"] = env.CONTENT_TYPE end
  if (env.CONTENT_LENGTH or "") ~= "" then headers["content-length"] = env.CONTENT_LENGTH end
  for name, value in pairs(request.headers or {}) do headers[name] = value or nil end
  return setmetatable(headers, headers_meta)
end

-- `ngx.req` and `ngx.var`. `current(what)` gives what is kept of the running request, and its con.
function M.of(current)
  local req = {}

  function req.get_method()
    local request = current("req.get_method")
    return request.method or run.env.REQUEST_METHOD
  end

  function req.set_method(id)
    local request = current("req.set_method")
    local by_id = { [2] = "GET", [4] = "HEAD", [8] = "POST", [16] = "PUT", [32] = "DELETE", [512] = "OPTIONS", [16384] = "PATCH" }
    request.method = by_id[id]
  end

  function req.get_headers()
    local request = current("req.get_headers")
    return headers_of(run.env, request)
  end

  local function set_header(name, value)
    local request = current("req.set_header")
    request.headers = request.headers or {}
    request.headers[gsub(lower(name), "_", "-")] = value
  end

  -- What is set is seen by `get_headers`.
  function req.set_header(name, value)
    if value == nil then value = false end
    set_header(name, value)
  end

  function req.clear_header(name) set_header(name, false) end

  function req.get_uri_args(most)
    local request = current("req.get_uri_args")
    return M.decode_args(request.args or run.env.QUERY_STRING, most)
  end

  function req.set_uri_args(args)
    local request = current("req.set_uri_args")
    request.args = type(args) == "table" and M.encode_args(args) or tostring(args)
    request.vars.args, request.vars.query_string = request.args, request.args
  end

  function req.set_uri(uri)
    local request = current("req.set_uri")
    request.vars.uri, request.vars.document_uri = uri, uri
  end

  function req.read_body()
    local request, con = current("req.read_body")
    if request.body == nil then request.body = con:gets() or "" end
  end

  function req.discard_body()
    local request = current("req.discard_body")
    request.body = request.body or ""
  end

  -- Nil where there is none. The body need not have been read.
  function req.get_body_data()
    req.read_body()
    local request = current("req.get_body_data")
    return request.body ~= "" and request.body or nil
  end

  function req.set_body_data(text)
    local request = current("req.set_body_data")
    request.body = text
  end

  function req.get_body_file() return nil end

  function req.get_post_args(most)
    req.read_body()
    local request = current("req.get_post_args")
    return M.decode_args(request.body, most)
  end

  function req.http_version()
    return tonumber(match(run.env.SERVER_PROTOCOL or "", "^HTTP/(%d%.?%d?)"))
  end

  function req.is_internal() return false end

  local var = setmetatable({}, {
    __index = function(_, name)
      local request, con = current("var")
      return variable(run.env, con, request, tostring(name))
    end,
    __newindex = function(_, name, value)
      local request = current("var")
      if value == nil then value = false end
      rawset(request.vars, name, value)
    end,
  })
  return req, var
end

return M
