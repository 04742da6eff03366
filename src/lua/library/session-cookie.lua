-- The cookie of a session: the number in it, and how it is sent.

local parts = ...

local host, run, input = parts.host, parts.run, parts.con_input
local crypto, write_cookie = parts.crypto, parts.cookie.write
local type, error, find, min, sub = type, error, string.find, math.min, string.sub

local id_bytes = 32
local id_pattern = "^" .. ("[%w_%-]"):rep(43) .. "$"
-- Of several cookies with the name of the session's, so many are tried.
local most_cookies = 4

local settings -- the setting sessions
local function configuration()
  if not settings then
    local _, value = host.config("sessions")
    settings = value
  end
  return settings
end

local function digest(id) return crypto.hex(crypto.hash("sha256", id)) end
local function new_id() return crypto.base64url(crypto.random(id_bytes)) end

-- In these functions `level` is that of the script, for errors.

-- The ids that the browser has sent: what has not the form of one was not made here.
local function sent_ids(level)
  local sent = input.cookies(level + 2)[configuration().name]
  local ids = {}
  local values = type(sent) == "table" and sent or { sent }
  for at = 1, min(#values, most_cookies) do
    if find(values[at], id_pattern) then ids[#ids + 1] = values[at] end
  end
  return ids
end

local function is_https()
  local https = run.env.HTTPS
  return https ~= nil and https ~= "" and https ~= "off" or run.env.REQUEST_SCHEME == "https"
end

-- Sets the cookie; an empty id removes it. A cookie of the same name that was set before in this answer is taken back.
local function set_cookie(id, level)
  local with = configuration()
  local secure = with.secure
  if secure == nil then secure = is_https() end
  local options = { path = with.path, domain = with.domain, httponly = true, samesite = with.samesite, secure = secure }
  if id == "" then options.maxage = 0 end
  local line = write_cookie(with.name, id, options)
  local ok, values = host.headervalues("Set-Cookie")
  local message
  if ok and #values > 0 then
    local kept, start = {}, with.name .. "="
    for at = 1, #values do
      if sub(values[at], 1, #start) ~= start then kept[#kept + 1] = values[at] end
    end
    if #kept < #values then
      ok, message = host.removeheader("Set-Cookie")
      for at = 1, #kept do
        if ok then ok, message = host.header("Set-Cookie", kept[at]) end
      end
    end
  end
  if ok then ok, message = host.header("Set-Cookie", line) end
  if not ok then error(message, level) end
end

return { configuration = configuration, digest = digest, new_id = new_id, sent_ids = sent_ids, set = set_cookie }
