-- The methods of `con` that give one field of a request, or all of one name: always of the same type.

local parts = ...

local run, input = parts.run, parts.con_input
local Con, refuse = run.methods, run.refuse
local bad_argument = parts.arguments.bad
local type, tostring, error, next = type, tostring, error, next
local floor, huge, format, lower, match = math.floor, math.huge, string.format, string.lower, string.match

-- Adds the values of a name that are texts, or those that are files. An input for files that was left empty is none.
local function add_values(list, value, wants_files)
  if value == nil then return end
  local values = type(value) == "table" and not value.filename and value or { value }
  for at = 1, #values do
    local one = values[at]
    if wants_files then
      if type(one) == "table" and one.filename ~= "" then list[#list + 1] = one end
    elseif type(one) == "string" then
      list[#list + 1] = one
    end
  end
end

local sources = { form = true, query = true, cookie = true }

-- All texts of a name: those of the form before those of the query. `level` is that of the script.
local function texts_of(name, source, method, level)
  if type(name) ~= "string" then bad_argument(1, method, "string", name, level + 1) end
  if source ~= nil and not sources[source] then
    error("con:" .. method .. ": a field is of the \"form\", the \"query\" or a \"cookie\"", level)
  end
  local list = {}
  if source == nil or source == "form" then add_values(list, input.form(level + 2)[name]) end
  if source == nil or source == "query" then add_values(list, input.query(level + 2)[name]) end
  if source == "cookie" then add_values(list, input.cookies(level + 2)[name]) end
  return list
end

--- con:param(name[, source])
---
--- A field of the request: always a string, or nil. It is looked for in the posted form, then in the query; `source` is `"form"`,
--- `"query"` or `"cookie"` when it has to be from there. Of a name that came more than once it is the first value; files are
--- none.
---
--- Errors: those of `con:form` and `con:query`.
--- Example: local name = con:param("name") or ""
function Con.param(self, name, source)
  if self ~= run.con then refuse(self, "param") end
  local list = texts_of(name, source, "param", 3)
  return list[1]
end

--- con:params(name[, source])
---
--- All values of a field: always a list of strings, empty where there are none; those of the form before those of the query.
---
--- Errors: those of `con:form` and `con:query`.
--- Example: for _, tag in ipairs(con:params("tag")) do con:puts(luafcgid.escape(tag), "\n") end
function Con.params(self, name, source)
  if self ~= run.con then refuse(self, "params") end
  local list = texts_of(name, source, "params", 3)
  return list
end

local function files_of(name, method, level)
  if type(name) ~= "string" then bad_argument(1, method, "string", name, level + 1) end
  local list = {}
  add_values(list, input.form(level + 2)[name], true)
  return list
end

--- con:file(name)
---
--- A file of the posted form, as a table with `filename`, `type` and `content`; or nil, also for an input that was left empty. Of a
--- name that came more than once it is the first file.
---
--- Errors: those of `con:form`.
--- Example: local photo = con:file("photo")
function Con.file(self, name)
  if self ~= run.con then refuse(self, "file") end
  local list = files_of(name, "file", 3)
  return list[1]
end

--- con:files(name)
---
--- All files of a name: always a list, empty where there are none.
---
--- Errors: those of `con:form`.
--- Example: local photos = con:files("photo")
function Con.files(self, name)
  if self ~= run.con then refuse(self, "files") end
  local list = files_of(name, "files", 3)
  return list
end

local decoder

-- Deeper bodies are taken for an attack.
local deepest_json = 100

--- con:json([options])
---
--- The value of a JSON body, decoded as `json.decode` of `luafcgid.json` does it. `options` may have `max`, the most bytes that
--- the body may have.
---
--- Errors: a body that is not announced as `application/json` or a type that ends with `+json` (status 415); one that is empty, no
---   JSON, or nested deeper than 100 levels (status 400, the message tells the place); one of more than `max` or `maxpost`
---   bytes (status 413); the body was read with `con:gets` before.
--- Example: local user = con:json({ max = 10000 })
function Con.json(self, options)
  if self ~= run.con then refuse(self, "json") end
  if options ~= nil and type(options) ~= "table" then bad_argument(1, "json", "table", options) end
  local most = huge
  for name, value in next, options or {} do
    if name ~= "max" then error("con:json has no option " .. tostring(name) .. "; there is max", 2) end
    if type(value) ~= "number" or value < 1 or floor(value) ~= value then
      error("con:json: max is a number of bytes, at least 1", 2)
    end
    most = value
  end
  local present = input.input()
  if present.json then return present.json.value end
  local content_type = run.env.CONTENT_TYPE or ""
  local kind = lower(match(content_type, "^%s*([^;%s]*)"))
  if kind ~= "application/json" and not match(kind, "^application/[%w_.%-]+%+json$") then
    input.refuse_input("type", kind == "" and "of no type" or kind, 3)
  end
  if present.body_was_read then error("con:json: the body was already read with con:gets", 2) end
  local body, message = input.read_body(most == huge and huge or most + 1)
  if message then error(message, 2) end
  body = body or ""
  if #body > most then input.refuse_input("size", format("%.0f", most), 3) end
  if not decoder then
    decoder = parts.json.new()
    decoder.decode_max_depth(deepest_json)
  end
  if body == "" then input.refuse_input("json", "it is empty", 3) end
  local ok, value = parts.waiting.pcall(decoder.decode, body)
  if not ok then input.refuse_input("json", match(value, "^%[luafcgid%]:%d+: (.*)$") or value, 3) end
  present.json = { value = value }
  return value
end

return true
