-- The module luafcgid.test.

--- ## The module luafcgid.test
---
--- Tests of an application, for `luafcgid test DIRECTORY`: it serves the directory as `luafcgid serve` does, runs every file below it
--- whose name ends with `_test.lua`, and says which tests failed. A test file is a script, on the engine and with the settings of the
--- others; it requests pages, and looks at the answers.
---
--- ```lua
--- local test = require("luafcgid.test")
---
--- test("greets who is named", function()
---   local answer = test.get("/hello.lua?name=Ada")
---   test.equal(answer.status, 200)
---   test.match(answer.body, "Hello, Ada")
--- end)
--- ```
---
--- A test that raises an error has failed; the others run all the same, in the order in which they stand there. Each begins without
--- cookies; what the pages' states and databases hold stays from one test to the next.

local parts = ...

local host, run = parts.host, parts.run
local bad_argument, text_argument, table_argument = parts.arguments.bad, parts.arguments.text, parts.arguments.table
local type, error, pairs, next, pcall, tostring, tonumber = type, error, pairs, next, pcall, tostring, tonumber
local rawequal, setmetatable, getmetatable = rawequal, setmetatable, getmetatable
local byte, find, format, gmatch, gsub, lower, match, sub = string.byte, string.find, string.format, string.gmatch,
  string.gsub, string.lower, string.match, string.sub
local concat, sort = table.concat, table.sort

local M = {}
local tests = {}
local cookies = {}
local is_running = false

-- ---- talking with the command that runs the tests ----------------------------------------------------------------------

-- A message is a list of texts: how many, and then each with its length before it. The command sends its own as the
-- request's body.
local function send(...)
  local fields = { ... }
  local out = { #fields .. "\n" }
  for at = 1, #fields do out[at + 1] = #fields[at] .. "\n" .. fields[at] end
  run.con:puts(concat(out))
  run.con:flush()
end

local function read_number()
  local digits = {}
  while true do
    local digit = run.con:gets(1)
    if not digit then error("the tests were broken off", 0) end
    if digit == "\n" then return tonumber(concat(digits)) end
    digits[#digits + 1] = digit
  end
end

local function receive()
  local fields = {}
  for at = 1, read_number() do
    local length = read_number()
    fields[at] = length > 0 and run.con:gets(length) or ""
  end
  return fields
end

-- ---- requests ---------------------------------------------------------------------------------------------------------

local function encode_fields(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  sort(names)
  local out = {}
  for at = 1, #names do
    local values = fields[names[at]]
    if type(values) ~= "table" then values = { values } end
    for number = 1, #values do
      out[#out + 1] = parts.luafcgid.urlencode(tostring(names[at])) .. "=" .. parts.luafcgid.urlencode(tostring(values[number]))
    end
  end
  return concat(out, "&")
end

-- Keeps what Set-Cookie says, as a browser that knows one site.
local function keep_cookie(line)
  local name, value, attributes = match(line, "^([^=;]*)=([^;]*)(.*)$")
  if not name then return end
  local age = match(lower(attributes), ";%s*max%-age=(%-?%d+)")
  local is_over = (age and tonumber(age) <= 0) or find(lower(attributes), "expires=[^;]*%f[%d]1970%f[%D]") ~= nil
  cookies[name] = not is_over and value or nil
end

local answer_methods = {}
local answer_meta = { __index = answer_methods }

function answer_methods.json(answer)
  return parts.json.decode(answer.body)
end

local function read_answer(status, header_lines, body, log_lines)
  local headers, log = {}, {}
  for name, value in gmatch(header_lines, "([^\n:]+): ([^\n]*)") do
    name = lower(name)
    if name == "set-cookie" then keep_cookie(value) end
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  for line in gmatch(log_lines, "[^\n]+") do log[#log + 1] = line end
  return setmetatable({ status = tonumber(status), headers = headers, body = body, log = log }, answer_meta)
end

--- #### `test(name, work)`
---
--- Adds a test. `work` is called when the tests are run, with no arguments.
---
--- Errors: a name that is no string; work that is no function; a test within a test.
---
--- ```lua
--- test("has a title", function() test.match(test.get("/").body, "<title>") end)
--- ```
local function add(_, name, work)
  if type(name) ~= "string" then bad_argument(1, "test", "string", name) end
  if type(work) ~= "function" then bad_argument(2, "test", "function", work) end
  if is_running then error("a test cannot be added while one runs", 2) end
  tests[#tests + 1] = { name = name, work = work }
end

local function checked_headers(headers)
  local lines = {}
  for name, value in pairs(headers) do
    if type(name) ~= "string" or find(name, "[^%w!#$%%&'*+.^_`|~-]") or name == "" then
      error("the name of a header is made of letters, digits and -, not " .. format("%q", tostring(name)), 3)
    end
    value = tostring(value)
    if find(value, "[\r\n%z]") then error("the header " .. name .. " has more than one line", 3) end
    lines[#lines + 1] = name .. ": " .. value
  end
  sort(lines)
  return lines
end

--- #### `test.request(method, path [, options])`
---
--- Sends a request, and gives the answer as it came: `status`, `headers` (names in lower case, several values joined with a comma),
--- `body`, `log` (a list of the lines that were logged meanwhile), and `answer:json()`, the body decoded. Redirections are not followed.
--- Cookies are kept until the end of the test. `options` are `query`, a table of fields; `headers`, a table; and one of `body`, a string,
--- `form`, a table of fields, and `json`, a value.
---
--- Errors: a path that does not begin with `/`; options that do not exist; a header of more than one line.
---
--- ```lua
--- local answer = test.request("DELETE", "/notes.lua/7", { headers = { Accept = "application/json" } })
--- ```
M.request = function(method, path, options)
  method = text_argument(method, 1, "request")
  path = text_argument(path, 2, "request")
  if not is_running then error("a request is sent by a test: write it within test(name, function() … end)", 2) end
  if find(method, "[^A-Z]") or method == "" then error("a method is a word in capitals, not " .. format("%q", method), 2) end
  if sub(path, 1, 1) ~= "/" or find(path, "[%c ]") then error("a path begins with / and has no blanks, not " .. format("%q", path), 2) end
  options = options == nil and {} or table_argument(options, 3, "request")
  for name in pairs(options) do
    if name ~= "query" and name ~= "headers" and name ~= "body" and name ~= "form" and name ~= "json" then
      error("a request has query, headers, body, form and json, not " .. tostring(name), 2)
    end
  end
  if options.query then path = path .. (find(path, "?", 1, true) and "&" or "?") .. encode_fields(options.query) end
  local lines = checked_headers(options.headers or {})
  local body, kind = options.body, nil
  if options.form then body, kind = encode_fields(options.form), "application/x-www-form-urlencoded" end
  if options.json ~= nil then body, kind = parts.json.encode(options.json), "application/json" end
  if kind then lines[#lines + 1] = "Content-Type: " .. kind end
  local jar = {}
  for name, value in pairs(cookies) do jar[#jar + 1] = name .. "=" .. value end
  if #jar > 0 then
    sort(jar)
    lines[#lines + 1] = "Cookie: " .. concat(jar, "; ")
  end
  send("request", method, path, concat(lines, "\n"), body == nil and "" or tostring(body), body == nil and "" or "body")
  local answer = receive()
  if #answer == 1 then error(answer[1], 2) end
  return read_answer(answer[1], answer[2], answer[3], answer[4])
end

--- #### `test.get(path [, options])`
---
--- `test.request("GET", path, options)`.
---
--- Errors: those of `test.request`.
---
--- ```lua
--- local page = test.get("/", { query = { page = 2 } })
--- ```
M.get = function(path, options)
  local answer = M.request("GET", path, options)
  return answer
end

--- #### `test.post(path [, options])`
---
--- `test.request("POST", path, options)`.
---
--- Errors: those of `test.request`.
---
--- ```lua
--- local answer = test.post("/sign.lua", { form = { name = "Ada" } })
--- ```
M.post = function(path, options)
  local answer = M.request("POST", path, options)
  return answer
end

-- ---- what a test expects ----------------------------------------------------------------------------------------------

local function show(value)
  if type(value) == "string" then
    local text = #value > 400 and sub(value, 1, 400) .. "…" or value
    return '"' .. gsub(text, '[%c"\\]', function(c) return c == "\n" and "\\n" or format("\\%d", byte(c)) end) .. '"'
  end
  return tostring(value)
end

-- Where two values differ first, in words; nil where they are equal. `known` has pairs that are being compared.
local function difference(actual, expected, path, known)
  if rawequal(actual, expected) or actual == expected or (actual ~= actual and expected ~= expected) then return nil end
  if type(actual) ~= "table" or type(expected) ~= "table" then
    return (path == "" and "" or "at " .. path .. ": ") .. "expected " .. show(expected) .. ", got " .. show(actual)
  end
  if known[actual] == expected then return nil end
  known[actual] = expected
  for key, value in next, expected do
    local fault = difference(actual[key], value, path .. "[" .. show(key) .. "]", known)
    if fault then return fault end
  end
  for key, value in next, actual do
    if expected[key] == nil then return "at " .. path .. "[" .. show(key) .. "]: expected nothing, got " .. show(value) end
  end
end

local function fail(message, fault)
  error((message == nil and "" or tostring(message) .. ": ") .. fault, 3)
end

--- #### `test.equal(actual, expected [, message])`
---
--- Fails the test unless both are equal; tables are when their contents are.
---
--- Errors: the first difference, with its place.
---
--- ```lua
--- test.equal(answer:json(), { ok = true })
--- ```
M.equal = function(actual, expected, message)
  local fault = difference(actual, expected, "", {})
  if fault then fail(message, fault) end
end

--- #### `test.match(text, pattern [, message])`
---
--- Fails the test unless the Lua pattern is found in the text. Gives what `string.match` gives.
---
--- Errors: that it is not found, with the beginning of the text.
---
--- ```lua
--- local id = test.match(answer.headers.location, "^/notes/(%d+)$")
--- ```
M.match = function(text, pattern, message)
  if type(pattern) ~= "string" then bad_argument(2, "match", "string", pattern) end
  if type(text) ~= "string" or not find(text, pattern) then fail(message, "expected " .. show(pattern) .. " in " .. show(text)) end
  return match(text, pattern)
end

--- #### `test.ok(value [, message])`
---
--- Fails the test if the value is nil or false. Gives the value.
---
--- Errors: the message.
---
--- ```lua
--- test.ok(not answer.headers["set-cookie"], "no cookie before the login")
--- ```
M.ok = function(value, message)
  if not value then fail(message, "expected a value, got " .. tostring(value)) end
  return value
end

--- #### `test.fails(work [, pattern])`
---
--- Fails the test unless the function raises an error, whose text has the Lua pattern. Gives the error.
---
--- Errors: that there was none, or another one.
---
--- ```lua
--- test.fails(function() parse("{") end, "unexpected end")
--- ```
M.fails = function(work, pattern)
  if type(work) ~= "function" then bad_argument(1, "fails", "function", work) end
  local ok, fault = pcall(work)
  if ok then fail(nil, "expected an error, and there was none") end
  if pattern and not find(tostring(fault), pattern) then fail(nil, "expected an error with " .. show(pattern) .. ", got " .. show(tostring(fault))) end
  return fault
end

-- ---- running ----------------------------------------------------------------------------------------------------------

local function describe_error(fault)
  local text = tostring(fault)
  return type(fault) == "table" and getmetatable(fault) == nil and "an error object: " .. text or text
end

-- What the command calls: the names of all tests, or one of them.
local function handle(env)
  local number = tonumber(env.TEST_NUMBER)
  run.con:header("X-Tests", tostring(#tests))
  if not number then
    local names = {}
    for at = 1, #tests do names[at] = tests[at].name end
    return send((table.unpack or unpack)(names))
  end
  cookies = {}
  is_running = true
  local ok, fault = pcall(tests[number].work)
  is_running = false
  send(ok and "passed" or "failed", ok and "" or describe_error(fault))
end

local _, handler = host.config("handler")
parts.globals[handler or "main"] = handle

return setmetatable(M, { __call = add })
