-- Lets clients in who know the password of their user. Both configurations beside this file have their web server ask it;
-- that of luafcgid names it:
--
--   authscript = "/srv/authorizer/authorize.lua"

local crypto = require("luafcgid.crypto")

-- Users, and what crypto.password.hash has made of their passwords.
local users = {
}

-- lighttpd passes the header on, Apache what it has read in it.
local function credentials(env)
  if env.REMOTE_PASSWD then return env.REMOTE_USER, env.REMOTE_PASSWD end
  local encoded = (env.HTTP_AUTHORIZATION or ""):match("^[Bb]asic%s+(%S+)$")
  return ((encoded and crypto.unbase64(encoded)) or ""):match("^([^:]*):(.*)$")
end

function authorize(env, con)
  local user, password = credentials(env)
  local hash = user and users[user]
  if hash and crypto.password.verify(password, hash) then
    con:variable("REMOTE_USER", user) -- which the page finds in its env
    return true
  end
  con:status(401)
  con:header("WWW-Authenticate", 'Basic realm="private"')
end
