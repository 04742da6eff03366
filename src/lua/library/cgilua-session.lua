-- Stands in for the module `cgilua.session`: its table `data` is the session of the browser, where the setting `sessions` says.
-- Tables in it come as copies: assign them again after a change.

local parts = ...

local run, setmetatable = parts.run, setmetatable

local M = {}

M.data = setmetatable({}, {
  __index = function(_, name) return run.con:session():get(name) end,
  __newindex = function(_, name, value)
    local session = run.con:session()
    if value == nil then session:unset(name) else session:set(name, value) end
  end,
})

function M.destroy() run.con:session():destroy() end

return M
