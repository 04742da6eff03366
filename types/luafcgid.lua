---@meta luafcgid

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---What answers one request.
---@class luafcgid.con
---@field id string its name in the log
---@field state integer
---@field worker integer
---@field problem? { status: integer, code: string, message: string, traceback: string } in on_error only
local con = {}

---Adds strings and numbers to the body of the answer, in order and byte for byte. Many small pieces are cheap. The answer to a HEAD request, or of status 204 or 304, goes without its body. When more than the setting `sendbuffer` waits for the client to read it, the script waits, too; where Lua can be suspended it holds no worker meanwhile.
---@param ... any
function con:puts(...) end

---Adds a response header, or all of a table of names and values; a value may be a list. `Status`, `Content-Type`, `Content-Length` and `Location` replace what is set; others are added, so two calls with `Set-Cookie` give two cookies. A header that the setting `headers` gives every answer is replaced, but for `Set-Cookie`. `Location` without a status makes the answer a redirect (302). Headers that belong to the web server's own connection (`Connection`, `Transfer-Encoding` and the like) are left out, and the log says so. So is a `Content-Length` that is not the length of the body, when the whole body is there before anything is sent. All headers together take at most 64 KiB; most web servers take less.
---@param name string
---@param value? any
---@overload fun(self: luafcgid.con, headers: table)
function con:header(name, value) end

---Sets the HTTP status: a code from 200 to 599, alone or with its text. An answer of status 204 or 304 has no body, and no `Content-Type` unless the script sets one.
---@param code integer|string
function con:status(code) end

---Sets the Content-Type.
---@param mime string
function con:type(mime) end

---Adds a cookie. With a name alone, gives the value of the cookie that the browser has sent, always one string, or nil. The value is percent-encoded where cookies need it; `con:cookies()` decodes it. `options` is a table with any of `path` (begins with /), `domain`, `expires` (a time of `os.time()` or an HTTP date), `maxage` (seconds; 0 deletes the cookie), `secure`, `httponly` (true or false) and `samesite` (`"Strict"`, `"Lax"` or `"None"`, which needs `secure`).
---@param name string
---@param value? any
---@param options? table
---@return string?
function con:cookie(name, value, options) end

---Sends headers and everything put so far to the web server, now. A web server may collect output itself: nginx passes it on at once if the script sets the header `X-Accel-Buffering: no`.
function con:flush() end

---Drops body, headers and status that were set so far, to begin anew.
function con:reset() end

---Sends the answer and ends it for the client. The script goes on, for work that nobody has to wait for; its worker stays busy until `main` returns. `con:log`, `con:config` and what was read of the input still work; an error after it is in the log only.
function con:finish() end

---Reads the request body: all of it, or at most `n` bytes of what is left. Gives less than `n` bytes only at the end, and nil when nothing is left, also of a request without a body. Waits for bytes that have not come yet; a script that has required `luafcgid`, or another module that waits, holds no worker meanwhile.
---@param n? number
---@return string?
function con:gets(n) end

---The fields of the query string, as a table: see `parse` of the module `luafcgid`.
---@return table<string, string|string[]>
function con:query() end

---The cookies that the browser sent, as a table from name to value, percent-decoded. A name that came twice has a list of values.
---@return table<string, string|string[]>
function con:cookies() end

---The fields of a posted form, as a table: `application/x-www-form-urlencoded` or `multipart/form-data`; empty for any other body, which `con:gets` can still read. A field is a string. A file is a table with `filename` (what the browser says), `type`, `size` and `content`. An input for files in which none was chosen is one as well, with `filename` "" and `size` 0. A name that comes more than once has a list of these. A multipart body is read piece by piece: a file of more than `uploadmemory` bytes goes to a temporary file, which is gone when the request is over. Its `content` is read when it is asked for; `file:read(count, offset)` gives a part of it (nil at its end), and `file:save(path)` writes it to a file that the script may write, and gives true, or nil and a message. With `{ csrf = true }` it has to come from a page of this site: see `con:check_csrf`.
---@param options? table
---@return table<string, string|luafcgid.file|(string|luafcgid.file)[]>
function con:form(options) end

---In `authorize` only: sets a variable that the web server gets if the function lets the client in. lighttpd and Apache put it among the variables of the request, so that the script that answers it finds it in its `env`. It is the header `Variable-NAME` of the protocol; refusals go without variables. The name consists of letters, digits and underscores.
---@param name string
---@param value any
function con:variable(name, value) end

---In `filter` only: reads the file that the web server gives to a Filter, all of it, or at most `n` bytes of what is left. Gives less than `n` bytes only at the end, and nil when nothing is left. Waits for bytes that have not come yet; a script that has required `luafcgid`, or another module that waits, holds no worker meanwhile. Body and file are read apart from each other, in any order; web servers send the body first. `env.FCGI_DATA_LENGTH` is the length of the file in bytes, `env.FCGI_DATA_LAST_MOD` the time of its last change in seconds since 1970, as `os.time` gives it.
---@param n? number
---@return string?
function con:data(n) end

---Gives the value of a setting of the server, or nil for names that do not exist or are not for scripts (files, addresses). With a value, changes `buffering`, `httpstatus`, `contenttype`, `watchdog` or `onabort` for this request.
---@param name string
---@param value? any
---@return any
function con:config(name, value) end

---Writes to the server's log, with the request's id and the script. The level is `"debug"`, `"info"` (if left out), `"warn"` or `"error"`; the setting `loglevel` says which are written. The text is never a format: `%` is just a character. `print` and `io.write` go to the log as `info`, `io.stderr:write` as `warn`.
---@param level? string
---@param text string
---@overload fun(self: luafcgid.con, text: string)
function con:log(level, text) end

---A field of the request: always a string, or nil. It is looked for in the posted form, then in the query; `source` is `"form"`, `"query"` or `"cookie"` when it has to be from there. Of a name that came more than once it is the first value; files are none.
---@param name string
---@param source? string
---@return string?
function con:param(name, source) end

---All values of a field: always a list of strings, empty where there are none; those of the form before those of the query.
---@param name string
---@param source? string
---@return string[]
function con:params(name, source) end

---A file of the posted form, as a table with `filename`, `type` and `content`; or nil, also for an input that was left empty. Of a name that came more than once it is the first file.
---@param name string
---@return luafcgid.file?
function con:file(name) end

---All files of a name: always a list, empty where there are none.
---@param name string
---@return luafcgid.file[]
function con:files(name) end

---The value of a JSON body, decoded as `json.decode` of `luafcgid.json` does it. `options` may have `max`, the most bytes that the body may have.
---@param options? table
---@return any
function con:json(options) end

---Answers with a redirect to `url`. The code is 301, 302 (if left out), 303, 307 or 308. The script goes on; `return` after it.
---@param url string
---@param code? integer|string
function con:redirect(url, code) end

---The value of a response header as it is set now: nil when it is not set; as many results as values where it was added more than once.
---@param name string
---@return string?
function con:get_header(name) end

---Removes a response header, also one that the setting `headers` gives every answer. `Status` and `Content-Type` become those of the configuration again.
---@param name string
function con:remove_header(name) end

---Sets the header `ETag` and tells whether the client has this version already: then the status is 304, and the script has nothing more to do. `tag` is any text without quotes that names the version of the page, as a number of a revision or a digest. `options` may have `weak = true` for a version that means the same without being the same bytes.
---@param tag string|number
---@param options? table
---@return boolean
function con:etag(tag, options) end

---Sets the header `Last-Modified` and tells whether what the client has is as new: then the status is 304, and the script has nothing more to do. `time` is one of `os.time()`. A client that names tags is asked by `con:etag` only.
---@param time integer
---@return boolean
function con:last_modified(time) end

---Answers with a file: sent by the web server, or from here in pieces, as the setting `sendfile` says. The script needs to be able to read it: with the embedded engine it lies below a directory of the setting `files`. `options` may have `type`, the content type, which else comes from the ending of the name, and `download`, the name under which a browser keeps the file instead of showing it. A client that asks for a part of the file (`Range`) gets that part. Gives true, or nil and a message when there is no such file.
---@param path string
---@param options? table
function con:sendfile(path, options) end

---The session of this browser: values that stay from request to request, kept by the server where the setting `sessions` says. The browser has only a random number, in a cookie that is HttpOnly, `SameSite=Lax`, and Secure over HTTPS; the store has only a digest of it. A session comes to be when it gets its first value; a number that the server did not give away is never taken.
---@return luafcgid.session
function con:session() end

---A token for the forms of a page, tied to the browser's session; a different text each time. A form that comes back with it comes from a page of this site: see `con:check_csrf`. Visitors without a session get a cookie for it and no session. Ask for it after `session:renew()`, which makes older tokens useless.
---@return string
function con:csrf() end

---The token as a hidden field, to be put into a form as it is: `<input type="hidden" name="csrf" value="…">`.
---@return string
function con:csrf_field() end

---Ends the request with status 403 unless it comes from a page of this site: its token is one that `con:csrf` gave to the same session. The token is the argument, or else the request header `X-CSRF-Token`, or the field `csrf` of the form. `con:form({ csrf = true })` does the same.
---@param token? string
function con:check_csrf(token) end

---@alias luafcgid.handler fun(env: table<string, string>, con: luafcgid.con): any

---A file of a posted form.
---@class luafcgid.file
---@field filename string what the browser calls it
---@field type string
---@field size integer
---@field content string
local file = {}
---A part of it; nil at its end.
---@param count integer
---@param offset integer
---@return string?
function file:read(count, offset) end
---@param path string
---@return true?, string?
function file:save(path) end

---The session of a browser. Other fields are its values.
---@class luafcgid.session
---@field [string] any
local session = {}
---@param name string
---@return any
function session:get(name) end
---@param name string
---@param value any
function session:set(name, value) end
---@param name string
function session:unset(name) end
---@return boolean
function session:exists() end
function session:renew() end
function session:destroy() end
---@param text string
---@param kind? string
function session:flash(text, kind) end
---@return table[]
function session:flashes() end

---@class luafcgid
---@field version string
local luafcgid = {}

---Gives Lua source that makes the value again: `loadstring("return " .. s)()` (in Lua 5.4 `load`). Values are strings, numbers, booleans, nil and tables of these. Tables that are used twice are written twice.
---@param value any
---@return string
function luafcgid.serialize(value) end

---Waits. The worker serves other requests meanwhile; the time does not count for `watchdog`.
---@param seconds number
function luafcgid.sleep(seconds) end

---Calls the functions so that what they wait for takes its time at once, not one after the other. Gives the first result of each, in their order, when all have ended. While one computes the others stand still: it is for waiting.
---@param f1 function
---@param f2 function
---@param ... any
---@return any
function luafcgid.all(f1, f2, ...) end

---Says how long the values of this script live, in the place of the setting `isolation`. Called while the script is loaded, outside of all functions. With `"request"` each request begins with what the main chunk has left; with `"state"` globals and local variables of the file keep their values between requests. Embedded engine only. states.md tells more. At the top of a script: `require("luafcgid").isolation("request")`.
---@param mode string
function luafcgid.isolation(mode) end

---The settings of the application: the table `app` of the configuration. It is a copy, which may be changed without an effect elsewhere. It can be called when the script is loaded.
---@return table
function luafcgid.app() end

---Gives the names of all methods of con, in the order of the alphabet: for tools that look at scripts.
---@return string[]
function luafcgid.con_methods() end

---Makes a string or number safe for HTML, as content and as a quoted attribute value: `&`, `<`, `>`, `"` and `'` become entities.
---@param text string
---@return string
function luafcgid.escape(text) end

---Encodes a string or number for a query string or a form body: letters, digits and `- . _ ~` stay, a space becomes `+`, all other bytes become `%XX`. Gives nil for nil.
---@param text string
---@return string?
function luafcgid.urlencode(text) end

---The inverse of `urlencode`. What is no valid escape stays as it is. Gives nil for nil.
---@param text string
---@return string?
function luafcgid.urldecode(text) end

---The fields of a query string or of a form body, as a table from name to value, both decoded. A name without `=` has the value `""`. A name that comes more than once has a list of its values. Gives an empty table for nil.
---@param text string
---@return table<string, string|string[]>
function luafcgid.parse(text) end

return luafcgid
