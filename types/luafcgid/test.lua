---@meta luafcgid.test

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---Tests of an application, for `luafcgid test DIRECTORY`: it serves the directory as `luafcgid serve` does, runs every file below it whose name ends with `_test.lua`, and says which tests failed. A test file is a script, on the engine and with the settings of the others; it requests pages, and looks at the answers.
---@class luafcgid.test.module
local test = {}

---Sends a request, and gives the answer as it came: `status`, `headers` (names in lower case, several values joined with a comma), `body`, `log` (a list of the lines that were logged meanwhile), and `answer:json()`, the body decoded. Redirections are not followed. Cookies are kept until the end of the test. `options` are `query`, a table of fields; `headers`, a table; and one of `body`, a string, `form`, a table of fields, and `json`, a value.
---@param method string
---@param path string
---@param options? table
---@return any
function test.request(method, path, options) end

---`test.request("GET", path, options)`.
---@param path string
---@param options? table
---@return any
function test.get(path, options) end

---`test.request("POST", path, options)`.
---@param path string
---@param options? table
---@return any
function test.post(path, options) end

---Fails the test unless both are equal; tables are when their contents are.
---@param actual any
---@param expected any
---@param message? string
---@return any
function test.equal(actual, expected, message) end

---Fails the test unless the Lua pattern is found in the text. Gives what `string.match` gives.
---@param text string
---@param pattern string
---@param message? string
---@return any
function test.match(text, pattern, message) end

---Fails the test if the value is nil or false. Gives the value.
---@param value any
---@param message? string
---@return any
function test.ok(value, message) end

---Fails the test unless the function raises an error, whose text has the Lua pattern. Gives the error.
---@param work function
---@param pattern? string
---@return any
function test.fails(work, pattern) end

setmetatable(test, { __call = function(_, name, work) end })

return test
