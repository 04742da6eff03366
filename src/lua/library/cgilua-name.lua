-- Stands in for the module `cgilua`.

local parts = ...

return parts.cgilua_interface.cgilua
