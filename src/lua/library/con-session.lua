-- con:session: what a script reads and changes of a session, and when that is written to the store.

local parts = ...

local host, run, exit, input = parts.host, parts.run, parts.exit, parts.con_input
local Con, refuse = run.methods, run.refuse
local crypto, json, open_store = parts.crypto, parts.json.new(), parts.session_store
local cookie = parts.session_cookie
local configuration, digest, new_id, sent_ids, set_cookie = cookie.configuration, cookie.digest, cookie.new_id, cookie.sent_ids, cookie.set
local bad_argument = parts.arguments.bad
local type, error, next, pcall, tostring, setmetatable, rawequal = type, error, next, pcall, tostring, setmetatable, rawequal
local find, match, sub, format = string.find, string.match, string.sub, string.format
local min, floor, time, sort = math.min, math.floor, os.time, table.sort

local waiting = parts.waiting

local longest_name, lock_wait, lock_prefix = 64, 10, "session:"
-- A session that is read only is marked as used when this part of `idle` has passed, at most a minute.
local touch_part, most_touch = 10, 60

-- Of names in the store: values of the script, and flash messages.
local of_value, of_flash = "v", "f"

-- What is known of a session, by the object that the script has.
local private = setmetatable({}, { __mode = "k" })
local methods = {}

local function state_of(self, method, level)
  local state = private[self]
  if not state then
    error("session." .. method .. " was called without its session; write session:" .. method .. "(...) with a colon", level)
  end
  if state.con ~= run.con then
    error("session:" .. method .. ": the request of this session is over; ask con:session() for it again", level)
  end
  if state.is_over then error("session:" .. method .. ": the session was destroyed in this request", level) end
  return state
end

local function check_name(name, method, level)
  if type(name) ~= "string" or name == "" or #name > longest_name or find(name, "%c") then
    error("session:" .. method .. ": the name of a value has 1 to " .. longest_name .. " bytes and no control characters", level)
  end
end

local function size_of(values)
  local size = 0
  for name, text in next, values do size = size + #name + #text end
  return size
end

-- Notes a change. A session comes to be with the first value that it gets.
local function change(state, key, text, level)
  if not text and not state.values[key] then return end
  if text then
    local size = size_of(state.values) - #(state.values[key] or "") + #text + (state.values[key] and 0 or #key)
    if size > configuration().maxsize then
      error("the session would have " .. size .. " bytes, more than " .. configuration().maxsize ..
        " (maxsize of the setting sessions); keep large data in a database", level)
    end
  end
  if not state.id then
    local id = new_id()
    set_cookie(id, level + 1)
    state.id, state.is_new = id, true
    run.input.csrf_id = id
  end
  state.values[key] = text or nil
  state.changes[key] = text or false
  state.has_changes = true
end

-- Whether this request has locked the session and holds that lock still. One in a data source can be lost with its connection.
local function holds_lock(state)
  return state.lock_token ~= nil and waiting.holds_lock(state.lock_name, state.lock_token)
end

-- Writes what has changed to the store.
local function save(state)
  if state.is_over or not state.id then return end
  if state.has_changes and state.lock_token and not holds_lock(state) then
    state.changes, state.has_changes, state.lock_token = {}, false, nil
    host.log("warn", "the lock of the session was lost meanwhile: what this request has changed in the session is not kept, since another may have locked and changed it")
    return
  end
  local with, now = configuration(), time()
  local store = state.store
  if state.is_new then
    if not state.has_changes then return end
    local created = now
    store.create(digest(state.id), created, now + floor(min(with.idle, with.absolute)), state.values)
    state.created, state.is_new = created, false
  else
    local expires = floor(min(now + with.idle, state.created + with.absolute))
    local is_used = expires - state.expires >= min(with.idle / touch_part, most_touch)
    if not state.has_changes and not is_used then return end
    if not store.patch(digest(state.id), state.changes, expires) and state.has_changes then
      host.log("warn", "the session was ended or renewed by another request meanwhile: what this one has changed in it is not kept")
    end
  end
  state.expires = floor(min(now + with.idle, state.created + with.absolute))
  state.changes, state.has_changes = {}, false
end

local function get_value(self, name, level)
  local state = state_of(self, "get", level + 1)
  check_name(name, "get", level + 1)
  local text = state.values[of_value .. name]
  if text == nil then return nil end
  local value = json.decode("[" .. text .. "]")[1]
  if rawequal(value, json.null) then return nil end
  return value
end

local function set_value(self, name, value, level)
  local state = state_of(self, "set", level + 1)
  check_name(name, "set", level + 1)
  local text
  if value ~= nil then
    local ok, encoded = pcall(json.encode, value)
    if not ok then error("session:set: " .. (match(tostring(encoded), "^%[luafcgid%]:%d+: (.*)$") or tostring(encoded)), level) end
    text = encoded
  end
  change(state, of_value .. name, text, level + 1)
end

local meta = {
  __index = function(self, name)
    local method = methods[name]
    if method then return method end
    local value = get_value(self, name, 3)
    return value
  end,
  __newindex = function(self, name, value)
    if methods[name] then error("session." .. name .. " is a method; write session:set(\"" .. name .. "\", value)", 2) end
    set_value(self, name, value, 3)
  end,
  __metatable = "session",
}

--- con:session()
---
--- The session of this browser: values that stay from request to request, kept by the server where the setting `sessions` says.
--- The browser has only a random number, in a cookie that is HttpOnly, `SameSite=Lax`, and Secure over HTTPS; the store has only
--- a digest of it. A session comes to be when it gets its first value; a number that the server did not give away is never taken.
---
--- - `session:set(name, value)` and `session.name = value` keep a value that JSON can have; nil removes it. `session:get(name)`
---   and `session.name` give it, a table as a copy: set it again after a change. Only what a request has changed is
---   written, so two requests at the same time do not undo each other's changes of other names. It is written when the handler ends,
---   and before `con:flush` and `con:finish`; not when the handler raises an error.
--- - `session:renew()` gives it a new number, at once. Call it when somebody logs in or gets more rights: whoever knew the old
---   number knows nothing then.
--- - `session:destroy()` removes it, at once: to log out.
--- - `session:flash(text[, kind])` keeps a message for the next page; `session:flashes()` gives all that there are, as a list of
---   tables with `text` and `kind`, and removes them.
--- - `session:lock([seconds])` waits until no other request has locked this session, at most 10 seconds or those given, and reads its
---   values again: then `session.n = session.n + 1` loses nothing. It is unlocked when the request ends. Gives true, or nil and `"timeout"`
---   or `"deadlock"`. Requests that do not call it are not held up. Where the setting `locks` names a data source and the lock is lost with its
---   connection, what the request has changed is not kept, and the log says so.
--- - `session:exists()` tells whether there is one.
---
--- Errors: the store is not there (a table, as those of `luafcgid.db`); a value that JSON cannot have; more than `maxsize` bytes; a
---   session that would have to come to be after headers were sent.
--- Example: local name = con:session().name or "nobody"
function Con.session(self)
  if self ~= run.con then refuse(self, "session") end
  local present = input.input()
  if present.session then return present.session end
  local with = configuration()
  local store = open_store(with.store, crypto.random)
  local ids = sent_ids(3)
  local id, found
  for at = 1, #ids do
    found = store.load(digest(ids[at]))
    if found and found.created + with.absolute > time() then
      id = ids[at]
      break
    end
    found = nil
  end
  local session = setmetatable({}, meta)
  local state = {
    con = self, store = store, id = id, values = found and found.values or {}, changes = {}, has_changes = false,
    created = found and found.created, expires = found and found.expires, is_new = false, is_over = false,
  }
  private[session], present.session = state, session
  if id then present.csrf_id = id end
  present.sent_id = id
  local before = exit.at_end
  exit.at_end = function()
    if before then before() end
    save(state)
  end
  return session
end

function methods.get(self, name)
  local value = get_value(self, name, 3)
  return value
end

function methods.set(self, name, value) set_value(self, name, value, 3) end

function methods.unset(self, name) set_value(self, name, nil, 3) end

function methods.exists(self)
  local state = private[self]
  return state ~= nil and state.id ~= nil and not state.is_over
end

function methods.renew(self)
  local state = state_of(self, "renew", 3)
  local id = new_id()
  if not state.id or state.is_new then
    if state.id then
      set_cookie(id, 3)
      state.id = id
      run.input.csrf_id = id
    end
    return
  end
  -- The cookie first: where it cannot be sent any more, the old number stays.
  set_cookie(id, 3)
  if not state.store.rename(digest(state.id), digest(id)) then
    error("session:renew: the session was ended or renewed by another request meanwhile", 2)
  end
  state.id = id
  run.input.csrf_id = id
end

function methods.lock(self, seconds)
  local state = state_of(self, "lock", 3)
  if seconds == nil then seconds = lock_wait end
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    bad_argument(1, "lock", "number of seconds from 0", seconds)
  end
  -- Nobody else knows a session that comes to be in this request.
  if not state.id or state.is_new or holds_lock(state) then return true end
  save(state)
  local _, name = parts.lock, digest(state.id)
  local token, word = waiting.acquire_lock(lock_prefix .. name, seconds)
  if not token then return nil, word end
  state.lock_name, state.lock_token = lock_prefix .. name, token
  local found = state.store.load(name)
  state.values = found and found.values or {}
  if found then state.created, state.expires = found.created, found.expires end
  return true
end

function methods.destroy(self)
  local state = state_of(self, "destroy", 3)
  if state.id then
    if not state.is_new then state.store.remove(digest(state.id)) end
    set_cookie("", 3)
  end
  state.is_over, state.values, run.input.csrf_id = true, {}, nil
  run.input.session_is_over = true
end

function methods.flash(self, text, kind)
  local state = state_of(self, "flash", 3)
  if type(text) ~= "string" then bad_argument(1, "flash", "string", text) end
  if kind ~= nil and type(kind) ~= "string" then bad_argument(2, "flash", "string", kind) end
  state.flash_count = (state.flash_count or 0) + 1
  -- A name of its own, so that messages of two requests are both kept.
  local key = of_flash .. format("%.0f.%04d.", time(), state.flash_count) .. crypto.hex(crypto.random(4))
  change(state, key, json.encode({ text = text, kind = kind }), 3)
end

function methods.flashes(self)
  local state = state_of(self, "flashes", 3)
  local keys, list = {}, {}
  for key in next, state.values do
    if sub(key, 1, 1) == of_flash then keys[#keys + 1] = key end
  end
  sort(keys)
  for at = 1, #keys do
    list[at] = json.decode(state.values[keys[at]])
    change(state, keys[at], nil, 3)
  end
  return list
end

return true
