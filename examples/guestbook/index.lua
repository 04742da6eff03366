-- A guestbook: visitors register, log in and write entries with photos; there is a JSON API. One script answers for all
-- addresses of the application. Its pages lie in views/, its database is the data source `guestbook`.
local luafcgid = require("luafcgid")
local crypto = require("luafcgid.crypto")
local json = require("luafcgid.json")
local router = require("luafcgid.router")
local template = require("luafcgid.template")
local validate = require("luafcgid.validate")
local cache = require("luafcgid.shared").cache
local db = require("luafcgid.db").open("guestbook")
local bytes = require("luafcgid.db").bytes

local settings = luafcgid.app()
local per_page = settings.entries_per_page or 10
local sources = { "index.lua", "views/layout.etlua", "views/list.etlua", "views/login.etlua", "views/error.etlua" }

-- These statements mean the same to SQLite and PostgreSQL.
local schema = {
  "create table if not exists users (name text primary key, password text not null)",
  "create table if not exists entries (id text primary key, author text not null, text text not null, " ..
    "photo_type text, photo bytea, created bigint not null)",
  "create index if not exists entries_created on entries (created)",
}

local function prepare()
  for _, statement in ipairs(schema) do db:exec(statement) end
  prepare = function() end
end

-- ---- what the pages share ------------------------------------------------------------------------------------------

local function show(env, con, view, values)
  local session = con:session()
  values.title = values.title or settings.title or "Guestbook"
  values.base, values.user, values.flashes = router.base(env), session.user, session:flashes()
  values.csrf = con:csrf_field()
  con:type("text/html; charset=utf-8")
  con:header({
    ["Cache-Control"] = "no-store",
    ["Content-Security-Policy"] = "default-src 'self'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    ["X-Content-Type-Options"] = "nosniff",
  })
  template.puts(con, "views/" .. view .. ".etlua", values)
end

local function send_json(con, value, status)
  con:status(status or 200)
  con:type("application/json")
  con:puts(json.encode(value), "\n")
end

local function fail(env, con, status, text)
  con:status(status)
  if (env.HTTP_ACCEPT or ""):find("json", 1, true) or (env.CONTENT_TYPE or ""):find("json", 1, true) then
    return send_json(con, { error = text }, status)
  end
  show(env, con, "error", { status = status, text = text })
end

-- At most ten attempts a minute from one address.
local function is_too_often(env, con, what)
  local count = cache:incr(what .. ":" .. (env.REMOTE_ADDR or ""), 1, 0, 60)
  if not count or count <= 10 then return false end
  con:header("Retry-After", 60)
  fail(env, con, 429, "That was a little too often. Please wait for a minute.")
  return true
end

local function save_entry(author, text, photo)
  local id = crypto.hex(crypto.random(12))
  db:exec("insert into entries (id, author, text, photo_type, photo, created) values (?, ?, ?, ?, ?, ?)",
    id, author, text, photo and photo.type, photo and bytes(photo.content), os.time())
  return id
end

local function entries_of(page)
  local rows = db:query("select id, author, text, photo_type, created from entries order by created desc, id limit ? offset ?",
    per_page + 1, (page - 1) * per_page)
  local has_more = #rows > per_page
  rows[per_page + 1] = nil
  return rows, has_more
end

-- What a file is says its beginning, whatever the browser calls it.
local function photo_type(content)
  if content:sub(1, 8) == "\137PNG\r\n\26\n" then return "image/png" end
  if content:sub(1, 3) == "\255\216\255" then return "image/jpeg" end
  if content:sub(1, 4) == "GIF8" then return "image/gif" end
  if content:sub(1, 4) == "RIFF" and content:sub(9, 12) == "WEBP" then return "image/webp" end
end

local text_rule = { text = { required = true, max = 1000, message = "Write a text of at most 1000 characters." } }

-- ---- pages ---------------------------------------------------------------------------------------------------------

local app = router.new()

app:use(function(env, con, params, next)
  prepare()
  return next()
end)

local function list(env, con, values)
  local page = validate.check({ page = con:param("page", "query") }, { page = { type = "integer", min = 1, max = 1000 } })
  values.page = page and page.page or 1
  values.entries, values.has_more = entries_of(values.page)
  show(env, con, "list", values)
end

app:get("/", function(env, con) list(env, con, {}) end)

app:post("/entries", function(env, con)
  con:form({ csrf = true })
  local user = con:session().user
  if not user then return fail(env, con, 403, "Log in to write an entry.") end
  if is_too_often(env, con, "write") then return end
  local entry, wrong = validate.check({ text = con:param("text", "form") }, text_rule)
  local upload, photo = con:file("photo"), nil
  if upload then
    local kind = photo_type(upload.content)
    if kind then photo = { type = kind, content = upload.content } end
    if not kind or #upload.content > 2 ^ 20 then
      wrong = wrong or {}
      wrong.photo = "A photo is a PNG, JPEG, GIF or WebP file of at most 1 MiB."
    end
  end
  if wrong then
    con:status(422)
    return list(env, con, { wrong = wrong, text = con:param("text", "form") })
  end
  save_entry(user, entry.text, photo)
  con:session():flash("Thank you for your entry.")
  con:redirect(router.base(env) .. "/", 303)
end)

app:post("/entries/:id/delete", function(env, con, params)
  con:check_csrf()
  local result = db:exec("delete from entries where id = ? and author = ?", params.id, con:session().user or "")
  if result.affected == 0 then return fail(env, con, 404, "You have no such entry.") end
  con:session():flash("The entry is gone.")
  con:redirect(router.base(env) .. "/", 303)
end)

app:get("/photos/:id", function(env, con, params)
  local row = db:one("select photo_type, photo from entries where id = ? and photo is not null", params.id)
  if not row then return fail(env, con, 404, "There is no such photo.") end
  con:header({ ["Cache-Control"] = "private, max-age=86400", ["X-Content-Type-Options"] = "nosniff" })
  con:type(row.photo_type)
  if con:etag(params.id) then return end
  con:puts(row.photo)
end)

app:get("/login", function(env, con) show(env, con, "login", { title = "Log in" }) end)

-- Compared with when there is no such user, so that the time tells nobody which users there are.
local nobody

local function log_in(env, con, name)
  local session = con:session()
  session:renew()
  session.user = name
  session:flash("Welcome, " .. name .. ".")
  con:redirect(router.base(env) .. "/", 303)
end

app:post("/login", function(env, con)
  con:form({ csrf = true })
  if is_too_often(env, con, "login") then return end
  local name, password = con:param("name", "form") or "", con:param("password", "form") or ""
  local row = db:one("select name, password from users where name = ?", name)
  nobody = nobody or crypto.password.hash(crypto.hex(crypto.random(16)))
  local is_right = crypto.password.verify(password, row and row.password or nobody)
  if not (row and is_right) then
    con:status(403)
    return show(env, con, "login", { title = "Log in", name = name, message = "The name or the password is wrong." })
  end
  if crypto.password.needs_rehash(row.password) then
    db:exec("update users set password = ? where name = ?", crypto.password.hash(password), name)
  end
  log_in(env, con, name)
end)

local user_rules = {
  name = { required = true, min = 2, max = 40, pattern = "[%w_-]+", message = "A name has 2 to 40 letters, digits, - or _." },
  password = { required = true, min = 10, max = 1000, trim = false, message = "A password has at least 10 characters." },
}

app:post("/register", function(env, con)
  con:form({ csrf = true })
  if is_too_often(env, con, "login") then return end
  local sent = { name = con:param("name", "form"), password = con:param("password", "form") }
  local user, wrong = validate.check(sent, user_rules)
  if user then
    local result = db:exec("insert into users (name, password) values (?, ?) on conflict (name) do nothing",
      user.name, crypto.password.hash(user.password))
    if result.affected == 0 then wrong = { name = "This name is taken." } end
  end
  if wrong then
    con:status(422)
    return show(env, con, "login", { title = "Log in", name = sent.name, message = wrong.name or wrong.password })
  end
  log_in(env, con, user.name)
end)

app:post("/logout", function(env, con)
  con:check_csrf()
  con:session():destroy()
  con:redirect(router.base(env) .. "/", 303)
end)

app:get("/source", function(env, con)
  con:type("text/plain; charset=utf-8")
  for _, name in ipairs(sources) do
    local file = assert(io.open(name, "rb"))
    con:puts("---- ", name, "\n\n", file:read("*a"), "\n")
    file:close()
  end
end)

-- ---- JSON ----------------------------------------------------------------------------------------------------------

app:get("/api/entries", function(env, con)
  local entries, has_more = entries_of(1)
  local list_of = setmetatable({}, json.array_mt)
  for at, row in ipairs(entries) do
    local photo = row.photo_type and router.base(env) .. "/photos/" .. row.id or json.null
    list_of[at] = { id = row.id, author = row.author, text = row.text, created = row.created, photo = photo }
  end
  send_json(con, { entries = list_of, has_more = has_more })
end)

-- For pages of this site: with the cookie of the session, and the token of con:csrf() as X-CSRF-Token.
app:post("/api/entries", function(env, con)
  con:check_csrf()
  local user = con:session().user
  if not user then return fail(env, con, 403, "Log in to write an entry.") end
  if is_too_often(env, con, "write") then return end
  local sent = con:json({ max = 10000 })
  local entry, wrong = validate.check(type(sent) == "table" and sent or {}, text_rule)
  if not entry then return send_json(con, { error = wrong.text }, 422) end
  send_json(con, { id = save_entry(user, entry.text) }, 201)
end)

app:not_found(function(env, con) fail(env, con, 404, "There is nothing at this address.") end)

function main(env, con) app:run(env, con) end

local texts = { [403] = "Load the page again and send the form once more.", [413] = "That is larger than what fits here." }

-- The page for what goes wrong. The log has the details, under the number that it shows.
function on_error(env, con)
  local status = con.problem.status
  fail(env, con, status, (texts[status] or "That did not work.") .. " (" .. con.id .. ")")
end
