-- The request that this state serves, and the methods of its `con`: what the files con*.lua share.

local parts = ...

local host = parts.host
local error, getmetatable, rawget, setmetatable, next = error, debug.getmetatable, rawget, setmetatable, next
local sort = table.sort

local methods = {}
-- Methods that few scripts use are loaded when they are first called: by method, the part that has it.
local deferred = {
  param = "con_fields", params = "con_fields", file = "con_fields", files = "con_fields", json = "con_fields",
  redirect = "con_response", get_header = "con_response", remove_header = "con_response", etag = "con_response", last_modified = "con_response",
  sendfile = "con_file",
  session = "con_session", csrf = "con_csrf", csrf_field = "con_csrf", check_csrf = "con_csrf",
}
local facts = { id = true, state = true, worker = true, problem = true }

setmetatable(methods, {
  __index = function(_, name)
    local part = deferred[name]
    if part then
      local _ = parts[part]
      return rawget(methods, name)
    end
    if not facts[name] then return nil end
    local ok, about = host.about()
    return ok and about[name] or nil
  end,
})

local meta = { __index = methods, __metatable = "con" }

-- `con` and `env` are those of the running request, nil between requests; `finished` says whether con:finish() was
-- called. `input` holds what was read of the request, `settings` what con:config() has changed; nil when nothing was.
-- `role` is what the web server asks for: "RESPONDER", "AUTHORIZER" or "FILTER".
local run = {
  methods = methods, meta = meta, con = nil, env = nil, finished = false, input = nil, settings = nil, role = nil,
}

-- The names of all methods of con, also of those that are not loaded yet.
function run.names()
  local seen, names = {}, {}
  for _, methods_of in next, { methods, deferred } do
    for name in next, methods_of do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  sort(names)
  return names
end

-- Raises the error of a method that cannot be called now, at the line that called the method.
function run.refuse(self, method)
  if run.con and self == run.con then
    error("con:" .. method .. " after con:finish(): the answer was already sent", 3)
  elseif getmetatable(self) == meta then
    error("con:" .. method .. ": the request of this con is over; use the con that main(env, con) was given", 3)
  else
    error("con." .. method .. " was called without its con; write con:" .. method .. "(...) with a colon", 3)
  end
end

return run
