-- `con`, through which a script answers one request. A con lives as long as its request.

--- ## con
---
--- The second argument of `main`: the connection to the client. Its methods are called with a colon. `con` is valid
--- until `main` returns; a script that keeps it and uses it later gets an error.
---
--- An answer is kept until the script ends or flushes, or until it is larger than the setting `outputbuffer`. So
--- headers may be set after output, and an error replaces the whole answer by an error page. A script that sets nothing
--- answers with the settings `httpstatus`, `contenttype` and `headers`.
---
--- A method gives nothing back where its text names no result. Every method raises a Lua error when it cannot do what it is asked. An error that nobody catches ends the request
--- with status 500, or with the status that is named below.
---
--- `con.id` is the name of the request in the log, `con.state` and `con.worker` are the numbers of its state and its worker.
---
--- When the handler raises an error and nothing was sent yet, the script's global function `on_error(env, con)` (the setting
--- `errorhandler`) makes the answer, if there is one. What was put and set before is dropped; the status is set. `con.problem`
--- is a table of `status`, `code`, `message` and `traceback`: show the last two to nobody but developers. Without such a function,
--- and for errors outside of the script, the server answers: with a page, or with JSON (`application/problem+json`) or text
--- when the client asks for that.
---
--- The C daemon had `puts`, `header`, `flush`, `reset`, `gets`, `config` and `log`; the other methods are new.

local parts = ...

local host, run, exit, waiting = parts.host, parts.run, parts.exit, parts.waiting
local Con, refuse = run.methods, run.refuse
local bad_argument, text_argument, type_name = parts.arguments.bad, parts.arguments.text, parts.arguments.type_name

local type, tostring, tonumber, select, error, pcall = type, tostring, tonumber, select, error, pcall
local setmetatable, sub = setmetatable, string.sub
local format, concat, floor, sort, next = string.format, table.concat, math.floor, table.sort, next

-- Output is collected here and handed over in larger pieces: a call to the host costs more than many small puts.
local piece_bytes, piece_count = 32768, 512
local pieces, count, bytes = {}, 0, 0

local current -- the con of the running request; nil between requests
local finished -- whether con:finish() was called
local direct -- whether each puts goes out at once (buffering is off)

local has_handed_over = false -- whether the host has any of the answer
local unsent, taken_bytes -- a text that the client is too slow for, and how much of it was taken
local hand_over

-- Waits for the client to read until all is taken, also what others put meanwhile. True, or nil and a message.
local function send_rest()
  while unsent do
    local may_block = waiting.for_output()
    -- Another coroutine of the script may have sent it meanwhile.
    if unsent then
      local ok, at = host.write(unsent, taken_bytes, may_block)
      if not ok then
        unsent = nil
        return nil, at
      end
      if at then taken_bytes = at else unsent = nil end
    end
  end
  return hand_over()
end

-- Gives a text to the host, when nothing is left of another one. True, or nil and a message.
local function send(text)
  has_handed_over = true
  local ok, at = host.write(text)
  if not (ok and at) then return ok, at end
  unsent, taken_bytes = text, at
  return send_rest()
end

-- Gives all to the host that was put so far.
function hand_over()
  if unsent then return send_rest() end
  if count == 0 then return true end
  local text = concat(pieces, "", 1, count)
  count, bytes = 0, 0
  return send(text)
end

-- Calls a function of the host again until it needs not wait for the client. True, or nil and a message.
local function repeat_while_held(call)
  local ok, is_held = call()
  while ok and is_held do ok, is_held = call(waiting.for_output()) end
  return ok, is_held
end

-- Raises an error at the line that called puts if one of its arguments can be no output.
local function check_piece(piece, position)
  local kind = type(piece)
  if kind ~= "string" and kind ~= "number" then
    error("bad argument #" .. position .. " to 'puts' (string or number expected, got " .. type_name(piece) .. ")", 3)
  end
end

-- Up to so many pieces are joined without a table.
local few_pieces = 32

-- A few pieces as one string. (LuaJIT makes traces without end of a table of all arguments.)
local function join(left, a, b, c, d, ...)
  if left > 4 then return a .. b .. c .. d .. join(left - 4, ...) end
  if left == 4 then return a .. b .. c .. d end
  if left == 3 then return a .. b .. c end
  if left == 2 then return a .. b end
  return left == 1 and a .. "" or ""
end

-- Many: to pass the rest of the arguments on again and again would take memory by the square of their number.
local function join_many(left, ...)
  return concat({ ... }, "", 1, left)
end

--- con:puts(...)
---
--- Adds strings and numbers to the body of the answer, in order and byte for byte. Many small pieces are cheap. The
--- answer to a HEAD request, or of status 204 or 304, goes without its body. When more than the setting `sendbuffer` waits
--- for the client to read it, the script waits, too; where Lua can be suspended it holds no worker meanwhile.
---
--- Errors: an argument that is neither string nor number; after `con:finish()`.
--- Example: con:puts("<p>", 6 * 7, "</p>\n")
--- C daemon: took one argument and ignored the others.
function Con.puts(self, ...)
  if self ~= current or finished then refuse(self, "puts") end
  local argument_count = select("#", ...)
  local piece = ...
  if argument_count ~= 1 then
    -- Joining them costs less than looking at each.
    local ok, joined = pcall(argument_count > few_pieces and join_many or join, argument_count, ...)
    if type(joined) ~= "string" then ok = false end
    if not ok then
      local arguments = { ... }
      for i = 1, argument_count do check_piece(arguments[i], i) end
      error(joined, 0) -- all are fine: not enough memory
    end
    piece = joined
  elseif type(piece) ~= "string" then
    check_piece(piece, 1)
    piece = tostring(piece)
  end
  local size = #piece
  if size < piece_bytes and not direct then
    local at = count + 1
    count = at
    pieces[at] = piece
    bytes = bytes + size
    if bytes < piece_bytes and at < piece_count then return end
    local ok, message = hand_over()
    if not ok then error(message, 2) end
  elseif size > 0 then
    local ok, message = hand_over()
    if ok then ok, message = send(piece) end
    if not ok then error(message, 2) end
  end
end

-- The names of a table of headers in order, so that an answer does not depend on chance.
local function sorted_names(headers)
  local names = {}
  for name, value in next, headers do
    if type(name) ~= "string" then error("con:header: the key " .. tostring(name) .. " is no name of a header", 4) end
    local values = type(value) == "table" and value or { value }
    for at = 1, #values do
      local kind = type(values[at])
      if kind ~= "string" and kind ~= "number" then
        error("con:header: the value of " .. name .. " is a " .. kind .. "; give a string, a number or a list of these", 4)
      end
    end
    names[#names + 1] = name
  end
  sort(names)
  return names
end

-- Sets all headers of a table. True, or nil and a message.
local function set_headers(headers)
  local names = sorted_names(headers)
  for at = 1, #names do
    local value = headers[names[at]]
    local values = type(value) == "table" and value or { value }
    for position = 1, #values do
      local ok, message = host.header(names[at], tostring(values[position]))
      if not ok then return nil, message end
    end
  end
  return true
end

--- con:header(name, value)
--- con:header(line)
--- con:header(headers)
---
--- Adds a response header, or all of a table of names and values; a value may be a list. `Status`, `Content-Type`, `Content-Length`
--- and `Location` replace what is set; others are added, so two calls with `Set-Cookie` give two cookies. A header that the
--- setting `headers` gives every answer is replaced, but for `Set-Cookie`. `Location` without a status makes the answer a redirect
--- (302). Headers that belong to the web server's own connection (`Connection`, `Transfer-Encoding` and the like) are
--- left out, and the log says so. So is a `Content-Length` that is not the length of the body, when the whole body is
--- there before anything is sent. All headers together take at most 64 KiB; most web servers take less.
---
--- Errors: a name that is no header name; a control character in the value; a line without a colon; an empty
---   `Content-Type`; more than 64 KiB of headers; after headers were sent.
--- Example: con:header("Cache-Control", "no-store")
--- C daemon: always sent its own `Status` and `Content-Type` first, did not check for line breaks, and was silent after
---   headers were sent.
function Con.header(self, ...)
  if self ~= current or finished then refuse(self, "header") end
  local argument_count = select("#", ...)
  local name, value = ...
  local ok, message
  if argument_count == 1 and type(name) == "table" then
    ok, message = set_headers(name)
  elseif argument_count == 1 then
    ok, message = host.headerline(text_argument(name, 1, "header", "string or number"))
  elseif argument_count == 2 then
    ok, message = host.header(text_argument(name, 1, "header", "string or number"), text_argument(value, 2, "header", "string or number"))
  else
    error("con:header takes a line, a table, or a name and a value; it was given " .. argument_count .. " arguments", 2)
  end
  if not ok then error(message, 2) end
end

--- con:status(code)
---
--- Sets the HTTP status: a code from 200 to 599, alone or with its text. An answer of status 204 or 304 has no body, and no
--- `Content-Type` unless the script sets one.
---
--- Errors: anything else; after headers were sent.
--- Example: con:status("404 Not Found")
function Con.status(self, status)
  if self ~= current or finished then refuse(self, "status") end
  if type(status) == "number" then
    if floor(status) ~= status then bad_argument(1, "status", "whole number", status) end
    status = format("%d", status) -- Lua 5.4 would write 404.0
  end
  local ok, message = host.status(text_argument(status, 1, "status", "string or number"))
  if not ok then error(message, 2) end
end

--- con:type(mime)
---
--- Sets the Content-Type.
---
--- Errors: no string, or an empty one; a control character in it; after headers were sent.
--- Example: con:type("text/plain; charset=utf-8")
function Con.type(self, mime)
  if self ~= current or finished then refuse(self, "type") end
  if type(mime) ~= "string" then bad_argument(1, "type", "string", mime) end
  local ok, message = host.header("Content-Type", mime)
  if not ok then error(message, 2) end
end

--- con:cookie(name, value[, options])
--- con:cookie(name)
---
--- Adds a cookie. With a name alone, gives the value of the cookie that the browser has sent, always one string, or nil.
--- The value is percent-encoded where cookies need it; `con:cookies()` decodes it. `options` is a table
--- with any of `path` (begins with /), `domain`, `expires` (a time of `os.time()` or an HTTP date), `maxage` (seconds;
--- 0 deletes the cookie), `secure`, `httponly` (true or false) and `samesite` (`"Strict"`, `"Lax"` or `"None"`, which
--- needs `secure`).
---
--- Errors: a name or an option that cannot be in a cookie; an option that does not exist; after headers were sent.
--- Example: con:cookie("theme", "dark", { maxage = 86400, httponly = true, samesite = "Lax" })
function Con.cookie(self, ...)
  local name, value, options = ...
  if select("#", ...) == 1 and self == current then
    local sent = parts.con_input.cookies(4)[name]
    if type(sent) == "table" then sent = sent[1] end
    return sent
  end
  if self ~= current or finished then refuse(self, "cookie") end
  value = text_argument(value, 2, "cookie", "string or number")
  if options ~= nil and type(options) ~= "table" then bad_argument(3, "cookie", "table", options) end
  local line, wrong = parts.cookie.write(name, value, options or {})
  if not line then error("con:cookie" .. wrong, 2) end
  local ok, message = host.header("Set-Cookie", line)
  if not ok then error(message, 2) end
end

--- con:flush()
---
--- Sends headers and everything put so far to the web server, now. A web server may collect output itself: nginx passes
--- it on at once if the script sets the header `X-Accel-Buffering: no`.
---
--- Errors: after `con:finish()`.
--- Example: con:flush()
--- C daemon: left the data in a buffer of its FastCGI library.
function Con.flush(self)
  if self ~= current or finished then refuse(self, "flush") end
  if exit.at_end then exit.at_end() end
  local ok, message = hand_over()
  has_handed_over = true
  if ok then ok, message = repeat_while_held(host.flush) end
  if not ok then error(message, 2) end
end

--- con:reset()
---
--- Drops body, headers and status that were set so far, to begin anew.
---
--- Errors: after headers were sent.
--- Example: con:reset()
--- C daemon: dropped the body only.
function Con.reset(self)
  if self ~= current or finished then refuse(self, "reset") end
  local ok, message = host.reset()
  if not ok then error(message, 2) end
  count, bytes = 0, 0
end

--- con:finish()
---
--- Sends the answer and ends it for the client. The script goes on, for work that nobody has to wait for; its worker
--- stays busy until `main` returns. `con:log`, `con:config` and what was read of the input still work; an error after
--- it is in the log only.
---
--- Errors: a second time.
--- Example: con:finish()
function Con.finish(self)
  if self ~= current or finished then refuse(self, "finish") end
  if exit.at_end then exit.at_end() end
  local ok, message = hand_over()
  if ok then ok, message = repeat_while_held(host.finish) end
  if not ok then error(message, 2) end
  finished, run.finished = true, true
end

local con = {}

-- Of the setting `buffering`.
local buffers_output = true

function con.init()
  local _, value = host.config("buffering")
  buffers_output = value ~= false
end

-- The `con` of a new request.
function con.begin(env)
  current = setmetatable({}, run.meta)
  run.con, run.env = current, env
  finished, run.finished = false, false
  direct = not buffers_output
  count, bytes = 0, 0
  unsent, has_handed_over = nil, false
  return current
end

-- Lets output be collected or not, from now on. True, or nil and a message.
function con.set_buffering(is_on)
  local ok, message = true, nil
  if not is_on then ok, message = hand_over() end
  direct = not is_on
  return ok, message
end

-- Hands over a text after what was put before it. True, or nil and a message.
function con.put_text(text)
  local ok, message = hand_over()
  if ok and #text > 0 then return send(text) end
  return ok, message
end

-- The same with a page's pieces, where the host can write them: true and whether it did, or nil and a message.
function con.put_pieces(page)
  local ok, message = hand_over()
  if not ok then return nil, message end
  has_handed_over = true
  local has_written, is_written, rest = host.writepieces(page)
  if not rest then return has_written, is_written end
  unsent, taken_bytes = rest, 0
  ok, message = send_rest()
  if not ok then return nil, message end
  return true, is_written
end

-- The output that was not handed over yet, at the end of a request; nil when there is none.
function con.take()
  if finished or (count == 0 and not unsent) then return nil end
  if unsent then return sub(unsent, taken_bytes + 1) .. concat(pieces, "", 1, count) end
  if count == 1 then return pieces[1] end
  return concat(pieces, "", 1, count)
end

-- The request is about to end: what is more than can go out with its end is handed over now, and waits for the client.
function exit.last_flush()
  if not has_handed_over or finished then return end
  local ok, is_held = hand_over()
  if ok then ok, is_held = host.lastflush() end
  while ok and is_held and not waiting.for_output() do ok, is_held = host.lastflush() end
end

function con.forget()
  current, run.con, run.env, run.input, run.settings = nil, nil, nil, nil, nil
  if pieces[64] then pieces = {} end
  count, bytes = 0, 0
  unsent, has_handed_over = nil, false
end

return con
