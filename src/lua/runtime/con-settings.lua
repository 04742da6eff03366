-- The methods of `con` for settings and the log.

local parts = ...

local host, run, con = parts.host, parts.run, parts.con
local Con, refuse = run.methods, run.refuse
local bad_argument, text_argument = parts.arguments.bad, parts.arguments.text

local type, tostring, tonumber, select, error = type, tostring, tonumber, select, error
local format = string.format

-- A day, in seconds.
local most_watchdog = 86400

local function to_boolean(value)
  if value == true or value == "true" or value == "on" or value == "1" or value == 1 then return true end
  if value == false or value == "false" or value == "off" or value == "0" or value == 0 then return false end
end

--- con:config(name)
--- con:config(name, value)
---
--- Gives the value of a setting of the server, or nil for names that do not exist or are not for scripts (files,
--- addresses). With a value, changes `buffering`, `httpstatus`, `contenttype`, `watchdog` or `onabort` for this request.
---
--- `con:config("watchdog", seconds)` lets the script run for so long from now on, fractions allowed, and 0 without a limit.
--- The setting `watchdogmax` bounds what it may give itself in all: with the embedded engine no more than `watchdog`, unless
--- the configuration says otherwise. Where it allows that, a script with much to do can call it again and again.
--- `con:config("onabort", "stop")` has the script stopped when its client has gone, `"finish"` lets it do its work to the end.
---
--- Errors: a setting that cannot be changed; a value that it cannot have; more time than `watchdogmax`; changes after `con:finish()` except of
---   `watchdog`, and of `httpstatus` and `contenttype` after headers were sent.
--- Example: con:config("buffering", false)
--- C daemon: always gave nil and changed nothing.
function Con.config(self, name, ...)
  if self ~= run.con then refuse(self, "config") end
  if type(name) ~= "string" then bad_argument(1, "config", "string", name) end
  if select("#", ...) == 0 then
    local settings = run.settings
    if settings and settings[name] ~= nil then return settings[name] end
    local ok, value = host.config(name)
    if not ok then error(value, 2) end
    return value
  end
  local value = ...
  if name == "buffering" then
    value = to_boolean(value)
    if value == nil then error("con:config: buffering is true or false, not " .. tostring((...)), 2) end
  elseif name == "httpstatus" or name == "contenttype" then
    value = text_argument(value, 2, "config", "string or number")
  elseif name == "watchdog" then
    value = tonumber(value)
    if not value or not (value >= 0 and value <= most_watchdog) then
      error("con:config: watchdog is a number of seconds from 0 to " .. most_watchdog .. ", not " .. tostring((...)), 2)
    end
  elseif name == "onabort" then
    if value ~= "finish" and value ~= "stop" then
      error('con:config: onabort is "finish" or "stop", not ' .. tostring(value), 2)
    end
  else
    error("con:config cannot set " .. format("%q", name) .. "; a script may set buffering, httpstatus, contenttype, " ..
      "watchdog and onabort", 2)
  end
  if run.finished and name ~= "watchdog" then refuse(self, "config") end
  local ok, message = host.configure(name, value)
  if ok and name == "buffering" then ok, message = con.set_buffering(value) end
  if not ok then error(message, 2) end
  run.settings = run.settings or {}
  run.settings[name] = value
end

local log_levels = { debug = true, info = true, warn = true, error = true }

--- con:log([level,] text)
---
--- Writes to the server's log, with the request's id and the script. The level is `"debug"`, `"info"` (if left out),
--- `"warn"` or `"error"`; the setting `loglevel` says which are written. The text is never a format: `%` is just a
--- character. `print` and `io.write` go to the log as `info`, `io.stderr:write` as `warn`.
---
--- Errors: another level.
--- Example: con:log("warn", "the quota is nearly used up")
--- C daemon: took the text for a format.
function Con.log(self, ...)
  if self ~= run.con then refuse(self, "log") end
  local level, text = "info", ...
  if select("#", ...) >= 2 then
    level, text = ...
    if not log_levels[level] then
      error("con:log: " .. tostring(level) .. " is no level; use debug, info, warn or error", 2)
    end
  end
  local ok, message = host.log(level, tostring(text))
  if not ok then error(message, 2) end
end

return true
