-- The table of parameters that each request's handler is given. Many scripts never look into it, and decoding costs more
-- than the rest of a small request. So a handler whose text does not mention its first parameter gets an empty table,
-- which a metatable fills when something indexes it all the same: `con` does, for the query and the like. Every other
-- handler gets a full table, so that it is an ordinary one to all of Lua's library and to C modules.
--
-- A request of hello with 26 parameters (processor time of the engine's part, the two ways in turn, median of 15 rounds of
-- 20,000) took 2.9 microseconds with an empty table and 6.6 with a full one in the embedded engine; 2.6 and 15.9 in lua5.1,
-- 1.1 and 3.3 in luajit, 2.5 and 16.2 in lua5.4.

local parts = ...

local host, version, run = parts.host, parts.version, parts.run

local type, error, rawequal = type, error, rawequal
local setmetatable, getinfo = setmetatable, debug.getinfo
local find, match, gmatch, sub = string.find, string.match, string.gmatch, string.sub

local lazy -- the env of the running request while it is empty
local is_eager = false
local judged -- the handler that is_eager was decided for

local function fill()
  local env = lazy
  is_eager = true -- a full table costs less than to fill an empty one
  setmetatable(env, nil)
  host.params(env)
  env.LUAFCGID_VERSION, env.FCGI_ROLE = version, run.role
  lazy = nil
end

local function expired(key)
  error("env was first looked into after its request had ended" ..
    (type(key) == "string" and " (" .. key .. ")" or "") .. "; read what is needed while the request runs", 3)
end

local lazy_meta = {}

function lazy_meta.__index(env, key)
  if not rawequal(env, lazy) then expired(key) end
  fill()
  return env[key]
end

function lazy_meta.__newindex(env, key, value)
  if not rawequal(env, lazy) then expired(key) end
  fill()
  env[key] = value
end

-- How often a text has a word.
local function count_words(text, word)
  local count = 0
  for found in gmatch(text, "[%w_]+") do
    if found == word then count = count + 1 end
  end
  return count
end

-- Whether the text of a handler names its first parameter and says no more of it. In doubt it does not.
local function ignores_env(handler)
  if type(handler) ~= "function" then return false end
  local info = getinfo(handler, "S")
  local _, text = host.sourcelines(info.source, info.linedefined, info.lastlinedefined)
  if not text then return false end
  local first_line = match(text, "^[^\n]*")
  local start = find(first_line, "function", 1, true)
  if not start or count_words(first_line, "function") ~= 1 then return false end
  local name = match(sub(text, start), "^function[%s%w_%.]*%(%s*([%a_][%w_]*)%s*[,)]")
  return name ~= nil and count_words(text, name) == 1
end

local env = {}

-- Decides how the env of this handler's requests is made.
local function judge(handler)
  if handler == judged then return end
  is_eager = is_eager or not ignores_env(handler)
  judged = handler
end

env.judge = judge

-- The env of a new request.
function env.new(handler)
  if handler ~= judged then judge(handler) end
  if is_eager then
    local ok, new = host.params()
    if not ok then
      -- What there is of a block that ends too early.
      new = {}
      host.params(new)
    end
    new.LUAFCGID_VERSION, new.FCGI_ROLE = version, run.role
    return new
  end
  lazy = setmetatable({}, lazy_meta)
  return lazy
end

-- The request is over: an env that nobody has looked into is of no use any more.
function env.forget()
  lazy = nil
end

return env
