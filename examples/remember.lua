-- Cookies: the visitor's name and number of visits stay in the browser, so it does not matter which state answers.
local layout = require("lib.layout")
local escape = require("luafcgid").escape

local year = 365 * 24 * 60 * 60

local function remember(con, name, value)
  con:cookie(name, value, { maxage = year, httponly = true, samesite = "Lax" })
end

-- A cookie that was sent twice is a list: take the first.
local function one(value)
  return type(value) == "table" and value[1] or value
end

function main(env, con)
  if env.REQUEST_METHOD == "POST" then
    local form = con:form()
    if form.forget then
      con:cookie("name", "", { maxage = 0 })
      con:cookie("visits", "", { maxage = 0 })
    elseif type(form.name) == "string" then
      remember(con, "name", form.name:sub(1, 100))
    end
    -- After a POST comes a GET: reloading the page does not send the form again.
    return con:redirect("remember.lua", 303)
  end

  local cookies = con:cookies()
  local name, visits = one(cookies.name), tonumber(one(cookies.visits)) or 0
  visits = visits >= 0 and visits < 1e6 and math.floor(visits) + 1 or 1
  remember(con, "visits", visits)
  con:header("Cache-Control", "no-store")
  layout.open(con, "Cookies")
  con:puts("<p>Hello", name and name ~= "" and ", " .. escape(name) or "", "! ")
  con:puts("This is visit number ", visits, ".</p>\n")
  con:puts([[
<form method="post">
<label for="name">Your name</label>
<input id="name" name="name" maxlength="100" autocomplete="name" value="]], escape(name or ""), [[">
<button>Remember me</button>
<button name="forget" value="1">Forget me</button>
</form>
]])
  layout.close(con)
end
