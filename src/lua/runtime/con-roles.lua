-- What `con` has for other roles than that of a Responder.

local parts = ...

local host, run = parts.host, parts.run
local Con, refuse = run.methods, run.refuse
local bad_argument, text_argument = parts.arguments.bad, parts.arguments.text

local type, error = type, error
local find, format = string.find, string.format

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

return true
