-- Stands in for luasql.sqlite3.

local parts = ...

return parts.luasql("sqlite", "sqlite3")
