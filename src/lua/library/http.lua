-- The HTTP client: require("luafcgid.http").

--- ## The module luafcgid.http
---
--- Requests to other servers, by HTTP and HTTPS. The setting [`http`](configuration.md#http) names the servers that scripts may
--- reach; without it there are none.
---
--- ```lua
--- local http = require("luafcgid.http")
--- local answer = http.get("https://api.example.com/weather?city=Oslo")
--- if answer.status == 200 then local weather = answer:json() end
--- ```
---
--- While a request is under way the worker serves other requests. An answer has `status` (a number), `headers` (by name, in any
--- case: `answer.headers["content-type"]`; one that came several times is joined by `", "`), `body`, and `url`, which differs from the
--- one asked for after a redirect. `answer:all(name)` gives an array of the values of a header, `answer:json()` what the body is as
--- JSON. An answer with a status like 404 or 500 is an answer.
---
--- What gives no answer is raised as a table with `code`, `message` and, where it is about one, `server`; `retry` says whether the
--- same may succeed later. [errors.md](errors.md) lists the codes, which begin with `LUAFCGID_HTTP_`. The functions of `http.safe`
--- (`http.safe.get`, …) give nil and that table instead.
---
--- `options` is a table. All of its fields may be left out:
---
--- | field | meaning |
--- |---|---|
--- | `headers` | a table of names and values; a value may be a list, for several headers of one name |
--- | `body` | a string to send |
--- | `json` | a value to send as JSON |
--- | `form` | a table of names and values to send as a form; a value may be a list |
--- | `timeout` | seconds for all of it |
--- | `answertimeout` | seconds without anything of an answer |
--- | `redirects` | how many redirects are followed; if not given 0: the redirect is the answer |
--- | `maxbody` | the most bytes of an answer's body |
---
--- The limits are those of the setting, and a script can ask for less. A redirect goes only where a request may go, never from https to
--- http, and takes `Authorization` and `Cookie` to no other server. Connections stay open for other requests; when one turns out to
--- have been closed before anything of an answer came, a request that may be repeated (GET, HEAD, PUT, DELETE, OPTIONS) is sent once more.
--- Nothing else is ever repeated. A request that ends takes with it what it has under way.

local parts = ...

local data, waiting, json, host = parts.data, parts.waiting, parts.json, parts.host
local urlencode = parts.luafcgid.urlencode
local perform = data.perform
local type, error, next, rawget, setmetatable, tostring = type, error, next, rawget, setmetatable, tostring
local lower, concat, sort = string.lower, table.concat, table.sort

-- Of src/io/protocol.ts.
local REQUEST, OPEN, READ, CLOSE = 15, 16, 17, 18

local M = { safe = {} }

local FIELDS = {
  method = "string", url = "string", headers = "table", body = "string", form = "table",
  timeout = "number", answertimeout = "number", redirects = "number", maxbody = "number",
}

-- Keys in order, so that the same table is always sent in the same way.
local function sorted(fields, level)
  local names = {}
  for name in next, fields do
    if type(name) ~= "string" then error("a name is a " .. type(name) .. ", not a string", level + 1) end
    names[#names + 1] = name
  end
  sort(names)
  return names
end

-- Calls f(name, text) for each value of a table of names and values or lists of values.
local function each(fields, what, level, f)
  for _, name in next, sorted(fields, level + 1) do
    local value = fields[name]
    local values = type(value) == "table" and value or { value }
    for at = 1, #values do
      local kind = type(values[at])
      if kind == "number" then f(name, data.number_text(values[at]))
      elseif kind == "string" then f(name, values[at])
      else error(what .. " " .. name .. " is a " .. kind .. ", not a string or number", level + 1) end
    end
  end
end

local function form_of(fields, level)
  local pairs_of = {}
  each(fields, "the field", level + 1, function(name, value)
    pairs_of[#pairs_of + 1] = urlencode(name) .. "=" .. urlencode(value)
  end)
  return concat(pairs_of, "&")
end

-- The body and the type that it has unless the script says another.
local function body_of(options, level)
  local given = (options.body ~= nil and 1 or 0) + (options.json ~= nil and 1 or 0) + (options.form ~= nil and 1 or 0)
  if given > 1 then error("body, json and form: give one of them", level + 1) end
  if options.json ~= nil then return json.encode(options.json), "application/json" end
  if options.form ~= nil then return form_of(options.form, level + 1), "application/x-www-form-urlencoded" end
  return options.body, nil
end

local function headers_of(options, content_type, level)
  local list, has_type, has_agent = {}, false, false
  each(options.headers or {}, "the header", level + 1, function(name, value)
    local key = lower(name)
    if key == "content-type" then has_type = true end
    if key == "user-agent" then has_agent = true end
    list[#list + 1] = name
    list[#list + 1] = value
  end)
  if content_type and not has_type then
    list[#list + 1] = "content-type"
    list[#list + 1] = content_type
  end
  if not has_agent then
    list[#list + 1] = "user-agent"
    list[#list + 1] = "luafcgid"
  end
  return list
end

-- The arguments of an operation: a map (src/io/http/request.ts).
local function request_of(options, level)
  for name, value in next, options do
    local wanted = FIELDS[name]
    if not wanted and name ~= "json" then error("there is no option " .. tostring(name), level + 1) end
    if wanted and type(value) ~= wanted then
      error("the option " .. name .. " is a " .. type(value) .. ", not a " .. wanted, level + 1)
    end
  end
  if options.url == nil then error("the option url is missing", level + 1) end
  local body, content_type = body_of(options, level + 1)
  local headers = headers_of(options, content_type, level + 1)
  local args, count = data.arguments(), 2
  for _, name in next, { "method", "timeout", "answertimeout", "redirects", "maxbody" } do
    if options[name] ~= nil then count = count + 1 end
  end
  if body then count = count + 1 end
  args:add("M", count)
  args:add("s", "url")
  args:add("s", options.url)
  args:add("s", "headers")
  args:add("A", #headers)
  for at = 1, #headers do args:add("s", headers[at]) end
  if body then
    args:add("s", "body")
    args:add("b", body)
  end
  if options.method then
    args:add("s", "method")
    args:add("s", options.method)
  end
  for _, name in next, { "timeout", "answertimeout", "redirects", "maxbody" } do
    if options[name] ~= nil then
      args:add("s", name)
      args:number(options[name])
    end
  end
  return args
end

local function client()
  local ok, found = host.httpclient()
  if not ok then error(found, 0) end
  if not found.id then data.raise(found) end
  return found
end

local headers_meta = { __index = function(headers, name)
  return type(name) == "string" and rawget(headers, lower(name)) or nil
end }

local answer_methods = {}
local answer_meta = { __index = answer_methods }

-- What came, as scripts have it.
local function answer_of(result)
  local list, headers, several = result.headers, {}, {}
  for at = 1, #list, 2 do
    local name, value = lower(list[at]), list[at + 1]
    local values = several[name]
    if values then
      values[#values + 1] = value
    elseif headers[name] then
      several[name] = { headers[name], value }
    else
      headers[name] = value
    end
  end
  -- Joined at once: a header may come thousands of times.
  for name, values in next, several do headers[name] = concat(values, ", ") end
  return setmetatable({ status = result.status, url = result.url, headers = setmetatable(headers, headers_meta),
    body = result.body, raw = list }, answer_meta)
end

--- #### `answer:all(name)`
---
--- The values of a header in the order in which they came, such as those of `Set-Cookie`; an empty array when there is none.
function answer_methods:all(name)
  local values, list = {}, self.raw
  for at = 1, #list, 2 do
    if lower(list[at]) == lower(name) then values[#values + 1] = list[at + 1] end
  end
  return values
end

--- #### `answer:json()`
---
--- What the body is as JSON. Errors: a body that is no JSON.
function answer_methods:json() return json.decode(self.body) end

-- The options of a call, with URL and method.
local function options_of(url, options, method, level)
  if type(url) == "table" and options == nil then return url end
  if type(url) ~= "string" then error("a URL expected, got " .. type(url), level + 1) end
  if options ~= nil and type(options) ~= "table" then error("a table of options expected, got " .. type(options), level + 1) end
  local all = {}
  for name, value in next, options or {} do all[name] = value end
  all.url = url
  if method then all.method = method end
  return all
end

--- #### `luafcgid.http.request(url, options)`
---
--- Sends a request and gives the answer. `options.method` is the method, GET if not given. With a table alone,
--- `http.request({ url = "...", method = "PUT", json = value })`, the URL is one of its fields.
---
--- Errors: a URL that is none, or a method or header that cannot be sent. What gave no answer: see above.
---
--- ```lua
--- local answer = http.request("https://api.example.com/items/7", { method = "PATCH", json = { count = 3 } })
--- ```
M.request = function(url, options)
  return answer_of(perform(client(), REQUEST, 0, request_of(options_of(url, options, nil, 2), 2)))
end

--- #### `luafcgid.http.get(url, options)`
---
--- The same with the method GET; `http.head`, `http.post`, `http.put`, `http.patch` and `http.delete` with theirs.
---
--- ```lua
--- local answer = http.post("https://api.example.com/items", { json = { name = "bread" }, timeout = 5 })
--- ```
for _, name in next, { "get", "head", "post", "put", "patch", "delete" } do
  M[name] = function(url, options)
    local all = options_of(url, options, name, 2)
    if all.method == nil then
      local copy = {}
      for key, value in next, all do copy[key] = value end
      copy.method = name
      all = copy
    end
    return answer_of(perform(client(), REQUEST, 0, request_of(all, 2)))
  end
end

--- #### `luafcgid.http.stream(url, options)`
---
--- Sends a request and gives its answer as soon as it begins, without `body`. `stream:read()` gives the next piece of the body, a
--- string of any length, and nil at its end. Its server has to wait while the script does not read. `stream:close()` ends it before its
--- end; the end of the request does so at the latest. `maxbody` does not count for it, `timeout` does.
---
--- ```lua
--- local stream = http.stream("https://files.example.com/large.csv")
--- local piece = stream:read()
--- while piece do
---   con:puts(piece)
---   piece = stream:read()
--- end
--- ```
local stream_methods = { all = answer_methods.all }
local stream_meta = { __index = stream_methods }

M.stream = function(url, options)
  local source = client()
  local result = perform(source, OPEN, 0, request_of(options_of(url, options, nil, 2), 2))
  local stream = answer_of(result)
  stream.source, stream.handle = source, result.handle
  return setmetatable(stream, stream_meta)
end

function stream_methods:read()
  if not self.handle then return nil end
  local piece = perform(self.source, READ, self.handle, data.arguments())
  if piece == nil then self.handle = nil end
  return piece
end

function stream_methods:close()
  local handle = self.handle
  self.handle = nil
  if handle then perform(self.source, CLOSE, handle, data.arguments()) end
end

for _, name in next, { "request", "get", "head", "post", "put", "patch", "delete", "stream" } do
  local raising = M[name]
  M.safe[name] = function(url, options)
    local ok, result = waiting.pcall(raising, url, options)
    if ok then return result end
    return nil, result
  end
end

return M
