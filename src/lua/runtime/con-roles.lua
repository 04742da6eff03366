-- What `con` has for other roles than that of a Responder.

local parts = ...

local host, run, waiting = parts.host, parts.run, parts.waiting
local Con, refuse = run.methods, run.refuse
local bad_argument, text_argument = parts.arguments.bad, parts.arguments.text

local type, error, tostring = type, error, tostring
local find, format, floor, huge, concat = string.find, string.format, math.floor, math.huge, table.concat

--- con:variable(name, value)
---
--- In `authorize` only: sets a variable that the web server gets if the function lets the client in. lighttpd and Apache
--- put it among the variables of the request, so that the script that answers it finds it in its `env`. It is the header
--- `Variable-NAME` of the protocol; refusals go without variables. The name consists of letters, digits and underscores.
---
--- Errors: another name; a control character in the value; more than 64 KiB of headers; outside of `authorize`; after
---   headers were sent.
--- Example: con:variable("REMOTE_USER", "alice")
function Con.variable(self, name, value)
  if self ~= run.con or run.finished then refuse(self, "variable") end
  if run.role ~= "AUTHORIZER" then
    error("con:variable: variables are set by authorize(env, con) alone; this request asks for no Authorizer", 2)
  end
  if type(name) ~= "string" then bad_argument(1, "variable", "string", name) end
  if not find(name, "^[%a_][%w_]*$") then
    error("con:variable: the name of a variable consists of letters, digits and underscores; it was given " ..
      format("%q", #name > 100 and name:sub(1, 100) .. "..." or name), 2)
  end
  local ok, message = host.header("Variable-" .. name, text_argument(value, 2, "variable", "string or number"))
  if not ok then error(message, 2) end
end

-- Waits for more of the file while the request is suspended, where that is possible. What cannot be waited for so is waited
-- for by reading.
local function await_more()
  if not waiting.can_suspend() then return end
  local ok, token = host.awaitbody(true)
  if ok and token then waiting.wait(token) end
end

--- con:data([n])
---
--- In `filter` only: reads the file that the web server gives to a Filter, all of it, or at most `n` bytes of what is left.
--- Gives less than `n` bytes only at the end, and nil when nothing is left. Waits for bytes that have not come yet; a script that has
--- required `luafcgid`, or another module that waits, holds no worker meanwhile. Body and
--- file are read apart from each other, in any order; web servers send the body first. `env.FCGI_DATA_LENGTH` is the length
--- of the file in bytes, `env.FCGI_DATA_LAST_MOD` the time of its last change in seconds since 1970, as `os.time` gives it.
---
--- Errors: `n` is no whole number above 0; outside of `filter`; the file is larger than the setting `maxpost` (status 413); it
---   ended before its announced length (status 400).
--- Example: local text = con:data()
function Con.data(self, wanted)
  if self ~= run.con then refuse(self, "data") end
  if run.role ~= "FILTER" then
    error("con:data: only filter(env, con) is given a file; this request asks for no Filter", 2)
  end
  if wanted == nil then
    wanted = huge
  elseif type(wanted) ~= "number" or wanted < 1 or floor(wanted) ~= wanted then
    error("con:data takes a number of bytes, at least 1, or nothing for the whole rest of the file; it was given " ..
      (type(wanted) == "string" and format("%q", wanted) or tostring(wanted)), 2)
  end
  local pieces, count, left = {}, 0, wanted
  while left > 0 do
    await_more()
    local ok, piece = host.readdata(left)
    if not ok then error(piece, 2) end
    if not piece then break end
    count = count + 1
    pieces[count] = piece
    left = left - #piece
  end
  if count < 2 then return pieces[1] end
  return concat(pieces, "", 1, count)
end

return true
