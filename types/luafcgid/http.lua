---@meta luafcgid.http

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---@class luafcgid.http.answer
local answer = {}

---Requests to other servers, by HTTP and HTTPS. The setting `http` names the servers that scripts may reach; without it there are none.
---@class luafcgid.http.module
local http = {}

---The values of a header in the order in which they came, such as those of `Set-Cookie`; an empty array when there is none.
---@param name string
---@return any
function answer:all(name) end

---What the body is as JSON. Errors: a body that is no JSON.
---@return any
function answer:json() end

---Sends a request and gives the answer. `options.method` is the method, GET if not given. With a table alone, `http.request({ url = "...", method = "PUT", json = value })`, the URL is one of its fields.
---@param url string
---@param options table
---@return luafcgid.http.answer
function http.request(url, options) end

---The same with the method GET; `http.head`, `http.post`, `http.put`, `http.patch` and `http.delete` with theirs.
---@param url string
---@param options table
---@return luafcgid.http.answer
function http.get(url, options) end

---Sends a request and gives its answer as soon as it begins, without `body`. `stream:read()` gives the next piece of the body, a string of any length, and nil at its end. Its server has to wait while the script does not read. `stream:close()` ends it before its end; the end of the request does so at the latest. `maxbody` does not count for it, `timeout` does.
---@param url string
---@param options table
---@return any
function http.stream(url, options) end

return http
