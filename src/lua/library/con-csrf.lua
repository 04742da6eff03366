-- con:csrf and the functions with it: tokens that tie a form to the session of a browser.

local parts = ...

local run, input, crypto, cookie = parts.run, parts.con_input, parts.crypto, parts.session_cookie
local Con, refuse = run.methods, run.refuse
local sent_ids, set_cookie, new_id = cookie.sent_ids, cookie.set, cookie.new_id
local bad_argument = parts.arguments.bad
local type, sub = type, string.sub

-- In these functions `level` is that of the script, for errors.

local salt_bytes, token_bytes = 16, 48

-- The number that the browser has sent: that of its session if it has one. Where it has sent several, the store knows which.
local function sent_id(level)
  local present = input.input()
  local ids = sent_ids(level + 1)
  if #ids > 1 and not present.session then Con.session(run.con) end
  return present.sent_id or ids[1]
end

-- The number that new tokens are tied to. A browser that has none is given one.
local function token_id(level)
  local present = input.input()
  if not present.csrf_id and not present.session_is_over then present.csrf_id = sent_id(level + 1) end
  if not present.csrf_id then
    local id = new_id()
    set_cookie(id, level + 1)
    present.csrf_id = id
  end
  return present.csrf_id
end

local function signature(id, salt) return crypto.hmac("sha256", id, "luafcgid.csrf" .. salt) end

--- con:csrf()
---
--- A token for the forms of a page, tied to the browser's session; a different text each time. A form that comes back with it comes
--- from a page of this site: see `con:check_csrf`. Visitors without a session get a cookie for it and no session. Ask for it
--- after `session:renew()`, which makes older tokens useless.
---
--- Errors: a visitor without a cookie, after headers were sent.
--- Example: con:puts('<meta name="csrf" content="', con:csrf(), '">')
function Con.csrf(self)
  if self ~= run.con then refuse(self, "csrf") end
  local id = token_id(3)
  local salt = crypto.random(salt_bytes)
  return crypto.base64url(salt .. signature(id, salt))
end

--- con:csrf_field()
---
--- The token as a hidden field, to be put into a form as it is: `<input type="hidden" name="csrf" value="…">`.
---
--- Errors: those of `con:csrf`.
--- Example: con:puts('<form method="post">', con:csrf_field(), "<button>Delete</button></form>")
function Con.csrf_field(self)
  if self ~= run.con then refuse(self, "csrf_field") end
  local id = token_id(3)
  local salt = crypto.random(salt_bytes)
  return '<input type="hidden" name="csrf" value="' .. crypto.base64url(salt .. signature(id, salt)) .. '">'
end

local function is_of_session(token, level)
  if type(token) ~= "string" or #token ~= 64 then return false end
  local bytes = crypto.unbase64(token)
  if not bytes or #bytes ~= token_bytes then return false end
  local salt, sent = sub(bytes, 1, salt_bytes), sub(bytes, salt_bytes + 1)
  local id = sent_id(level + 1)
  return id ~= nil and crypto.equal(sent, signature(id, salt))
end

local M = {}

function M.require_token(token, level)
  if token == nil then token = run.env.HTTP_X_CSRF_TOKEN end
  if token == nil or token == "" then
    local sent = input.form(level + 1).csrf
    if type(sent) == "table" and not sent.filename then sent = sent[1] end
    token = sent
  end
  local fault
  if token == nil or token == "" then fault = "it has no CSRF token" end
  if not fault and not is_of_session(token, level + 1) then fault = "its CSRF token is not one of this session" end
  if fault then input.refuse_input("csrf", fault, level) end
end

--- con:check_csrf([token])
---
--- Ends the request with status 403 unless it comes from a page of this site: its token is one that `con:csrf` gave to the same
--- session. The token is the argument, or else the request header `X-CSRF-Token`, or the field `csrf` of the form.
--- `con:form({ csrf = true })` does the same.
---
--- Errors: no token, or one of another session (status 403); those of `con:form`.
--- Example: if env.REQUEST_METHOD == "POST" then con:check_csrf() end
function Con.check_csrf(self, token)
  if self ~= run.con then refuse(self, "check_csrf") end
  if token ~= nil and type(token) ~= "string" then bad_argument(1, "check_csrf", "string", token) end
  M.require_token(token, 4)
end

return M
