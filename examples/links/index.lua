-- A link shortener: short addresses that lead to long ones, with statistics. All of it lies in the dictionary `links` of the
-- setting `shared`: in memory, for all workers, until the server ends.
local luafcgid = require("luafcgid")
local crypto = require("luafcgid.crypto")
local json = require("luafcgid.json")
local router = require("luafcgid.router")
local template = require("luafcgid.template")
local shared = require("luafcgid.shared")
local links, cache = shared.links, shared.cache

local sources = { "index.lua", "views/layout.etlua", "views/home.etlua", "views/stats.etlua", "views/error.etlua" }
local day_seconds, kept_days, shown_days = 86400, 30, 14
local most_a_minute, longest_url, most_recent = 20, 2000, 10

local function show(env, con, view, values)
  values.base, values.csrf, values.title = router.base(env), con:csrf_field(), values.title or "Short links"
  con:type("text/html; charset=utf-8")
  con:header({
    ["Cache-Control"] = "no-store",
    ["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
  })
  template.puts(con, "views/" .. view .. ".etlua", values)
end

local function send_json(con, value, status)
  con:status(status or 200)
  con:type("application/json")
  con:puts(json.encode(value), "\n")
end

local function wants_json(env)
  return (env.HTTP_ACCEPT or ""):find("json", 1, true) or (env.CONTENT_TYPE or ""):find("json", 1, true)
end

local function fail(env, con, status, text)
  con:status(status)
  if wants_json(env) then return send_json(con, { error = text }, status) end
  show(env, con, "error", { status = status, text = text })
end

-- ---- links ---------------------------------------------------------------------------------------------------------

local function is_too_often(env)
  local count = cache:incr("links:" .. (env.REMOTE_ADDR or ""), 1, 0, 60)
  return count ~= nil and count > most_a_minute
end

-- Only addresses of the web, with a host: anything else might run something in the browser of who follows it.
local function is_address(url)
  return type(url) == "string" and #url <= longest_url and url:find("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#%s%c]+[^%s%c]*$") ~= nil
end

-- The codes made last, newest first. Of two requests at the same time one tries again.
local function remember(code)
  for _ = 1, 100 do
    local old = links:get("recent")
    local codes = { code }
    for other in (old or ""):gmatch("%w+") do
      if #codes < most_recent then codes[#codes + 1] = other end
    end
    if links:cas("recent", old, table.concat(codes, " ")) then return end
  end
end

-- A new code for an address; nil and why not.
local function shorten(url)
  for _ = 1, 10 do
    local code = crypto.base64url(crypto.random(9)):gsub("[-_]", ""):sub(1, 6)
    local ok, why = links:add("url:" .. code, url)
    if ok and #code == 6 then
      remember(code)
      return code
    end
    if why == "no memory" then return nil, "There is no room for more links." end
  end
  return nil, "No code was found. Please try again."
end

local function today() return math.floor(os.time() / day_seconds) end

local function count_hit(code)
  links:incr("hits:" .. code, 1, 0)
  links:incr("day:" .. code .. ":" .. today(), 1, 0, kept_days * day_seconds)
end

local function hits_of(code) return links:get("hits:" .. code) or 0 end

-- The last days, oldest first, each with its hits.
local function days_of(code)
  local days, most = {}, 1
  for back = shown_days - 1, 0, -1 do
    local day = today() - back
    local hits = links:get("day:" .. code .. ":" .. day) or 0
    most = math.max(most, hits)
    days[#days + 1] = { date = os.date("!%Y-%m-%d", day * day_seconds), hits = hits }
  end
  for _, day in ipairs(days) do day.percent = math.floor(day.hits * 100 / most + 0.5) end
  return days
end

-- ---- pages ---------------------------------------------------------------------------------------------------------

local app = router.new()

local function home(env, con, values)
  local list = {}
  for code in (links:get("recent") or ""):gmatch("%w+") do
    list[#list + 1] = { code = code, url = links:get("url:" .. code), hits = hits_of(code) }
  end
  values.links = list
  show(env, con, "home", values)
end

app:get("/", function(env, con) home(env, con, { made = con:param("made", "query") }) end)

app:post("/", function(env, con)
  con:form({ csrf = true })
  local url = con:param("url", "form") or ""
  if is_too_often(env) then
    con:header("Retry-After", 60)
    return fail(env, con, 429, "That was a little too often. Please wait for a minute.")
  end
  local code, why
  if is_address(url) then code, why = shorten(url) else why = "An address begins with http:// or https:// and a host." end
  if not code then
    con:status(422)
    return home(env, con, { wrong = why, url = url })
  end
  con:redirect(router.base(env) .. "/?made=" .. code, 303)
end)

app:get("/source", function(env, con)
  con:type("text/plain; charset=utf-8")
  for _, name in ipairs(sources) do
    local file = assert(io.open(name, "rb"))
    con:puts("---- ", name, "\n\n", file:read("*a"), "\n")
    file:close()
  end
end)

app:get("/:code", function(env, con, params)
  local url = links:get("url:" .. params.code)
  if not url then return fail(env, con, 404, "There is no such link.") end
  count_hit(params.code)
  con:header("Cache-Control", "no-store")
  con:redirect(url, 302)
end)

app:get("/:code/stats", function(env, con, params)
  local url = links:get("url:" .. params.code)
  if not url then return fail(env, con, 404, "There is no such link.") end
  show(env, con, "stats", {
    title = "Statistics of " .. params.code, code = params.code, url = url, hits = hits_of(params.code),
    days = days_of(params.code),
  })
end)

-- ---- JSON ----------------------------------------------------------------------------------------------------------

app:post("/api/links", function(env, con)
  if is_too_often(env) then
    con:header("Retry-After", 60)
    return send_json(con, { error = "too many links in a minute" }, 429)
  end
  local sent = con:json({ max = 10000 })
  local url = type(sent) == "table" and sent.url
  if not is_address(url) then return send_json(con, { error = "url is no address of the web" }, 422) end
  local code, why = shorten(url)
  if not code then return send_json(con, { error = why }, 503) end
  send_json(con, { code = code, short = router.base(env) .. "/" .. code }, 201)
end)

app:get("/api/links/:code", function(env, con, params)
  local url = links:get("url:" .. params.code)
  if not url then return send_json(con, { error = "there is no such link" }, 404) end
  send_json(con, { code = params.code, url = url, hits = hits_of(params.code), days = days_of(params.code) })
end)

app:not_found(function(env, con) fail(env, con, 404, "There is nothing at this address.") end)

function main(env, con) app:run(env, con) end

function on_error(env, con)
  local status = con.problem.status
  fail(env, con, status, (status == 403 and "Load the page again and send the form once more." or "That did not work.") ..
    " (" .. con.id .. ")")
end
