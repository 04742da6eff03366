-- Scripts that are written for luafcgid2: its global functions and tables, upon those of this server. The setting
-- `handler = "luafcgid2"` chooses it; the table `app` of the configuration is their `Config`.

local parts = ...

local run, G, sources = parts.run, parts.globals, parts.sources
local text_argument = parts.arguments.text
local type, error, tostring, next, setmetatable = type, error, tostring, next, setmetatable
local match = string.match

local module = parts.luafcgid

-- Every text that a status can have.
local texts = { [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content", [206] = "Partial Content",
  [301] = "Moved Permanently", [302] = "Found", [303] = "See Other", [304] = "Not Modified", [307] = "Temporary Redirect",
  [308] = "Permanent Redirect", [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden",
  [404] = "Not Found", [405] = "Method Not Allowed", [406] = "Not Acceptable", [408] = "Request Timeout", [409] = "Conflict",
  [410] = "Gone", [411] = "Length Required", [412] = "Precondition Failed", [413] = "Payload Too Large", [414] = "URI Too Long",
  [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable", [418] = "I'm a teapot", [422] = "Unprocessable Entity",
  [429] = "Too Many Requests", [451] = "Unavailable For Legal Reasons", [500] = "Internal Server Error", [501] = "Not Implemented",
  [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout", [507] = "Insufficient Storage" }

local status_set, type_set -- of the running request: they outlive Reset

-- ---- functions ------------------------------------------------------------------------------------------------------

local functions = {}

function functions.Header(name, value)
  if value == nil then return run.con:header(text_argument(name, 1, "Header")) end
  run.con:header(text_argument(name, 1, "Header"), text_argument(value, 2, "Header"))
end

function functions.Send(text) run.con:puts(text_argument(text, 1, "Send")) end

-- Drops headers and body; status and type stay.
function functions.Reset()
  run.con:reset()
  if status_set then run.con:status(status_set) end
  if type_set then run.con:type(type_set) end
end

function functions.Log(text) run.con:log("info", text_argument(text, 1, "Log")) end
function functions.Receive() return run.con:gets() or "" end

function functions.RespStatus(text)
  status_set = text_argument(text, 1, "RespStatus")
  run.con:status(status_set)
end

function functions.RespContentType(text)
  type_set = text_argument(text, 1, "RespContentType")
  run.con:type(type_set)
end

-- How many states each script has is for the status page of this server, not for scripts.
function functions.ThreadData() return {} end
function functions.Dir() return (match(run.env.SCRIPT_FILENAME or "", "^(.*)/")) or "" end

-- ---- sessions: realms of values, each a value of the browser's session ------------------------------------------------

local Session = {}
local prefix = "luafcgid2:"

-- A session exists once something is in it. `names` has those of its realms.
local function realm_names() return run.con:session():get(prefix) or {} end

local function realms_of(realm, creates)
  local session = run.con:session()
  local names = realm_names()
  if realm == "*" then
    local all = {}
    for name in next, names do all[#all + 1] = name end
    return session, all
  end
  text_argument(realm, 1, "Session")
  if not names[realm] then
    if not creates then return session, {} end
    names[realm] = true
    session:set(prefix, names)
  end
  return session, { realm }
end

local function values_of(session, realm) return session:get(prefix .. realm) or {} end

function Session.Start()
  local session = run.con:session()
  session:set(prefix, realm_names())
end

function Session.HasRealm(realm) return realm_names()[realm] == true end
function Session.Delete() run.con:session():destroy() end

function Session.Clear(realm)
  local session, realms = realms_of(realm, false)
  for at = 1, #realms do session:unset(prefix .. realms[at]) end
  if realm == "*" then session:set(prefix, {}) end
end

-- True when the value is one that a session can have, or nil, which removes it.
function Session.SetVar(realm, name, value)
  local kind = type(value)
  local is_good = kind == "string" or kind == "number" or kind == "boolean"
  local session, realms = realms_of(realm, true)
  for at = 1, #realms do
    local values = values_of(session, realms[at])
    if is_good then values[name] = value else values[name] = nil end
    session:set(prefix .. realms[at], values)
  end
  return is_good or value == nil
end

function Session.GetVar(realm, name)
  local session, realms = realms_of(realm, false)
  for at = 1, #realms do
    local value = values_of(session, realms[at])[name]
    if value ~= nil then return value end
  end
  return nil
end

-- ---- the script -----------------------------------------------------------------------------------------------------

local function set_globals()
  for name, work in next, functions do G[name] = work end
  G.LUAFCGID, G.LUAFCGID_VERSION, G.Session = true, 2, Session
  G.lf = { serialize = module.serialize, urlencode = module.urlencode, urldecode = module.urldecode, parse = module.parse }
  G.Response = setmetatable({}, {
    __index = function(_, code) return texts[code] and code .. " " .. texts[code] or nil end,
  })
  G.Config = module.app()
end

local function last(value)
  if type(value) == "table" then return value[#value] end
  return value
end

local luafcgid2 = {}

function luafcgid2.adapt(source, path)
  set_globals()
  local chunk, message = sources.compile(source, "@" .. path)
  if not chunk then error(message, 0) end
  chunk()
  local entry = G.Config.entrypoint or "main"
  local function entry_function()
    local main = G[entry]
    if type(main) ~= "function" then error("there is no function '" .. tostring(entry) .. "': the global is a " .. type(main) .. " value", 0) end
    return main
  end
  entry_function()
  return function(env, con)
    status_set, type_set = nil, nil
    local cookies = {}
    for name, value in next, con:cookies() do cookies[name] = last(value) end
    G.Env, G.Cookies, G.LocalConfig = env, cookies, G.Config[env.SERVER_NAME]
    G.Info = { State = con.state, Thread = con.worker }
    entry_function()()
  end
end

return luafcgid2
