-- The module luafcgid: helpers that web scripts need most. require("luafcgid") gives it.

--- ## The module luafcgid
---
--- Helpers that web scripts need most. The module is part of the server; nothing has to be installed.
---
--- ```lua
--- local luafcgid = require("luafcgid")
--- ```
---
--- `luafcgid.version` is the version of the server, as `env.LUAFCGID_VERSION`.

local parts = ...

local error = error

local M = { version = parts.version }

--- luafcgid.serialize(value)
---
--- Gives Lua source that makes the value again: `loadstring("return " .. s)()` (in Lua 5.4 `load`). Values are strings, numbers, booleans,
--- nil and tables of these. Tables that are used twice are written twice.
---
--- Errors: functions, threads and userdata; a table that contains itself; more than 180 nested tables.
--- Example: assert(loadstring("return " .. luafcgid.serialize({ 1, "two" }))()[2] == "two")
--- C daemon: wrote tables that did not load.
function M.serialize(value)
  local ok, result = parts.serialize(value)
  if not ok then error(result, 2) end
  return result
end

package.loaded.luafcgid = M

return M
